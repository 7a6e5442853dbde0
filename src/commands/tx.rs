//! `holdfast tx`: look at or wait for a transaction.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ids;
use crate::services::outbox;
use clap::Subcommand;
use holdfast_primitives::TxId;
use holdfast_rpc::{Inclusion, RpcClient, RpcError};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum TxCommand {
    /// Show a final transaction
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Wait until a transaction is final
    Wait {
        /// Its id
        id: String,
        /// Give up after
        #[arg(long, default_value = "2m")]
        timeout: humantime::Duration,
    },
}

pub async fn run(context: &Context, command: TxCommand) -> Outcome {
    let rpc = context.rpc()?;
    match command {
        TxCommand::Show { id } => {
            let view = rpc.tx_get(ids::transaction(&rpc, &id).await?).await?;
            let text = serde_json::to_string_pretty(&view).map_err(Failure::other)?;
            context.output.result(text, &view);
        }
        TxCommand::Wait { id, timeout } => {
            let found = wait(context, &rpc, ids::transaction(&rpc, &id).await?, Duration::from(timeout)).await?;
            let value = serde_json::json!({ "tx": found.tx, "height": found.height, "index": found.index });
            context.output.result(format!("final in block {}", found.height), &value);
        }
    }
    Ok(())
}

/// What this machine handed in is handed in again where a node has forgotten it; of another only the id is known.
async fn wait(context: &Context, rpc: &RpcClient, id: TxId, timeout: Duration) -> Result<Inclusion, RpcError> {
    let Some(envelope) = outbox::find(context, &id) else { return rpc.wait_final(id, timeout).await };
    let settled = rpc.settle(&envelope, timeout).await;
    if matches!(settled, Ok(_) | Err(RpcError::Dropped { .. })) {
        outbox::forget(context, &id);
    }
    settled
}
