//! A file handed on: read by somebody without a wallet, whole and in part, and by nobody else, no longer and nothing more.

use crate::common::{HOLDFAST, Person, Running, devnet, noise, wait_for};
use holdfast_network::control::{ControlClient, ControlClientConfig};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::time::SystemClock;
use holdfast_network::transfer::{TransferClient, TransferClientConfig, TransferError};
use holdfast_network::wire::{Access, Capability, RefusalCode, Role, Scope, Signed};
use holdfast_network::{Endpoint as _, NodeAddr};
use holdfast_por::{BatchMeta, Tagger};
use holdfast_primitives::{Bounded, ChainId, Digest};
use holdfast_rpc::{AddressText, RpcClient};
use holdfast_wallet::share::{Grant, GrantReader};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const LETTER_BYTES: usize = 3_000_000;

/// A network on which Alice keeps a letter and, in segments of its own, a secret.
struct Scene {
    folder: tempfile::TempDir,
    network: Running,
    alice: Person,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let network = devnet(folder.path(), &["--holders", "6", "--quota", "64MiB"]);
        let alice = Person::funded(&folder.path().join("alice"), &network);
        for (name, bytes, seed) in [("letter", LETTER_BYTES, 21), ("secret", 400_000, 22)] {
            let path = folder.path().join(name);
            std::fs::write(&path, noise(bytes, seed)).unwrap();
            alice.ask(&["put", path.to_str().unwrap(), "--for", "1h", "--yes"]);
        }
        Self { folder, network, alice }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn share(&self, words: &[&str], out: &str) -> Value {
        self.alice.ask(&[&["share"], words, &["--out", self.path(out).to_str().unwrap()]].concat())
    }

    fn grant(&self, out: &str) -> Grant {
        Grant::from_bytes(&std::fs::read(self.path(out)).unwrap()).unwrap()
    }

    /// Someone on a machine of their own, without words.
    fn stranger(&self, name: &str) -> Person {
        Person::new(&self.path(name), self.network.said["rpc"].as_str().unwrap())
    }

    /// Reads by a grant: what the command says, and what it wrote.
    fn get(&self, person: &Person, grant: &str, words: &[&str]) -> (Value, Vec<u8>) {
        let (grant, out) = (self.path(grant), person.folder.join("out"));
        let get = ["get", "--grant", grant.to_str().unwrap(), "--force", "--out", out.to_str().unwrap()];
        let said = person.ask(&[&get, words].concat());
        (said, std::fs::read(out).unwrap())
    }

    fn get_fails(&self, person: &Person, grant: &str) -> String {
        let (grant, out) = (self.path(grant), person.folder.join("out"));
        let get = ["get", "--grant", grant.to_str().unwrap(), "--force", "--out", out.to_str().unwrap()];
        person.fail(&get).1["code"].as_str().unwrap().to_owned()
    }

    /// A batch of a file, as the ledger lists it.
    fn batch_of(&self, name: &str) -> (AddressText, BatchMeta) {
        let pieces = self.alice.ask(&["ls", "--pieces", name])[0]["pieces"].clone();
        let (ordinal, index) = (pieces[0]["segment"].as_u64().unwrap(), pieces[0]["piece"].as_u64().unwrap());
        let address = self.alice.ask(&["wallet", "balance"])["address"].as_str().unwrap().to_owned();
        let rpc = RpcClient::connect(&self.alice.rpc).unwrap();
        runtime().block_on(async {
            let owner = AddressText::parse(&address).unwrap();
            let segments = rpc.account_segments(owner, None).await.unwrap().rows;
            let segment = segments.into_iter().find(|segment| u64::from(segment.ordinal) == ordinal).unwrap();
            let member = segment.members.into_iter().find(|member| u64::from(member.index) == index).unwrap();
            let root = *member.stored.unwrap().root.as_bytes();
            let meta = BatchMeta { scheme: 1, batch_log2: segment.batch_log2, leaf_log2: 10, inner_code: 0, root };
            (member.address, meta)
        })
    }

    /// Asks a batch's holder for its first leaf with a grant's permission and no regard to what the grant is for.
    fn ask_holder(&self, grant: &Grant, (holder, meta): (AddressText, BatchMeta)) -> Result<(), RefusalCode> {
        let capability = grant.capabilities[0].clone();
        let GrantReader::Bearer(secret) = &grant.reader else { panic!("the hand-made request is a bearer's") };
        let (chain, key) = (grant.chain, secret.key());
        runtime().block_on(async {
            let rpc = RpcClient::connect(&self.alice.rpc).unwrap();
            let parent: NodeAddr = rpc.market_node().await.unwrap().node_addr.parse().unwrap();
            let endpoint = QuicEndpoint::bind(QuicConfig { accept: Vec::new(), ..QuicConfig::new(key) }).await.unwrap();
            let (clock, config) = (Arc::new(SystemClock), ControlClientConfig::default());
            let control = ControlClient::connect(&endpoint, &parent, chain, Role::Owner, clock, config).await.unwrap();
            let ticket = control.locate(&[holder.address]).await.unwrap().remove(0).ticket.unwrap();
            let addr = ticket.statement.holder_addr.clone();
            let access = Access::Read { capability, ticket: Some(ticket) };
            let config = TransferClientConfig::default();
            let asked = async {
                let client = TransferClient::connect(&endpoint, &addr, chain, access, config).await?;
                client.read_range(&meta, 0, 1_024).await.map(drop)
            };
            let asked = asked.await;
            endpoint.close().await;
            asked.map_err(|error| match error {
                TransferError::Refused { refusal, .. } => refusal.code,
                other => panic!("{other}"),
            })
        })
    }

