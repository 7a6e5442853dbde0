//! What a transaction shows by itself: its shape, then its signatures. Knows the network's parameters and no state.
//!
//! `TxEnvelope -> ShapedTx -> SoundTx`: signatures are verified many at a time, which halves their cost, so a shape that
//! passed waits in a type of its own until its signatures have too.

mod extend;
mod register;
pub(crate) mod signatures;
pub(crate) mod stake;
pub(crate) mod standing;

use crate::error::TxError;
use crate::params::Params;
use crate::tx::{SignedTx, Tx, TxBody, TxEnvelope};
use holdfast_por::{PROOF_VERSION, openings_digest};
use holdfast_primitives::limits::TX_BYTES_MAX;
use holdfast_primitives::{Amount, ContractNo, Signature, TxId, merkle};
use std::collections::BTreeSet;

pub(crate) use extend::added;
pub(crate) use register::{escrow, placement_counts};

/// A transaction whose shape holds and whose signatures wait to be verified.
#[derive(Clone, Debug)]
pub struct ShapedTx {
    envelope: TxEnvelope,
    id: TxId,
    bytes: Vec<u8>,
    stated: Option<Vec<u32>>,
}

/// A transaction that holds by itself: shape, fee for its bytes, and every signature in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundTx {
    envelope: TxEnvelope,
    id: TxId,
    leaf: [u8; 32],
    signed_bytes: usize,
    /// Only in a replay ([`crate::replay_block`]): the challenges that failed, where the openings were pruned.
    stated: Option<Vec<u32>>,
}

impl ShapedTx {
    /// Checks everything that needs neither a signature nor the state.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(params: &Params, envelope: TxEnvelope) -> Result<Self, TxError> {
        Self::check_with(params, envelope, None)
    }

    /// The same for a proof of a block that is replayed: its openings were pruned, what failed in it is stated.
    pub(crate) fn check_pruned(params: &Params, envelope: TxEnvelope, failed: Vec<u32>) -> Result<Self, TxError> {
        Self::check_with(params, envelope, Some(failed))
    }

    fn check_with(params: &Params, envelope: TxEnvelope, stated: Option<Vec<u32>>) -> Result<Self, TxError> {
        let bytes = envelope.signed.to_bytes();
        if bytes.len() > TX_BYTES_MAX {
            return Err(TxError::TooLarge { bytes: bytes.len(), limit: TX_BYTES_MAX });
        }
        check_fee(params, &envelope.signed, bytes.len())?;
        check_body(params, &envelope)?;
        if stated.is_none() {
            check_openings(&envelope)?;
        }
        let id = SignedTx::id_of(&bytes);
        Ok(Self { envelope, id, bytes, stated })
    }

    /// The transaction.
    pub const fn signed(&self) -> &SignedTx {
        &self.envelope.signed
    }

    /// Its id.
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// What the sender signed: the bytes without the signature, which stands last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - Signature::BYTES]
    }

    /// Only for the verifier of signatures, once they hold.
    pub(crate) fn into_sound(self) -> SoundTx {
        let leaf = merkle::leaf(&self.bytes);
        let signed_bytes = self.bytes.len();
        SoundTx { envelope: self.envelope, id: self.id, leaf, signed_bytes, stated: self.stated }
    }
}

impl SoundTx {
    /// The transaction.
    pub const fn signed(&self) -> &SignedTx {
        &self.envelope.signed
    }

    /// The openings beside it; empty unless it is a proof.
    pub fn openings(&self) -> &[u8] {
        &self.envelope.openings
    }

    /// What failed in a proof whose openings were pruned; `None` outside of a replay.
    pub(crate) fn stated(&self) -> Option<&[u32]> {
        self.stated.as_deref()
    }

    /// The transaction as it travels.
    pub const fn envelope(&self) -> &TxEnvelope {
        &self.envelope
    }

    /// The transaction as it travels, without a copy.
    pub fn into_envelope(self) -> TxEnvelope {
        self.envelope
    }

    /// Its id.
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// Its leaf in the header's transaction tree.
    pub const fn leaf(&self) -> [u8; 32] {
        self.leaf
    }

    /// Whether it is a part of a proof.
    pub const fn is_proof(&self) -> bool {
        matches!(self.envelope.signed.tx.body, TxBody::Prove { .. })
    }

    /// Whether it pays no fee and takes no place in its sender's sequence.
    pub const fn is_free(&self) -> bool {
        self.envelope.signed.tx.body.is_free()
    }

    /// Bytes that it takes in a block, its openings and their length prefix included.
    pub fn block_bytes(&self) -> usize {
        self.signed_bytes + if self.is_proof() { 4 + self.envelope.openings.len() } else { 0 }
    }
}

