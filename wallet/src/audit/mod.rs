//! Auditing: what the network claims about a round, verified on this machine from public data, with the ledger's own code.
//!
//! A round's record is proven against a header that a quorum of the genesis' validators signed, its rows against the record,
//! its seed against the beacon's VRF, every opening against the frozen lists, the sums of the payments against the record.
//!
//! Still taken from the node: the genesis (unless the caller names the chain), the contracts and the heavy nodes' addresses
//! by which payments are checked, and how many batches of a contract were faulty before the round.

use crate::error::WalletError;
use holdfast_ledger::{
    Contract, FrozenHolder, Genesis, Header, HolderClaim, Payment, RecordKey, RoundRecord, RoundResult, SlotEvidence,
    TxBody, audit_holder, audit_round_rows, next_beacon,
};
use holdfast_por::ProofPart;
use holdfast_primitives::{Address, Amount, ChainId, Digest, Height, HolderNo, RoundNo, ValidatorSet};
use holdfast_rpc::audit::{AUDIT_SLOTS_MAX, RecordRef};
use holdfast_rpc::chain::BlockRef;
use holdfast_rpc::market::HolderRef;
use holdfast_rpc::{PAGE_ROWS_MAX, Page, PageAsk, RpcClient, RpcError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One holder's round, as this machine judged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HolderVerdict {
    /// The holder.
    pub holder: String,
    /// Batches it was bound to.
    pub batches: u64,
    /// Openings it was asked for.
    pub challenges: u32,
    /// Openings that failed or never came.
    pub missing: u32,
    /// Whether it sent no proof at all.
    pub missed: bool,
    /// Roots of the batches that were marked faulty in this round.
    pub lost: Vec<String>,
    /// What it was paid, after relay fees.
    pub paid: Amount,
}

/// A round, as this machine judged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoundVerdict {
    /// The round.
    pub round: RoundNo,
    /// The certified block by which its record was proven.
    pub proven_at: Height,
    /// The block that settled it.
    pub settled_at: Height,
    /// Batches challenged.
    pub batches: u64,
    /// Every holder that had something to prove.
    pub holders: Vec<HolderVerdict>,
    /// Paid out of escrows.
    pub paid: Amount,
    /// The part of it that went to heavy nodes.
    pub relay_fees: Amount,
    /// What each heavy node got of it.
    pub heavy_nodes: BTreeMap<String, Amount>,
    /// Paid by holders for verification.
    pub proof_fees: Amount,
    /// Taken from deposits.
    pub fines: Amount,
}

/// Audits one chain through one node.
pub struct Auditor {
    rpc: RpcClient,
    genesis: Genesis,
    chain: ChainId,
    validators: ValidatorSet,
}

impl Auditor {
    /// Learns the network's genesis from the node at `url`; with `trusted`, refuses any other chain.
    pub async fn connect(url: &str, trusted: Option<ChainId>) -> Result<Self, WalletError> {
        let rpc = RpcClient::connect(url)?;
        let genesis: Genesis = rpc.chain_genesis().await?.raw.decode().map_err(WalletError::unreadable)?;
        let chain = genesis.chain_id();
        if let Some(expected) = trusted.filter(|expected| *expected != chain) {
            return Err(unproven("the genesis", format!("it is of chain {chain}, expected {expected}")));
        }
        let validators = ValidatorSet::new(genesis.validators.to_vec());
        let validators = validators.ok_or_else(|| unproven("the genesis", "its validators are not a set"))?;
        Ok(Self { rpc, genesis, chain, validators })
    }

    /// The chain that is audited.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The newest settled round; `None` before the first.
    pub async fn latest(&self) -> Result<Option<RoundNo>, WalletError> {
        Ok(self.rpc.round_latest().await?.map(|record| record.round))
    }

