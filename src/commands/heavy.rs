//! `holdfast heavy`: run a heavy node.

use crate::commands::genesis;
use crate::context::{Context, RPC_PORT};
use crate::failure::Outcome;
use crate::services::{heavy, logging, peers};
use clap::Args;
use holdfast_ledger::PROTOCOL_VERSION_MAX;
use holdfast_network::NodeAddr;
use holdfast_network::control::ControlConfig;
use holdfast_network::serve::ServeLimits;
use holdfast_node::{Checkpoint, HeavyConfig, HeavyLimits, NodeClock, SNAPSHOT_INTERVAL, SyncMode};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct HeavyArgs {
    /// Folder of keys, chain database and write-ahead log
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The network's genesis file
    #[arg(long, value_name = "FILE", default_value = "genesis.toml")]
    genesis: PathBuf,
    /// Where JSON-RPC answers
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from(([127, 0, 0, 1], RPC_PORT)))]
    rpc_listen: SocketAddr,
    /// Under which URL light nodes reach JSON-RPC; by default where it listens
    #[arg(long, value_name = "URL")]
    rpc_url: Option<String>,
    /// Light nodes at once
    #[arg(long, value_name = "COUNT", default_value_t = ControlConfig::default().children_max)]
    children: usize,
    /// Connections at once, of light nodes and others
    #[arg(long, value_name = "COUNT", default_value_t = ServeLimits::default().connections_max)]
    connections: usize,
    /// Connections at once from one network address; this machine's own are not counted
    #[arg(long, value_name = "COUNT", default_value_t = ServeLimits::default().per_ip_max)]
    connections_per_address: usize,
    /// Placements that one light node may ask for per minute; twice as many in a burst
    #[arg(long, value_name = "COUNT", default_value_t = ControlConfig::default().placements_per_minute)]
    placements_per_minute: NonZeroU32,
    /// UDP socket for light nodes
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the relay listens; none for no relay
    #[arg(long, value_name = "ADDR")]
    relay_listen: Option<SocketAddr>,
    /// Under which URL light nodes reach the relay
    #[arg(long, value_name = "URL")]
    relay_url: Option<String>,
    /// What one light node may send through the relay a second, for example 8MiB; by default as much as it likes
    #[arg(long, value_name = "SIZE")]
    relay_client_rate: Option<bytesize::ByteSize>,
    /// Where consensus listens, as a multiaddr
    #[arg(long, value_name = "MULTIADDR", default_value = "/ip4/127.0.0.1/tcp/0")]
    consensus_listen: String,
    /// Another validator's consensus, as a multiaddr (repeatable)
    #[arg(long = "consensus-peer", value_name = "MULTIADDR")]
    consensus_peers: Vec<String>,
    /// Another heavy node, as its `node` line says (repeatable)
    #[arg(long = "peer", value_name = "NODE")]
    peers: Vec<NodeAddr>,
    /// Take the program to know rule books up to this one: to rehearse an upgrade
    #[arg(long, value_name = "VERSION", default_value_t = PROTOCOL_VERSION_MAX, hide = true)]
    rule_book: u32,
    /// How an empty folder comes to the newest state: auto, snapshot or blocks
    #[arg(long, value_enum, value_name = "WAY", default_value_t)]
    sync: Sync,
    /// The same as --sync snapshot
    #[arg(long, conflicts_with = "sync")]
    join: bool,
    /// A block that lies on the chain for certain: the validators are followed from there on
    #[arg(long, value_name = "HEIGHT:HASH")]
    checkpoint: Option<Checkpoint>,
    /// Keep a snapshot of every so many blocks for those who join; 0 for none but the one at the start
    #[arg(long, value_name = "BLOCKS", default_value_t = SNAPSHOT_INTERVAL)]
    snapshot_interval: u64,
    /// Both of these for all validators, as `genesis finalize` writes them; this node itself may be among them
    #[arg(long = "peers", value_name = "FILE")]
    peers_file: Option<PathBuf>,
    /// End when standard input closes: for whoever starts this as a process of its own
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    /// Read the clock as if it were so many seconds ahead (behind, if negative): for tests
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true, hide = true)]
    clock_ahead: i64,
}

/// How an empty folder comes to the newest state.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum Sync {
    /// A snapshot where the chain is long or its first blocks are gone, else blocks
    #[default]
    Auto,
    /// A snapshot of the state, verified against the validators' signatures, then blocks
    Snapshot,
    /// Every block from the first on
    Blocks,
}

impl From<Sync> for SyncMode {
    fn from(sync: Sync) -> Self {
        match sync {
            Sync::Auto => Self::Auto,
            Sync::Snapshot => Self::Snapshot,
            Sync::Blocks => Self::Blocks,
        }
    }
}

pub async fn run(context: &Context, args: HeavyArgs) -> Outcome {
    logging::init(context.verbose, true);
    let genesis = genesis::read(&args.genesis)?;
    let mut config = HeavyConfig {
        dir: args.dir.unwrap_or_else(|| context.data_dir().join("heavy")),
        genesis,
        bind: vec![args.listen],
        relay: args.relay_listen,
        relay_url: args.relay_url,
        consensus_listen: args.consensus_listen,
        consensus_peers: args.consensus_peers,
        peers: args.peers,
        rule_book: args.rule_book,
        sync: if args.join { SyncMode::Snapshot } else { args.sync.into() },
        checkpoint: args.checkpoint,
        snapshot_interval: args.snapshot_interval,
        clock: NodeClock::ahead_by(args.clock_ahead),
        limits: HeavyLimits {
            connections: ServeLimits {
                connections_max: args.connections,
                per_ip_max: args.connections_per_address,
                ..ServeLimits::default()
            },
            children: ControlConfig {
                children_max: args.children,
                placements_per_minute: args.placements_per_minute,
                ..ControlConfig::default()
            },
            // What no number of 32 bits holds is no limit on a relay's line.
            relay_client_bytes_per_second: args
                .relay_client_rate
                .and_then(|rate| NonZeroU32::new(u32::try_from(rate.as_u64()).ok()?)),
        },
    };
    if let Some(file) = &args.peers_file {
        peers::join(&mut config, file)?;
    }
    let mut service = heavy::start(config, args.rpc_listen, args.rpc_url, None).await?;
    let handle = service.handle();
    let value = serde_json::json!({
        "rpc": service.rpc_url(),
        "node": handle.addr().to_string(),
        "consensus": handle.consensus(),
        "height": handle.core.tip().state.chain().height,
    });
    let consensus = handle.consensus().join(" ");
    let text = format!("node      {}\nconsensus {consensus}\nListening on {}", handle.addr(), service.rpc_url());
    context.output.item(text, &value);
    tokio::select! {
        stopped = service.stopped() => { service.shutdown().await; Err(heavy::explain_stop(&stopped)) }
        () = terminated() => { service.shutdown().await; Ok(()) }
        () = stdin_closed(), if args.until_stdin_closes => { service.shutdown().await; Ok(()) }
    }
}

/// Waits until standard input is closed.
pub async fn stdin_closed() {
    // Nothing is expected to come; whatever does is ignored.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

/// Waits for SIGINT or SIGTERM.
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
}
