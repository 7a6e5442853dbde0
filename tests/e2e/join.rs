//! New nodes come to a running network: by a snapshot, by blocks, past liars and kills; and follow it from then on.

use crate::common::{HOLDFAST, Person, Running, noise, rpc, wait_for};
use holdfast_ledger::Manifest;
use holdfast_network::join::{JoinClient, JoinLimits, JoinServer, JoinSource};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::serve::{ServeLimits, serve};
use holdfast_network::wire::{Refusal, RefusalCode, SourceOffer, ToSource};
use holdfast_network::{Endpoint, NodeAddr, Protocol};
use holdfast_primitives::{ChainId, Height, NetworkPrefix, SecretKey, decode_exact};
use holdfast_rpc::chain::BlockRef;
use holdfast_rpc::{RpcClient, RpcError};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;

/// A network with snapshots every few blocks.
fn network(folder: &Path, words: &[&str]) -> Running {
    let dir = folder.join("network").display().to_string();
    let start = ["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--round", "4s", "--snapshot-interval", "10"];
    Running::start(&[&start, words].concat()).unwrap()
}

/// A heavy node that joins; killed when it goes out of scope.
struct Joiner {
    child: Child,
    log: PathBuf,
    said: Option<Value>,
}

impl Joiner {
    /// Starts it in `folder` with one peer's consensus; `words` say the rest.
    fn start(folder: &Path, network: &Running, words: &[&str]) -> Self {
        let genesis = Path::new(network.said["dir"].as_str().unwrap()).join("genesis.toml");
        std::fs::create_dir_all(folder).unwrap();
        let log = folder.join("log");
        let stderr = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(HOLDFAST)
            .args(["heavy", "--json", "--rpc-listen", "127.0.0.1:0", "--dir"])
            .arg(folder)
            .arg("--genesis")
            .arg(genesis)
            .args(["--consensus-peer", network.said["consensus"][0].as_str().unwrap()])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self { child, log, said: None }
    }

