//! Floor 1: how a network begins. Presets, the genesis file people read and write, the ceremony in which operators make one
//! together, and the price units they speak.
//!
//! Pure: takes text and values, returns text and values. It must never know where a file lies or what time it is.

mod ceremony;
mod file;
mod preset;
mod price;

pub use ceremony::{
    Collected, ConsensusAddr, Draft, DraftError, Entry, EntryError, EntryKeys, Peer, Peers, PeersError, PlaceError,
    Stake,
};
pub use file::{FileError, GenesisFile, to_genesis};
pub use preset::{DEV_MNEMONIC, preset};
pub use price::{PRICE_UNIT, Price, PriceError};
