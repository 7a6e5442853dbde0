//! Where evidence comes from, as the auditor asks for it: a node, a recorder in front of a node, or a file.
//!
//! A source is a witness and nothing more: it may forget, garble or lie. The auditor checks every answer against what it
//! has proven so far, so an implementer has no duty but to bring what was asked for, if it has it.

use crate::error::WalletError;
use async_trait::async_trait;
use holdfast_ledger::{FrozenHolder, Genesis, Header, Payment, RecordKey, RoundResult, SlotEvidence, StateProof, Step};
use holdfast_por::ProofPart;
use holdfast_primitives::{Certificate, Height, HolderNo, RoundNo};

/// One part of a holder's proof and its openings.
pub type SentPart = (ProofPart, Vec<u8>);

/// A witness.
#[async_trait]
pub trait EvidenceSource: Send + Sync {
    /// Who speaks: `the node at http://...`. Errors name it.
    fn name(&self) -> String;

    /// The first state and the rules.
    async fn genesis(&self) -> Result<Genesis, WalletError>;

    /// The newest round that it can speak of; `None` before the first is settled.
    async fn latest(&self) -> Result<Option<RoundNo>, WalletError>;

    /// A record of the state after some block, why it is part of it, and that block's header.
    async fn record(&self, key: RecordKey) -> Result<(StateProof, Header), WalletError>;

    /// The header of a block.
    async fn header(&self, height: Height) -> Result<Header, WalletError>;

    /// A certificate of a block.
    async fn certificate(&self, height: Height) -> Result<Certificate, WalletError>;

    /// The steps over every change of validators after `after`, ascending; some of them, none when there are no more.
    async fn steps(&self, after: Height) -> Result<Vec<Step>, WalletError>;

    /// What every holder was bound to, in order of holder number.
    async fn frozen(&self, round: RoundNo) -> Result<Vec<FrozenHolder>, WalletError>;

    /// What became of every holder, in the same order.
    async fn results(&self, round: RoundNo) -> Result<Vec<RoundResult>, WalletError>;

    /// What every contract paid, in order of contract number.
    async fn payments(&self, round: RoundNo) -> Result<Vec<Payment>, WalletError>;

    /// The parts of a holder's proof that came; none when it sent nothing.
    ///
    /// # Errors
    /// [`WalletError::ProofsPruned`] when they came once and are no longer kept.
    async fn parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SentPart>, WalletError>;

    /// Entries of one of a holder's frozen lists, each with its path.
    async fn slots(
        &self,
        round: RoundNo,
        holder: HolderNo,
        batch_log2: u8,
        slots: &[u32],
    ) -> Result<Vec<SlotEvidence>, WalletError>;
}
