//! Floor 4: what an owner does. Keys and keystore, quotes, putting, getting, restoring, auditing.
//!
//! It talks to a heavy node by JSON-RPC ([`Session`]) and to holders by the network room ([`Link`]). It must never know a
//! terminal: asking, showing and exit codes are the binary's.

mod audit;
mod batches;
mod choose;
mod collect;
mod error;
mod files;
mod followed;
mod heavies;
mod keystore;
mod light;
mod link;
mod parent;
mod place;
mod put;
pub mod reading;
mod reuse;
mod session;
pub mod share;
mod shortage;
mod signer;
mod turn;
mod wishes;
mod words;

pub use audit::{
    Auditor, Bundle, BundledPart, ChainVerdict, ContractVerdict, EvidenceSource, HolderVerdict, HopVerdict, NodeSource,
    PieceVerdict, Recorder, RoundSpan, RoundVerdict, SegmentVerdict, SentPart, replay_chain,
};
pub use batches::{Space, make_batches};
pub use choose::{Bid, choose};
pub use collect::{Collected, LocalFile, collect, file_meta};
pub use error::WalletError;
pub use files::{load_catalog, load_catalog_placed, read_file};
pub use heavies::{RememberedHeavies, ask_heavies, urls_of};
pub use holdfast_parcel::Catalog;
pub use keystore::{Cost as KeystoreCost, Keystore, KeystoreError, Listed, write_private};
pub use light::{Asked, LightClient};
pub use link::Link;
pub use place::{Cost, Placed, Terms, paid_until, place};
pub use put::{Keeper, Put, PutProgress, Stored, held_segments, release_dead};
pub use reading::{Dropped, HolderReport, ReadReport};
pub use reuse::{Reusable, reusable};
pub use session::Session;
pub use shortage::{Shortage, ShortageOf, explain_shortage};
pub use signer::{Chosen, Prepared, Signer};
pub use turn::Turn;
pub use wishes::{WishError, WishUnmet, Wishes};
pub use words::{COIN, WORDS, Words, WordsError, derive_ed25519};
