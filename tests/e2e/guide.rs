//! `docs/run-a-validator.md`, followed to the letter: every line of every block marked ```` ```console machine=NAME ```` is typed on the
//! computer of that name, in the order of the page (`machine=validators`: on each of them). What a computer is here, and how it plays
//! `systemctl`, `sudo` and `scp`, stands at the head of `computer.rs`.

use crate::common::{HOLDFAST, wait_for};
use crate::computer::Computer;
use crate::netns::Net;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const VALIDATORS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const EVERYBODY: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// A line to type, and where.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    machine: String,
    line: String,
}

/// The steps of a page. A line that ends in a backslash goes on in the next one.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for block in page.split("\n```console ").skip(1) {
        let (head, rest) = block.split_once('\n').unwrap();
        let machine = head.strip_prefix("machine=").unwrap_or_else(|| panic!("a block for no machine: {head}"));
        let lines = rest.split("\n```").next().unwrap().replace("\\\n", " ");
        let lines: Vec<&str> = lines.lines().map(|line| line.strip_prefix("$ ").unwrap()).collect();
        let machines = if machine == "validators" { VALIDATORS.to_vec() } else { vec![machine] };
        for machine in machines {
            steps.extend(lines.iter().map(|line| Step { machine: machine.to_owned(), line: (*line).to_owned() }));
        }
    }
    steps
}

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/run-a-validator.md")).unwrap()
}

/// What the page takes for granted in everybody's home folder: the program and the units.
fn unpack(home: &Path) {
    // The lines that tell where code came from are most of the program, and five computers install it.
    let stripped =
        Command::new("strip").arg("--strip-debug").arg("-o").arg(home.join("holdfast")).arg(HOLDFAST).status();
    if !stripped.is_ok_and(|status| status.success()) {
        std::fs::copy(HOLDFAST, home.join("holdfast")).unwrap();
    }
    let units = home.join("packaging/systemd");
    std::fs::create_dir_all(&units).unwrap();
    for unit in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd")).unwrap() {
        let unit = unit.unwrap();
        std::fs::copy(unit.path(), units.join(unit.file_name())).unwrap();
    }
}

/// The figures that the page tells operators to watch.
fn metrics(page: &str) -> Vec<&str> {
    let names = page.split('`').filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    names.filter(|word| word.starts_with("holdfast_") || word.starts_with("malachitebft_")).collect()
}

fn ask(computer: &mut Computer, line: &str) -> Value {
    let output = computer.type_in(line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn four_people_with_the_guide_come_to_a_network_that_pays_a_fifth() {
    let Some(net) = Net::of(EVERYBODY.len() as u8) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut computers: Vec<Computer> = EVERYBODY
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let computer = Computer::start(folder.path(), name, net.machine(index));
            unpack(&computer.home());
            computer
        })
        .collect();
    let mut said = String::new();
    for Step { machine, line } in steps(&page()) {
        let computer = computers.iter_mut().find(|computer| computer.name == machine).unwrap();
        let output = computer.type_in(&line);
        let told = [output.stdout, output.stderr].concat();
        said += &format!("{machine}$ {line}\n{}", String::from_utf8_lossy(&told));
        assert!(output.status.success(), "{said}");
    }
    assert!(said.contains("4 validators so far") && said.contains("final in block"), "{said}");

    let page = page();
    let http = "exec 3<>/dev/tcp/127.0.0.1/7450; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let figures = String::from_utf8(computers[1].type_in(http).stdout).unwrap();
    assert!(metrics(&page).len() >= 3);
    for name in metrics(&page) {
        assert!(figures.lines().any(|line| line.starts_with(name)), "{name}: {figures}");
    }

    let status = "holdfast status --short --json";
    let sent = ask(&mut computers[4], "holdfast wallet balance --json");
    assert!(sent["balance"].as_str().unwrap().parse::<u64>().unwrap() < 999_900_000_000_000, "erin has paid");
    let reached = ask(&mut computers[0], status)["chain"]["height"].as_u64().unwrap();
    assert!(reached >= 2, "{said}");
    let ask_all = |computers: &mut [Computer], line: &str| {
        computers[..4].iter_mut().map(|computer| ask(computer, line)).collect::<Vec<_>>()
    };
    wait_for("all four are where erin's transfer is final", || {
        ask_all(&mut computers, status)
            .iter()
            .all(|status| status["chain"]["height"].as_u64().unwrap() >= reached)
            .then_some(())
    });
    let audited = ask_all(&mut computers, &format!("holdfast audit chain --to {reached} --json"));
    assert!(
        audited.iter().all(|verdict| verdict["block"].is_string() && verdict["block"] == audited[0]["block"]),
        "{audited:?}"
    );
}

#[test]
fn the_guide_has_work_for_everybody_and_blocks_are_read_as_people_read_them() {
    let machines: BTreeSet<String> = steps(&page()).into_iter().map(|step| step.machine).collect();
    assert_eq!(machines, EVERYBODY.map(str::to_owned).into());
    let page = "x\n```console machine=alice\n$ a \\\n    b\n$ c\n```\n```sh\nnot this\n```\n```console machine=validators\n$ d\n```\n";
    let step = |machine: &str, line: &str| Step { machine: machine.to_owned(), line: line.to_owned() };
    let both = [step("alice", "a      b"), step("alice", "c")].into_iter();
    assert_eq!(steps(page), both.chain(VALIDATORS.map(|name| step(name, "d"))).collect::<Vec<_>>());
}
