//! A heavy node, as JSON-RPC asks for it.

use async_trait::async_trait;
use holdfast_ledger::{Block, Event, Genesis, Header, SlotEvidence, Steps, TxEnvelope};
use holdfast_network::NodeAddr;
use holdfast_network::heavy::GraphFigures;
use holdfast_node::{HeavyHandle, SubmitError as PoolError, Waiting};
use holdfast_primitives::{Address, BlockHash, Certificate, Height, HolderNo, RoundNo, TxId, ValidatorSet};
use holdfast_rpc::tx::TxStatus;
use holdfast_rpc::{
    Backend, BackendError, Check, Faucet, GraphInfo, HeavyInfo, NodeInfo, ProofPlace, Standing, SubmitError, Tip,
};
use holdfast_store::StoreError;
use std::sync::Arc;
use tokio::sync::watch;

/// Events of one block, at most.
const EVENTS_MAX: usize = usize::MAX;

/// One heavy node and, on a devnet, its faucet.
pub struct NodeBackend {
    node: HeavyHandle,
    faucet: Option<Arc<dyn Faucet>>,
}

impl NodeBackend {
    /// Answers for `node`.
    pub const fn new(node: HeavyHandle, faucet: Option<Arc<dyn Faucet>>) -> Self {
        Self { node, faucet }
    }

    /// Says so when something is missing because the node began later.
    fn unless_before(&self, height: Height, is_before: impl Fn(Height) -> bool) -> Result<(), BackendError> {
        match self.node.core.db().joined().map_err(fault)? {
            Some(joined) if is_before(joined.height) && height > Height::GENESIS => {
                Err(BackendError::BeforeJoined { joined: joined.height })
            }
            _ => Ok(()),
        }
    }

    /// Where one proof transaction is, and which of its challenges failed.
    fn proof_place(&self, id: &TxId) -> Result<Option<ProofPlace>, StoreError> {
        let db = self.node.core.db();
        let Some(place) = db.tx_place(id)? else { return Ok(None) };
        let failed = db.events(place.height, 0, EVENTS_MAX)?.into_iter().find_map(|(_, event)| match event {
            Event::ProofVerified { tx, failed, .. } if tx == *id => Some(failed),
            _ => None,
        });
        Ok(failed.map(|failed| ProofPlace { height: place.height, index: place.position, failed }))
    }
}

fn fault(error: impl std::error::Error + Send + Sync + 'static) -> BackendError {
    BackendError::Fault(Box::new(error))
}

#[async_trait]
impl Backend for NodeBackend {
    fn genesis(&self) -> Arc<Genesis> {
        Arc::clone(self.node.core.genesis())
    }

    fn tip(&self) -> Tip {
        let tip = self.node.core.tip();
        Tip { hash: tip.hash, header: tip.header, state: tip.state }
    }

    fn watch_height(&self) -> watch::Receiver<Height> {
        self.node.core.watch_height()
    }

    fn watch_drops(&self) -> watch::Receiver<u64> {
        self.node.core.watch_drops()
    }

    fn height_of(&self, block: &BlockHash) -> Result<Option<Height>, BackendError> {
        self.node.core.db().height_of(block).map_err(fault)
    }

    fn header(&self, height: Height) -> Result<Option<Header>, BackendError> {
        Ok(self.block(height)?.map(|block| block.header))
    }

