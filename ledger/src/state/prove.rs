//! Making the proofs that light clients verify.

use super::State;
use crate::merkle_vec::MerkleVec;
use crate::state_proof::{PROVABLE_RECORD_BYTES_MAX, Place, RecordKey, StateProof, VectorPath};
use borsh::BorshSerialize;
use holdfast_primitives::{Bounded, HolderNo};

type RecordBytes = Bounded<u8, PROVABLE_RECORD_BYTES_MAX>;

impl State {
    /// A record and its proof against [`State::root`]; `None` when there is no such record.
    pub fn prove(&self, key: &RecordKey) -> Option<StateProof> {
        let (record, place) = match *key {
            RecordKey::Chain => (encode(self.chain()), Place::Chain),
            RecordKey::Account(number) => in_vector(&self.accounts, number.index())?,
            RecordKey::Holder(number) => in_vector(&self.holders, number.index())?,
            RecordKey::Contract(number) => in_vector(&self.contracts, number.index())?,
            RecordKey::Segment(number) => in_vector(&self.segments, number.index())?,
            RecordKey::Round(number) => in_vector(&self.rounds, usize::try_from(number.get()).ok()?)?,
            RecordKey::Validator(number) => in_vector(&self.validators, number.index())?,
            RecordKey::Slot { holder, batch_log2, slot } => self.in_list(holder, batch_log2, slot)?,
        };
        Some(StateProof { key: *key, record, roots: *self.roots(), place })
    }

    fn in_list(&self, holder: HolderNo, batch_log2: u8, slot: u32) -> Option<(RecordBytes, Place)> {
        let list = self.list(holder, batch_log2)?;
        let (record, path) = with_path(list, slot as usize)?;
        let (holder, holder_path) = with_path(&self.holders, holder.index())?;
        Some((record, Place::List { siblings: path.siblings, holder, path: holder_path }))
    }
}

fn in_vector<T>(vector: &MerkleVec<T>, index: usize) -> Option<(RecordBytes, Place)>
where
    T: Clone + BorshSerialize + Send + Sync,
{
    let (record, path) = with_path(vector, index)?;
    Some((record, Place::Vector(path)))
}

fn with_path<T>(vector: &MerkleVec<T>, index: usize) -> Option<(RecordBytes, VectorPath)>
where
    T: Clone + BorshSerialize + Send + Sync,
{
    let siblings = Bounded::new(vector.proof(index)?).expect("a vector has fewer than 2^32 records");
    Some((encode(vector.get(index)?), VectorPath { len: vector.len() as u64, siblings }))
}

fn encode(record: &impl BorshSerialize) -> RecordBytes {
    let bytes = borsh::to_vec(record).expect("a record encodes into memory");
    Bounded::new(bytes).expect("every limit of a provable record keeps it below PROVABLE_RECORD_BYTES_MAX")
}