    /// Verifies everything about a settled round; with `only`, opens only that holder's proof.
    pub async fn round(&self, round: RoundNo, only: Option<HolderNo>) -> Result<RoundVerdict, WalletError> {
        let (record, proven_at) = self.record(round).await?;
        self.check_seed(&record).await?;
        let frozen: Vec<FrozenHolder> = self.frozen(round).await?;
        let results: Vec<RoundResult> = self.results(round).await?;
        audit_round_rows(&record, &frozen, &results)?;
        let payments = self.payments(&record).await?;
        let mut holders = Vec::new();
        for (row, result) in frozen.iter().zip(&results) {
            if only.is_none_or(|only| only == row.number) {
                holders.push(self.holder(&record, row, result, &payments).await?);
            }
        }
        let prefix = self.genesis.params.prefix;
        let heavy = payments.heavy.iter().map(|(address, amount)| (address.to_text(prefix), *amount));
        Ok(RoundVerdict {
            round,
            proven_at,
            settled_at: record.settle_height,
            batches: record.batches,
            holders,
            paid: record.paid,
            relay_fees: record.relay_fees,
            heavy_nodes: heavy.collect(),
            proof_fees: record.proof_fees,
            fines: record.fines,
        })
    }

    /// The record, proven against a certified header.
    async fn record(&self, round: RoundNo) -> Result<(RoundRecord, Height), WalletError> {
        let claim = || format!("the record of round {round}");
        let view = self.rpc.audit_record(RecordRef::Round { number: round }).await?;
        let proof = view.proof.decode().map_err(WalletError::unreadable)?;
        let header: Header = match view.header {
            Some(raw) => raw.decode().map_err(WalletError::unreadable)?,
            None => return Err(unproven(claim(), "the node gives no header for it")),
        };
        self.check_certified(&header).await?;
        proof.verify(&header.state_root).map_err(|error| unproven(claim(), error))?;
        if proof.key != RecordKey::Round(round) {
            return Err(unproven(claim(), "the node proves another record"));
        }
        let record: RoundRecord = borsh::from_slice(&proof.record).map_err(WalletError::unreadable)?;
        if record.round != round {
            return Err(unproven(claim(), format!("it is of round {}", record.round)));
        }
        Ok((record, header.height))
    }

    /// Whether validators of the genesis signed this header. (Their set cannot change yet.)
    async fn check_certified(&self, header: &Header) -> Result<(), WalletError> {
        let claim = || format!("block {}", header.height);
        if header.chain != self.chain || header.validators != self.validators.digest() {
            return Err(unproven(claim(), "it is of another chain or other validators"));
        }
        let view = self.rpc.chain_certificate(BlockRef::Height(header.height)).await?;
        let certificate = view.raw.decode().map_err(WalletError::unreadable)?;
        if certificate.block != header.hash() || certificate.height != header.height {
            return Err(unproven(claim(), "its certificate is for another block"));
        }
        certificate.verify(&self.chain, &self.validators).map_err(|error| unproven(claim(), error))
    }

    async fn certified(&self, height: Height) -> Result<Header, WalletError> {
        let view = self.rpc.chain_header(BlockRef::Height(height)).await?;
        let header: Header = view.raw.decode().map_err(WalletError::unreadable)?;
        if header.height != height {
            return Err(unproven(format!("block {height}"), format!("the node gives block {}", header.height)));
        }
        self.check_certified(&header).await?;
        Ok(header)
    }

    /// Whether the seed is the beacon of its block, and that block's proposer had no choice in it.
    async fn check_seed(&self, record: &RoundRecord) -> Result<(), WalletError> {
        let claim = || format!("the seed of round {}", record.round);
        let header = self.certified(record.seed_height).await?;
        if header.beacon != record.seed {
            return Err(unproven(claim(), format!("the beacon of block {} is another", record.seed_height)));
        }
        let Some(before) = record.seed_height.previous().filter(|height| *height > Height::GENESIS) else {
            return Ok(());
        };
        let before = self.certified(before).await?;
        let proposer = self.validators.get(&header.proposer);
        let proposer = proposer.ok_or_else(|| unproven(claim(), "its proposer is no validator"))?;
        let output = proposer.vrf.verify(&self.chain, &before.beacon, &header.vrf);
        let output = output.map_err(|error| unproven(claim(), error))?;
        if next_beacon(&before.beacon, &output) != header.beacon {
            return Err(unproven(claim(), "the beacon does not follow from the one before"));
        }
        Ok(())
    }

