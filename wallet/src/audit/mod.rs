//! Auditing: what the network claims, verified on this machine from public data, with the ledger's own code.
//!
//! A round ([`Auditor::round`]): its record is proven against a header that a quorum of its height's validators signed, its
//! rows against the record, its seed against the beacon's VRF, every opening against the frozen lists; contracts and heavy
//! nodes are proven against certified headers too, every payment is computed again from them, and every holder's sum
//! is compared with what its frozen row promised.
//!
//! A chain ([`replay_chain`]): every block from the genesis on is applied again. Nothing is left that is not computed,
//! but for the proofs whose openings nodes have pruned.
//!
//! The evidence comes from an [`EvidenceSource`]: a node, a [`Recorder`] that makes a [`Bundle`] of what it hears, or a bundle.
//!
//! Taken on trust: the genesis, unless the caller names the chain.

mod bundle;
mod node;
mod payroll;
mod pieces;
mod proven;
mod recorder;
mod replay;
mod source;
mod verdict;

pub use bundle::{Bundle, BundledPart};
pub use node::NodeSource;
pub use pieces::{PieceVerdict, SegmentVerdict};
pub use recorder::Recorder;
pub use replay::replay_chain;
pub use source::{EvidenceSource, SentPart};
pub use verdict::{ChainVerdict, ContractVerdict, HolderVerdict, HopVerdict, RoundSpan, RoundVerdict};

use crate::error::WalletError;
use crate::followed::Followed;
use holdfast_ledger::{
    Contract, FrozenHolder, Genesis, Header, HolderClaim, RoundRecord, RoundResult, SlotEvidence, Trusted,
    audit_holder, audit_round_rows,
};
use holdfast_por::{HolderChallenge, Position, RoundSeed};
use holdfast_primitives::{AccountNo, Address, Amount, ChainId, ContractNo, Digest, Height, HolderNo, RoundNo};
use payroll::{Judged, Paid, Payroll};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Audits one chain by what one source tells.
pub struct Auditor {
    source: Arc<dyn EvidenceSource>,
    genesis: Genesis,
    chain: ChainId,
    followed: Followed,
    headers: BTreeMap<Height, Header>,
    contracts: BTreeMap<ContractNo, Contract>,
    addresses: BTreeMap<AccountNo, Address>,
}

impl Auditor {
    /// Learns the network's genesis from the source; with `trusted`, refuses any other chain.
    ///
    /// # Errors
    /// [`WalletError::OtherChain`], or what the source could not tell.
    pub async fn open(source: Arc<dyn EvidenceSource>, trusted: Option<ChainId>) -> Result<Self, WalletError> {
        let genesis = source.genesis().await?;
        let (found, witness) = (genesis.chain_id(), source.name());
        if let Some(expected) = trusted.filter(|expected| *expected != found) {
            return Err(WalletError::OtherChain { witness, expected, found });
        }
        let refused = |reason: String| unproven("the genesis", reason).told_by(&witness);
        let trusted = Trusted::genesis(&genesis).map_err(|error| refused(error.to_string()))?;
        let (headers, contracts, addresses) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let followed = Followed::from(trusted);
        let mut auditor = Self { source, genesis, chain: found, followed, headers, contracts, addresses };
        let followed = auditor.follow().await;
        followed.map_err(|error| error.told_by(&witness))?;
        Ok(auditor)
    }

    /// The chain that is audited.
    pub const fn chain_id(&self) -> ChainId {
        self.chain
    }

    /// The newest settled round; `None` before the first.
    ///
    /// # Errors
    /// What the source could not tell.
    pub async fn latest(&self) -> Result<Option<RoundNo>, WalletError> {
        self.source.latest().await
    }

    /// Verifies everything about a settled round; with `only`, opens only that holder's proof.
    ///
    /// # Errors
    /// [`WalletError::Refuted`] with the first thing that does not hold; what the source could not tell.
    pub async fn round(&mut self, round: RoundNo, only: Option<HolderNo>) -> Result<RoundVerdict, WalletError> {
        let verdict = self.judge_round(round, only).await;
        verdict.map_err(|error| error.told_by(&self.source.name()))
    }

    async fn judge_round(&mut self, round: RoundNo, only: Option<HolderNo>) -> Result<RoundVerdict, WalletError> {
        let (record, proven_at) = self.round_record(round).await?;
        self.check_seed(&record).await?;
        let frozen = self.source.frozen(round).await?;
        let results = self.source.results(round).await?;
        audit_round_rows(&record, &frozen, &results)?;
        let (mut judged, mut holders) = (Vec::with_capacity(frozen.len()), Vec::new());
        for (row, result) in frozen.into_iter().zip(results) {
            let mut audit = None;
            if only.is_none_or(|only| only == row.number) {
                let (found, verdict) = self.judge_holder(&record, &row, &result).await?;
                audit = Some(found);
                holders.push((row.number, verdict));
            }
            judged.push(Judged { row, result, audit });
        }
        if only.is_none() {
            check_newly_faulty(&record, &judged)?;
        }
        let payroll = self.payroll(&record, &judged).await?;
        let contracts = self.contract_verdicts(&payroll, &judged, only);
        Ok(self.verdict(&record, proven_at, holders, &payroll, contracts))
    }

