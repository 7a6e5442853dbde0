//! Floor 3: a holder's day.
//!
//! Joins the ledger with an offer ([`Membership`]), quotes and takes batches ([`HolderService`]), proves them every round
//! ([`Prover`]), and keeps house: drops what nobody pays for, declares what broke ([`Housekeeper`]). All of it runs
//! over three things it is given: a vault, a ledger to ask ([`Ledger`]), and the network's endpoint.
//!
//! It must never know JSON, how blocks are agreed on, or what the bytes in a batch mean.

mod housekeeping;
mod issuers;
mod ledger;
mod membership;
mod offer;
mod promises;
mod prover;
mod readers;
mod run;
mod service;
mod submit;

pub use housekeeping::{Housekeeper, Sweep};
pub use issuers::Issuers;
pub use ledger::{AccountView, ChainView, Ledger, LedgerError, RoundPhase, RoundView};
pub use membership::{Joined, Membership};
pub use offer::Offer;
pub use promises::{NotPromised, Promises, RESERVED_MS};
pub use prover::{Proven, Prover};
pub use readers::Readers;
pub use run::{HolderConfig, HolderError, HolderHandle, HolderNews, start};
pub use service::{Doors, HolderService, SharedService};
pub use submit::Sender;
