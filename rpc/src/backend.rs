//! What this room needs from a node. Whoever runs a node implements it; nothing here knows how.

use crate::error::Failure;
use crate::text::AddressText;
use crate::tx::TxStatus;
use async_trait::async_trait;
use holdfast_ledger::{Block, Event, Genesis, Header, SlotEvidence, State, Steps, TxEnvelope};
use holdfast_primitives::{
    Address, Amount, BlockHash, Certificate, Height, HolderNo, NetworkPrefix, RoundNo, TxId, ValidatorSet,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// A node, as its visitors see it.
///
/// Consistency: everything that is returned is final. A reader that saw height `h` in [`Backend::tip`] or
/// [`Backend::watch_height`] finds the header, block, certificate and events of every height up to `h` that is still
/// kept, and their transactions as [`TxStatus::Final`]. Plain methods may read a disk but must not wait for the network.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The first state and the rules.
    fn genesis(&self) -> Arc<Genesis>;

    /// The newest final block and the state after it.
    fn tip(&self) -> Tip;

    /// The newest final height; changes with every block.
    fn watch_height(&self) -> watch::Receiver<Height>;

    /// A counter that changes with every transaction that [`Backend::tx_status`] calls dropped from then on.
    fn watch_drops(&self) -> watch::Receiver<u64>;

    /// The height of a final block.
    fn height_of(&self, block: &BlockHash) -> Result<Option<Height>, BackendError>;

    /// A final header.
    fn header(&self, height: Height) -> Result<Option<Header>, BackendError>;

    /// A final block.
    fn block(&self, height: Height) -> Result<Option<Block>, BackendError>;

    /// A certificate of a final block.
    fn certificate(&self, height: Height) -> Result<Option<Certificate>, BackendError>;

    /// The validators that decided a final block.
    fn validators(&self, height: Height) -> Result<Option<ValidatorSet>, BackendError>;

    /// The steps over every change of validators after `after`, ascending, as many as are handed over at once.
    fn steps(&self, after: Height) -> Result<Steps, BackendError>;

    /// What a final block caused, in order.
    fn events(&self, height: Height) -> Result<Option<Vec<Event>>, BackendError>;

    /// What became of a transaction.
    fn tx_status(&self, id: &TxId) -> Result<TxStatus, BackendError>;

    /// Final transactions with ids from `low` to `high`, both included, ascending, at most `limit`.
    fn txs_between(&self, low: &TxId, high: &TxId, limit: usize) -> Result<Vec<TxId>, BackendError>;

    /// Where the accepted parts of a holder's proof stand, in the order of their challenges.
    fn proof_parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<ProofPlace>, BackendError>;

    /// The openings that travelled with a final proof transaction; `None` once they are pruned.
    fn openings(&self, tx: &TxId) -> Result<Option<Vec<u8>>, BackendError>;

    /// The batches over which a holder was challenged in a round, each as it stood in its frozen list with its path to the
    /// list's root; none when the round has no seed yet or the evidence was pruned.
    fn slot_evidence(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SlotEvidence>, BackendError>;

    /// Admits a transaction, or says which rule it breaks.
    async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, SubmitError>;

    /// What the node says of itself.
    fn node(&self) -> NodeInfo;

    /// The heavy nodes that this one knows, itself first; bounded by what it keeps in mind.
    fn heavies(&self) -> Vec<HeavyInfo>;

    /// How the node stands. Every status asks it, so it must cost next to nothing.
    fn standing(&self) -> Standing;

    /// Whether a holder can be reached through this node now.
    fn is_online(&self, holder: &Address) -> bool;

    /// The faucet, on networks that have one.
    fn faucet(&self) -> Option<Arc<dyn Faucet>>;

    /// How the node's parts are doing, for `/readyz`.
    fn health(&self) -> Vec<Check>;

    /// All metrics in the OpenMetrics text format, for `/metrics`.
    fn metrics(&self) -> String;
}

/// Free money.
#[async_trait]
pub trait Faucet: Send + Sync {
    /// What one call gives, at most.
    fn per_call(&self) -> Amount;

    /// Sends `amount` to `to`.
    async fn send(&self, to: Address, amount: Amount) -> Result<TxId, SubmitError>;
}

/// The newest final block and the state after it.
#[derive(Clone, Debug)]
pub struct Tip {
    /// The block's hash; the zero hash while there is only the genesis.
    pub hash: BlockHash,
    /// The block's header; none while there is only the genesis.
    pub header: Option<Arc<Header>>,
    /// The state after it.
    pub state: Arc<State>,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its account.
    pub account: Address,
    /// Its network address as text, for light nodes.
    pub node_addr: String,
    /// Light nodes connected now.
    pub children: u32,
    /// Heavy nodes connected now.
    pub peers: u32,
    /// What it does for others that look for holders.
    pub graph: GraphInfo,
    /// Whether it has caught up with the network.
    pub synced: bool,
    /// Its software's version.
    pub version: String,
}

/// What a heavy node does for others that look for holders, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GraphInfo {
    /// Heavy nodes with whom holders are looked for, connected now.
    pub neighbours: u32,
    /// Requests of neighbours that were looked into.
    pub served: u64,
    /// Requests that were passed on to a neighbour, counted for each neighbour.
    pub forwarded: u64,
    /// Those of them to which no answer came.
    pub unanswered: u64,
    /// Requests that had come by before.
    pub repeated: u64,
    /// Requests of neighbours that were refused.
    pub refused: u64,
}