/// A proof pays at settlement instead: a valid proof is never kept out for want of a fee (DESIGN section 5).
fn check_fee(params: &Params, signed: &SignedTx, bytes: usize) -> Result<(), TxError> {
    if signed.tx.body.is_free() {
        return Ok(());
    }
    let needed = params.fee_per_byte.checked_mul(bytes as u64).unwrap_or(Amount::grains(u64::MAX));
    if signed.tx.fee < needed {
        return Err(TxError::FeeTooLow { fee: signed.tx.fee, needed, bytes });
    }
    Ok(())
}

fn check_body(params: &Params, envelope: &TxEnvelope) -> Result<(), TxError> {
    let tx = &envelope.signed.tx;
    if !envelope.openings.is_empty() && !matches!(tx.body, TxBody::Prove { .. }) {
        return Err(TxError::OpeningsUnexpected { bytes: envelope.openings.len() });
    }
    match &tx.body {
        TxBody::Transfer { amount, .. } if amount.is_zero() => Err(TxError::TransferNothing),
        TxBody::Transfer { .. } => Ok(()),
        TxBody::HolderJoin { quota_bytes, price, profile: _, deposit } => {
            check_join(params, *quota_bytes, *price, *deposit)
        }
        TxBody::HolderUpdate { price, .. } if price.is_zero() => Err(TxError::HolderPriceZero),
        TxBody::HolderUpdate { .. } => Ok(()),
        TxBody::Register(registration) => register::check(params, &tx.sender, registration),
        TxBody::Release { ordinals, catalog_head } => check_release(ordinals, catalog_head.is_some()),
        TxBody::Extend { contracts, .. } => check_extend(contracts),
        TxBody::DeclareFaulty { batches } => check_declare(batches),
        TxBody::Revoke { .. } => Ok(()),
        TxBody::Accuse { .. } => {
            check_free(tx)?;
            Ok(stake::check_shape(&tx.body)?)
        }
        TxBody::Bond { .. } | TxBody::Unbond { .. } | TxBody::Unjail | TxBody::Ready { .. } => {
            Ok(stake::check_shape(&tx.body)?)
        }
        TxBody::Prove { .. } => check_prove(envelope),
    }
}

fn check_join(params: &Params, quota_bytes: u64, price: Amount, deposit: Amount) -> Result<(), TxError> {
    if price.is_zero() {
        return Err(TxError::HolderPriceZero);
    }
    if quota_bytes == 0 {
        return Err(TxError::HolderQuotaZero);
    }
    if deposit < params.holder_bond {
        return Err(TxError::DepositBelowBond { deposit, bond: params.holder_bond });
    }
    Ok(())
}

fn check_release(ordinals: &[u32], has_catalog_head: bool) -> Result<(), TxError> {
    if ordinals.is_empty() && !has_catalog_head {
        return Err(TxError::ReleaseNothing);
    }
    match first_repeated(ordinals) {
        Some(&ordinal) => Err(TxError::ReleaseTwice { ordinal }),
        None => Ok(()),
    }
}

fn check_extend(contracts: &[ContractNo]) -> Result<(), TxError> {
    if contracts.is_empty() {
        return Err(TxError::ExtendNothing);
    }
    match first_repeated(contracts) {
        Some(&contract) => Err(TxError::ExtendTwice { contract }),
        None => Ok(()),
    }
}

fn check_declare(batches: &[(u8, u32)]) -> Result<(), TxError> {
    if batches.is_empty() {
        return Err(TxError::DeclareNothing);
    }
    match first_repeated(batches) {
        Some(&(batch_log2, slot)) => Err(TxError::DeclareTwice { batch_log2, slot }),
        None => Ok(()),
    }
}

/// What is free has neither a place in a sequence nor a fee.
fn check_free(tx: &Tx) -> Result<(), TxError> {
    if tx.sequence != 0 {
        return Err(TxError::ProofSequence { sequence: tx.sequence });
    }
    if !tx.fee.is_zero() {
        return Err(TxError::ProofFee { fee: tx.fee });
    }
    Ok(())
}

fn check_prove(envelope: &TxEnvelope) -> Result<(), TxError> {
    let tx = &envelope.signed.tx;
    let TxBody::Prove { part, .. } = &tx.body else {
        unreachable!("the caller matched a proof");
    };
    check_free(tx)?;
    if part.version != PROOF_VERSION {
        return Err(TxError::ProofVersion { version: part.version });
    }
    if part.holder != tx.sender {
        return Err(TxError::ProofSender { sender: tx.sender, holder: part.holder });
    }
    Ok(())
}

fn check_openings(envelope: &TxEnvelope) -> Result<(), TxError> {
    let TxBody::Prove { openings_digest: stated, .. } = envelope.signed.tx.body else { return Ok(()) };
    let found = openings_digest(&envelope.openings);
    if found == stated { Ok(()) } else { Err(TxError::OpeningsDigest { found, stated }) }
}

fn first_repeated<T: Ord>(items: &[T]) -> Option<&T> {
    let mut seen = BTreeSet::new();
    items.iter().find(|item| !seen.insert(*item))
}
