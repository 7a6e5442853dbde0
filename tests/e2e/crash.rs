//! kill -9 for real: the heavy node and holders die at random moments while files are stored. Whatever was acknowledged is
//! there afterwards, and the chain's state hashes to what its last block says (the node refuses to start otherwise).

use crate::common::{Person, Running, noise, wait_for};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const HOLDERS: usize = 7;
const KILLS: u64 = 30;
/// Replay a failure by this number: it fixes who dies when, and what is stored.
const SEED: u64 = 7;

struct Network {
    folder: PathBuf,
    rpc: String,
    heavy: Option<Running>,
    holders: Vec<Option<Running>>,
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
        let addresses = (0..HOLDERS).map(|index| {
            let dir = folder.join(format!("holder-{index}")).display().to_string();
            nobody.ask(&["hold", "address", "--dir", &dir])["address"].as_str().unwrap().to_owned()
        });
        let owner = Person::new(&folder.join("owner"), "http://127.0.0.1:1").ask(&["wallet", "new"]);
        let owner = owner["address"].as_str().unwrap().to_owned();
        for address in addresses.chain([owner]) {
            words.extend(["--fund".to_owned(), format!("{address}=100000HOLD")]);
        }
        nobody.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut network = Self {
            folder: folder.to_owned(),
            rpc: format!("127.0.0.1:{port}"),
            heavy: None,
            holders: (0..HOLDERS).map(|_| None).collect(),
        };
        network.start_heavy();
        (0..HOLDERS).for_each(|index| network.start_holder(index));
        network
    }

    fn start_heavy(&mut self) {
        let (dir, genesis) =
            (self.folder.join("heavy").display().to_string(), self.folder.join("genesis.toml").display().to_string());
        let words =
            ["heavy", "--dir", &dir, "--genesis", &genesis, "--rpc-listen", &self.rpc, "--listen", "127.0.0.1:47461"];
        self.heavy = Some(wait_for("the heavy node starts again", || Running::start(&words)));
    }

    fn start_holder(&mut self, index: usize) {
        let (dir, rpc) =
            (self.folder.join(format!("holder-{index}")).display().to_string(), format!("http://{}", self.rpc));
        let words = ["hold", "--dir", &dir, "--quota", "1GiB", "--price", "100HOLD", "--rpc", &rpc];
        self.holders[index] = Some(wait_for("a holder starts again", || Running::start(&words)));
    }

    /// Kills the heavy node or a holder and starts it again.
    fn strike(&mut self, lot: u64) {
        match usize::try_from(lot).unwrap() % (HOLDERS + 2) {
            index if index < HOLDERS => {
                self.holders[index].take().unwrap().kill();
                self.start_holder(index);
            }
            _ => {
                self.heavy.take().unwrap().kill();
                self.start_heavy();
            }
        }
    }
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
    for pair in lots.chunks(2) {
        // Strike at another moment of a put each time; what is waited for is only that time passes.
        let moment = Instant::now() + Duration::from_millis(u64::from(pair[0]) * 4);
        while Instant::now() < moment {
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
        network.strike(u64::from(pair[1]));
    }
    stop.store(true, Ordering::Relaxed);
    storing.join().unwrap();
    let stored = stored.lock().unwrap().clone();
    assert!(!stored.is_empty(), "something was stored between the kills");
    wait_for("all holders are back", || {
        let status = owner.ask(&["status"]);
        let online = status["holders"].as_array().unwrap().iter().filter(|holder| holder["online"] == true).count();
        (online == HOLDERS).then_some(())
    });
    let listed = owner.ask(&["ls"]);
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    for (name, seed) in &stored {
        assert!(names.contains(&name.as_str()), "{name} was acknowledged and is gone");
        let out = folder.path().join("out");
        owner.ask(&["get", name, "--force", "--out", out.to_str().unwrap()]);
        assert_eq!(std::fs::read(&out).unwrap(), noise(FILE_BYTES, *seed), "{name}");
    }
    // The last steps of the demo: a round after the storm is settled, everyone proves, and every claim holds.
    let before = owner.ask(&["status", "--short"])["chain"]["round"].as_u64().unwrap();
    let verdict = wait_for("a round after the storm", || {
        let settled = owner.ask(&["status", "--short"])["settled"]["round"].as_u64()?;
        (settled > before).then(|| owner.ask(&["audit", "round", &settled.to_string()]))
    });
    for holder in verdict["holders"].as_array().unwrap() {
        assert_eq!(holder["missing"], 0, "{holder}");
    }
}

const FILE_BYTES: usize = 2_500_000;

/// Stores one file after another; notes those whose storing was acknowledged.
fn store_until(owner: &Person, stored: &Mutex<BTreeMap<String, u64>>, stop: &AtomicBool, folder: &Path) {
    let mut seed = 1_000;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("file-{seed}");
        let path = folder.join(&name);
        std::fs::write(&path, noise(FILE_BYTES, seed)).unwrap();
        let output = owner.run(&["put", path.to_str().unwrap(), "--yes", "--for", "1h"]);
        if output.status.success() {
            stored.lock().unwrap().insert(name, seed);
        }
        std::fs::remove_file(&path).unwrap();
        seed += 1;
    }
}
