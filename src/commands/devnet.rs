//! `holdfast devnet`: a whole network on this machine: heavy nodes, holders, funded accounts.
//!
//! The parts are the ones that `holdfast heavy` and `holdfast hold` start, joined by the same JSON-RPC and the same
//! transport. One heavy node and its holders share a process; with several, every part but the first heavy node is a
//! process of its own, and the holders hang on them in turn.

mod holders;

use self::holders::Holder;
use crate::commands::genesis::{compose, set_batch, set_round};
use crate::commands::heavy::terminated;
use crate::context::{Context, RPC_PORT};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::bytes;
use crate::services::heavy::{self, HeavyService};
use crate::services::logging;
use crate::services::seats::{HeavyProcess, Seat};
use clap::Args;
use futures::future::{join_all, select_all, try_join_all};
use holdfast_genesis::{DEV_MNEMONIC, GenesisFile, to_genesis};
use holdfast_ledger::Genesis;
use holdfast_node::{HeavyConfig, HeavyLimits, NodeClock, SNAPSHOT_INTERVAL, SyncMode, load_or_create_identity};
use holdfast_primitives::{Amount, NetworkPrefix, SecretKey};
use holdfast_wallet::Words;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Funded accounts that are printed.
const ACCOUNTS: u32 = 3;
const FUNDS: Amount = Amount::hold(1_000_000);
/// How long holders may take to be found by the first heavy node before the network is announced all the same.
const ONLINE_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const FAUCET_FUNDS: Amount = Amount::hold(100_000_000);

#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Folder of the whole network; kept from run to run
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How many heavy nodes, each of which validates; those after the first, and then all holders, are processes of their own
    #[arg(long, visible_alias = "validators", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    heavy: u32,
    /// How many holders
    #[arg(long, default_value_t = 8)]
    holders: u32,
    /// Space that each offers
    #[arg(long, default_value = "2GiB")]
    quota: bytesize::ByteSize,
    /// Asking price in HOLD per GiB per 30 days
    #[arg(long, default_value = "1000HOLD")]
    price: String,
    /// Length of a round
    #[arg(long, default_value = "10s")]
    round: humantime::Duration,
    /// Size of a batch: a power of two from 1MiB to 256MiB
    #[arg(long, default_value = "1MiB")]
    batch: bytesize::ByteSize,
    /// Take the program to know rule books up to this one: to rehearse an upgrade
    #[arg(long, value_name = "VERSION", default_value_t = holdfast_ledger::PROTOCOL_VERSION_MAX, hide = true)]
    rule_book: u32,
    /// Where JSON-RPC answers
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from(([127, 0, 0, 1], RPC_PORT)))]
    rpc_listen: SocketAddr,
    /// Keep a snapshot of every so many blocks for nodes that join
    #[arg(long, value_name = "BLOCKS", default_value_t = SNAPSHOT_INTERVAL)]
    snapshot_interval: u64,
}

