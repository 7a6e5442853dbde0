//! Owners and holders at home behind routers: what is stored and read goes from socket to socket where two routers allow it,
//! and through the heavy node's relay where they do not.

use crate::common::{HOLDFAST, Person, Running, noise, wait_for};
use crate::netns::nat::Nat;
use crate::netns::{Machine, Net};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// Two batches of data and one of parity, so that three holders do.
const HOLDERS: usize = 3;
const HEAVY: &str = "http://192.0.2.1:7450";
const BATCH_BYTES: u64 = 1 << 20;

/// A heavy node in public, an owner in one home, three holders in another.
struct Village {
    // Ended before the network is torn down.
    owner: Person,
    _processes: Vec<Running>,
    _net: Net,
}

impl Village {
    fn new(folder: &Path, owner: Nat, holders: Nat) -> Option<Self> {
        let mut net = Net::of(1)?;
        let (owner_home, holder_home) = (net.home(owner)?, net.home(holders)?);
        let owner = Person::new(&folder.join("owner"), HEAVY).at(&owner_home);
        owner.ask(&["wallet", "new"]);
        let mut rich = vec![owner.ask(&["wallet", "list"])[0]["address"].as_str().unwrap().to_owned()];
        for index in 0..HOLDERS {
            let dir = holder_dir(folder, index);
            rich.push(owner.ask(&["hold", "address", "--dir", &dir])["address"].as_str().unwrap().to_owned());
        }
        found(folder, &rich);
        let mut processes = vec![heavy(folder, net.machine(0))];
        processes.extend((0..HOLDERS).map(|index| holder(folder, &holder_home, index)));
        Some(Self { owner, _processes: processes, _net: net })
    }
}

fn holder_dir(folder: &Path, index: usize) -> String {
    folder.join(format!("holder-{index}")).display().to_string()
}

/// A network of one validator, in which these have money.
fn found(folder: &Path, rich: &[String]) {
    let funds: Vec<String> =
        rich.iter().flat_map(|address| ["--fund".to_owned(), format!("{address}=1000HOLD")]).collect();
    let mut new = Command::new(HOLDFAST);
    new.args(["--network", "devnet", "genesis", "new", "--name", "village", "--out", "genesis.toml", "--dir", "heavy"]);
    let made = new.args(&funds).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = folder.join("genesis.toml");
    let genesis = fs::read_to_string(&path).unwrap();
    let smaller = genesis.replace("code_data = 4", "code_data = 2").replace("code_parity = 2", "code_parity = 1");
    assert_ne!(smaller, genesis, "the genesis names its code");
    fs::write(path, smaller).unwrap();
}

fn heavy(folder: &Path, machine: &Machine) -> Running {
    let mut command = machine.command(HOLDFAST);
    command.args(["heavy", "--until-stdin-closes", "--dir", "heavy", "--genesis", "genesis.toml"]);
    command.args(["--rpc-listen", "0.0.0.0:7450", "--rpc-url", HEAVY, "--listen", "192.0.2.1:7451"]);
    command.args(["--relay-listen", "0.0.0.0:7454", "--relay-url", "http://192.0.2.1:7454/"]);
    start(command, folder, "heavy")
}

fn holder(folder: &Path, machine: &Machine, index: usize) -> Running {
    let mut command = machine.command(HOLDFAST);
    command.args(["hold", "--until-stdin-closes", "--dir", &holder_dir(folder, index), "--quota", "64MiB"]);
    command.args(["--listen", "0.0.0.0:0", "--network", "devnet", "--rpc", HEAVY]);
    start(command, folder, &format!("holder-{index}"))
}

fn start(mut command: Command, folder: &Path, name: &str) -> Running {
    let log = folder.join(format!("{name}.log"));
    command.current_dir(folder).stdin(Stdio::piped()).stderr(File::create(&log).unwrap());
    Running::start_command(command).unwrap_or_else(|| panic!("{name}: {}", fs::read_to_string(log).unwrap()))
}

/// Stores a file and reads it back, and looks how its bytes travelled.
fn stores_and_reads(owner: Nat, holders: Nat, path: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(village) = Village::new(folder.path(), owner, holders) else { return };
    let (file, content) = (folder.path().join("file"), noise(3_000_000, 5));
    fs::write(&file, &content).unwrap();
    wait_for("three holders that are online", || {
        let online = village.owner.ask(&["offers", "--online"]).as_array().unwrap().len();
        (online == HOLDERS).then_some(())
    });
    let stored = village.owner.ask(&["put", file.to_str().unwrap(), "--yes"]);
    let (relayed, batches) = (stored["relayed_bytes"].as_u64().unwrap(), stored["cost"]["batches"].as_u64().unwrap());
    match path {
        "direct" => assert_eq!(relayed, 0, "{stored}"),
        _ => assert!(relayed >= batches * BATCH_BYTES, "{stored}"),
    }
    let out = folder.path().join("out");
    let got = village.owner.ask(&["get", "file", "--out", out.to_str().unwrap()]);
    assert!(fs::read(&out).unwrap() == content, "other bytes came back");
    let served: Vec<&Value> = got["read"]["holders"].as_array().unwrap().iter().collect();
    let served = served.into_iter().filter(|holder| holder["bytes"].as_u64() > Some(0)).collect::<Vec<_>>();
    assert!(served.len() >= 2 && served.iter().all(|holder| holder["path"] == path), "{got}");
}

#[test]
fn two_homes_talk_directly() {
    stores_and_reads(Nat::Home, Nat::Home, "direct");
}

#[test]
fn two_homes_behind_strict_routers_talk_through_the_relay() {
    stores_and_reads(Nat::Strict, Nat::Strict, "relayed");
}

#[test]
fn a_home_without_udp_talks_through_the_relay() {
    stores_and_reads(Nat::UdpBlocked, Nat::Home, "relayed");
}

#[test]
fn holders_without_udp_are_reached_through_the_relay() {
    stores_and_reads(Nat::Home, Nat::UdpBlocked, "relayed");
}
