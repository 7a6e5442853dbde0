//! Floor 3: agreement on the order of blocks.
//!
//! The only room that names the BFT engine. Everyone else sees [`LedgerApp`], which the node implements, and one of two
//! ways to drive it: [`start`], the real engine for a set of one validator as for many, and [`Solo`], which makes blocks
//! on the spot for tests of the rooms above. For tests too, [`sim`] plays a whole network from one number. To this room
//! a block is opaque bytes with a hash. It must never know what a transaction, an account or a storage round is, nor
//! open the chain database.

// The ledger of the crate's tests serves tests inside, too.
#[cfg(test)]
extern crate self as holdfast_consensus;

mod app;
mod engine;
mod evidence;
mod payload;
pub mod sim;
mod solo;

pub use app::{AppError, BlockIdentity, BuildRequest, HeightConfig, LedgerApp, Timeouts, Undecided, Verdict};
pub use engine::{
    ConsensusError, Dialler, EngineConfig, EngineHandle, LOG_FILTER, Publish, Stopped, metrics_text, peer_id, start,
};
pub use evidence::Evidence;
pub use holdfast_primitives::{EvidenceError, Misbehaviour, SignedProposal, SignedVote};
pub use solo::{Solo, SoloError};