pub async fn run(context: &Context, args: DevnetArgs) -> Outcome {
    logging::init(context.verbose, context.verbose > 0);
    let dir = args.dir.clone().unwrap_or_else(|| context.data_dir().join("devnet"));
    let faucet = faucet_key();
    let seats = seats(&dir, args.heavy)?;
    let genesis = genesis(&dir, &args, &faucet, &seats)?;
    let config = HeavyConfig {
        dir: dir.join("heavy"),
        genesis,
        bind: vec![seats[0].udp],
        relay: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        relay_url: None,
        consensus_listen: seats[0].multiaddr(),
        consensus_peers: seats[1..].iter().map(Seat::multiaddr).collect(),
        peers: seats[1..].iter().map(Seat::node).collect(),
        rule_book: args.rule_book,
        // All of them begin together, so there is nobody to ask.
        sync: SyncMode::Blocks,
        checkpoint: None,
        snapshot_interval: args.snapshot_interval,
        clock: NodeClock::default(),
        limits: HeavyLimits::default(),
    };
    let genesis_file = dir.join("genesis.toml");
    let (rule_book, interval) = (args.rule_book, args.snapshot_interval);
    let others = seats[1..].iter().map(|seat| seat.start(&genesis_file, &seats, rule_book, interval));
    let (service, others) =
        tokio::join!(heavy::start(config, args.rpc_listen, None, Some(faucet)), try_join_all(others));
    let (mut service, mut others) = (service?, others?);
    let mut holders = start_holders(&service, &others, &dir, &args).await?;
    until_online(context, &service, &holders).await;
    announce(context, &service, &dir, &args, &holders, &others);
    let outcome = tokio::select! {
        stopped = service.stopped() => Err(heavy::explain_stop(&stopped)),
        number = holder_ended(&mut holders) => Err(Failure::other(format!("holder {number} stopped by itself"))),
        () = watch(context, &mut others) => Ok(()),
        () = terminated() => Ok(()),
    };
    join_all(holders.into_iter().map(Holder::shutdown)).await;
    service.shutdown().await;
    join_all(others.into_iter().map(|other| other.part.shutdown())).await;
    outcome
}

