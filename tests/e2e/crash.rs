//! kill -9 for real: the heavy node and holders die at random moments while files are stored. Whatever was acknowledged is
//! there afterwards, and the chain's state hashes to what its last block says (the node refuses to start otherwise).
//!
//! Reading a file back would hide a lost batch, because any four of six rebuild it. So every single batch that the ledger
//! lists is looked for in its holder's vault and hashed again.

use crate::common::{Person, Running, noise, rpc, wait_for};
use holdfast_ledger::Slot;
use holdfast_por::Tagger;
use holdfast_primitives::Digest;
use holdfast_rpc::market::HolderRef;
use holdfast_rpc::{AddressText, PageAsk, RpcClient};
use holdfast_store::Vault;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const HOLDERS: usize = 7;
const KILLS: u64 = 30;
/// Replay a failure by this number: it fixes who dies when, and what is stored.
const SEED: u64 = 7;
/// With this seed the heavy node must die at least so often, and the holders together.
const HEAVY_KILLS_MIN: usize = 5;
const HOLDER_KILLS_MIN: usize = 20;
/// After so many kills the storm waits for another file to be acknowledged: where nothing is stored, nothing is lost.
/// (Holders notice the death of the heavy node only after seconds of silence, so this takes its time.)
const KILLS_PER_FILE: usize = 10;
/// Batches of a segment: so many holders a put needs.
const BATCHES: usize = 6;

struct Network {
    folder: PathBuf,
    /// Where the heavy node answers and where light nodes reach it: free ports, found at its first start and kept.
    rpc: String,
    listen: String,
    heavy: Option<Running>,
    holders: Vec<Option<Running>>,
    /// By which address the ledger knows each holder.
    addresses: Vec<String>,
}

/// Who was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Struck {
    Heavy,
    Holder(usize),
}

impl Network {
    fn found(folder: &Path) -> Self {
        let nobody = Person::new(&folder.join("founder"), "http://127.0.0.1:1");
        let node = folder.join("heavy").display().to_string();
        let genesis = folder.join("genesis.toml").display().to_string();
        let mut words = ["genesis", "new", "--dir", &node, "--out", &genesis, "--round", "6s"]
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let address = |index| {
            let dir = folder.join(format!("holder-{index}")).display().to_string();
            nobody.ask(&["hold", "address", "--dir", &dir])["address"].as_str().unwrap().to_owned()
        };
        let addresses: Vec<String> = (0..HOLDERS).map(address).collect();
        let owner = Person::new(&folder.join("owner"), "http://127.0.0.1:1").ask(&["wallet", "new"]);
        let owner = owner["address"].as_str().unwrap().to_owned();
        for address in addresses.iter().chain([&owner]) {
            words.extend(["--fund".to_owned(), format!("{address}=100000HOLD")]);
        }
        nobody.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let free = || "127.0.0.1:0".to_owned();
        let mut network = Self {
            folder: folder.to_owned(),
            rpc: free(),
            listen: free(),
            heavy: None,
            holders: (0..HOLDERS).map(|_| None).collect(),
            addresses,
        };
        network.start_heavy();
        (0..HOLDERS).for_each(|index| network.start_holder(index));
        network
    }

    fn start_heavy(&mut self) {
        let (dir, genesis) =
            (self.folder.join("heavy").display().to_string(), self.folder.join("genesis.toml").display().to_string());
        let words =
            ["heavy", "--dir", &dir, "--genesis", &genesis, "--rpc-listen", &self.rpc, "--listen", &self.listen];
        let heavy = wait_for("the heavy node starts", || Running::start(&words));
        self.rpc = rpc(&heavy).trim_start_matches("http://").to_owned();
        let (_, listen) = heavy.said["node"].as_str().unwrap().split_once('@').unwrap();
        self.listen = listen.split(',').next().unwrap().to_owned();
        self.heavy = Some(heavy);
    }

    fn start_holder(&mut self, index: usize) {
        let (dir, rpc) =
            (self.folder.join(format!("holder-{index}")).display().to_string(), format!("http://{}", self.rpc));
        let words = ["hold", "--dir", &dir, "--quota", "1GiB", "--price", "100HOLD", "--rpc", &rpc];
        self.holders[index] = Some(wait_for("a holder starts again", || Running::start(&words)));
    }

    /// Kills the heavy node or a holder and starts it again.
    fn strike(&mut self, lot: u8) -> Struck {
        match usize::from(lot) % (HOLDERS + 2) {
            index if index < HOLDERS => {
                self.holders[index].take().unwrap().kill();
                self.start_holder(index);
                Struck::Holder(index)
            }
            _ => {
                self.heavy.take().unwrap().kill();
                self.start_heavy();
                Struck::Heavy
            }
        }
    }

