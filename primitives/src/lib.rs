//! Floor 0: the words every other room uses.
//!
//! Ids, amounts, heights, hashes, keys, signed statements and limits. This room is sync, does no IO and reads
//! no clock; randomness enters only where a secret is generated. It must never know what a batch, a block or a
//! contract is: it only gives them names, numbers and signatures.

mod address;
mod amount;
mod bounded;
mod certificate;
mod evidence;
mod hash;
mod height;
mod id;
mod keys;
pub mod lanes;
pub mod limits;
pub mod merkle;
mod number;
mod purpose;
mod schedule;
mod tag;
mod vrf;

pub use address::{Address, AddressError, NetworkPrefix};
pub use amount::{Amount, AmountError, GRAIN_PER_HOLD};
pub use bounded::{Bounded, BoundedError, decode_exact};
pub use certificate::{Certificate, CertificateError, CommitSignature, Validator, ValidatorSet, vote_payload};
pub use evidence::{EvidenceError, Misbehaviour, SignedProposal, SignedVote, proposal_payload};
pub use hash::{sha256, sha256_parts};
pub use height::{Height, HeightDelta, RoundNo, TimeMs};
pub use id::{BlockHash, ChainId, Digest, GrantId, IdError, RequestId, StateRoot, TxId};
pub use keys::{BatchVerifier, KeyError, SecretKey, Signature};
pub use number::{AccountNo, ContractNo, HolderNo, SegmentNo, ValidatorNo};
pub use purpose::{Purpose, signing_bytes};
pub use schedule::Schedule;
pub use tag::{Tag, TagError};
pub use vrf::{VrfError, VrfProof, VrfPublicKey, VrfSecretKey};
