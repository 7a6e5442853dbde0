//! The transport over iroh: QUIC between ed25519 identities, hole punching, and relays run by heavy nodes only.
//!
//! Everything public is switched off: no address lookup, no foreign relays, no captive-portal checks. A node's address
//! travels in tickets and in the control protocol. The settings are those that were measured for this project:
//! the stream window stays at its default (larger ones get the connection killed under loss), bandwidth comes from
//! several streams at once, and the connection's window bounds the memory that a peer can make us hold.

mod config;
mod connection;
mod endpoint;
mod live;
mod watch;

pub use config::QuicConfig;
pub use endpoint::QuicEndpoint;
