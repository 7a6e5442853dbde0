//! Validators on machines of their own, and a network that tears: nobody decides without more than two thirds, nobody decides
//! something else, and whoever was cut off catches up.

use crate::common::{HOLDFAST, Person, Running, rpc, wait_for};
use crate::netns::{Machine, Net};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// How often a validator whose votes bring about nothing repeats them before we believe that nothing comes of it. It repeats
/// them when the timeouts of proposal, prevote and precommit are over, all three.
const TRIES: u64 = 4;

/// A validator at work on a machine of its own, and someone with money who sits there.
struct Seat {
    machine: Machine,
    node: Running,
    person: Person,
}

/// Four validators of equal weight that know each other from their genesis, one on each machine of `net`.
fn four(net: &Net, folder: &Path) -> Vec<Seat> {
    let people: Vec<Person> = (0..4).map(|index| person(folder, net.machine(index), index)).collect();
    let funds: Vec<String> = people.iter().map(|person| format!("{}=1000HOLD", address(person))).collect();
    let funds = funds.iter().flat_map(|fund| ["--fund", fund]);
    let new = ["genesis", "new", "--network", "devnet", "--name", "torn"].into_iter().chain(funds).collect::<Vec<_>>();
    make(folder, &new);
    for index in 0..4 {
        let (name, host) = (format!("node-{index}"), net.machine(index).ip.to_string());
        make(
            folder,
            &[
                "genesis",
                "add-validator",
                "draft.toml",
                "--dir",
                &name,
                "--name",
                &name,
                "--bond",
                "100HOLD",
                "--host",
                &host,
            ],
        );
    }
    make(folder, &["genesis", "collect", "draft.toml", "node-0.toml", "node-1.toml", "node-2.toml", "node-3.toml"]);
    make(folder, &["genesis", "finalize", "draft.toml"]);
    let seats = people.into_iter().enumerate().map(|(index, person)| {
        let machine = net.machine(index).clone();
        Seat { node: start(folder, &machine, index), machine, person }
    });
    seats.collect()
}

