//! A process from outside, as Linux shows it in `/proc`: what it holds in memory, where it listens, how far it has read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sends a signal, as the shell's `kill` does.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name} {pid}");
}

/// Bytes of memory that a process has in use now (`VmRSS`).
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Every port on which a process listens.
#[derive(Debug, Default)]
pub struct Ports {
    pub tcp: Vec<u16>,
    pub udp: Vec<u16>,
}

impl Ports {
    /// Found by the sockets that the process has open, so that none is forgotten.
    pub fn of(pid: u32) -> Self {
        let open: Vec<String> = links(pid).into_iter().map(|(_, link)| link.display().to_string()).collect();
        let listed = |file: &str, state: Option<&str>| -> Vec<u16> {
            let table = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
            let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
            rows.filter(|row| state.is_none_or(|state| row[3] == state))
                .filter(|row| open.contains(&format!("socket:[{}]", row[9])))
                .map(|row| u16::from_str_radix(row[1].rsplit_once(':').unwrap().1, 16).unwrap())
                .collect()
        };
        /// The state of a socket that waits for connections.
        const LISTEN: Option<&str> = Some("0A");
        Self {
            tcp: [listed("tcp", LISTEN), listed("tcp6", LISTEN)].concat(),
            udp: [listed("udp", None), listed("udp6", None)].concat(),
        }
    }
}

/// How far a process has read in a file that it has open; `None` when it has not.
pub fn position_in(pid: u32, file: &Path) -> Option<u64> {
    let (descriptor, _) = links(pid).into_iter().find(|(_, link)| link == file)?;
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok())
}

/// What a process has open. It may open and close while it is looked at.
fn links(pid: u32) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_link(entry.path())));
    named.filter_map(|(name, link)| Some((name, link.ok()?))).collect()
}

/// Whether a process stands still after a SIGSTOP.
pub fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name stands in brackets and may hold anything; the state follows it.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
