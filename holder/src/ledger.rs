//! What a holder asks of the ledger. Whoever can answer implements it: a node's RPC in the program, a state in tests.

use async_trait::async_trait;
use holdfast_ledger::{Genesis, Holder, Revoked, Slot, TxEnvelope};
use holdfast_network::parents::HeavyNode;
use holdfast_primitives::{Address, Amount, Height, HolderNo, RoundNo, TimeMs, TxId};
use thiserror::Error;

/// Where the running round stands, as far as a holder needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundPhase {
    /// Lists may change.
    Open,
    /// Lists are frozen, the seed is not known yet.
    AwaitingSeed,
    /// Proofs are taken.
    Proving {
        /// What the challenge grows from.
        seed: [u8; 32],
    },
}

/// The running round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundView {
    /// Its number.
    pub round: RoundNo,
    /// Where it stands.
    pub phase: RoundPhase,
    /// When it freezes (open) or settles (frozen).
    pub due: TimeMs,
}

/// Where the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainView {
    /// The newest final height.
    pub height: Height,
    /// Its block's time.
    pub time: TimeMs,
    /// The running round.
    pub running: RoundView,
}

/// An account, as far as a holder needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// What it may spend.
    pub balance: Amount,
    /// The sequence number that its next transaction must carry.
    pub sequence: u64,
    /// Its holder record.
    pub holder: Option<HolderNo>,
    /// Its permissions to read that it took back before they ended.
    pub revoked: Vec<Revoked>,
}

/// Why the ledger did not answer.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// It refuses a transaction.
    #[error("{message}")]
    Refused {
        /// The rule, for machines.
        code: String,
        /// The rule, for people.
        message: String,
    },
    /// It cannot be reached, or answered nonsense.
    #[error("the ledger cannot be asked: {reason}")]
    Unavailable {
        /// What is known.
        reason: String,
    },
}

/// The ledger, as a holder sees it. Everything returned is final.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The first state and the rules.
    async fn genesis(&self) -> Result<Genesis, LedgerError>;

    /// Where the chain stands.
    async fn chain(&self) -> Result<ChainView, LedgerError>;

    /// Waits until the chain is higher than `height`; then where it stands.
    async fn chain_after(&self, height: Height) -> Result<ChainView, LedgerError>;

    /// The account at `address`.
    async fn account(&self, address: &Address) -> Result<Option<AccountView>, LedgerError>;

    /// A holder's record.
    async fn holder(&self, number: HolderNo) -> Result<Holder, LedgerError>;

    /// A holder's whole list of one size, in order of slots.
    async fn slots(&self, number: HolderNo, batch_log2: u8) -> Result<Vec<Slot>, LedgerError>;

    /// The heavy nodes that are known now, as possible parents.
    async fn heavies(&self) -> Result<Vec<HeavyNode>, LedgerError>;

    /// Takes note of the heavy nodes that the holder leans on, parent first: the parent's machine is the one to ask.
    async fn lean_on(&self, _parents: &[HeavyNode]) {}

    /// Hands in a transaction.
    async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, LedgerError>;

    /// Waits until a transaction that was handed in is in a block, or can never be. Where it was forgotten, it is handed in
    /// again.
    async fn wait_final(&self, envelope: &TxEnvelope) -> Result<Height, LedgerError>;
}