    async fn holder(
        &self,
        record: &RoundRecord,
        row: &FrozenHolder,
        result: &RoundResult,
        payments: &Payments,
    ) -> Result<HolderVerdict, WalletError> {
        let parts = self.parts(record.round, row.number).await?;
        let evidence = if parts.is_empty() { Vec::new() } else { self.evidence(record, row).await? };
        let claim = HolderClaim { record, frozen: row, result, parts: &parts, evidence: &evidence };
        let audit = audit_holder(&self.genesis.params, &self.chain, &claim)?;
        let root = |batch_log2, slot| {
            let found = evidence.iter().find(|entry| (entry.batch_log2, entry.slot) == (batch_log2, slot));
            found.map(|entry| Digest::new(entry.record.meta.root).to_string())
        };
        Ok(HolderVerdict {
            holder: row.holder.to_text(self.genesis.params.prefix),
            batches: row.frozen.classes.iter().map(|class| class.batches).sum(),
            challenges: audit.challenges,
            missing: u32::try_from(audit.missing.len()).unwrap_or(u32::MAX),
            missed: audit.missed,
            lost: audit.lost.iter().filter_map(|lost| root(lost.batch_log2, lost.slot)).collect(),
            paid: payments.holders.get(&row.number).copied().unwrap_or(Amount::ZERO),
        })
    }