/// How a heavy node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeavyInfo {
    /// Its account.
    pub address: Address,
    /// Its network address as text.
    pub node_addr: String,
    /// Under which URL its JSON-RPC answers light nodes, if it does.
    pub rpc_url: Option<String>,
}

/// How a node stands among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Heavy nodes connected now.
    pub peers: u32,
    /// Whether it has caught up with the network.
    pub synced: bool,
    /// Its software's version.
    pub version: &'static str,
}

/// Where an accepted proof part stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlace {
    /// The block.
    pub height: Height,
    /// The transaction's place in the block.
    pub index: u32,
    /// The challenges of it that failed, ascending.
    pub failed: Vec<u32>,
}

/// How one part of the node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part, in one word.
    pub name: &'static str,
    /// Whether it does its work.
    pub ok: bool,
    /// A few words for people.
    pub detail: String,
}

/// Why something could not be read.
#[derive(Debug, Error)]
pub enum BackendError {
    /// It was there once and was pruned.
    #[error("{what} is no longer kept")]
    NotKept {
        /// What.
        what: String,
    },
    /// It is from before the node joined.
    #[error("the node joined at height {joined}")]
    BeforeJoined {
        /// The height of the snapshot that the node began with.
        joined: Height,
    },
    /// The node's fault.
    #[error(transparent)]
    Fault(Box<dyn Error + Send + Sync>),
}

/// Why a transaction was not admitted.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// It breaks a rule.
    #[error("{message}")]
    Refused {
        /// The rule, for machines.
        code: String,
        /// The rule, for people.
        message: String,
    },
    /// No room for another waiting transaction.
    #[error("{waiting} transactions are waiting already")]
    PoolFull {
        /// How many wait.
        waiting: usize,
    },
    /// The node has not caught up.
    #[error("at height {height} and still catching up")]
    NotSynced {
        /// Where it stands.
        height: Height,
    },
    /// The node's fault.
    #[error(transparent)]
    Fault(Box<dyn Error + Send + Sync>),
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::NotKept { what } => Self::NotKept { what },
            BackendError::BeforeJoined { joined } => Self::BeforeJoined { joined },
            BackendError::Fault(cause) => Self::Internal { cause },
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused { code, message } => Self::TxRefused { code, message },
            SubmitError::PoolFull { waiting } => Self::PoolFull { waiting },
            SubmitError::NotSynced { height } => Self::NotSynced { height },
            SubmitError::Fault(cause) => Self::Internal { cause },
        }
    }
}

/// The address, if it belongs to the network `prefix`.
pub(crate) fn here(given: AddressText, prefix: NetworkPrefix) -> Result<Address, Failure> {
    if given.prefix != prefix {
        return Err(Failure::WrongNetwork { address: given, found: given.prefix, expected: prefix });
    }
    Ok(given.address)
}
