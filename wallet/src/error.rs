//! Everything that can go wrong between an owner and its data, with a stable code and what mends it.

use crate::share::GrantError;
use crate::shortage::Shortage;
use crate::wishes::WishError;
use holdfast_ledger::AuditError;
use holdfast_network::control::ControlError;
use holdfast_network::transfer::TransferError;
use holdfast_network::wire::RefusalCode;
use holdfast_network::{NodeAddrError, TransportError};
use holdfast_parcel::{CatalogError, ChunkError, HeadError, LayoutError, PackError, PathError, ReadError};
use holdfast_primitives::{Address, Amount, AmountError, ChainId, GrantId, Height, RoundNo, TimeMs};
use holdfast_rpc::RpcError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a wallet could not do what it was asked.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The node refuses, or is not there.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// What the node sent is not what it should be.
    #[error("the node's answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong.
        reason: String,
    },
    /// The network between nodes.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The parent heavy node.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The node's network address.
    #[error("the node gives no usable network address: {0}")]
    NodeAddr(#[from] NodeAddrError),
    /// A holder.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A sum that no purse could hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A memo that is too long.
    #[error("a memo of {bytes} bytes, the limit is {limit}")]
    MemoTooLong {
        /// Its bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Too few holders.
    #[error("{found} holders would take it, {wanted} are needed; {}", shortage.reasons)]
    NotEnoughHolders {
        /// Offers that came and would do.
        found: usize,
        /// Holders needed.
        wanted: usize,
        /// Why the others would not, and what would help.
        shortage: Shortage,
    },
    /// Wishes that no request can carry.
    #[error(transparent)]
    Wish(#[from] WishError),
    /// Too little money.
    #[error("{needed} are needed, the account has {balance}")]
    InsufficientFunds {
        /// The price at most, fees included.
        needed: Amount,
        /// What there is.
        balance: Amount,
    },
    /// The account has stored nothing.
    #[error("this wallet has stored nothing on this network")]
    NoCatalog,
    /// The account's catalog does not open.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A file that is not in the catalog, and the like.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A name that the catalog cannot hold.
    #[error("{name:?}: {source}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong.
        source: PathError,
    },
    /// A file that cannot be read, or changed meanwhile.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A local file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was read cannot be written out.
    #[error("what was read cannot be written: {source}")]
    Output {
        /// Why.
        source: io::Error,
    },
    /// A file that changed while it was stored.
    #[error("{} changed while it was stored; nothing was registered or paid", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// A shape that no segment has.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A range that is not in the file.
    #[error("bytes {from}..{to} of a file of {size} bytes")]
    OutOfFile {
        /// First byte.
        from: u64,
        /// First byte after.
        to: u64,
        /// The file's size.
        size: u64,
    },
    /// Too few batches of a segment can be had.
    #[error("segment {ordinal}: {reachable} of its batches can be read, {needed} are needed ({lost})")]
    NotEnoughBatches {
        /// The owner's own count.
        ordinal: u32,
        /// Batches that could be read.
        reachable: usize,
        /// Batches that rebuild it.
        needed: usize,
        /// Who failed, and why.
        lost: String,
    },
    /// A node lists other batches than the owner stored.
    #[error("segment {ordinal}: the node lists other roots than you noted when you stored it")]
    OtherRoots {
        /// The owner's own count.
        ordinal: u32,
    },
    /// A chunk cannot be put together.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A chunk is not what was stored.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A holder did not take what it had promised to take.
    #[error("holder {holder}: {reason}")]
    Holder {
        /// The holder.
        holder: Address,
        /// What happened.
        reason: String,
    },
    /// What the network claims does not hold.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A claim that does not hang together, where the ledger has no word for it.
    #[error("{claim} does not hold: {reason}")]
    Unproven {
        /// What was claimed.
        claim: String,
        /// Why it does not hold.
        reason: String,
    },
    /// What a witness says of the chain does not hold.
    #[error("{witness} says what does not hold: {cause}")]
    Refuted {
        /// Who said it.
        witness: String,
        /// What does not hold.
        cause: Box<WalletError>,
    },
    /// A witness of another chain than the one that the caller named.
    #[error("{witness} is of chain {found}, expected {expected}")]
    OtherChain {
        /// Who.
        witness: String,
        /// The chain that the caller named.
        expected: ChainId,
        /// Its chain.
        found: ChainId,
    },
    /// A height that the chain has not reached.
    #[error("there is no block {height} yet, the newest is {newest}")]
    NoSuchBlock {
        /// The height that was asked for.
        height: Height,
        /// The newest.
        newest: Height,
    },
    /// Proofs that were there once.
    #[error("the proofs of round {round} are no longer kept")]
    ProofsPruned {
        /// The round.
        round: RoundNo,
    },
    /// A file that is no evidence bundle, or one that lacks something.
    #[error("the evidence bundle cannot be used: {reason}")]
    BadBundle {
        /// What is wrong.
        reason: String,
    },
    /// A batch that nobody is paid for, or that never was.
    #[error("batch {batch} is not stored")]
    NoSuchBatch {
        /// As it was named.
        batch: String,
    },
    /// A file in more batches than one grant covers.
    #[error("the file needs {found} permissions, one grant has at most {limit}")]
    TooLargeToShare {
        /// Permissions needed.
        found: usize,
        /// Permissions allowed.
        limit: usize,
    },
    /// Bytes that are no grant.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A grant past its time.
    #[error("the grant ended at {ended}")]
    GrantExpired {
        /// When.
        ended: TimeMs,
    },
    /// A grant that its owner took back.
    #[error("grant {id} was taken back by its owner")]
    GrantRevoked {
        /// Which.
        id: GrantId,
    },
    /// A grant for another wallet.
    #[error("the grant is for {reader}")]
    GrantForOther {
        /// Whom it was made for.
        reader: String,
    },
    /// A task of this program ended.
    #[error("interrupted: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl WalletError {
    /// For answers of a node that cannot be read.
    pub fn unreadable(reason: impl ToString) -> Self {
        Self::Unreadable { reason: reason.to_string() }
    }

    /// Names the witness where it is the witness's word that does not hold.
    pub(crate) fn told_by(self, witness: &str) -> Self {
        match self {
            Self::Audit(_) | Self::Unproven { .. } | Self::Unreadable { .. } | Self::Amount(_) => {
                Self::Refuted { witness: witness.to_owned(), cause: Box::new(self) }
            }
            other => other,
        }
    }

    /// A stable word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rpc(_) => "rpc",
            Self::Unreadable { .. } => "unreadable",
            Self::Control(error) if is_unwelcome(error) => "not-admitted",
            Self::Transport(_) | Self::Control(_) | Self::NodeAddr(_) => "unreachable",
            Self::Transfer(_) | Self::Holder { .. } => "holder",
            Self::Amount(_) => "amount",
            Self::MemoTooLong { .. } => "memo-too-long",
            Self::NotEnoughHolders { .. } => "not-enough-holders",
            Self::Wish(_) => "bad-wish",
            Self::InsufficientFunds { .. } => "insufficient-funds",
            Self::NoCatalog => "no-catalog",
            Self::Head(_) => "bad-catalog",
            Self::Catalog(CatalogError::NotFound { .. }) => "no-such-file",
            Self::Catalog(_) => "catalog",
            Self::Name { .. } => "bad-name",
            Self::Pack(_) | Self::Layout(_) => "pack",
            Self::File { .. } | Self::Output { .. } => "io",
            Self::FileChanged { .. } => "file-changed",
            Self::OutOfFile { .. } => "out-of-file",
            Self::NotEnoughBatches { .. } => "not-enough-batches",
            Self::OtherRoots { .. } | Self::Read(_) | Self::Chunk(_) => "unverifiable",
            Self::Audit(_) | Self::Unproven { .. } | Self::Refuted { .. } | Self::BadBundle { .. } => "unverifiable",
            Self::OtherChain { .. } => "other-chain",
            Self::NoSuchBlock { .. } => "block_unknown",
            Self::ProofsPruned { .. } => "proofs-pruned",
            Self::NoSuchBatch { .. } => "no-such-batch",
            Self::TooLargeToShare { .. } => "too-large-to-share",
            Self::Grant(_) => "bad-grant",
            Self::GrantExpired { .. } => "grant-expired",
            Self::GrantRevoked { .. } => "grant-revoked",
            Self::GrantForOther { .. } => "grant-for-other",
            Self::Task(_) => "interrupted",
        }
    }

    /// What mends it, where something does.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Rpc(error) => return Some(error.hint()),
            Self::InsufficientFunds { .. } => "holdfast wallet faucet (on a devnet), a shorter --for, or less data",
            Self::NotEnoughHolders { shortage, .. } => return Some(shortage.remedy.clone()),
            Self::NoCatalog => "holdfast put FILE stores something; is it the right --wallet and --network?",
            Self::Catalog(CatalogError::NotFound { .. }) => "holdfast ls shows what is stored",
            Self::FileChanged { .. } => "store it again when nothing writes to it",
            Self::NotEnoughBatches { .. } => "try again later: the holders named may come back",
            Self::Control(error) if is_unwelcome(error) => {
                "this network is a private grid: its genesis lists who may store there (holdfast genesis show)"
            }
            Self::Control(_) | Self::Transport(_) | Self::NodeAddr(_) => {
                "check that the heavy node runs: holdfast status"
            }
            Self::OtherRoots { .. } => "that node lies or is of another chain: ask another with --rpc",
            Self::Audit(_) | Self::Unproven { .. } | Self::Refuted { .. } => {
                "ask another heavy node with --rpc URL; if it says the same, the validators signed what does not hold"
            }
            Self::BadBundle { .. } => "ask for the bundle again, or make one: holdfast audit round N --bundle FILE",
            Self::OtherChain { .. } => {
                "ask a node of that network with --rpc URL, or check --chain and --genesis (holdfast genesis show FILE)"
            }
            Self::NoSuchBlock { .. } => "holdfast status shows the newest height",
            Self::ProofsPruned { .. } => {
                "holdfast audit chain computes its payments again; a node that keeps more history still has the proofs"
            }
            Self::NoSuchBatch { .. } => "holdfast ls --pieces shows segments and pieces",
            Self::Grant(_) => "ask the one who shared it to send the file again",
            Self::GrantExpired { .. } | Self::GrantRevoked { .. } => "ask its owner to share it again",
            Self::GrantForOther { .. } => "use the wallet that it was made for: --wallet NAME",
            Self::OutOfFile { .. } => "holdfast ls shows the file's size",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// A node that serves somebody else.
fn is_unwelcome(error: &ControlError) -> bool {
    matches!(error, ControlError::Refused { refusal, .. } if refusal.code == RefusalCode::NotWelcome)
}
