//! The ledger, as a holder asks for it, over a heavy node's JSON-RPC.

use async_trait::async_trait;
use holdfast_holder::{AccountView, ChainView, Ledger, LedgerError, RoundPhase, RoundView};
use holdfast_ledger::{Genesis, Holder, Slot, TxEnvelope};
use holdfast_network::parents::HeavyNode;
use holdfast_primitives::{Address, Height, HolderNo, NetworkPrefix, TxId};
use holdfast_rpc::account::RevokedView;
use holdfast_rpc::chain::BlockNotice;
use holdfast_rpc::market::HolderRef;
use holdfast_rpc::round::PhaseName;
use holdfast_rpc::{AddressText, Feed, PAGE_ROWS_MAX, PageAsk, RpcClient, RpcError};
use holdfast_wallet::{RememberedHeavies, ask_heavies, urls_of};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a transaction may take to become final before the holder gives up on the node.
const FINAL_WITHIN: Duration = Duration::from_secs(120);
/// How long to believe that there is no block before asking. A socket may die without a word.
const SILENCE: Duration = Duration::from_secs(10);

/// One heavy node, asked by JSON-RPC.
pub struct LedgerLink {
    rpc: RpcClient,
    prefix: NetworkPrefix,
    /// Where known heavy nodes are written down.
    remembered: RememberedHeavies,
    /// The node's word of every new block, while there is a socket to it.
    blocks: Mutex<Option<Feed<BlockNotice>>>,
}

impl LedgerLink {
    /// Asks `rpc`, whose network has addresses with `prefix`; further heavy nodes are written to `remembered`.
    pub const fn new(rpc: RpcClient, prefix: NetworkPrefix, remembered: RememberedHeavies) -> Self {
        Self { rpc, prefix, remembered, blocks: Mutex::const_new(None) }
    }
}

/// Waits for a block higher than `known`, or long enough to look again. A feed that ended is dropped.
async fn block_after(blocks: &mut Option<Feed<BlockNotice>>, known: Height) {
    let Some(feed) = blocks else { return };
    let higher = async {
        loop {
            match feed.next().await {
                Some(Ok(notice)) if notice.header.height <= known => {}
                Some(Ok(_)) => return true,
                Some(Err(_)) | None => return false,
            }
        }
    };
    if let Ok(false) = tokio::time::timeout(SILENCE, higher).await {
        *blocks = None;
    }
}

fn map(error: RpcError) -> LedgerError {
    match error {
        RpcError::Answered { reason, message, .. } => LedgerError::Refused { code: reason, message },
        RpcError::Dropped { code, message, .. } => LedgerError::Refused { code, message },
        other => LedgerError::Unavailable { reason: other.to_string() },
    }
}

fn unreadable(error: impl ToString) -> LedgerError {
    LedgerError::Unavailable { reason: format!("the node's answer cannot be read: {}", error.to_string()) }
}

#[async_trait]
impl Ledger for LedgerLink {
    async fn genesis(&self) -> Result<Genesis, LedgerError> {
        self.rpc.chain_genesis().await.map_err(map)?.raw.decode().map_err(unreadable)
    }

    async fn chain(&self) -> Result<ChainView, LedgerError> {
        let status = self.rpc.chain_status().await.map_err(map)?;
        let running = self.rpc.round_running().await.map_err(map)?;
        let phase = match (running.phase, running.seed) {
            (PhaseName::Open, _) => RoundPhase::Open,
            (PhaseName::Proving, Some(seed)) => {
                RoundPhase::Proving { seed: seed.seed.0.try_into().map_err(|_| unreadable("a seed is not 32 bytes"))? }
            }
            (PhaseName::AwaitingSeed | PhaseName::Proving, _) => RoundPhase::AwaitingSeed,
        };
        let running = RoundView { round: running.round, phase, due: running.due.time() };
        Ok(ChainView { height: status.height, time: status.time.time(), running })
    }

    async fn chain_after(&self, height: Height) -> Result<ChainView, LedgerError> {
        let mut blocks = self.blocks.lock().await;
        loop {
            // A node that fell silent may keep its socket open for long.
            if blocks.as_ref().is_some_and(|feed| feed.url() != self.rpc.url()) {
                *blocks = None;
            }
            // Listening comes before looking, so that no block falls in between.
            if blocks.is_none() {
                *blocks = Some(self.rpc.subscribe_blocks().await.map_err(map)?);
            }
            let view = self.chain().await?;
            if view.height > height {
                return Ok(view);
            }
            block_after(&mut blocks, view.height).await;
        }
    }

    async fn account(&self, address: &Address) -> Result<Option<AccountView>, LedgerError> {
        let found = self.rpc.find_account(AddressText::new(*address, self.prefix)).await.map_err(map)?;
        let view = |account: holdfast_rpc::account::AccountView| AccountView {
            balance: account.balance,
            sequence: account.sequence,
            holder: account.holder,
            revoked: account.revoked.iter().map(RevokedView::revoked).collect(),
        };
        Ok(found.map(view))
    }

    async fn holder(&self, number: HolderNo) -> Result<Holder, LedgerError> {
        let view = self.rpc.market_holder(HolderRef::Number(number)).await.map_err(map)?;
        view.raw.decode().map_err(unreadable)
    }

    async fn slots(&self, number: HolderNo, batch_log2: u8) -> Result<Vec<Slot>, LedgerError> {
        let (mut slots, mut first) = (Vec::new(), 0);
        loop {
            let ask = PageAsk::from(first).limit(PAGE_ROWS_MAX);
            let page = self.rpc.market_batches(HolderRef::Number(number), batch_log2, Some(ask)).await.map_err(map)?;
            for row in &page.rows {
                slots.push(row.raw.decode().map_err(unreadable)?);
            }
            match page.next {
                Some(next) => first = next,
                None => return Ok(slots),
            }
        }
    }

    async fn heavies(&self) -> Result<Vec<HeavyNode>, LedgerError> {
        let heavies = ask_heavies(&self.rpc).await.map_err(unreadable)?;
        self.rpc.learn(&urls_of(&heavies));
        let known = |nodes: &[HeavyNode]| -> Vec<_> {
            nodes.iter().map(|node| (node.addr.clone(), node.rpc_url.clone())).collect()
        };
        if known(&heavies) != known(&self.remembered.read()) {
            // A full disk keeps it from being remembered, and from worse; the holder itself says so elsewhere.
            let _ = self.remembered.write(&heavies);
        }
        Ok(heavies)
    }

    async fn lean_on(&self, parents: &[HeavyNode]) {
        self.rpc.learn(&urls_of(parents));
        if let Some(url) = parents.first().and_then(|parent| parent.rpc_url.as_deref()) {
            self.rpc.prefer(url).await;
        }
    }

    async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, LedgerError> {
        self.rpc.tx_submit(&envelope).await.map_err(map)
    }

    async fn wait_final(&self, envelope: &TxEnvelope) -> Result<Height, LedgerError> {
        Ok(self.rpc.settle(envelope, FINAL_WITHIN).await.map_err(map)?.height)
    }
}