    fn verdict(
        &self,
        record: &RoundRecord,
        proven_at: Height,
        holders: Vec<(HolderNo, HolderVerdict)>,
        payroll: &Payroll,
        contracts: Vec<ContractVerdict>,
    ) -> RoundVerdict {
        let prefix = self.genesis.params.prefix;
        let paid = |number| payroll.net.get(&number).copied().unwrap_or(Amount::ZERO);
        let with_pay = |(number, verdict)| HolderVerdict { paid: paid(number), ..verdict };
        RoundVerdict {
            chain: self.chain,
            round: record.round,
            proven_at,
            settled_at: record.settle_height,
            batches: record.batches,
            holders: holders.into_iter().map(with_pay).collect(),
            paid: record.paid,
            relay_fees: record.relay_fees,
            heavy_nodes: payroll.heavy.iter().map(|(node, amount)| (node.to_text(prefix), *amount)).collect(),
            contracts,
            proof_fees: record.proof_fees,
            fines: record.fines,
        }
    }

    fn contract_verdicts(&self, payroll: &Payroll, judged: &[Judged], only: Option<HolderNo>) -> Vec<ContractVerdict> {
        let prefix = self.genesis.params.prefix;
        let names: BTreeMap<HolderNo, Address> =
            judged.iter().map(|holder| (holder.row.number, holder.row.holder)).collect();
        let paid = payroll.contracts.iter().filter(|paid| only.is_none_or(|only| only == paid.holder));
        let verdict = |paid: &Paid| ContractVerdict {
            contract: paid.payment.contract,
            holder: names.get(&paid.holder).map_or_else(String::new, |holder| holder.to_text(prefix)),
            batches: paid.payment.batches,
            paid: paid.payment.paid,
            relay_fee: paid.payment.relay_fee,
            path: paid
                .path
                .iter()
                .map(|(node, earned)| HopVerdict { node: node.to_text(prefix), earned: *earned })
                .collect(),
        };
        paid.map(verdict).collect()
    }

    async fn judge_holder(
        &self,
        record: &RoundRecord,
        row: &FrozenHolder,
        result: &RoundResult,
    ) -> Result<(holdfast_ledger::HolderAudit, HolderVerdict), WalletError> {
        let parts = self.source.parts(record.round, row.number).await?;
        let evidence = if parts.is_empty() { Vec::new() } else { self.evidence(record, row).await? };
        let claim = HolderClaim { record, frozen: row, result, parts: &parts, evidence: &evidence };
        let audit = audit_holder(&self.genesis.params, &self.chain, &claim)?;
        let root = |batch_log2, slot| {
            let found = evidence.iter().find(|entry| (entry.batch_log2, entry.slot) == (batch_log2, slot));
            found.map(|entry| Digest::new(entry.record.meta.root).to_string())
        };
        let verdict = HolderVerdict {
            holder: row.holder.to_text(self.genesis.params.prefix),
            batches: row.frozen.classes.iter().fold(0, |sum, class| sum.saturating_add(class.batches)),
            challenges: audit.challenges,
            missing: u32::try_from(audit.missing.len()).unwrap_or(u32::MAX),
            missed: audit.missed,
            lost: audit.lost.iter().filter_map(|lost| root(lost.batch_log2, lost.slot)).collect(),
            paid: Amount::ZERO,
        };
        Ok((audit, verdict))
    }

    /// The challenged slots of a holder, each with its path to the frozen list.
    async fn evidence(&self, record: &RoundRecord, row: &FrozenHolder) -> Result<Vec<SlotEvidence>, WalletError> {
        let mut wanted: BTreeMap<u8, BTreeSet<u32>> = BTreeMap::new();
        for position in challenged(&self.chain, record, row)? {
            let slot = u32::try_from(position.slot).map_err(WalletError::unreadable)?;
            wanted.entry(position.batch_log2).or_default().insert(slot);
        }
        let mut evidence = Vec::new();
        for (batch_log2, slots) in wanted {
            let slots: Vec<u32> = slots.into_iter().collect();
            evidence.extend(self.source.slots(record.round, row.number, batch_log2, &slots).await?);
        }
        Ok(evidence)
    }
}

fn challenged(chain: &ChainId, record: &RoundRecord, row: &FrozenHolder) -> Result<Vec<Position>, WalletError> {
    let of = RoundSeed {
        chain: *chain,
        round: record.round,
        seed: record.seed,
        holder: row.holder,
        set_root: row.frozen.set_root,
    };
    let counts: Vec<_> = row.frozen.classes.iter().map(|class| class.count()).collect();
    let challenge = HolderChallenge::new(of, &counts, row.frozen.challenges);
    Ok(challenge.map_err(|error| unproven(format!("the frozen row of {}", row.holder), error))?.positions().collect())
}

fn check_newly_faulty(record: &RoundRecord, judged: &[Judged]) -> Result<(), WalletError> {
    let lost = judged.iter().filter_map(|holder| holder.audit.as_ref()).map(|audit| audit.lost.len()).sum::<usize>();
    if lost == record.newly_faulty as usize {
        return Ok(());
    }
    let reason = format!("it counts {}, the proofs show {lost}", record.newly_faulty);
    Err(unproven(format!("the newly faulty batches of round {}", record.round), reason))
}

pub(crate) fn unproven(claim: impl ToString, reason: impl ToString) -> WalletError {
    WalletError::Unproven { claim: claim.to_string(), reason: reason.to_string() }
}
