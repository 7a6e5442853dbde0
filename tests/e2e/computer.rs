//! A computer as far as a guide for operators can tell: a network, a host name, and an `/etc`, `/home`, `/usr/local` and `/var/lib` of
//! its own. Three things are not as on a real one, because namespaces have no init and no login:
//!
//! - `sudo` only changes the user, `scp` only copies into the other computer's home;
//! - `systemctl` is played by [`Computer::systemctl`]: it runs the unit's `ExecStart` from the file that was installed, as the
//!   unit's user, in its folders, with its environment, umask and limits, and ends it by its signal. What systemd would
//!   forbid the process beyond that is not tried here (`units.rs` has systemd judge it);
//! - a start waits until the service says that it listens.

use crate::common::wait_for;
use crate::netns::Machine;
use crate::process::signal;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const PATH: &str = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin";
/// The folders that each computer has for itself.
const OWN: [&str; 4] = ["etc", "home", "usr/local", "var/lib"];

const SUDO: &str = r#"#!/bin/bash
if [ "$1" != -u ]; then exec "$@"; fi
user=$2; shift 2
home=$(getent passwd "$user" | cut -d : -f 6)
exec setpriv --reuid "$user" --regid "$user" --init-groups env -i HOME="$home" PATH="$PATH" "$@"
"#;
const SCP: &str = r#"#!/bin/bash
set -e
to=${*: -1}
[[ $to == *: ]] || { echo "scp: only into another's home" >&2; exit 1; }
cp -- "${@:1:$#-1}" "COMPUTERS/${to%:}/home/${to%:}/"
"#;

/// One computer; what runs on it ends when it is dropped.
pub struct Computer {
    pub name: String,
    folder: PathBuf,
    /// Keeps the namespaces of files and name alive.
    init: Child,
    services: BTreeMap<String, Child>,
    /// What was exported in the shell that somebody keeps open here.
    exports: Vec<String>,
}

impl Computer {
    /// Switches one on; its files lie in `computers/NAME`.
    pub fn start(computers: &Path, name: &str, machine: &Machine) -> Self {
        let folder = computers.join(name);
        for own in OWN {
            fs::create_dir_all(folder.join(own)).unwrap();
        }
        fs::create_dir_all(folder.join("home").join(name)).unwrap();
        fs::create_dir_all(folder.join("usr/local/bin")).unwrap();
        fs::create_dir_all(folder.join("shims")).unwrap();
        write_program(&folder.join("shims/sudo"), SUDO);
        write_program(&folder.join("shims/scp"), &SCP.replace("COMPUTERS", computers.to_str().unwrap()));
        let mounts = OWN.map(|own| format!("mount --bind '{}' /{own}", folder.join(own).display())).join("\n");
        // `cat` ends when this test does, however it ends.
        let script = format!(
            "set -e\ncp -a /etc/. '{}'\n{mounts}\nhostname {name}\necho on\nexec cat",
            folder.join("etc").display()
        );
        let mut command = machine.command("unshare");
        command.args(["--mount", "--uts", "--propagation", "private", "bash", "-c", &script]);
        let mut init = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(init.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "on\n", "{name} does not start");
        Self { name: name.to_owned(), folder, init, services: BTreeMap::new(), exports: Vec::new() }
    }

