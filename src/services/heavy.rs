//! A heavy node with its faces: the node itself, JSON-RPC on top, and the faucet of a devnet.

use crate::failure::{DIR_IN_USE, Exit, Failure};
use crate::services::backend::NodeBackend;
use crate::services::faucet::DevFaucet;
use holdfast_node::{HeavyConfig, HeavyError, HeavyHandle, HeavyNode, JoinError, NodeStopped, Stopped};
use holdfast_primitives::SecretKey;
use holdfast_rpc::{Backend, Faucet, RpcConfig, RpcServer};
use holdfast_store::StoreError;
use std::net::SocketAddr;
use std::sync::Arc;

/// A running heavy node that answers.
pub struct HeavyService {
    node: HeavyNode,
    rpc: RpcServer,
}

/// Starts the node and opens its JSON-RPC port. Light nodes are told that it answers at `rpc_url`, or else at the address it
/// listens on, unless that says nothing; with `faucet`, gives that account's money away.
pub async fn start(
    config: HeavyConfig,
    listen: SocketAddr,
    rpc_url: Option<String>,
    faucet: Option<SecretKey>,
) -> Result<HeavyService, Failure> {
    let node = HeavyNode::start(config).await.map_err(explain)?;
    let handle = node.handle();
    let faucet = faucet.map(|key| Arc::new(DevFaucet::new(handle.clone(), key)) as Arc<dyn Faucet>);
    let backend: Arc<dyn Backend> = Arc::new(NodeBackend::new(handle.clone(), faucet));
    let config = RpcConfig::at(listen);
    let rpc = holdfast_rpc::serve(config, backend).await.map_err(|error| {
        Failure::new(Exit::Failed, "rpc-listen", error.to_string())
            .hint("another program uses the port: choose one with --rpc-listen")
    })?;
    let listening = (!rpc.addr().ip().is_unspecified()).then(|| format!("http://{}", rpc.addr()));
    if let Some(url) = rpc_url.or(listening) {
        handle.answers_at(url);
    }
    Ok(HeavyService { node, rpc })
}

impl HeavyService {
    /// Where JSON-RPC answers.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc.addr())
    }

    /// The node's insides, for what runs beside it.
    pub fn handle(&self) -> HeavyHandle {
        self.node.handle()
    }

    /// Waits until the node is of no use any more.
    pub async fn stopped(&mut self) -> NodeStopped {
        self.node.stopped().await
    }

    /// Stops answering, then stops.
    pub async fn shutdown(self) {
        self.rpc.stop().await;
        self.node.shutdown().await;
    }
}

/// Why a node that ran has ended, and what to do about it. Whoever supervises it starts it again unless that is unsafe.
pub fn explain_stop(stopped: &NodeStopped) -> Failure {
    let (exit, code, hint) = match stopped {
        NodeStopped::HistoryGone { .. } => (
            Exit::Failed,
            "history-gone",
            "join by a snapshot: --sync snapshot, after moving the folder `chain` away if there is one; keep `keys` and `consensus`",
        ),
        NodeStopped::Consensus(Stopped::Shutdown) => (Exit::Failed, "shut-down", "start it again"),
        NodeStopped::Consensus(Stopped::App { reason, .. }) if reason.contains("No space left") => (
            Exit::Failed,
            "ledger-failed",
            "the disk is full: make room on it and start again; nothing that was final is lost",
        ),
        NodeStopped::Consensus(Stopped::App { action: "go on", .. }) => {
            (Exit::Failed, "too-old", "install the release that knows the next rule book, and start it again")
        }
        NodeStopped::Consensus(Stopped::App { .. }) => {
            (Exit::Failed, "ledger-failed", "look at the disk, a full one above all, then start it again")
        }
        NodeStopped::Consensus(Stopped::Unsafe) => {
            (Exit::Unsafe, "log-failed", "mend the disk first; never delete the log of a key that may still vote")
        }
        NodeStopped::Consensus(Stopped::Ended { .. }) => (Exit::Failed, "consensus-ended", "start it again"),
        NodeStopped::Consensus(Stopped::Stalled { .. }) => (
            Exit::Failed,
            "stalled",
            "more than two thirds of the votes are needed: look after the other validators and the way to them",
        ),
    };
    Failure::new(exit, code, stopped.to_string()).hint(hint)
}