    /// Kills holder `index` for good and hashes every batch that lies in its vault and that `slots` names.
    fn verify_vault(&mut self, index: usize, slots: &[Slot]) {
        self.holders[index].take().unwrap().kill();
        let vault = Vault::open(&self.folder.join(format!("holder-{index}/vault")), 1 << 30, 0).unwrap();
        for slot in slots {
            let (log2, root) = (slot.meta.batch_log2, slot.meta.root);
            assert_eq!(slot.faulty_since, None, "holder {index} was found without batch {}", Digest::new(root));
            let bytes = vault.read(&root, 0, 1 << log2).unwrap();
            assert_eq!(Tagger::read(log2, &mut bytes.as_slice()).unwrap().meta, slot.meta, "holder {index}");
        }
    }
}

/// Every batch that the ledger lists, by its holder's address.
fn listed_batches(rpc: &str) -> BTreeMap<String, Vec<Slot>> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = RpcClient::connect(rpc).unwrap();
        let mut listed = BTreeMap::new();
        for holder in client.market_holders(Some(PageAsk::from(0))).await.unwrap().rows {
            let mut slots = Vec::new();
            for list in &holder.lists {
                let mut ask = Some(PageAsk::from(0));
                while let Some(page) = ask {
                    let number = HolderRef::Number(holder.number);
                    let page = client.market_batches(number, list.batch_log2, Some(page)).await.unwrap();
                    slots.extend(page.rows.iter().map(|row| row.raw.decode().unwrap()));
                    ask = page.next.map(PageAsk::from);
                }
                assert_eq!(slots.len() as u64, list.batches, "one size on a devnet, listed to the end");
            }
            listed.insert(serde_json::to_value(holder.address).unwrap().as_str().unwrap().to_owned(), slots);
        }
        listed
    })
}

/// The batches of an acknowledged file as its owner finds them: holder and root.
fn batches_of(owner: &Person, name: &str) -> Vec<(String, String)> {
    let audit = owner.ask(&["audit", "file", name]);
    let ordinals = audit["segments"].as_array().unwrap().iter().map(|segment| segment["ordinal"].as_u64().unwrap());
    let address = AddressText::parse(owner.ask(&["wallet", "balance"])["address"].as_str().unwrap()).unwrap();
    let text = |value: Value| value.as_str().unwrap().to_owned();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = RpcClient::connect(&owner.rpc).unwrap();
        let mut batches = Vec::new();
        for ordinal in ordinals {
            let ask = PageAsk::from(ordinal).limit(1);
            let page = client.account_segments(address, Some(ask)).await.unwrap();
            for member in &page.rows[0].members {
                let stored = member.stored.as_ref().unwrap_or_else(|| panic!("{name}: a batch is gone"));
                batches.push((text(serde_json::to_value(member.address).unwrap()), stored.root.to_string()));
            }
        }
        batches
    })
}