    /// Waits until it answers.
    fn ready(mut self) -> Self {
        let mut reader = BufReader::new(self.child.stdout.take().unwrap());
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "{}", self.log());
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        self.said = Some(serde_json::from_str(&line).unwrap());
        self
    }

    fn rpc(&self) -> &str {
        self.said.as_ref().unwrap()["rpc"].as_str().unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn says(&self, words: &str) {
        wait_for(&format!("the log to say {words:?}"), || self.log().contains(words).then_some(()));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn height(rpc: &str) -> u64 {
    runtime().block_on(async { RpcClient::connect(rpc).unwrap().chain_status().await.unwrap().height.get() })
}

/// Block and state root at a height, once the node has it.
fn at(rpc: &str, height: u64) -> (String, String) {
    wait_for(&format!("height {height} at {rpc}"), || {
        runtime().block_on(async {
            let header =
                RpcClient::connect(rpc).unwrap().chain_header(BlockRef::Height(Height::new(height))).await.ok()?;
            Some((header.hash.to_string(), header.state_root.to_string()))
        })
    })
}

/// A network in which something happened: money moved, a file is stored, a round was paid, some snapshots were made.
fn lived_in(folder: &Path, words: &[&str]) -> (Running, Person) {
    let network = network(folder, words);
    let alice = Person::funded(&folder.join("alice"), &network);
    let file = folder.join("file");
    std::fs::write(&file, noise(2_000_000, 5)).unwrap();
    alice.ask(&["put", file.to_str().unwrap(), "--yes"]);
    wait_for("a round that pays", || {
        let settled = alice.ask(&["status", "--short"])["settled"].clone();
        settled["paid"].as_str().filter(|paid| *paid != "0").map(drop)
    });
    wait_for("a few snapshots", || (height(rpc(&network)) > 25).then_some(()));
    (network, alice)
}

fn address(person: &Person) -> String {
    person.ask(&["wallet", "balance"])["address"].as_str().unwrap().to_owned()
}

/// It is where the network is, hears of what happens there, and what is handed to it happens there.
fn follows(joiner: &Joiner, network: &Running, alice: &Person, folder: &Path) {
    let now = height(rpc(network));
    assert_eq!(at(joiner.rpc(), now), at(rpc(network), now), "block and state root are the same");
    let bob = Person::new(&folder.join("bob"), joiner.rpc());
    bob.ask(&["wallet", "new"]);
    let (to_bob, to_alice) = (address(&bob), address(alice));
    alice.ask(&["wallet", "send", &to_bob, "5HOLD", "--yes"]);
    wait_for("the joined node hears of it", || (bob.balance() == 5_000_000_000).then_some(()));
    let before = alice.balance();
    bob.ask(&["wallet", "send", &to_alice, "3HOLD", "--yes"]);
    wait_for("the network hears of what was handed to the joined node", || {
        (alice.balance() >= before + 3_000_000_000).then_some(())
    });
    let later = height(rpc(network));
    assert_eq!(at(joiner.rpc(), later), at(rpc(network), later));
}

#[test]
fn a_full_node_joins_by_a_snapshot_or_by_blocks_follows_and_passes_on_what_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let (network, alice) = lived_in(folder.path(), &["--validators", "2", "--holders", "6"]);
    let peer = network.said["node"].as_str().unwrap();
    let by_snapshot = Joiner::start(&folder.path().join("one"), &network, &["--peer", peer, "--join"]).ready();
    by_snapshot.says("joined: the state is verified");
    follows(&by_snapshot, &network, &alice, &folder.path().join("one"));
    let by_blocks = Joiner::start(&folder.path().join("two"), &network, &["--peer", peer]).ready();
    assert!(by_blocks.log().contains("begins with the first block"), "a short chain is fetched whole");
    follows(&by_blocks, &network, &alice, &folder.path().join("two"));
    assert_eq!(at(by_blocks.rpc(), 1), at(rpc(&network), 1));

    // What was before the snapshot is elsewhere, and the node says so.
    let asked = runtime().block_on(async {
        RpcClient::connect(by_snapshot.rpc()).unwrap().chain_block(BlockRef::Height(Height::new(1))).await
    });
    match asked {
        Err(RpcError::Answered { code, message, .. }) => {
            assert_eq!(code, holdfast_rpc::error::BEFORE_JOINED.code);
            assert!(message.contains("this node joined at height"), "{message}");
        }
        other => panic!("{other:?}"),
    }

    // Killed, it goes on where it was, without joining again; and who only knows it finds the others by it.
    let dir = folder.path().join("one");
    by_snapshot.kill();
    let again = Joiner::start(&dir, &network, &["--peer", peer, "--snapshot-interval", "10"]).ready();
    follows(&again, &network, &alice, &folder.path().join("three"));
    assert_eq!(again.log().matches("joined: the state is verified").count(), 1);
    let from = again.said.as_ref().unwrap()["node"].as_str().unwrap().to_owned();
    let third = Joiner::start(&folder.path().join("four"), &network, &["--peer", &from, "--join"]).ready();
    third.says("joined: the state is verified");
    let now = height(rpc(&network));
    assert_eq!(at(third.rpc(), now), at(rpc(&network), now));
}

/// Another genesis is another chain: its nodes begin anew.
fn forget_everything_but_keys(network: &Path) {
    let folders = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    };
    for part in folders(network).iter().flat_map(|node| folders(node)).filter(|part| !part.ends_with("keys")) {
        std::fs::remove_dir_all(part).unwrap();
    }
}

#[test]
fn where_the_first_blocks_are_gone_only_a_snapshot_leads_in() {
    let folder = tempfile::tempdir().unwrap();
    network(folder.path(), &["--holders", "6"]).kill();
    // A network that forgets proofs after one round.
    let dir = folder.path().join("network");
    let genesis = std::fs::read_to_string(dir.join("genesis.toml")).unwrap();
    let line = genesis.lines().find(|line| line.starts_with("proof_retention_rounds")).unwrap();
    std::fs::write(dir.join("genesis.toml"), genesis.replace(line, "proof_retention_rounds = 1")).unwrap();
    forget_everything_but_keys(&dir);
    let (network, alice) = lived_in(folder.path(), &["--holders", "6"]);
    let settled = || alice.ask(&["status", "--short"])["settled"]["round"].as_u64();
    wait_for("a few rounds", || settled().filter(|round| *round > 3));
    let peer = network.said["node"].as_str().unwrap();

    let mut blocks =
        Joiner::start(&folder.path().join("blocks"), &network, &["--peer", peer, "--sync", "blocks"]).ready();
    let exit = wait_for("it gives up", || blocks.child.try_wait().unwrap());
    let told = blocks.log();
    assert_eq!(exit.code(), Some(1), "{told}");
    assert!(told.contains("history-gone") && told.contains("--sync snapshot"), "{told}");

    let auto = Joiner::start(&folder.path().join("auto"), &network, &["--peer", peer]).ready();
    auto.says("joined: the state is verified");
    follows(&auto, &network, &alice, &folder.path().join("auto"));
}