    async fn parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<(ProofPart, Vec<u8>)>, WalletError> {
        let bundle = self.rpc.audit_bundle(round, HolderRef::Number(holder)).await?;
        let mut parts = Vec::with_capacity(bundle.parts.len());
        for index in 0..u32::try_from(bundle.parts.len()).unwrap_or(u32::MAX) {
            let view = self.rpc.audit_part(round, HolderRef::Number(holder), index).await?;
            let signed = view.brief.raw.decode().map_err(WalletError::unreadable)?;
            let TxBody::Prove { part, .. } = signed.tx.body else {
                return Err(unproven(format!("part {index} of holder {holder}"), "it is no proof"));
            };
            parts.push((part, view.openings.0));
        }
        Ok(parts)
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
            for chunk in slots.chunks(AUDIT_SLOTS_MAX) {
                let (round, holder) = (record.round, HolderRef::Number(row.number));
                let view = self.rpc.audit_slots(round, holder, batch_log2, chunk.to_vec()).await?;
                for entry in &view.rows {
                    let entry = entry.decode(batch_log2);
                    evidence.push(entry.ok_or_else(|| WalletError::unreadable("evidence that is none"))?);
                }
            }
        }
        Ok(evidence)
    }

    async fn frozen(&self, round: RoundNo) -> Result<Vec<FrozenHolder>, WalletError> {
        let rows = pages(|ask| self.rpc.round_frozen(round, Some(ask))).await?;
        rows.iter().map(|row| row.raw.decode().map_err(WalletError::unreadable)).collect()
    }

    async fn results(&self, round: RoundNo) -> Result<Vec<RoundResult>, WalletError> {
        let rows = pages(|ask| self.rpc.round_results(round, Some(ask))).await?;
        rows.iter().map(|row| row.raw.decode().map_err(WalletError::unreadable)).collect()
    }

    /// Checks every payment against its contract and the sums against the record.
    async fn payments(&self, record: &RoundRecord) -> Result<Payments, WalletError> {
        let rows = pages(|ask| self.rpc.round_payments(record.round, Some(ask))).await?;
        let mut sums = Payments::default();
        for row in rows {
            let view = self.rpc.market_contract(row.contract).await?;
            let contract: Contract = view.raw.decode().map_err(WalletError::unreadable)?;
            let payment =
                Payment { contract: row.contract, batches: row.batches, paid: row.paid, relay_fee: row.relay_fee };
            self.check_payment(record, &payment, &contract)?;
            sums.paid = sums.paid.checked_add(payment.paid)?;
            sums.relay_fees = sums.relay_fees.checked_add(payment.relay_fee)?;
            let net = payment.paid.checked_sub(payment.relay_fee)?;
            add(&mut sums.holders, contract.holder, net)?;
            self.share(&mut sums, &contract, payment.relay_fee).await?;
        }
        let claim = || format!("the payments of round {}", record.round);
        if (sums.paid, sums.relay_fees) != (record.paid, record.relay_fees) {
            let reason = format!(
                "they come to {} and {} in relay fees, recorded are {} and {}",
                sums.paid, sums.relay_fees, record.paid, record.relay_fees
            );
            return Err(unproven(claim(), reason));
        }
        Ok(sums)
    }

    fn check_payment(&self, record: &RoundRecord, payment: &Payment, contract: &Contract) -> Result<(), WalletError> {
        let claim = || format!("the payment of contract {} in round {}", payment.contract, record.round);
        let due = contract.price.checked_mul(u64::from(payment.batches))?;
        let relay = due.share(u64::from(self.genesis.params.relay_fee_bps), 10_000);
        if (payment.paid, payment.relay_fee) != (due, relay) {
            return Err(unproven(claim(), format!("{due} with a relay fee of {relay} would be due")));
        }
        if record.round < contract.first_round || record.round >= contract.end_round {
            return Err(unproven(claim(), "the contract does not pay for that round"));
        }
        Ok(())
    }

    /// Splits a relay fee as the ledger does: equally, the remainder to the first.
    async fn share(&self, sums: &mut Payments, contract: &Contract, fee: Amount) -> Result<(), WalletError> {
        let count = contract.footprint.len() as u64;
        for (index, account) in contract.footprint.iter().enumerate() {
            let each = fee.get() / count.max(1);
            let share = if index == 0 { fee.get() - each * (count - 1) } else { each };
            let address = self.heavy_address(sums, *account).await?;
            add(&mut sums.heavy, address, Amount::grains(share))?;
        }
        Ok(())
    }

    async fn heavy_address(
        &self,
        sums: &mut Payments,
        account: holdfast_primitives::AccountNo,
    ) -> Result<Address, WalletError> {
        if let Some(known) = sums.accounts.get(&account) {
            return Ok(*known);
        }
        let view = self.rpc.audit_record(RecordRef::Account { number: account }).await?;
        let proof = view.proof.decode().map_err(WalletError::unreadable)?;
        let record: holdfast_ledger::Account = borsh::from_slice(&proof.record).map_err(WalletError::unreadable)?;
        sums.accounts.insert(account, record.address);
        Ok(record.address)
    }
}

#[derive(Default)]
struct Payments {
    paid: Amount,
    relay_fees: Amount,
    holders: BTreeMap<HolderNo, Amount>,
    heavy: BTreeMap<Address, Amount>,
    accounts: BTreeMap<holdfast_primitives::AccountNo, Address>,
}

fn add<K: Ord>(sums: &mut BTreeMap<K, Amount>, key: K, amount: Amount) -> Result<(), WalletError> {
    let sum = sums.entry(key).or_insert(Amount::ZERO);
    *sum = sum.checked_add(amount)?;
    Ok(())
}

fn challenged(
    chain: &ChainId,
    record: &RoundRecord,
    row: &FrozenHolder,
) -> Result<Vec<holdfast_por::Position>, WalletError> {
    let of = holdfast_por::RoundSeed {
        chain: *chain,
        round: record.round,
        seed: record.seed,
        holder: row.holder,
        set_root: row.frozen.set_root,
    };
    let counts: Vec<_> = row.frozen.classes.iter().map(|class| class.count()).collect();
    let challenge = holdfast_por::HolderChallenge::new(of, &counts, row.frozen.challenges);
    Ok(challenge.map_err(WalletError::unreadable)?.positions().collect())
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
            Some(next) => first = next,
            None => return Ok(rows),
        }
    }
}

fn unproven(claim: impl ToString, reason: impl ToString) -> WalletError {
    WalletError::Unproven { claim: claim.to_string(), reason: reason.to_string() }
}