fn explain(error: HeavyError) -> Failure {
    let message = error.to_string();
    match error {
        HeavyError::Store(StoreError::Lock(_)) => Failure::new(Exit::Failed, DIR_IN_USE, message)
            .hint("stop the other process, or choose another folder with --dir"),
        HeavyError::Join(JoinError::NoPeers) => Failure::new(Exit::Usage, "no-peers", message)
            .hint("name another heavy node with --peer, as its `node` line says"),
        HeavyError::Join(JoinError::NoSnapshot { .. }) => Failure::new(Exit::Failed, "no-snapshot", message)
            .hint("the log says what each peer answered: name other peers with --peer, or look at --checkpoint"),
        HeavyError::Store(StoreError::Conflict { .. }) => Failure::new(Exit::Failed, "other-history", message)
            .hint("the checkpoint and the folder are of different histories: check --checkpoint, or move the folder `chain` away"),
        HeavyError::Store(StoreError::OtherChain { .. }) => Failure::new(Exit::Failed, "other-chain", message)
            .hint("use the genesis file that this folder was made with, or another folder with --dir"),
        HeavyError::Store(StoreError::Format(_)) => Failure::new(Exit::Failed, "unknown-format", message)
            .hint("another version of holdfast wrote it, or it is damaged: start that version, or choose another folder with --dir"),
        _ => Failure::new(Exit::Failed, "heavy-node", message),
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeStopped, Stopped, explain_stop};
    use holdfast_primitives::Height;
    use std::time::Duration;

    /// Every way in which consensus can end; a new one does not compile until it has a place here.
    fn all() -> Vec<Stopped> {
        let (height, reason) = (Height::new(7), "no space left".to_owned());
        let ends = vec![
            Stopped::Shutdown,
            Stopped::App { action: "commit", height, reason: reason.clone() },
            Stopped::Unsafe,
            Stopped::Ended { reason },
            Stopped::Stalled { height, quiet: Duration::from_secs(600) },
        ];
        for end in &ends {
            match end {
                Stopped::Shutdown
                | Stopped::App { .. }
                | Stopped::Unsafe
                | Stopped::Ended { .. }
                | Stopped::Stalled { .. } => {}
            }
        }
        ends
    }

    #[test]
    fn the_guide_for_operators_says_what_to_do_about_every_end() {
        let guide = include_str!("../../docs/run-a-validator.md");
        for stopped in all() {
            let failure = explain_stop(&NodeStopped::Consensus(stopped.clone()));
            let row = guide.lines().find(|line| line.starts_with(&format!("| `{}` |", failure.code)));
            let row = row.unwrap_or_else(|| panic!("the guide does not know {}", failure.code));
            let quoted = row.split('`').nth(3).expect("the second column quotes the message");
            let mut told = failure.message.as_str();
            for part in quoted.split("...").map(str::trim) {
                let at =
                    told.find(part).unwrap_or_else(|| panic!("{quoted:?} is not what it says: {}", failure.message));
                told = &told[at + part.len()..];
            }
        }
    }

    #[test]
    fn only_what_a_restart_could_make_worse_is_not_restarted() {
        let unit = include_str!("../../packaging/systemd/holdfast-heavy.service");
        let line =
            unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).expect("the unit has it");
        let prevented: Vec<u8> = line.split(' ').map(|code| code.parse().expect("a code")).collect();
        for stopped in all() {
            let is_unsafe = stopped == Stopped::Unsafe;
            let code = explain_stop(&NodeStopped::Consensus(stopped)).exit as u8;
            assert_eq!(prevented.contains(&code), is_unsafe, "{code}");
        }
    }
}
