//! A heavy node with its faces: the node itself, JSON-RPC on top, and the faucet of a devnet.

use crate::failure::{Exit, Failure};
use crate::services::backend::NodeBackend;
use crate::services::faucet::DevFaucet;
use holdfast_node::{HeavyConfig, HeavyError, HeavyHandle, HeavyNode, Stopped};
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

/// Starts the node and opens its JSON-RPC port; with `faucet`, gives that account's money away.
pub async fn start(
    config: HeavyConfig,
    listen: SocketAddr,
    faucet: Option<SecretKey>,
) -> Result<HeavyService, Failure> {
    let node = HeavyNode::start(config).await.map_err(explain)?;
    let handle = node.handle();
    let faucet = faucet.map(|key| Arc::new(DevFaucet::new(handle.clone(), key)) as Arc<dyn Faucet>);
    let backend: Arc<dyn Backend> = Arc::new(NodeBackend::new(handle, faucet));
    let config = RpcConfig::at(listen);
    let rpc = holdfast_rpc::serve(config, backend).await.map_err(|error| {
        Failure::new(Exit::Failed, "rpc-listen", error.to_string())
            .hint("another program uses the port: choose one with --rpc-listen")
    })?;
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
    pub async fn stopped(&mut self) -> Stopped {
        self.node.stopped().await
    }

    /// Stops answering, then stops.
    pub async fn shutdown(self) {
        self.rpc.stop().await;
        self.node.shutdown().await;
    }
}

fn explain(error: HeavyError) -> Failure {
    let message = error.to_string();
    match error {
        HeavyError::Store(StoreError::Lock(_)) => Failure::new(Exit::Failed, "dir-in-use", message)
            .hint("stop the other process, or choose another folder with --dir"),
        HeavyError::Store(StoreError::OtherChain { .. }) => Failure::new(Exit::Failed, "other-chain", message)
            .hint("use the genesis file that this folder was made with, or another folder with --dir"),
        HeavyError::Store(StoreError::Format(_)) => Failure::new(Exit::Failed, "unknown-format", message)
            .hint("another version of holdfast wrote it, or it is damaged: start that version, or choose another folder with --dir"),
        _ => Failure::new(Exit::Failed, "heavy-node", message),
    }
}