    /// The home folder of whoever sits here, as seen from outside.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home").join(&self.name)
    }

    /// Types a command into the shell that stays open here. What it exports holds for the commands after it.
    pub fn type_in(&mut self, line: &str) -> Output {
        if let Some(words) = line.strip_prefix("sudo systemctl ") {
            self.systemctl(&words.split_whitespace().collect::<Vec<_>>());
            return Output { status: std::process::ExitStatus::default(), stdout: Vec::new(), stderr: Vec::new() };
        }
        let script = format!("cd\n{}\n{line}", self.exports.join("\n"));
        if line.starts_with("export ") {
            self.exports.push(line.to_owned());
        }
        let path = format!("PATH={}:{PATH}", self.folder.join("shims").display());
        let home = format!("HOME=/home/{}", self.name);
        let mut command = self.inside();
        command.args(["env", "-i", &path, &home, "USER=root", "bash", "-euo", "pipefail", "-c", &script]);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What an operator asks of systemd.
    fn systemctl(&mut self, words: &[&str]) {
        match words {
            ["daemon-reload"] => {}
            ["start", unit] | ["enable", "--now", unit] => self.start_service(unit),
            ["stop", unit] | ["disable", "--now", unit] => self.stop_service(unit),
            ["restart", unit] => {
                self.stop_service(unit);
                self.start_service(unit);
            }
            _ => panic!("systemctl {words:?} is not played here"),
        }
    }

    fn start_service(&mut self, name: &str) {
        let file = self.folder.join(format!("etc/systemd/system/{name}.service"));
        let unit = Unit::read(&fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        let log = self.folder.join(format!("{name}.log"));
        let out = fs::File::create(&log).unwrap();
        let mut command = self.inside();
        command.args(["env", "-i", &format!("PATH={PATH}"), "bash", "-euc", &unit.script()]);
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let mut child = command.spawn().unwrap();
        wait_for(&format!("{name} on {} listens", self.name), || {
            let told = fs::read_to_string(&log).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "{name} on {} ended: {told}", self.name);
            told.contains("Listening on").then_some(())
        });
        assert!(self.services.insert(name.to_owned(), child).is_none(), "{name} runs already");
    }

    fn stop_service(&mut self, name: &str) {
        let mut child = self.services.remove(name).unwrap_or_else(|| panic!("{name} does not run"));
        signal(child.id(), "TERM");
        let status = wait_for("the service ends when told to", || child.try_wait().unwrap());
        assert!(status.success(), "{name} on {}: {status}", self.name);
    }

    /// A command within the namespaces of this computer, as root.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--net", "--uts", "--target", &self.init.id().to_string(), "--"]);
        command
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        for child in self.services.values_mut().chain([&mut self.init]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What of a unit's `[Service]` matters to the process that it starts.
struct Unit(BTreeMap<String, String>);

impl Unit {
    fn read(text: &str) -> Self {
        let service = text.split("[Service]\n").nth(1).unwrap().split("\n[").next().unwrap();
        let lines = service.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect())
    }

    fn get(&self, key: &str) -> &str {
        self.0.get(key).unwrap_or_else(|| panic!("the unit has no {key}"))
    }

    /// What systemd does to start it, in the words of a shell. A variable without braces is split into words by both.
    fn script(&self) -> String {
        let (user, group, state) = (self.get("User"), self.get("Group"), self.get("StateDirectory"));
        let home = format!("/var/lib/{state}");
        assert_eq!((self.get("KillSignal"), self.get("WorkingDirectory")), ("SIGTERM", home.as_str()));
        let environment = self.get("EnvironmentFile");
        let needed = if environment.starts_with('-') { "true" } else { "false" };
        let environment = environment.trim_start_matches('-');
        let mut set_up = format!("install -d -o {user} -g {group} -m {} {home}\n", self.get("StateDirectoryMode"));
        // A test may not raise what it was given.
        set_up += &format!("ulimit -n {} 2>/dev/null || ulimit -Sn \"$(ulimit -Hn)\"\n", self.get("LimitNOFILE"));
        set_up += &format!("umask {}\ncd {home}\n", self.get("UMask"));
        // `KEY=some words` is one assignment to systemd.
        set_up += "variable() { declare -gx \"$1\"; }\n";
        set_up += &format!(
            "if [ -e {environment} ]; then while IFS= read -r line; do case $line in ''|'#'*) ;; *) variable \"$line\" ;; esac; \
             done < {environment}; else {needed}; fi\n"
        );
        let variables = self.get("ExecStart").split_whitespace().filter_map(|word| word.strip_prefix('$'));
        set_up += &variables.map(|name| format!("{name}=${{{name}-}}\n")).collect::<String>();
        format!(
            "{set_up}export HOME={home} USER={user}\nexec setpriv --reuid {user} --regid {group} --init-groups --no-new-privs \
             --bounding-set -all --pdeathsig KILL {}",
            self.get("ExecStart")
        )
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}
