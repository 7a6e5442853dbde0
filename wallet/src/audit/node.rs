//! A heavy node as a witness, asked by JSON-RPC.

use crate::audit::source::{EvidenceSource, SentPart};
use crate::error::WalletError;
use async_trait::async_trait;
use holdfast_ledger::{
    Block, Event, FrozenHolder, Genesis, Header, Payment, RecordKey, RoundResult, SlotEvidence, StateProof, Step,
    TxBody,
};
use holdfast_primitives::limits::PROOF_PART_BYTES_MAX;
use holdfast_primitives::{Bounded, Certificate, Height, HolderNo, RoundNo, TxId};
use holdfast_rpc::audit::{AUDIT_SLOTS_MAX, RecordRef};
use holdfast_rpc::chain::BlockRef;
use holdfast_rpc::error::NOT_KEPT;
use holdfast_rpc::market::HolderRef;
use holdfast_rpc::{PAGE_ROWS_MAX, Page, PageAsk, RpcClient, RpcError};
use std::collections::HashMap;

/// Rows of one list, at most: a node that goes on for ever is stopped.
const ROWS_MAX: usize = 1 << 24;

/// One heavy node.
#[derive(Clone)]
pub struct NodeSource {
    rpc: RpcClient,
}

impl NodeSource {
    /// The node at `url`.
    ///
    /// # Errors
    /// When that is no address of a node. Nothing is asked yet.
    pub fn connect(url: &str) -> Result<Self, WalletError> {
        Ok(Self { rpc: RpcClient::connect(url)? })
    }

    /// The newest height that the node knows.
    pub(crate) async fn height(&self) -> Result<Height, WalletError> {
        Ok(self.rpc.chain_status().await?.height)
    }

    /// A block's header, a certificate, and the set that decides the next.
    pub(crate) async fn step(&self, height: Height) -> Result<Step, WalletError> {
        self.rpc.chain_step(BlockRef::Height(height)).await?.decode().map_err(WalletError::unreadable)
    }

    /// A block without the openings of its proofs.
    pub(super) async fn block(&self, height: Height) -> Result<Block, WalletError> {
        let view = self.rpc.chain_block_raw(BlockRef::Height(height)).await?;
        view.raw.decode().map_err(WalletError::unreadable)
    }

