//! Homes behind routers that translate addresses, on a public network of [`Net`]: a router and one machine behind it each.
//!
//! ```text
//!   machine 0 (public, 192.0.2.1)      router (192.0.2.101)      router (192.0.2.102)
//!        \_______________ the switch ______|________________________|
//!                                          |                        |
//!                                     10.0.1.2 (private)       10.0.2.2 (private)
//! ```

use super::{Machine, Net, ip};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// What a router does to those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// As most at home: the outer port is the inner one, and only answers come in.
    Home,
    /// As in offices and mobile networks: every conversation gets another outer port, so that nobody can tell where the next
    /// one will come from.
    Strict,
    /// A home router that lets no UDP through at all.
    UdpBlocked,
}

impl Nat {
    /// The router's rules, for `nft`. Without the drop at its own door the router would take an early packet of a peer for
    /// itself, and translate ours to another port because that one is in use; real routers do not.
    fn rules(self) -> String {
        let masquerade = if self == Self::Strict { "masquerade fully-random" } else { "masquerade" };
        let udp = if self == Self::UdpBlocked { "meta l4proto udp drop" } else { "" };
        format!(
            "table ip home {{\n\
             chain out {{\ntype nat hook postrouting priority srcnat;\noifname \"eth0\" {masquerade}\n}}\n\
             chain door {{\ntype filter hook input priority filter;\niifname \"eth0\" ct state new meta l4proto udp drop\n}}\n\
             chain through {{\ntype filter hook forward priority filter;\niifname \"eth0\" ct state new drop\n{udp}\n}}\n}}\n"
        )
    }
}

impl Net {
    /// A machine in a home of its own behind a router of this kind. `None`, with a word on stderr, where the machine lacks
    /// what routers need.
    pub fn home(&mut self, nat: Nat) -> Option<Machine> {
        if Command::new("nft").arg("--version").output().is_err() {
            eprintln!("SKIPPED: the program nft (nftables) is missing, so there are no routers to try this on");
            return None;
        }
        let number = self.homes.len() as u8 + 1;
        let named = self.switch.trim_end_matches("switch").to_owned();
        let router = Machine {
            namespace: format!("{named}r{number}"),
            port: format!("home{number}"),
            ip: Ipv4Addr::new(192, 0, 2, 100 + number),
        };
        self.plug(&router);
        let inside = Machine {
            namespace: format!("{named}h{number}"),
            port: String::new(),
            ip: Ipv4Addr::new(10, 0, number, 2),
        };
        let (out, home) = (&router.namespace, &inside.namespace);
        ip(&format!("netns add {home}"));
        ip(&format!("-n {out} link add lan type veth peer name eth0 netns {home}"));
        ip(&format!("-n {out} addr add 10.0.{number}.1/24 dev lan"));
        ip(&format!("-n {out} link set lan up"));
        ip(&format!("-n {home} addr add {}/24 dev eth0", inside.ip));
        ip(&format!("-n {home} link set lo up"));
        ip(&format!("-n {home} link set eth0 up"));
        ip(&format!("-n {home} route add default via 10.0.{number}.1"));
        feed(router.command("sh").args(["-c", "cat > /proc/sys/net/ipv4/ip_forward"]), "1");
        feed(router.command("nft").args(["-f", "-"]), &nat.rules());
        self.homes.extend([router, inside.clone()]);
        Some(inside)
    }
}

fn feed(command: &mut Command, text: &str) {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn from_a_home_one_reaches_out_and_nobody_reaches_in() {
    let Some(mut net) = Net::of(1) else { return };
    let (Some(one), Some(other)) = (net.home(Nat::Home), net.home(Nat::UdpBlocked)) else { return };
    let public = net.machine(0).clone();
    assert!(one.reaches(&public) && other.reaches(&public));
    assert!(!public.reaches(&one) && !one.reaches(&other));
}