/// What validators weigh, ascending.
fn weights(person: &Person) -> Vec<u64> {
    let list = person.ask(&["validator", "list"])["validators"].as_array().unwrap().clone();
    let mut weights: Vec<u64> = list.iter().map(|one| one["power"].as_u64().unwrap()).collect();
    weights.sort_unstable();
    weights
}

/// Makes blocks until there are eleven more, and so another snapshot.
fn push(alice: &Person, network: &Running) {
    let (to, from) = (address(alice), height(rpc(network)));
    wait_for("eleven more blocks", || {
        alice.ask(&["wallet", "send", &to, "1HOLD", "--yes"]);
        (height(rpc(network)) > from + 10).then_some(())
    });
}

#[test]
fn who_joins_follows_every_change_of_the_validators_and_may_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), &["--validators", "2", "--holders", "0"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    for one in alice.ask(&["validator", "list"])["validators"].as_array().unwrap() {
        alice.ask(&["wallet", "send", one["address"].as_str().unwrap(), "200HOLD", "--yes"]);
    }
    let second = folder.path().join("network/heavy-1").display().to_string();
    alice.ask(&["validator", "bond", "100HOLD", "--dir", &second, "--yes"]);
    alice.ask(&["validator", "unbond", "50HOLD", "--dir", &second, "--yes"]);
    assert_eq!(weights(&alice), [1_000, 1_050]);
    push(&alice, &network);

    let peer = network.said["node"].as_str().unwrap();
    let dir = folder.path().join("newcomer");
    let newcomer = Joiner::start(&dir, &network, &["--peer", peer, "--join"]).ready();
    newcomer.says("joined: the state is verified");
    let node: NodeAddr = newcomer.said.as_ref().unwrap()["node"].as_str().unwrap().parse().unwrap();
    alice.ask(&["wallet", "send", &node.id.to_text(NetworkPrefix::Devnet), "2000HOLD", "--yes"]);
    let operator = Person::new(&folder.path().join("operator"), newcomer.rpc());
    operator.ask(&["wallet", "new"]);
    operator.ask(&["validator", "bond", "1500HOLD", "--dir", dir.to_str().unwrap(), "--yes"]);
    wait_for("it is elected", || (weights(&alice) == [1_000, 1_050, 1_500]).then_some(()));

    // The others alone are no two thirds any more: every further block has its vote.
    push(&alice, &network);
    newcomer.kill();
    let back = Joiner::start(&dir, &network, &["--peer", peer]).ready();
    push(&alice, &network);
    let now = height(rpc(&network));
    assert_eq!(at(back.rpc(), now), at(rpc(&network), now));

    // Over all these changes, from the genesis and from the middle.
    let (hash, _) = at(rpc(&network), now - 15);
    let checkpoint = format!("{}:{hash}", now - 15);
    for (name, more) in [("three", vec![]), ("four", vec!["--checkpoint", &checkpoint])] {
        let words = [&["--peer", peer, "--join"], &more[..]].concat();
        let later = Joiner::start(&folder.path().join(name), &network, &words).ready();
        later.says("joined: the state is verified");
        let now = height(rpc(&network));
        assert_eq!(at(later.rpc(), now), at(rpc(&network), now));
    }
}

/// What a node between the network and one that joins does with what passes through.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Pays itself in the state's root.
    ForgesManifests,
    /// Flips a bit of every chunk.
    ForgesChunks,
    /// Answers no further after so many chunks.
    FallsSilentAfter(usize),
}

/// A node that has nothing of its own.
struct Between {
    manner: Manner,
    chain: ChainId,
    honest: Mutex<JoinClient>,
    chunks: AtomicUsize,
}

#[async_trait::async_trait]
impl JoinSource for Between {
    fn chain(&self) -> ChainId {
        self.chain
    }

    async fn offer(&self) -> SourceOffer {
        let offer = self.honest.lock().await.offer().await.unwrap();
        SourceOffer { peers: holdfast_primitives::Bounded::empty(), ..offer }
    }

