//! Machines of their own on this machine: Linux network namespaces, joined by a switch whose two halves can be torn apart.
//!
//! ```text
//!   machine 0   machine 1         machine 2   machine 3      a namespace each: 192.0.2.1, 192.0.2.2, ...
//!        \         /                   \         /
//!       [   left    ]== the cable ==[   right    ]           two bridges in a namespace of their own, the switch
//! ```
//! Nothing outside of these namespaces is touched, so tests run beside each other with the same addresses. Torn is torn as by
//! a digger: packets vanish, nobody is told that a connection ended.

pub mod nat;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every namespace of ours is named `hf-<pid of the test>-<count>-<what>`.
const PREFIX: &str = "hf-";
/// The bits of `CapEff` that it takes: making network namespaces, and links in them (`linux/capability.h`).
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

/// Some machines and the switch between them; gone with everything in them when dropped.
pub struct Net {
    switch: String,
    machines: Vec<Machine>,
    /// Routers, and the machines behind them.
    homes: Vec<Machine>,
}

/// One machine: whatever is started by [`Machine::command`] sees its network and no other.
#[derive(Clone)]
pub struct Machine {
    namespace: String,
    /// Its name at the switch.
    port: String,
    pub ip: Ipv4Addr,
}

impl Net {
    /// So many machines, all connected. `None`, with a word on stderr, where this process may not make any: run the test as
    /// root for that.
    pub fn of(machines: u8) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if let Some(missing) = missing() {
            eprintln!("SKIPPED: {missing}, so there are no machines to try this on");
            return None;
        }
        let named = format!("{PREFIX}{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        sweep(&named);
        let machine = |index: u8| Machine {
            namespace: format!("{named}m{index}"),
            port: format!("port{index}"),
            ip: Ipv4Addr::new(192, 0, 2, index + 1),
        };
        let machines = (0..machines).map(machine).collect();
        let net = Self { switch: format!("{named}switch"), machines, homes: Vec::new() };
        net.build();
        Some(net)
    }

    pub fn machine(&self, index: usize) -> &Machine {
        &self.machines[index]
    }

    /// Tears the network: the machines of `left` see each other, the rest see each other.
    pub fn tear(&self, left: &[usize]) {
        self.switch("link set cable-left down");
        for (index, machine) in self.machines.iter().enumerate() {
            let side = if left.contains(&index) { "left" } else { "right" };
            self.switch(&format!("link set {} master {side}", machine.port));
        }
    }

    /// Joins the halves again.
    pub fn heal(&self) {
        self.switch("link set cable-left up");
    }

    fn build(&self) {
        ip(&format!("netns add {}", self.switch));
        for side in ["left", "right"] {
            self.switch(&format!("link add {side} type bridge"));
            self.switch(&format!("link set {side} up"));
        }
        self.switch("link add cable-left type veth peer name cable-right");
        for side in ["left", "right"] {
            self.switch(&format!("link set cable-{side} master {side}"));
            self.switch(&format!("link set cable-{side} up"));
        }
        self.machines.iter().for_each(|machine| self.plug(machine));
    }

    /// Makes a machine and connects it to the switch.
    fn plug(&self, Machine { namespace, port, ip: address }: &Machine) {
        ip(&format!("netns add {namespace}"));
        self.switch(&format!("link add {port} type veth peer name eth0 netns {namespace}"));
        self.switch(&format!("link set {port} master left"));
        self.switch(&format!("link set {port} up"));
        ip(&format!("-n {namespace} addr add {address}/24 dev eth0"));
        ip(&format!("-n {namespace} link set lo up"));
        ip(&format!("-n {namespace} link set eth0 up"));
    }

    fn switch(&self, words: &str) {
        ip(&format!("-n {} {words}", self.switch));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for namespace in self.homes.iter().chain(&self.machines).map(|machine| &machine.namespace).chain([&self.switch])
        {
            remove(namespace);
        }
    }
}

impl Machine {
    /// A program that runs on this machine. It has the file system of all, so give each machine folders of its own.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace)).arg("--").arg(program.as_ref());
        command
    }

    /// Whether a packet finds its way to another machine and back.
    pub fn reaches(&self, other: &Self) -> bool {
        // A connection that is refused has found its way; nobody listens on port 9 (discard).
        let script = format!("exec 3<>/dev/tcp/{}/9", other.ip);
        let tried = self.command("timeout").args(["3", "bash", "-c", &script]).output().unwrap();
        String::from_utf8_lossy(&tried.stderr).contains("refused")
    }
}

/// What this process would need and does not have.
fn missing() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    let may = u64::from_str_radix(line.trim(), 16).unwrap_or_default();
    if may >> CAP_NET_ADMIN & 1 == 0 || may >> CAP_SYS_ADMIN & 1 == 0 {
        return Some("this process may not make network namespaces (it is not root)".to_owned());
    }
    let absent = |program: &&str| Command::new(program).arg("--version").output().is_err();
    ["ip", "nsenter"].iter().find(|program| absent(program)).map(|program| format!("the program {program} is missing"))
}

/// Removes what tests have left that were killed, and what bears the name that is wanted now.
fn sweep(named: &str) {
    let listed = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let ours = listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with(PREFIX));
    for name in ours {
        let pid = name.trim_start_matches(PREFIX).split('-').next().unwrap_or_default();
        if name.starts_with(named) || !Path::new("/proc").join(pid).exists() {
            remove(name);
        }
    }
}

/// Two tests may sweep the same leftover at once: gone is gone.
fn remove(namespace: &str) {
    let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_torn_network_carries_nothing_across_and_everything_once_healed() {
    let Some(net) = Net::of(3) else { return };
    let [a, b, c] = [0, 1, 2].map(|index| net.machine(index));
    assert!(a.reaches(b) && b.reaches(c) && c.reaches(a));
    net.tear(&[0, 1]);
    assert!(a.reaches(b) && !a.reaches(c) && !c.reaches(b));
    net.tear(&[2, 1]);
    assert!(!a.reaches(b) && c.reaches(b));
    net.heal();
    assert!(a.reaches(b) && b.reaches(c) && c.reaches(a));
}

#[test]
fn machines_go_with_their_network_and_do_not_know_of_another() {
    let (Some(one), Some(other)) = (Net::of(1), Net::of(1)) else { return };
    let namespaces = [one.machine(0).namespace.clone(), other.machine(0).namespace.clone()];
    let exists = |name: &String| Path::new("/run/netns").join(name).exists();
    assert_ne!(namespaces[0], namespaces[1]);
    assert!(namespaces.iter().all(exists));
    drop(one);
    assert_eq!(namespaces.iter().map(exists).collect::<Vec<_>>(), [false, true]);
}