    /// The openings that a proof transaction brought; `None` once they are pruned.
    pub(super) async fn openings(&self, id: TxId) -> Result<Option<Bounded<u8, PROOF_PART_BYTES_MAX>>, WalletError> {
        match self.rpc.audit_openings(id).await {
            Ok(openings) => Ok(Some(Bounded::new(openings.0).map_err(WalletError::unreadable)?)),
            Err(error) if error.is_reason(NOT_KEPT.reason) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Which challenges failed in each proof of a block, as the block's events state it.
    pub(super) async fn outcomes(&self, height: Height) -> Result<HashMap<TxId, Vec<u32>>, WalletError> {
        let rows = pages(|ask| self.rpc.chain_events(BlockRef::Height(height), Some(ask))).await?;
        let mut outcomes = HashMap::new();
        for row in rows {
            if let Event::ProofVerified { tx, failed, .. } = row.raw.decode().map_err(WalletError::unreadable)? {
                outcomes.insert(tx, failed);
            }
        }
        Ok(outcomes)
    }
}

#[async_trait]
impl EvidenceSource for NodeSource {
    fn name(&self) -> String {
        format!("the node at {}", self.rpc.url())
    }

    async fn genesis(&self) -> Result<Genesis, WalletError> {
        self.rpc.chain_genesis().await?.raw.decode().map_err(WalletError::unreadable)
    }

    async fn latest(&self) -> Result<Option<RoundNo>, WalletError> {
        Ok(self.rpc.round_latest().await?.map(|record| record.round))
    }

    async fn record(&self, key: RecordKey) -> Result<(StateProof, Header), WalletError> {
        let view = self.rpc.audit_record(RecordRef::of(key)).await?;
        let header = view.header.ok_or_else(|| WalletError::unreadable(format!("no header beside {key:?}")))?;
        let proof = view.proof.decode().map_err(WalletError::unreadable)?;
        Ok((proof, header.decode().map_err(WalletError::unreadable)?))
    }

    async fn header(&self, height: Height) -> Result<Header, WalletError> {
        self.rpc.chain_header(BlockRef::Height(height)).await?.raw.decode().map_err(WalletError::unreadable)
    }

    async fn certificate(&self, height: Height) -> Result<Certificate, WalletError> {
        self.rpc.chain_certificate(BlockRef::Height(height)).await?.raw.decode().map_err(WalletError::unreadable)
    }

    async fn steps(&self, after: Height) -> Result<Vec<Step>, WalletError> {
        let steps = self.rpc.chain_steps(after).await?;
        steps.iter().map(|step| step.decode().map_err(WalletError::unreadable)).collect()
    }

    async fn frozen(&self, round: RoundNo) -> Result<Vec<FrozenHolder>, WalletError> {
        let rows = pages(|ask| self.rpc.round_frozen(round, Some(ask))).await?;
        rows.iter().map(|row| row.raw.decode().map_err(WalletError::unreadable)).collect()
    }

    async fn results(&self, round: RoundNo) -> Result<Vec<RoundResult>, WalletError> {
        let rows = pages(|ask| self.rpc.round_results(round, Some(ask))).await?;
        rows.iter().map(|row| row.raw.decode().map_err(WalletError::unreadable)).collect()
    }

    async fn payments(&self, round: RoundNo) -> Result<Vec<Payment>, WalletError> {
        let rows = pages(|ask| self.rpc.round_payments(round, Some(ask))).await?;
        let payment = |row: &holdfast_rpc::round::PaymentView| Payment {
            contract: row.contract,
            batches: row.batches,
            paid: row.paid,
            relay_fee: row.relay_fee,
        };
        Ok(rows.iter().map(payment).collect())
    }

    async fn parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SentPart>, WalletError> {
        let bundle = self.rpc.audit_bundle(round, HolderRef::Number(holder)).await?;
        let mut parts = Vec::with_capacity(bundle.parts.len());
        for brief in bundle.parts {
            let signed = brief.raw.decode().map_err(WalletError::unreadable)?;
            let TxBody::Prove { part, .. } = signed.tx.body else {
                return Err(WalletError::unreadable(format!("a part of holder {holder}'s proof that is no proof")));
            };
            let openings = self.openings(brief.tx).await?.ok_or(WalletError::ProofsPruned { round })?;
            parts.push((part, openings.into_inner()));
        }
        Ok(parts)
    }

    async fn slots(
        &self,
        round: RoundNo,
        holder: HolderNo,
        batch_log2: u8,
        slots: &[u32],
    ) -> Result<Vec<SlotEvidence>, WalletError> {
        let mut evidence = Vec::with_capacity(slots.len());
        for chunk in slots.chunks(AUDIT_SLOTS_MAX) {
            let asked = self.rpc.audit_slots(round, HolderRef::Number(holder), batch_log2, chunk.to_vec()).await;
            let view = asked.map_err(|error| match error.is_reason(NOT_KEPT.reason) {
                true => WalletError::ProofsPruned { round },
                false => error.into(),
            })?;
            for entry in &view.rows {
                let entry = entry.decode(batch_log2);
                evidence.push(entry.ok_or_else(|| WalletError::unreadable("evidence that is none"))?);
            }
        }
        Ok(evidence)
    }
}

/// All rows of a paged answer.
async fn pages<T, F: Future<Output = Result<Page<T>, RpcError>>>(
    ask: impl Fn(PageAsk) -> F,
) -> Result<Vec<T>, WalletError> {
    let (mut rows, mut first) = (Vec::new(), 0);
    loop {
        let page = ask(PageAsk::from(first).limit(PAGE_ROWS_MAX)).await?;
        rows.extend(page.rows);
        match page.next {
            None => return Ok(rows),
            Some(next) if next > first && rows.len() < ROWS_MAX => first = next,
            Some(next) => {
                return Err(WalletError::unreadable(format!("a list of {} rows that goes on at {next}", rows.len())));
            }
        }
    }
}