    async fn answer(&self, question: ToSource) -> Result<Vec<u8>, Refusal> {
        let answer = self.honest.lock().await.ask(&question).await;
        let mut data = answer.map_err(|error| Refusal::new(RefusalCode::NoSuchHistory, error))?;
        match (self.manner, &question) {
            (Manner::ForgesManifests, ToSource::Manifest { .. }) => {
                let mut manifest: Manifest = decode_exact(&data, data.len()).unwrap();
                manifest.block.header.state_root = holdfast_primitives::StateRoot::new([6; 32]);
                data = borsh::to_vec(&manifest).unwrap();
            }
            (Manner::ForgesChunks, ToSource::Chunk { .. }) => {
                let middle = data.len() / 2;
                data[middle] ^= 1;
            }
            (Manner::FallsSilentAfter(chunks), ToSource::Chunk { .. })
                if self.chunks.fetch_add(1, Ordering::SeqCst) >= chunks =>
            {
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        Ok(data)
    }
}

/// Starts a node between; it lives as long as the runtime.
fn between(runtime: &tokio::runtime::Runtime, network: &Running, manner: Manner) -> NodeAddr {
    let honest: NodeAddr = network.said["node"].as_str().unwrap().parse().unwrap();
    let genesis =
        std::fs::read_to_string(Path::new(network.said["dir"].as_str().unwrap()).join("genesis.toml")).unwrap();
    let chain =
        holdfast_genesis::to_genesis(&holdfast_genesis::GenesisFile::parse(&genesis).unwrap()).unwrap().chain_id();
    runtime.block_on(async {
        let config = QuicConfig { accept: vec![Protocol::Join], ..QuicConfig::loopback(SecretKey::generate()) };
        let endpoint = Arc::new(QuicEndpoint::bind(config).await.unwrap());
        let client = JoinClient::connect(&*endpoint, &honest, chain).await.unwrap();
        let source = Between { manner, chain, honest: Mutex::new(client), chunks: AtomicUsize::new(0) };
        let server = Arc::new(JoinServer::new(Arc::new(source), JoinLimits::default()));
        tokio::spawn(serve(Arc::clone(&endpoint) as Arc<dyn Endpoint>, vec![server], ServeLimits::default()));
        endpoint.addr()
    })
}

#[test]
fn liars_are_named_and_kills_are_survived_on_the_way_in() {
    let folder = tempfile::tempdir().unwrap();
    let (network, alice) = lived_in(folder.path(), &["--holders", "6"]);
    let honest = network.said["node"].as_str().unwrap();
    let runtime = runtime();

    let forger = between(&runtime, &network, Manner::ForgesManifests);
    let peers = ["--peer", &forger.to_string(), "--peer", honest, "--join"];
    let past_the_forger = Joiner::start(&folder.path().join("one"), &network, &peers).ready();
    let log = past_the_forger.log();
    let named = log.lines().find(|line| line.contains("lies; it is asked no more")).unwrap_or_else(|| panic!("{log}"));
    assert!(named.contains(&forger.id.to_string()), "{named}");
    follows(&past_the_forger, &network, &alice, &folder.path().join("one"));

    // Who only knows a liar does not get in, and says who it was.
    let liar = between(&runtime, &network, Manner::ForgesChunks);
    let dir = folder.path().join("two");
    let lied_to = Joiner::start(&dir, &network, &["--peer", &liar.to_string(), "--join"]);
    lied_to.says("lies; it is asked no more");
    let log = lied_to.log();
    assert!(log.contains(&liar.id.to_string()) && log.contains("are not the state's"), "{log}");
    assert!(!log.contains("joined:"), "{log}");
    lied_to.kill();
    assert!(!dir.join("chain").join("db").exists(), "what was not verified is no chain");

    // Half of a snapshot, kill -9, and another peer for the rest.
    let silent = between(&runtime, &network, Manner::FallsSilentAfter(3));
    let dir = folder.path().join("three");
    let stuck = Joiner::start(&dir, &network, &["--peer", &silent.to_string(), "--join"]);
    stuck.says("begins with a snapshot");
    stuck.kill();
    assert!(!dir.join("chain").join("db").exists(), "half a snapshot is no chain");
    let whole = Joiner::start(&dir, &network, &["--peer", honest, "--join"]).ready();
    whole.says("joined: the state is verified");
    follows(&whole, &network, &alice, &dir);
    assert!(!dir.join("chain.joining").exists());

    // A checkpoint of the right chain leads in, one of another does not.
    let (hash, _) = at(rpc(&network), 5);
    let right = ["--peer", honest, "--join", "--checkpoint", &format!("5:{hash}")];
    let checked = Joiner::start(&folder.path().join("four"), &network, &right).ready();
    checked.says("joined: the state is verified");
    let wrong = ["--peer", honest, "--join", "--checkpoint", &format!("5:{}", "07".repeat(32))];
    let misled = Joiner::start(&folder.path().join("five"), &network, &wrong);
    misled.says("the checkpoint may be wrong");
    assert!(!misled.log().contains("joined:"));
}
