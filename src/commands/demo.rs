//! `holdfast demo`: the main job from end to end on a network of its own, with the commands that a stranger would type.
//!
//! Every step runs this program again as a process of its own and reads its JSON, so the demo shows what the commands
//! really do. It ends with `demo: ok`, or with the step that failed.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{bytes, percent};
use clap::Args;
use holdfast_primitives::Amount;
use holdfast_rpc::RpcClient;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

const PASSWORD: &str = "demo password\n";
/// Each heavy node has fewer holders than a file needs, so that some of them are found through another.
const HEAVY: &str = "3";
const HOLDERS: &str = "12";
/// How long a wait for a round may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// What to store; this program itself unless said otherwise
    file: Option<PathBuf>,
}

pub async fn run(context: &Context, args: DemoArgs) -> Outcome {
    let file = match args.file {
        Some(file) => file,
        None => std::env::current_exe()?,
    };
    let folder = tempfile::tempdir()?;
    let mut demo = Demo::start(context, folder.path()).await?;
    let outcome = demo.play(&file).await;
    let stopped = demo.stop().await;
    outcome?;
    stopped?;
    context.output.result("demo: ok", &serde_json::json!({ "demo": "ok" }));
    Ok(())
}

struct Demo<'a> {
    context: &'a Context,
    folder: PathBuf,
    devnet: Child,
    network: Value,
    /// The node that is asked.
    rpc: String,
    started: Instant,
}

