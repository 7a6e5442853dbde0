//! `holdfast doctor`: whether this machine and its settings are fit.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use serde::Serialize;

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub async fn run(context: &Context) -> Outcome {
    let findings = vec![data_dir(context), wallets(context), clock(context).await, node(context).await];
    let lines = findings
        .iter()
        .map(|finding| format!("[{}] {:<8} {}", if finding.ok { '+' } else { '!' }, finding.what, finding.detail));
    context.output.result(lines.collect::<Vec<_>>().join("\n"), &findings);
    match findings.iter().find(|finding| !finding.ok) {
        None => Ok(()),
        Some(finding) => Err(Failure::new(Exit::Failed, "unfit", format!("{}: {}", finding.what, finding.detail))),
    }
}

fn data_dir(context: &Context) -> Finding {
    let dir = context.data_dir();
    let written = std::fs::create_dir_all(&dir).and_then(|()| tempfile::tempfile_in(&dir));
    Finding {
        what: "folder",
        ok: written.is_ok(),
        detail: written.map_or_else(|error| format!("{}: {error}", dir.display()), |_| dir.display().to_string()),
    }
}

fn wallets(context: &Context) -> Finding {
    match context.keystore().list() {
        Ok(wallets) => {
            Finding { what: "wallets", ok: true, detail: format!("{} on {}", wallets.len(), context.network()) }
        }
        Err(error) => Finding { what: "wallets", ok: false, detail: error.to_string() },
    }
}

async fn node(context: &Context) -> Finding {
    match context.rpc() {
        Ok(rpc) => match rpc.chain_status().await {
            Ok(status) => {
                Finding { what: "node", ok: true, detail: format!("{} at height {}", rpc.url(), status.height) }
            }
            Err(error) => Finding { what: "node", ok: false, detail: error.to_string() },
        },
        Err(failure) => Finding { what: "node", ok: false, detail: failure.message },
    }
}

/// Proposals far ahead of this clock are refused, so a wrong clock makes a node useless.
async fn clock(context: &Context) -> Finding {
    let Ok(rpc) = context.rpc() else { return Finding { what: "clock", ok: true, detail: "not compared".to_owned() } };
    let Ok(status) = rpc.chain_status().await else {
        return Finding { what: "clock", ok: true, detail: "not compared".to_owned() };
    };
    let ahead = status.time.ms.saturating_sub(holdfast_node::now().get());
    Finding { what: "clock", ok: ahead < 15_000, detail: format!("the newest block is {ahead} ms ahead of this clock") }
}