    fn round(&self) -> u64 {
        let rpc = RpcClient::connect(&self.alice.rpc).unwrap();
        runtime().block_on(async { rpc.round_running().await.unwrap().round.get() })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_stranger_without_words_reads_what_was_shared_and_nothing_else() {
    let scene = Scene::new();
    let letter = noise(LETTER_BYTES, 21);
    let shared = scene.share(&["letter", "--for", "1h"], "letter.grant");
    assert_eq!((&shared["bytes"], &shared["to"]), (&LETTER_BYTES.into(), &Value::Null));
    let mode = std::fs::metadata(scene.path("letter.grant")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds keys");

    let bob = scene.stranger("bob");
    let (said, read) = scene.get(&bob, "letter.grant", &[]);
    assert!(read == letter, "byte for byte");
    let holders = said["read"]["holders"].as_array().unwrap();
    let served: u64 = holders.iter().map(|holder| holder["bytes"].as_u64().unwrap()).sum();
    assert_eq!(served, said["read"]["fetched_bytes"].as_u64().unwrap(), "{said}");
    // On a machine that is busy with other things an honest holder may be overtaken, and no worse.
    let overtaken = ["slow", "stalled", "unreachable"];
    let fair = |code: &Value| code.is_null() || overtaken.contains(&code.as_str().unwrap());
    assert!(holders.iter().all(|holder| fair(&holder["dropped"]["code"])), "{said}");
    let (said, read) = scene.get(&bob, "letter.grant", &["--range", "1234567-1234666"]);
    assert_eq!(read, letter[1_234_567..1_234_667]);
    assert!(said["read"]["fetched_bytes"].as_u64().unwrap() <= 2_048, "only the leaves it touches: {said}");
    assert!(!bob.folder.join("data/devnet/wallets").exists(), "Bob has no wallet");

    let grant = scene.grant("letter.grant");
    assert_eq!(scene.ask_holder(&grant, scene.batch_of("letter")), Ok(()));
    let refused = scene.ask_holder(&grant, scene.batch_of("secret"));
    assert_eq!(refused, Err(RefusalCode::NotEntitled), "the secret's holder reads the permission");
    forged_permissions_get_nothing(&scene, &grant);
    one_batch_can_be_shared_and_verified(&scene, &bob);
}

/// A bearer who widens the permission has no owner's signature for it.
fn forged_permissions_get_nothing(scene: &Scene, grant: &Grant) {
    let GrantReader::Bearer(secret) = &grant.reader else { panic!("the grant is a bearer's") };
    let wider = Capability { scope: Scope::All, ..grant.capabilities[0].statement.clone() };
    let mut forged = grant.clone();
    forged.capabilities[0] = Signed::new(wider, &secret.key(), &grant.chain);
    assert_eq!(scene.ask_holder(&forged, scene.batch_of("secret")), Err(RefusalCode::BadSignature));
}

fn one_batch_can_be_shared_and_verified(scene: &Scene, bob: &Person) {
    let (_, meta) = scene.batch_of("letter");
    let root = Digest::new(meta.root).to_string();
    scene.share(&["--batch", &root], "batch.grant");
    let (_, read) = scene.get(bob, "batch.grant", &[]);
    assert_eq!(Tagger::read(meta.batch_log2, &mut &read[..]).unwrap().meta, meta);
    assert_eq!(scene.alice.fail(&["share", "--batch", "77/0"]).0, 1);
    assert_eq!(scene.alice.fail(&["share", "--batch", &"00".repeat(32)]).0, 10);
}

#[test]
fn a_grant_for_one_account_is_of_no_use_to_another() {
    let scene = Scene::new();
    let carol = scene.stranger("carol");
    let carols = carol.ask(&["wallet", "new"])["address"].as_str().unwrap().to_owned();
    scene.share(&["letter", "--for", "1h", "--to", &carols], "letter.grant");
    let (_, read) = scene.get(&carol, "letter.grant", &[]);
    assert!(read == noise(LETTER_BYTES, 21));
    let dave = scene.stranger("dave");
    dave.ask(&["wallet", "new"]);
    assert_eq!(scene.get_fails(&dave, "letter.grant"), "grant-for-other");
    std::fs::write(scene.path("torn.grant"), &std::fs::read(scene.path("letter.grant")).unwrap()[..500]).unwrap();
    assert_eq!(scene.get_fails(&carol, "torn.grant"), "bad-grant");
    let elsewhere =
        Grant { chain: ChainId::new([1; 32]), capabilities: Bounded::empty(), ..scene.grant("letter.grant") };
    std::fs::write(scene.path("elsewhere.grant"), &*elsewhere.to_bytes()).unwrap();
    assert_eq!(scene.get_fails(&carol, "elsewhere.grant"), "other-chain");
    let words = ["share", "nothing", "--out", "x.grant"];
    assert_eq!(scene.alice.fail(&words).1["code"], "no-such-file");
    assert_eq!(scene.alice.fail(&["share", "letter", "--for", "3000d"]).0, 2);
}

#[test]
fn what_ended_and_what_was_taken_back_is_refused() {
    let scene = Scene::new();
    let (bob, batch) = (scene.stranger("bob"), scene.batch_of("letter"));
    scene.share(&["letter", "--for", "1h"], "long.grant");
    let id = scene.share(&["letter", "--for", "1h"], "doomed.grant")["grant"].as_str().unwrap().to_owned();
    scene.share(&["letter", "--for", "2s"], "short.grant");
    let short = scene.grant("short.grant");
    wait_for("the short grant ends at the holder", || {
        (scene.ask_holder(&short, batch) == Err(RefusalCode::Expired)).then_some(())
    });
    assert_eq!(scene.get_fails(&bob, "short.grant"), "grant-expired");

    let doomed = scene.grant("doomed.grant");
    assert_eq!(scene.ask_holder(&doomed, batch), Ok(()));
    assert_eq!(scene.alice.fail(&["share", "revoke", "ffffffff", "--yes"]).0, 10);
    assert_eq!(scene.alice.fail(&["share", "revoke", &id[..8]]).1["code"], "not-confirmed");
    let revoked = scene.alice.ask(&["share", "revoke", &id[..8], "--yes"]);
    let round = scene.round();
    assert_eq!(revoked["revoked"][0]["grant"], id.as_str());
    wait_for("the holder hears of it", || {
        (scene.ask_holder(&doomed, batch) == Err(RefusalCode::Revoked)).then_some(())
    });
    assert!(scene.round() <= round + 2, "within two rounds");
    assert_eq!(scene.get_fails(&bob, "doomed.grant"), "grant-revoked");
    assert_eq!(scene.alice.fail(&["share", "revoke", &id, "--yes"]).1["code"], "grant-revoked");
    let states = |alice: &Person| {
        let listed = alice.ask(&["share", "list"]);
        let states = listed.as_array().unwrap().iter().map(|grant| grant["state"].as_str().unwrap().to_owned());
        states.collect::<Vec<_>>()
    };
    assert_eq!(states(&scene.alice), ["live", "revoked", "ended"]);
    let (_, read) = scene.get(&bob, "long.grant", &["--range", "0-9"]);
    assert_eq!(read, noise(LETTER_BYTES, 21)[..10], "the other grant goes on");
    assert_eq!(scene.alice.ask(&["share", "revoke", "all", "--yes"])["revoked"].as_array().unwrap().len(), 1);
    assert_eq!(states(&scene.alice), ["revoked", "revoked", "ended"]);
}

#[test]
fn whoever_lost_its_batch_is_named_and_folders_come_back_whole() {
    let scene = Scene::new();
    let tree = scene.path("tree");
    std::fs::create_dir_all(tree.join("below")).unwrap();
    for (name, seed) in [("one", 1), ("below/two", 2)] {
        std::fs::write(tree.join(name), noise(50_000, seed)).unwrap();
    }
    scene.alice.ask(&["put", tree.to_str().unwrap(), "--for", "1h", "--yes"]);
    let out = scene.path("back");
    scene.alice.ask(&["get", "tree/", "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(out.join("below/two")).unwrap(), noise(50_000, 2));
    assert_eq!(std::fs::read(out.join("one")).unwrap(), noise(50_000, 1));
    assert_eq!(scene.alice.fail(&["get", "tree", "--range", "0-9", "--out", "x"]).0, 2);

    let (victim, _) = scene.batch_of("letter");
    let victim = victim.to_string();
    let holders = scene.network.said["holders"].as_array().unwrap();
    let dir = holders.iter().find(|holder| holder["address"] == victim.as_str()).unwrap()["dir"].clone();
    std::fs::remove_dir_all(Path::new(dir.as_str().unwrap()).join("vault/batches")).unwrap();
    let out = scene.path("letter.out");
    let words = ["get", "letter", "--force", "--out", out.to_str().unwrap()];
    let said = scene.alice.ask(&words);
    assert!(std::fs::read(&out).unwrap() == noise(LETTER_BYTES, 21));
    let holders = said["read"]["holders"].as_array().unwrap();
    let named = holders.iter().find(|holder| holder["holder"] == victim.as_str()).unwrap();
    assert!(named["dropped"]["code"].as_str().unwrap().starts_with("refused-"), "{said}");
    let text = scene.alice.command(&words).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("refused-") && text.contains(&victim), "people are told, too: {text}");
    let help = Command::new(HOLDFAST).args(["share", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("revoke"));
}
