//! The control protocol: a light node and its heavy node.
//!
//! | who | reads |
//! |---|---|
//! | heavy node | [`ControlServer`], which asks the ledger through [`ControlPolicy`] |
//! | light node | [`ControlClient`]; a holder also answers through [`QuoteService`] and stays online with [`keep_online`], at whichever heavy node [`Reach`] finds best |
//!
//! Nothing here knows how a holder prices, what the ledger's state looks like, or how an owner chooses among offers.

mod client;
mod config;
mod error;
mod introduce;
mod offers;
mod online;
mod place;
mod quotes;
mod reach;
mod search;
mod server;
mod session;

pub use client::{ControlClient, ControlClientConfig};
pub use config::{ControlConfig, ControlPolicy};
pub use error::ControlError;
pub use offers::{CheckedOffer, OfferError, OfferEvent, OfferStream, Offers};
pub use online::{ParentStatus, keep_online};
pub(crate) use place::check_sound;
pub use quotes::{CheckedQuoteRequest, QuoteRequestError, QuoteService};
pub use reach::{Reach, Timing};
pub(crate) use search::{Search, Sink};
pub use server::ControlServer;
