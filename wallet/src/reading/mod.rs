//! Reading back: from the fastest `k` of the `k + m` holders of a segment, every byte verified against a root of the ledger.
//!
//! | step | file |
//! |---|---|
//! | what is known of each holder while a session lasts | [`Standings`] |
//! | whom to ask for a range, whom to hedge, when to give up: pure, without IO and without a clock | [`Race`] |
//! | sessions with holders, opened when first needed | [`Sessions`] |
//! | where a segment's batches are | [`SegmentSource`] |
//! | runs the races: chunks out of batch ranges | [`Reader`] |
//!
//! A reader needs no wallet: an endpoint, the right to read (an owner's own, or a grant), and a ledger to ask.

mod fault;
mod places;
mod race;
mod reader;
mod report;
mod sessions;
mod standing;

pub use fault::{Fault, FaultCode};
pub(crate) use places::LedgerSegments;
pub use places::{SegmentBatches, SegmentSource};
pub use race::{Input, Motion, Output, Race};
pub use reader::Reader;
pub use report::{Dropped, HolderReport, ReadReport};
pub use sessions::{ReadRight, Sessions, Whereabouts};
pub use standing::{Moment, Standings};
