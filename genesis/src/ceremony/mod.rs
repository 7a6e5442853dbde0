//! How operators who do not trust each other make a genesis together.
//!
//! ```text
//! founder      Draft          name, rules, funds; its id is a digest of exactly these
//!                |  handed to every operator
//! operator     Entry          keys, bond, addresses; signed for this draft and no other
//!                |  handed back
//! founder      Draft::collect entries that hold, once each
//!                |
//!              Draft::finalize -> Genesis, whose chain id all compare, and Peers, who finds whom where
//! ```
//! What operators must compare is the chain id alone: it covers every rule, every fund and every validator.

mod draft;
mod entry;
mod peers;
mod place;

pub use draft::{Collected, Draft, DraftError};
pub use entry::{Entry, EntryError, EntryKeys, Stake};
pub use peers::{Peer, Peers, PeersError};
pub use place::{ConsensusAddr, PlaceError};
