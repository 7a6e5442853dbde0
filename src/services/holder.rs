//! A holder over a heavy node's JSON-RPC.

use crate::failure::{DIR_IN_USE, Exit, Failure};
use crate::services::ledger_link::LedgerLink;
use holdfast_genesis::Price;
use holdfast_holder::{HolderConfig, HolderError, HolderHandle, LedgerError, start};
use holdfast_ledger::{Genesis, Profile};
use holdfast_network::NodeAddr;
use holdfast_network::parents::HeavyNode;
use holdfast_primitives::{Amount, SecretKey};
use holdfast_rpc::RpcClient;
use holdfast_store::VaultError;
use holdfast_wallet::{RememberedHeavies, urls_of};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The word for machines of a holder that was told to leave and holds nothing any more.
pub const HOLDER_LEFT: &str = "holder-left";

/// What the operator of a holder says on the command line.
#[derive(Clone, Debug)]
pub struct HoldOptions {
    /// Folder of the batches.
    pub dir: PathBuf,
    /// The holder's key.
    pub key: SecretKey,
    /// Bytes offered.
    pub quota_bytes: u64,
    /// HOLD per GiB per 30 days.
    pub price: Amount,
    /// Longest term, region, operator and topics.
    pub profile: Profile,
    /// Deposit, if other than what covers the whole quota.
    pub deposit: Option<Amount>,
    /// Whether a holder that is leaving takes new batches again.
    pub rejoin: bool,
    /// Sockets to bind.
    pub bind: Vec<SocketAddr>,
}

/// Starts a holder whose first parent is the node that `rpc` asks, or one that it remembers; returns the price that the
/// ledger can express.
pub async fn run(rpc: RpcClient, options: HoldOptions) -> Result<(HolderHandle, Price), Failure> {
    let remembered = remembered(&options.dir);
    let mut parents = remembered.read();
    rpc.learn(&urls_of(&parents));
    let genesis: Genesis = rpc.chain_genesis().await?.raw.decode().map_err(Failure::other)?;
    let price = Price::from_gib_30_days(options.price, genesis.params.round_ms)?;
    rpc.follow(genesis.chain_id());
    let named: NodeAddr = rpc.market_node().await?.node_addr.parse().map_err(Failure::other)?;
    parents.retain(|node| node.id() != named.id);
    parents.insert(0, HeavyNode { rpc_url: Some(rpc.url()), ..HeavyNode::unknown(named) });
    let ledger = Arc::new(LedgerLink::new(rpc, genesis.params.prefix, remembered));
    let config = HolderConfig {
        dir: options.dir,
        key: options.key,
        quota_bytes: options.quota_bytes,
        price: price.get(),
        profile: options.profile,
        deposit: options.deposit,
        rejoin: options.rejoin,
        parents,
        bind: options.bind,
    };
    Ok((start(config, ledger).await.map_err(explain)?, price))
}

/// Heavy nodes that the holder in `dir` knows from before.
pub fn remembered(dir: &Path) -> RememberedHeavies {
    RememberedHeavies::at(dir.join("heavies.json"), None)
}

fn explain(error: HolderError) -> Failure {
    let message = error.to_string();
    match error {
        HolderError::Vault(VaultError::Lock(_)) => Failure::new(Exit::Failed, DIR_IN_USE, message)
            .hint("stop the other process, or choose another folder with --dir"),
        HolderError::Left => Failure::new(Exit::Failed, HOLDER_LEFT, message).hint("take part again with --rejoin"),
        HolderError::Vault(VaultError::Sealed(_)) => Failure::new(Exit::Failed, "unknown-format", message)
            .hint("a newer holdfast wrote it, or it is damaged: start the newest version, or choose another folder with --dir"),
        HolderError::Ledger(LedgerError::Refused { code, .. }) if code == "not_admitted" => {
            Failure::new(Exit::Failed, "not-admitted", message)
                .hint("this network is a private grid: its genesis lists who may hold there (holdfast genesis show)")
        }
        HolderError::NoDeposit { .. } => Failure::new(Exit::InsufficientFunds, "no-deposit", message)
            .hint("send money to the holder's address, lower --quota, or set --deposit"),
        _ => Failure::new(Exit::Failed, "holder", message),
    }
}
