//! Floor 3: bytes between nodes.
//!
//! Who talks to whom, over what, and in which words: the transport (QUIC with hole punching, or a seeded one in
//! memory), the frames, the control protocol between a light node and its heavy node, the graph of heavy nodes in which
//! holders are looked for, their gossip, the snapshots for those who join, the transfer protocol between an owner and a holder, and the relay that a heavy node runs. Only the rooms `quic` and `relay` name iroh.
//!
//! This crate must never know where batches lie on disk, what the ledger's state looks like, or how a wallet decides:
//! it declares the few questions it asks (`ControlPolicy`, `QuoteService`, `BatchService`, `UploadSource`) and others
//! answer them.

pub mod address;
pub mod control;
pub mod fit;
pub mod footprint;
pub mod gossip;
pub mod heavies;
pub mod heavy;
pub mod join;
pub mod lookup;
pub mod memory;
pub mod parents;
pub mod placement;
pub mod quic;
pub mod relay;
pub mod serve;
pub mod summary;
pub mod time;
pub mod transfer;
pub mod transport;
pub mod wire;

pub use address::{NodeAddr, NodeAddrError};
pub use transport::{BiStream, CloseReason, Connection, Endpoint, Incoming, PathKind, Protocol, TransportError};
