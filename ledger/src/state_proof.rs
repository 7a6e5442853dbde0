//! Proofs for light clients: one record and the hashes that tie it to a state root that a certificate signs for.

use crate::merkle_vec::{Hash, verify_record};
use crate::{Holder, StateRoots};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{
    AccountNo, Bounded, BoundedError, ContractNo, HolderNo, RoundNo, SegmentNo, StateRoot, ValidatorNo, decode_exact,
    merkle,
};
use thiserror::Error;

/// Bytes of the largest record that can be proved: a chain record with the most validators, and room to spare.
pub const PROVABLE_RECORD_BYTES_MAX: usize = 32 * 1024;
/// Hashes of the longest path: no vector has more than 2^32 records.
pub const PATH_HASHES_MAX: usize = 32;

/// Which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RecordKey {
    /// What there is only one of.
    Chain,
    /// An account.
    Account(AccountNo),
    /// A holder.
    Holder(HolderNo),
    /// A contract.
    Contract(ContractNo),
    /// A segment.
    Segment(SegmentNo),
    /// One batch of a holder.
    Slot {
        /// The holder.
        holder: HolderNo,
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Its place in the list.
        slot: u32,
    },
    /// A settled round.
    Round(RoundNo),
    /// A validator's bond and standing.
    Validator(ValidatorNo),
}

/// A record's place in one vector.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VectorPath {
    /// Records of the vector.
    pub len: u64,
    /// The siblings from the leaf up.
    pub siblings: Bounded<Hash, PATH_HASHES_MAX>,
}

/// How a record hangs from the state's roots.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Place {
    /// Its leaf is one of the roots.
    Chain,
    /// In the table's vector.
    Vector(VectorPath),
    /// In a list of a holder, whose root stands in the holder's record.
    List {
        /// The siblings in the list; its length stands in the holder's record.
        siblings: Bounded<Hash, PATH_HASHES_MAX>,
        /// The holder's record, borsh.
        holder: Bounded<u8, PROVABLE_RECORD_BYTES_MAX>,
        /// The holder's place.
        path: VectorPath,
    },
}

/// A record, and why it is part of a state.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateProof {
    /// Which record.
    pub key: RecordKey,
    /// The record, borsh.
    pub record: Bounded<u8, PROVABLE_RECORD_BYTES_MAX>,
    /// What the state's root is made of.
    pub roots: StateRoots,
    /// How the record hangs from them.
    pub place: Place,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateProofError {
    /// The roots are of another state.
    #[error("the proof is for state {found}, not {expected}")]
    OtherState {
        /// The root that the proof's roots make.
        found: StateRoot,
        /// The root that was asked for.
        expected: StateRoot,
    },
    /// The record's place is not of the kind that its key names.
    #[error("{key:?} cannot stand where the proof puts it")]
    WrongPlace {
        /// The key.
        key: RecordKey,
    },
    /// The holder's record cannot be read.
    #[error("the holder's record: {0}")]
    HolderRecord(#[from] BoundedError),
    /// The holder has no batches of this size.
    #[error("the holder has no list of batches of 2^{batch_log2} bytes")]
    NoSuchList {
        /// Size, log2 of bytes.
        batch_log2: u8,
    },
    /// The hashes do not lead to the root.
    #[error("the path of {key:?} does not lead to its root")]
    Path {
        /// The key.
        key: RecordKey,
    },
}

impl StateProof {
    /// Whether the record is part of the state with this root. Total: any proof gets an answer.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self, root: &StateRoot) -> Result<(), StateProofError> {
        let found = self.roots.root();
        if found != *root {
            return Err(StateProofError::OtherState { found, expected: *root });
        }
        let roots = &self.roots;
        match (self.key, &self.place) {
            (RecordKey::Chain, Place::Chain) => self.holds(merkle::leaf(&self.record) == roots.chain),
            (RecordKey::Account(number), Place::Vector(path)) => self.under(&roots.accounts, number.get().into(), path),
            (RecordKey::Holder(number), Place::Vector(path)) => self.under(&roots.holders, number.get().into(), path),
            (RecordKey::Contract(number), Place::Vector(path)) => {
                self.under(&roots.contracts, number.get().into(), path)
            }
            (RecordKey::Segment(number), Place::Vector(path)) => self.under(&roots.segments, number.get().into(), path),
            (RecordKey::Round(number), Place::Vector(path)) => self.under(&roots.rounds, number.get(), path),
            (RecordKey::Validator(number), Place::Vector(path)) => {
                self.under(&roots.validators, number.get().into(), path)
            }
            (RecordKey::Slot { holder, batch_log2, slot }, Place::List { siblings, holder: record, path }) => {
                self.holds(path.leads(&roots.holders, holder.get().into(), record))?;
                let record: Holder = decode_exact(record, PROVABLE_RECORD_BYTES_MAX)?;
                let list = record.lists.iter().find(|list| list.batch_log2 == batch_log2);
                let list = list.ok_or(StateProofError::NoSuchList { batch_log2 })?;
                self.holds(verify_record(&list.list_root, list.batches, slot.into(), &self.record, siblings))
            }
            (key, _) => Err(StateProofError::WrongPlace { key }),
        }
    }

    fn under(&self, root: &Hash, index: u64, path: &VectorPath) -> Result<(), StateProofError> {
        self.holds(path.leads(root, index, &self.record))
    }

    fn holds(&self, it_does: bool) -> Result<(), StateProofError> {
        if it_does { Ok(()) } else { Err(StateProofError::Path { key: self.key }) }
    }
}

impl VectorPath {
    fn leads(&self, root: &Hash, index: u64, record: &[u8]) -> bool {
        verify_record(root, self.len, index, record, &self.siblings)
    }
}