/// One step of the ceremony, all of which happens in one folder here.
fn make(folder: &Path, words: &[&str]) {
    let output = Command::new(HOLDFAST).args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn start(folder: &Path, machine: &Machine, index: usize) -> Running {
    let dir = folder.join(format!("node-{index}"));
    let mut command = machine.command(HOLDFAST);
    command.args(["heavy", "--until-stdin-closes", "--peers", "peers.toml", "--dir"]).arg(&dir);
    command.args(["--listen", "0.0.0.0:7451", "--consensus-listen", "/ip4/0.0.0.0/tcp/7452"]);
    let log = std::fs::File::create(dir.join("log")).unwrap();
    command.current_dir(folder).stdin(Stdio::piped()).stderr(log);
    Running::start_command(command).unwrap()
}

fn person(folder: &Path, machine: &Machine, index: usize) -> Person {
    let person = Person::new(&folder.join(format!("person-{index}")), "http://127.0.0.1:7450").at(machine);
    person.ask(&["wallet", "new"]);
    person
}

fn address(person: &Person) -> String {
    person.ask(&["wallet", "list"])[0]["address"].as_str().unwrap().to_owned()
}

impl Seat {
    fn height(&self) -> u64 {
        self.person.ask(&["status", "--short"])["chain"]["height"].as_u64().unwrap()
    }

    /// Hands a transfer in here, without waiting for what becomes of it.
    fn send(&self, to: &Self, amount: &str) -> String {
        let sent = self.person.ask(&["wallet", "send", &address(&to.person), amount, "--yes", "--async"]);
        sent["tx"].as_str().unwrap().to_owned()
    }

    fn knows_as_final(&self, tx: &str) -> bool {
        self.person.run(&["tx", "show", tx]).status.success()
    }

    /// How often the votes of this validator were repeated because nothing had come of them.
    fn tries(&self) -> u64 {
        let metrics = self.http("GET /metrics HTTP/1.0\r\n\r\n");
        let line = metrics.lines().find(|line| line.contains("rebroadcast_timeouts_total{"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
    }

    /// Every decided block up to a height, byte for byte.
    fn blocks(&self, to: u64) -> Vec<String> {
        let call = |height| json!({ "jsonrpc": "2.0", "id": height, "method": "chain_block_raw", "params": [height] });
        let body = Value::Array((1..=to).map(call).collect()).to_string();
        let length = body.len();
        let head = "POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: ";
        let answer = self.http(&format!("{head}{length}\r\n\r\n{body}"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut answers: Vec<Value> = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        answers.sort_by_key(|answer| answer["id"].as_u64());
        let raw = answers.iter().map(|answer| answer["result"]["raw"].as_str().unwrap_or_else(|| panic!("{answer}")));
        raw.map(str::to_owned).collect()
    }

    /// What the node answers on its own machine, and it listens nowhere else.
    fn http(&self, request: &str) -> String {
        let address = rpc(&self.node).trim_start_matches("http://").replace(':', "/");
        let script = format!("exec 3<>/dev/tcp/{address}; cat >&3; cat <&3");
        let mut command = self.machine.command("bash");
        let mut child = command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    }
}

fn heights(seats: &[Seat]) -> Vec<u64> {
    seats.iter().map(Seat::height).collect()
}

/// Waits until every validator has decided a few blocks, so that all are connected.
fn wait_until_running(seats: &[Seat]) {
    wait_for("the first blocks", || heights(seats).iter().all(|height| *height >= 3).then_some(()));
}

/// All blocks that all have decided are the same, byte for byte.
fn assert_one_chain(seats: &[Seat]) {
    let common = *heights(seats).iter().min().unwrap();
    let chains: Vec<_> = seats.iter().map(|seat| seat.blocks(common)).collect();
    assert_eq!(chains[0].len() as u64, common);
    for chain in &chains[1..] {
        for (height, (one, other)) in chains[0].iter().zip(chain).enumerate() {
            assert_eq!(one, other, "block {}", height + 1);
        }
    }
}

#[test]
fn torn_into_halves_the_network_halts_and_goes_on_when_it_is_whole_again() {
    let Some(net) = Net::of(4) else { return };
    let folder = tempfile::tempdir().unwrap();
    let seats = four(&net, folder.path());
    wait_until_running(&seats);

    net.tear(&[0, 1]);
    // Work on both sides, so that both try.
    let sent = [seats[0].send(&seats[2], "5HOLD"), seats[3].send(&seats[1], "6HOLD")];
    let tries: Vec<u64> = seats.iter().map(Seat::tries).collect();
    let tried = |least: u64| {
        let now = seats.iter().map(Seat::tries);
        now.zip(&tries).all(|(now, before)| now >= before + least).then_some(())
    };
    wait_for("every validator has voted in vain", || tried(1));
    let halted = heights(&seats);
    wait_for("every validator goes on voting in vain", || tried(1 + TRIES));
    assert_eq!(heights(&seats), halted, "nobody decides with half of the votes");
    assert!(seats.iter().all(|seat| sent.iter().all(|tx| !seat.knows_as_final(tx))));

    net.heal();
    for tx in &sent {
        wait_for("both transactions are final everywhere", || {
            seats.iter().all(|seat| seat.knows_as_final(tx)).then_some(())
        });
    }
    assert!(heights(&seats).iter().min() > halted.iter().max());
    assert_one_chain(&seats);
}

#[test]
fn cut_off_alone_a_validator_stands_still_while_three_go_on_and_catches_up_when_it_is_back() {
    let Some(net) = Net::of(4) else { return };
    let folder = tempfile::tempdir().unwrap();
    let seats = four(&net, folder.path());
    let alone = &seats[3];
    wait_until_running(&seats);

    net.tear(&[3]);
    let at_three = seats[0].send(alone, "5HOLD");
    wait_for("the three decide", || seats[..3].iter().all(|seat| seat.knows_as_final(&at_three)).then_some(()));
    let in_vain = alone.send(&seats[0], "6HOLD");
    let (stands, tries) = (alone.height(), alone.tries());
    wait_for("the three leave the one behind while it tries", || {
        let ahead = heights(&seats[..3]).iter().all(|height| *height > stands + 3);
        (ahead && alone.tries() >= tries + TRIES).then_some(())
    });
    assert_eq!(alone.height(), stands, "nobody decides alone");
    assert!(!alone.knows_as_final(&at_three) && !alone.knows_as_final(&in_vain));

    net.heal();
    wait_for("it learns what the others decided", || alone.knows_as_final(&at_three).then_some(()));
    wait_for("what it was handed reaches the others", || {
        seats.iter().all(|seat| seat.knows_as_final(&in_vain)).then_some(())
    });
    let caught_up = heights(&seats[..3]).into_iter().max().unwrap();
    wait_for("it is where the others were", || (alone.height() >= caught_up).then_some(()));
    assert_one_chain(&seats);
}