/// Waits until the first heavy node knows of every holder, so that whoever is told of the network can use it.
async fn until_online(context: &Context, service: &HeavyService, holders: &[Holder]) {
    let node = service.handle();
    let deadline = tokio::time::Instant::now() + ONLINE_WITHIN;
    while let Some(missing) = holders.iter().find(|holder| !node.is_online(&holder.address)) {
        if tokio::time::Instant::now() > deadline {
            return context.output.note(format!("holder {} is not online yet", missing.number));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for the first holder that ends; a network without holders waits for ever.
async fn holder_ended(holders: &mut [Holder]) -> u32 {
    if holders.is_empty() {
        return std::future::pending().await;
    }
    let each = holders.iter_mut().map(|holder| {
        Box::pin(async {
            holder.ended().await;
            holder.number
        })
    });
    select_all(each).await.0
}

/// Says which heavy node has ended. The network goes on as long as enough of them are left.
async fn watch(context: &Context, others: &mut [HeavyProcess]) {
    let each = others.iter_mut().map(|other| async {
        other.part.ended().await;
        let address = other.address.to_text(NetworkPrefix::Devnet);
        context.output.note(format!("heavy node {address} at {} has ended", other.rpc));
    });
    join_all(each).await;
    std::future::pending().await
}

/// Starts the holders all at once: each waits for a block of its own joining.
async fn start_holders(
    service: &HeavyService,
    others: &[HeavyProcess],
    dir: &Path,
    args: &DevnetArgs,
) -> Result<Vec<Holder>, Failure> {
    let price: Amount = args.price.parse()?;
    let parents: Vec<String> =
        std::iter::once(service.rpc_url()).chain(others.iter().map(|other| other.rpc.clone())).collect();
    let starts = (0..args.holders).map(|index| {
        let options = holders::Options {
            dir: holder_dir(dir, index),
            quota_bytes: args.quota.as_u64(),
            price,
            parent: parents[index as usize % parents.len()].clone(),
        };
        holders::start(options, !others.is_empty())
    });
    Ok(try_join_all(starts).await?.into_iter().flatten().collect())
}

fn holder_dir(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!("holder-{index}"))
}

fn announce(
    context: &Context,
    service: &HeavyService,
    dir: &Path,
    args: &DevnetArgs,
    holders: &[Holder],
    others: &[HeavyProcess],
) {
    let url = service.rpc_url();
    let words = dev_words();
    let accounts: Vec<String> =
        (0..ACCOUNTS).map(|account| words.signing_key(account).address().to_text(NetworkPrefix::Devnet)).collect();
    let mut text = format!("devnet in {}\n\naccounts with {FUNDS} each, words: {DEV_MNEMONIC}\n", dir.display());
    for account in &accounts {
        text += &format!("  {account}\n");
    }
    text += &format!("\nholders with {} each at {} per GiB per 30 days\n", bytes(args.quota.as_u64()), args.price);
    for holder in holders {
        let address = holder.address.to_text(NetworkPrefix::Devnet);
        text += &format!("  {address}  {}\n", holder.options.dir.display());
    }
    for other in others {
        text += &format!("\nheavy node {}  {}", other.address.to_text(NetworkPrefix::Devnet), other.rpc);
    }
    text += &format!(
        "\nJSON-RPC   {url}\nhealth     {url}/readyz?verbose\nmetrics    {url}/metrics\nlight node {}\nconsensus  {}\n\nListening on {url}",
        service.handle().addr(),
        service.handle().consensus().join(" ")
    );
    let holders: Vec<_> = holders
        .iter()
        .map(|holder| {
            let (dir, parent) = (&holder.options.dir, &holder.options.parent);
            serde_json::json!({
                "address": holder.address.to_text(NetworkPrefix::Devnet), "number": holder.number, "dir": dir, "parent": parent, "pid": holder.pid(),
            })
        })
        .collect();
    let validators: Vec<_> = others
        .iter()
        .map(|other| serde_json::json!({ "address": other.address.to_text(NetworkPrefix::Devnet), "rpc": other.rpc, "pid": other.part.pid() }))
        .collect();
    let heavy = service.handle().address.to_text(NetworkPrefix::Devnet);
    let (node, consensus) = (service.handle().addr().to_string(), service.handle().consensus().to_vec());
    let value = serde_json::json!({ "rpc": url, "node": node, "consensus": consensus, "dir": dir, "heavy": heavy, "words": DEV_MNEMONIC, "accounts": accounts, "holders": holders, "validators": validators });
    context.output.item(text, &value);
}

/// The folders of the first heavy node and of further ones, and where they listen.
fn seats(dir: &Path, validators: u32) -> Result<Vec<Seat>, Failure> {
    let folder = |index: u32| if index == 0 { dir.join("heavy") } else { dir.join(format!("heavy-{index}")) };
    (0..validators).map(|index| Seat::take(folder(index))).collect()
}

fn dev_words() -> Words {
    Words::parse(DEV_MNEMONIC).expect("the development words are valid")
}

fn faucet_key() -> SecretKey {
    dev_words().signing_key(1_000)
}

/// The network's genesis: read if there is one, else made with funded accounts, holders and faucet.
fn genesis(dir: &Path, args: &DevnetArgs, faucet: &SecretKey, seats: &[Seat]) -> Result<Genesis, Failure> {
    let path = dir.join("genesis.toml");
    if path.exists() {
        let genesis = crate::commands::genesis::read(&path)?;
        let found = genesis.validators.len();
        if found != seats.len() {
            let message =
                format!("the devnet in {} has {found} heavy nodes, {} were asked for", dir.display(), seats.len());
            return Err(Failure::new(Exit::Usage, "other-network", message)
                .hint(format!("--heavy {found}, or another folder with --dir")));
        }
        return Ok(genesis);
    }
    let mut accounts = vec![(faucet.address(), FAUCET_FUNDS)];
    accounts.extend((0..ACCOUNTS).map(|account| (dev_words().signing_key(account).address(), FUNDS)));
    for index in 0..args.holders {
        let key = load_or_create_identity(&holder_dir(dir, index).join("keys/identity.key")).map_err(Failure::other)?;
        accounts.push((key.address(), FUNDS));
    }
    let validators = seats.iter().map(|seat| seat.validator.clone()).collect();
    let mut genesis = compose("devnet", NetworkPrefix::Devnet, validators, accounts)?;
    set_round(&mut genesis.params, args.round);
    set_batch(&mut genesis.params, args.batch)?;
    let text = GenesisFile::from_genesis(&genesis).to_text()?;
    to_genesis(&GenesisFile::parse(&text)?)?;
    std::fs::write(&path, text)?;
    Ok(genesis)
}