impl<'a> Demo<'a> {
    async fn start(context: &'a Context, folder: &Path) -> Result<Self, Failure> {
        let started = Instant::now();
        std::fs::write(folder.join("password"), PASSWORD)?;
        let mut devnet = Command::new(std::env::current_exe()?)
            .args(["devnet", "--json", "--heavy", HEAVY, "--holders", HOLDERS, "--rpc-listen", "127.0.0.1:0", "--dir"])
            .arg(folder.join("network"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = devnet.stdout.take().ok_or_else(|| Failure::other("the devnet has no output"))?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.ok_or_else(|| Failure::other("the devnet ended before it listened"))?;
        let network: Value = serde_json::from_str(&line).map_err(Failure::other)?;
        let rpc = text(&network["rpc"]).to_owned();
        let demo = Self { context, folder: folder.to_owned(), devnet, network, rpc, started };
        demo.say(&format!(
            "a network of {HEAVY} heavy nodes and {HOLDERS} holders, a process each, is up; one answers at {}",
            demo.rpc
        ));
        Ok(demo)
    }

    async fn play(&mut self, file: &Path) -> Outcome {
        let words = self.make_wallet().await?;
        self.rpc = self.least_crowded().await?;
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("file").to_owned();
        self.store(file, &name).await?;
        let paid = self.watch_rounds().await?;
        let victims = self.lose_two_holders()?;
        self.read_back(file, &name, "alice", "after-loss").await?;
        self.see_them_marked(&victims, paid).await?;
        self.audit_everything().await?;
        self.restore(file, &name, &words).await
    }

    async fn make_wallet(&self) -> Result<String, Failure> {
        let wallet = self.run("alice", &["wallet", "new"]).await?;
        let given = self.run("alice", &["wallet", "faucet"]).await?;
        self.say(&format!(
            "wallet {} made of 24 words and funded with {}",
            text(&wallet["address"]),
            amount(&given["amount"])?
        ));
        Ok(text(&wallet["words"]).to_owned())
    }

    /// The heavy node with the fewest light nodes. Holders choose their parents themselves, so any other may happen to have as
    /// many as the file needs, and then nobody would have to look further.
    async fn least_crowded(&self) -> Result<String, Failure> {
        let others = self.network["validators"].as_array().into_iter().flatten().map(|other| text(&other["rpc"]));
        let mut least = None;
        for url in std::iter::once(self.rpc.as_str()).chain(others) {
            let children = RpcClient::connect(url)?.market_node().await?.children;
            least = least.filter(|(fewest, _)| *fewest <= children).or(Some((children, url)));
        }
        let (children, url) = least.ok_or_else(|| Failure::other("the network has no heavy node"))?;
        self.say(&format!("the owner's heavy node is the one at {url}, with {children} light nodes of its own"));
        Ok(url.to_owned())
    }

    async fn store(&self, file: &Path, name: &str) -> Outcome {
        let path = file.to_string_lossy().into_owned();
        let size = std::fs::metadata(file)?.len();
        let quote = self.run("alice", &["quote", &path, "--for", "1h"]).await?;
        self.say(&format!(
            "quote for {name}, {}: {} for one hour ({} per GiB per 30 days)",
            bytes(size),
            amount(&quote["total"])?,
            amount(&quote["per_gib_30_days"])?
        ));
        let (data, parity) = (count(&quote["data"])?, count(&quote["parity"])?);
        let begun = Instant::now();
        let stored = self.run("alice", &["put", &path, "--for", "1h", "--yes", "--max-price", "1000HOLD"]).await?;
        let cost = &stored["cost"];
        self.say(&format!(
            "stored in {:.1} s as {} batches in {} segments, any {data} of {} rebuild one; {} in escrow, {} in fees",
            begun.elapsed().as_secs_f64(),
            cost["batches"],
            cost["segments"],
            data + parity,
            amount(&cost["storage"])?,
            amount(&stored["fees"])?
        ));
        Ok(())
    }

    /// Waits for two settled rounds that paid; returns the last.
    async fn watch_rounds(&self) -> Result<u64, Failure> {
        let mut after = None;
        for _ in 0..2 {
            let round = self.settled_after(after).await?;
            let verdict = self.run("alice", &["audit", "round", &round.to_string()]).await?;
            let paid = amount(&verdict["paid"])?;
            let holders = verdict["holders"].as_array().cloned().unwrap_or_default();
            let proved = holders.iter().filter(|holder| holder["missing"] == 0).count();
            self.say(&format!(
                "round {round}: {proved} of {} holders proved {} batches and share {paid}",
                holders.len(),
                verdict["batches"]
            ));
            for holder in &holders {
                self.detail(&format!(
                    "{}  {} batches  {}",
                    text(&holder["holder"]),
                    holder["batches"],
                    amount(&holder["paid"])?
                ));
            }
            let heavy = verdict["heavy_nodes"].as_object().cloned().unwrap_or_default();
            for (address, earned) in &heavy {
                self.detail(&format!(
                    "heavy node {address} earned {} ({})",
                    amount(earned)?,
                    percent(amount(earned)?, paid)
                ));
            }
            self.show_paths(&verdict)?;
            if proved != holders.len() || proved == 0 {
                return Err(Failure::other(format!("round {round}: {proved} of {} holders proved", holders.len())));
            }
            after = Some(round);
        }
        after.ok_or_else(|| Failure::other("no round was watched"))
    }

    /// Shows what a path of two heavy nodes earns. There must be one: no heavy node has holders enough of its own.
    fn show_paths(&self, verdict: &Value) -> Outcome {
        let contracts = verdict["contracts"].as_array().cloned().unwrap_or_default();
        let hops = |contract: &Value| contract["path"].as_array().cloned().unwrap_or_default();
        let (near, far): (Vec<&Value>, Vec<&Value>) = contracts.iter().partition(|contract| hops(contract).len() == 1);
        let Some(one) = far.first() else {
            return Err(Failure::other("no holder was found through a second heavy node"));
        };
        self.detail(&format!("{} holders were found by one heavy node, {} by two", near.len(), far.len()));
        for (index, hop) in hops(one).iter().enumerate() {
            let (node, earned) = (text(&hop["node"]), amount(&hop["earned"])?);
            if earned.is_zero() {
                return Err(Failure::other(format!(
                    "hop {} of contract {} earned nothing",
                    index + 1,
                    one["contract"]
                )));
            }
            self.detail(&format!("contract {}, hop {}: {node} earned {earned}", one["contract"], index + 1));
        }
        Ok(())
    }

    /// Deletes the folders of two holders that hold something, under their feet.
    fn lose_two_holders(&self) -> Result<BTreeSet<String>, Failure> {
        let mut victims = BTreeSet::new();
        for holder in self.network["holders"].as_array().into_iter().flatten() {
            let vault = Path::new(text(&holder["dir"])).join("vault/batches");
            if victims.len() < 2 && has_batches(&vault) {
                std::fs::remove_dir_all(text(&holder["dir"]))?;
                victims.insert(text(&holder["address"]).to_owned());
            }
        }
        for victim in &victims {
            self.detail(&format!("deleted while it runs: {victim}"));
        }
        if victims.len() != 2 {
            return Err(Failure::other("fewer than two holders hold anything"));
        }
        self.say("two holders lost everything");
        Ok(victims)
    }

    async fn read_back(&self, file: &Path, name: &str, wallet: &str, out: &str) -> Outcome {
        let (begun, out) = (Instant::now(), self.folder.join(out));
        let path = out.to_string_lossy().into_owned();
        let read = self.run(wallet, &["get", name, "--out", &path]).await?;
        if std::fs::read(&out)? != std::fs::read(file)? {
            return Err(Failure::new(Exit::Unverifiable, "different", "what came back is not what was stored"));
        }
        let rebuilt = &read["read"]["rebuilt_ranges"];
        self.say(&format!(
            "read back byte for byte in {:.1} s, {rebuilt} ranges rebuilt",
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    async fn see_them_marked(&self, victims: &BTreeSet<String>, paid: u64) -> Outcome {
        // A round that froze before the loss may still settle first.
        let deadline = Instant::now() + PATIENCE;
        let mut after = paid;
        while Instant::now() < deadline {
            let round = self.settled_after(Some(after)).await?;
            let verdict = self.run("alice", &["audit", "round", &round.to_string()]).await?;
            let holders = verdict["holders"].as_array().cloned().unwrap_or_default();
            let failed: BTreeSet<String> = holders
                .iter()
                .filter(|holder| holder["missing"] != 0)
                .map(|holder| text(&holder["holder"]).to_owned())
                .collect();
            if failed == *victims {
                self.say(&format!("round {round}: exactly these two failed and are not paid"));
                for holder in holders.iter().filter(|holder| holder["missing"] != 0) {
                    self.detail(&format!(
                        "{}  {} of {} leaves missing  {}",
                        text(&holder["holder"]),
                        holder["missing"],
                        holder["challenges"],
                        amount(&holder["paid"])?
                    ));
                }
                return Ok(());
            }
            if !failed.is_subset(victims) {
                return Err(Failure::other(format!("round {round}: others failed too: {failed:?}")));
            }
            after = round;
        }
        Err(Failure::other("the two holders were not marked in time"))
    }

    async fn audit_everything(&self) -> Outcome {
        let begun = Instant::now();
        let lines = self.output("alice", &["audit", "round", "all"], "").await?;
        let rounds = lines.lines().filter(|line| !line.trim().is_empty()).count();
        self.say(&format!(
            "audited all {rounds} rounds from public data in {:.1} s: every claim holds",
            begun.elapsed().as_secs_f64()
        ));
        self.audit_whole_chain().await?;
        self.audit_without_a_node().await
    }

    /// Applies every block again, from a genesis that was known before the node was asked.
    async fn audit_whole_chain(&self) -> Outcome {
        let (begun, genesis) = (Instant::now(), self.genesis());
        let verdict = self.run("alice", &["audit", "chain", "--genesis", &genesis]).await?;
        self.say(&format!(
            "applied all {} blocks again from the genesis in {:.1} s: every payment and fine, {} openings",
            verdict["height"],
            begun.elapsed().as_secs_f64(),
            verdict["openings"]
        ));
        Ok(())
    }

    /// Bundles a round's evidence and verifies the file by itself: `audit bundle` asks no node.
    async fn audit_without_a_node(&self) -> Outcome {
        let path = self.folder.join("round.evidence").to_string_lossy().into_owned();
        let told = self.run("alice", &["audit", "round", "latest", "--bundle", &path]).await?;
        let verdict = self.run("alice", &["audit", "bundle", &path, "--genesis", &self.genesis()]).await?;
        if verdict != told {
            return Err(Failure::new(Exit::Unverifiable, "different", "the bundle comes to another verdict"));
        }
        let size = std::fs::metadata(&path)?.len();
        self.say(&format!(
            "round {} verified once more from one file of {size} bytes, asking no node",
            verdict["round"]
        ));
        Ok(())
    }

    fn genesis(&self) -> String {
        Path::new(text(&self.network["dir"])).join("genesis.toml").to_string_lossy().into_owned()
    }

    async fn restore(&self, file: &Path, name: &str, words: &str) -> Outcome {
        let restored = self.output("bare-machine", &["restore"], words).await?;
        let restored: Value = serde_json::from_str(&restored).map_err(Failure::other)?;
        let files = restored["files"].as_array().map_or(0, Vec::len);
        self.say(&format!("24 words on a bare machine brought back the list of {files} files"));
        self.read_back(file, name, "bare-machine", "after-restore").await
    }

    /// Waits until a round after `after` (or any round that paid) is settled.
    async fn settled_after(&self, after: Option<u64>) -> Result<u64, Failure> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let status = self.run("alice", &["status", "--short"]).await?;
            let settled = &status["settled"];
            let paid = settled["holders"].as_u64().is_some_and(|holders| holders > 0);
            if let Some(round) =
                settled["round"].as_u64().filter(|round| paid && after.is_none_or(|after| *round > after))
            {
                return Ok(round);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Err(Failure::other("no round was settled in time"))
    }

    /// Runs a command with `--json` in the data folder `who` and reads its document.
    async fn run(&self, who: &str, words: &[&str]) -> Result<Value, Failure> {
        let output = self.output(who, words, "").await?;
        serde_json::from_str(&output).map_err(|error| Failure::other(format!("holdfast {}: {error}", words.join(" "))))
    }

    async fn output(&self, who: &str, words: &[&str], input: &str) -> Result<String, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(words)
            .args(["--json", "--network", "devnet", "--rpc", &self.rpc, "--data-dir"])
            .arg(self.folder.join(who))
            .arg("--password-file")
            .arg(self.folder.join("password"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::other(format!("holdfast {}: {reason}", words.join(" "))));
        }
        String::from_utf8(output.stdout).map_err(Failure::other)
    }

    async fn stop(mut self) -> Outcome {
        self.devnet.kill().await?;
        Ok(())
    }

    fn say(&self, line: &str) {
        self.context.output.note(format!("[{:5.1} s] {line}", self.started.elapsed().as_secs_f64()));
    }

    fn detail(&self, line: &str) {
        self.context.output.note(format!("          {line}"));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn amount(value: &Value) -> Result<Amount, Failure> {
    serde_json::from_value(value.clone()).map_err(Failure::other)
}

fn count(value: &Value) -> Result<u64, Failure> {
    value.as_u64().ok_or_else(|| Failure::other(format!("{value} is no number")))
}

fn has_batches(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| std::fs::read_dir(entry.path()).is_ok_and(|mut below| below.next().is_some()))
}