    fn block(&self, height: Height) -> Result<Option<Block>, BackendError> {
        match self.node.core.db().block(height).map_err(fault)? {
            Some(block) => Ok(Some(block)),
            None => self.unless_before(height, |joined| height < joined).map(|()| None),
        }
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, BackendError> {
        match self.node.core.db().certificate(height).map_err(fault)? {
            Some(certificate) => Ok(Some(certificate)),
            None => self.unless_before(height, |joined| height < joined).map(|()| None),
        }
    }

    fn validators(&self, height: Height) -> Result<Option<ValidatorSet>, BackendError> {
        let Some(header) = self.header(height)? else { return Ok(None) };
        self.node.core.db().validator_set(&header.validators).map_err(fault)
    }

    fn steps(&self, after: Height) -> Result<Steps, BackendError> {
        if let Some(joined) = self.node.core.db().joined().map_err(fault)?
            && after < joined.follow_from
        {
            return Err(BackendError::BeforeJoined { joined: joined.height });
        }
        self.node.core.db().steps(after).map_err(fault)
    }

    fn events(&self, height: Height) -> Result<Option<Vec<Event>>, BackendError> {
        if height > self.node.core.tip().state.chain().height {
            return Ok(None);
        }
        self.unless_before(height, |joined| height <= joined)?;
        let events = self.node.core.db().events(height, 0, EVENTS_MAX).map_err(fault)?;
        Ok(Some(events.into_iter().map(|(_, event)| event).collect()))
    }

    fn tx_status(&self, id: &TxId) -> Result<TxStatus, BackendError> {
        if let Some(place) = self.node.core.db().tx_place(id).map_err(fault)? {
            return Ok(TxStatus::Final { height: place.height, index: place.position });
        }
        Ok(match self.node.core.waiting(id) {
            Some(Waiting::Pending) => TxStatus::Pending,
            Some(Waiting::Dropped(reason)) => TxStatus::Dropped {
                code: reason.code().to_owned(),
                message: reason.to_string(),
                replaced_by: reason.replaced_by(),
            },
            None => TxStatus::Unknown,
        })
    }

    fn txs_between(&self, low: &TxId, high: &TxId, limit: usize) -> Result<Vec<TxId>, BackendError> {
        self.node.core.db().txs_between(low, high, limit).map_err(fault)
    }

    fn proof_parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<ProofPlace>, BackendError> {
        let parts = self.node.core.db().proof_parts(round, holder).map_err(fault)?;
        let places = parts.iter().map(|(_, id)| self.proof_place(id).map_err(fault));
        Ok(places.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn openings(&self, tx: &TxId) -> Result<Option<Vec<u8>>, BackendError> {
        self.node.core.db().openings(tx).map_err(fault)
    }

    fn slot_evidence(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SlotEvidence>, BackendError> {
        self.node.core.db().evidence(round, holder).map_err(fault)
    }

    async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, SubmitError> {
        submit(&self.node, envelope).await
    }

    fn node(&self) -> NodeInfo {
        let Standing { peers, synced, version } = self.standing();
        NodeInfo {
            account: self.node.address,
            node_addr: self.node.addr().to_string(),
            children: u32::try_from(self.node.control.children()).unwrap_or(u32::MAX),
            peers,
            graph: graph_of(self.node.graph()),
            synced,
            version: version.to_owned(),
        }
    }

    fn heavies(&self) -> Vec<HeavyInfo> {
        let info = |(node, rpc_url): (NodeAddr, Option<String>)| HeavyInfo {
            address: node.id,
            node_addr: node.to_string(),
            rpc_url,
        };
        self.node.heavies().into_iter().map(info).collect()
    }

    fn standing(&self) -> Standing {
        let peers = u32::try_from(self.node.peers().len()).unwrap_or(u32::MAX);
        Standing { peers, synced: true, version: env!("CARGO_PKG_VERSION") }
    }

    fn is_online(&self, holder: &Address) -> bool {
        self.node.is_online(holder)
    }

    fn faucet(&self) -> Option<Arc<dyn Faucet>> {
        self.faucet.clone()
    }

    fn health(&self) -> Vec<Check> {
        let tip = self.node.core.tip();
        let (waiting, bytes) = self.node.core.mempool_size();
        let age_ms = self.node.core.now().since(tip.state.chain().time);
        let quiet_ms = tip.state.params().heartbeat_ms.saturating_mul(3);
        let height = tip.state.chain().height;
        vec![
            Check {
                name: "chain",
                ok: height == Height::GENESIS || age_ms <= quiet_ms,
                detail: format!("height {height}, newest block {age_ms} ms old"),
            },
            Check { name: "mempool", ok: true, detail: format!("{waiting} transactions, {bytes} bytes") },
            Check { name: "holders", ok: true, detail: format!("{} connected", self.node.control.holders().len()) },
        ]
    }

    fn metrics(&self) -> String {
        self.node.metrics()
    }
}

fn graph_of(figures: GraphFigures) -> GraphInfo {
    let GraphFigures { neighbours, served, forwarded, unanswered, repeated, refused } = figures;
    let neighbours = u32::try_from(neighbours).unwrap_or(u32::MAX);
    GraphInfo { neighbours, served, forwarded, unanswered, repeated, refused }
}

/// Admits a transaction.
pub async fn submit(node: &HeavyHandle, envelope: TxEnvelope) -> Result<TxId, SubmitError> {
    node.submit(envelope).await.map_err(|error| {
        let refused = |code: &str| SubmitError::Refused { code: code.to_owned(), message: error.to_string() };
        match &error {
            PoolError::Unsound(rule) | PoolError::Rule(rule) => refused(rule.code()),
            PoolError::Known { .. } => refused("tx_known"),
            PoolError::Underpriced { .. } => refused("replacement_underpriced"),
            PoolError::SenderBytes { .. } => refused("sender_full"),
            PoolError::SenderFull { waiting, .. } | PoolError::PoolFull { count: waiting, .. } => {
                SubmitError::PoolFull { waiting: *waiting }
            }
            PoolError::Unfinished => SubmitError::Fault(Box::new(error)),
        }
    })
}