#[test]
fn thirty_kills_lose_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::found(folder.path());
    let owner = Arc::new(Person::new(&folder.path().join("owner"), &format!("http://{}", network.rpc)));
    let stored = Arc::new(Mutex::new(BTreeMap::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let storing = std::thread::spawn({
        let (owner, stored, stop, folder) =
            (Arc::clone(&owner), Arc::clone(&stored), Arc::clone(&stop), folder.path().to_owned());
        move || store_until(&owner, &stored, &stop, &folder)
    });
    let lots = noise(usize::try_from(KILLS).unwrap() * 2, SEED);
    let mut struck = Vec::new();
    for (count, pair) in lots.chunks(2).enumerate() {
        if count % KILLS_PER_FILE == 0 {
            let before = stored.lock().unwrap().len();
            wait_for("a file is acknowledged", || (stored.lock().unwrap().len() > before).then_some(()));
        }
        // Strike at another moment of a put each time; what is waited for is only that time passes.
        let moment = Instant::now() + Duration::from_millis(u64::from(pair[0]) * 4);
        while Instant::now() < moment {
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
        struck.push(network.strike(pair[1]));
    }
    stop.store(true, Ordering::Relaxed);
    storing.join().unwrap();
    let heavy_kills = struck.iter().filter(|struck| **struck == Struck::Heavy).count();
    let holders_hit: BTreeSet<Struck> = struck.iter().copied().filter(|struck| *struck != Struck::Heavy).collect();
    assert!(heavy_kills >= HEAVY_KILLS_MIN, "{struck:?}");
    assert!(struck.len() - heavy_kills >= HOLDER_KILLS_MIN, "{struck:?}");
    assert_eq!(holders_hit.len(), HOLDERS, "every holder was hit: {struck:?}");
    let stored = stored.lock().unwrap().clone();
    wait_for("all holders are back", || (online(&owner) == HOLDERS).then_some(()));
    let listed = listed_batches(&owner.rpc);
    every_file_reads_back(&owner, &stored, &listed);
    a_round_proves_all_of_it(&owner, &listed);
    for (index, address) in network.addresses.clone().iter().enumerate() {
        network.verify_vault(index, &listed[address]);
    }
}

/// What was acknowledged is listed, each of its batches is on the ledger, and its bytes are what was stored.
fn every_file_reads_back(owner: &Person, stored: &BTreeMap<String, u64>, listed: &BTreeMap<String, Vec<Slot>>) {
    let files = owner.ask(&["ls"]);
    let names: Vec<&str> = files.as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    let on_ledger: BTreeSet<(String, String)> = listed
        .iter()
        .flat_map(|(holder, slots)| slots.iter().map(|slot| (holder.clone(), Digest::new(slot.meta.root).to_string())))
        .collect();
    for (name, seed) in stored {
        assert!(names.contains(&name.as_str()), "{name} was acknowledged and is gone");
        let batches = batches_of(owner, name);
        assert!(!batches.is_empty() && batches.iter().all(|batch| on_ledger.contains(batch)), "{name}: {batches:?}");
        assert_eq!(owner.get(name), noise(FILE_BYTES, *seed), "{name}");
    }
}

/// The last steps of the demo: a round after the storm is settled, everyone proves all that is listed, and every claim holds.
fn a_round_proves_all_of_it(owner: &Person, listed: &BTreeMap<String, Vec<Slot>>) {
    let before = owner.ask(&["status", "--short"])["chain"]["round"].as_u64().unwrap();
    let verdict = wait_for("a round after the storm", || {
        let settled = owner.ask(&["status", "--short"])["settled"]["round"].as_u64()?;
        (settled > before).then(|| owner.ask(&["audit", "round", &settled.to_string()]))
    });
    let expected = listed.values().map(Vec::len).sum::<usize>();
    assert!(expected > 0);
    assert_eq!(verdict["batches"], expected, "every batch that is listed was asked for");
    for holder in verdict["holders"].as_array().unwrap() {
        assert_eq!((&holder["missing"], &holder["missed"]), (&Value::from(0), &Value::from(false)), "{holder}");
    }
}

const FILE_BYTES: usize = 2_500_000;

/// Holders that the heavy node can reach, as far as it knows; none while it is being started.
fn online(asker: &Person) -> usize {
    let output = asker.run(&["status"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    status["holders"].as_array().map_or(0, |holders| holders.iter().filter(|holder| holder["online"] == true).count())
}

/// What an owner waits for a put at first. One whose holder died in the middle waits half a minute for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stores one file after another; notes those whose storing was acknowledged. An owner who has waited long enough is killed,
/// too, and is more patient the next time.
fn store_until(owner: &Person, stored: &Mutex<BTreeMap<String, u64>>, stop: &AtomicBool, folder: &Path) {
    let (mut seed, mut patience) = (1_000, PATIENCE);
    while !stop.load(Ordering::Relaxed) {
        if online(owner) < BATCHES {
            std::thread::park_timeout(Duration::from_millis(200));
            continue;
        }
        let name = format!("file-{seed}");
        let path = folder.join(&name);
        std::fs::write(&path, noise(FILE_BYTES, seed)).unwrap();
        let words = ["put", path.to_str().unwrap(), "--yes", "--for", "1h", "--json"];
        match ended_within(patience, owner.command(&words).spawn().unwrap()) {
            Some(output) if output.status.success() => {
                stored.lock().unwrap().insert(name, seed);
                patience = PATIENCE;
            }
            // Shown when the test fails: the storm from the owner's side.
            Some(output) => eprintln!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()),
            None => {
                eprintln!("{name}: killed after {patience:?}");
                patience *= 2;
            }
        }
        std::fs::remove_file(&path).unwrap();
        seed += 1;
    }
}

/// What a command said; `None` if it had to be killed.
fn ended_within(patience: Duration, mut command: Child) -> Option<Output> {
    let deadline = Instant::now() + patience;
    while command.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            command.kill().unwrap();
            // It may have ended in the last moment.
            return Some(command.wait_with_output().unwrap()).filter(|output| output.status.success());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Some(command.wait_with_output().unwrap())
}
