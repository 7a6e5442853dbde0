//! A chain applied again from its genesis, block by block, with the ledger's own rules: every signature, every root, every
//! settlement. What an audit of single rounds must leave to the state of that day is computed here.
//!
//! Memory holds one state and a few blocks that are fetched ahead.

use crate::audit::node::NodeSource;
use crate::audit::source::EvidenceSource as _;
use crate::audit::{ChainVerdict, RoundSpan, unproven};
use crate::error::WalletError;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_ledger::{Block, Event, Genesis, KeptProof, Replayed, State, TxBody, replay_block};
use holdfast_primitives::{Amount, AmountError, BlockHash, Certificate, ChainId, Height, RoundNo};

/// Blocks that are fetched ahead of the one that is applied: at 4 MiB each with as much in openings, a bounded room.
const AHEAD: usize = 4;

/// Applies the chain of `source` again from its genesis up to `to` (the newest block unless said otherwise); `tell` hears
/// how many blocks of how many are done. With `trusted`, refuses any other chain.
///
/// # Errors
/// [`WalletError::Refuted`] naming the first height at which something does not agree; [`WalletError::OtherChain`]; what
/// the node could not tell.
pub async fn replay_chain(
    source: &NodeSource,
    trusted: Option<ChainId>,
    to: Option<Height>,
    tell: &(dyn Fn(Height, Height) + Sync),
) -> Result<ChainVerdict, WalletError> {
    let genesis = source.genesis().await?;
    let found = genesis.chain_id();
    if let Some(expected) = trusted.filter(|expected| *expected != found) {
        return Err(WalletError::OtherChain { witness: source.name(), expected, found });
    }
    let newest = source.height().await?;
    let to = to.unwrap_or(newest);
    if to > newest {
        return Err(WalletError::NoSuchBlock { height: to, newest });
    }
    replay(source, &genesis, to, tell).await.map_err(|error| error.told_by(&source.name()))
}

async fn replay(
    source: &NodeSource,
    genesis: &Genesis,
    to: Height,
    tell: &(dyn Fn(Height, Height) + Sync),
) -> Result<ChainVerdict, WalletError> {
    let state = State::genesis(genesis).map_err(|error| unproven("the genesis", error))?;
    let mut replay = Replay::new(state);
    let heights = stream::iter((1..=to.get()).map(Height::new));
    let mut fetched = heights.map(|height| fetch(source, height)).buffered(AHEAD);
    while let Some(next) = fetched.try_next().await? {
        let height = next.height;
        replay.check_certificate(&next)?;
        replay = tokio::task::spawn_blocking(move || replay.apply(next)).await??;
        tell(height, to);
    }
    replay.verdict()
}

/// A block with all that is left of it.
struct Fetched {
    height: Height,
    block: Block,
    certificate: Certificate,
    proofs: Vec<KeptProof>,
}

async fn fetch(source: &NodeSource, height: Height) -> Result<Fetched, WalletError> {
    let fetched = fetch_all(source, height).await;
    fetched.map_err(|error| match error {
        WalletError::Unreadable { reason } => unproven(format!("block {height}"), reason),
        other => other,
    })
}

async fn fetch_all(source: &NodeSource, height: Height) -> Result<Fetched, WalletError> {
    let (block, certificate) = futures::try_join!(source.block(height), source.certificate(height))?;
    let mut proofs = Vec::new();
    let mut outcomes = None;
    for signed in block.txs.iter().filter(|signed| matches!(signed.tx.body, TxBody::Prove { .. })) {
        let id = signed.id();
        if let Some(bytes) = source.openings(id).await? {
            proofs.push(KeptProof::Openings { bytes });
            continue;
        }
        if outcomes.is_none() {
            outcomes = Some(source.outcomes(height).await?);
        }
        let failed = outcomes.as_mut().and_then(|outcomes| outcomes.remove(&id));
        let missing =
            || unproven(format!("block {height}"), format!("nothing is left of proof {id}, not even its outcome"));
        proofs.push(KeptProof::Outcome { failed: failed.ok_or_else(missing)? });
    }
    Ok(Fetched { height, block, certificate, proofs })
}

/// How far a replay has come, and what it has counted.
struct Replay {
    state: State,
    tip: BlockHash,
    verdict: ChainVerdict,
}

impl Replay {
    fn new(state: State) -> Self {
        let verdict = ChainVerdict {
            chain: state.chain().chain,
            height: Height::GENESIS,
            block: BlockHash::ZERO,
            state_root: state.root(),
            transactions: 0,
            rounds: 0,
            rounds_with_proofs: 0,
            payments: 0,
            paid: Amount::ZERO,
            relay_fees: Amount::ZERO,
            proof_fees: Amount::ZERO,
            fines: Amount::ZERO,
            openings: 0,
            digests_only: None,
            supply: Amount::ZERO,
        };
        Self { state, tip: BlockHash::ZERO, verdict }
    }

    /// Whether the validators that the replayed state names signed this very block.
    fn check_certificate(&self, next: &Fetched) -> Result<(), WalletError> {
        let claim = || format!("block {}", next.height);
        let (chain, certificate) = (self.state.chain(), &next.certificate);
        if certificate.height != next.height || certificate.block != next.block.header.hash() {
            return Err(unproven(claim(), "its certificate is for another block"));
        }
        certificate.verify(&chain.chain, &chain.validators).map_err(|error| unproven(claim(), error))
    }

    fn apply(mut self, next: Fetched) -> Result<Self, WalletError> {
        self.count_proofs(&next);
        let applied = replay_block(&self.state, self.tip, &next.block, next.proofs);
        let Replayed { hash, state, events } =
            applied.map_err(|error| unproven(format!("block {}", next.height), error))?;
        self.verdict.transactions += next.block.txs.len() as u64;
        for event in &events {
            self.count(event)?;
        }
        (self.state, self.tip) = (state, hash);
        (self.verdict.height, self.verdict.block, self.verdict.state_root) = (next.height, hash, self.state.root());
        Ok(self)
    }

    fn count_proofs(&mut self, next: &Fetched) {
        let parts = next.block.txs.iter().filter_map(|signed| match &signed.tx.body {
            TxBody::Prove { part, .. } => Some(part),
            _ => None,
        });
        for (part, kept) in parts.zip(&next.proofs) {
            match kept {
                KeptProof::Openings { .. } => self.verdict.openings += u64::from(part.count),
                KeptProof::Outcome { .. } => self.count_pruned(part.round),
            }
        }
    }

    fn count_pruned(&mut self, round: RoundNo) {
        let span = self.verdict.digests_only.get_or_insert(RoundSpan { first: round, last: round, parts: 0 });
        (span.first, span.last) = (span.first.min(round), span.last.max(round));
        span.parts += 1;
    }

    fn count(&mut self, event: &Event) -> Result<(), AmountError> {
        let verdict = &mut self.verdict;
        match event {
            Event::Paid(payments) => verdict.payments += payments.len() as u64,
            Event::RoundSettled(record) => {
                verdict.rounds += 1;
                verdict.rounds_with_proofs += u64::from(record.holders > 0);
                verdict.paid = verdict.paid.checked_add(record.paid)?;
                verdict.relay_fees = verdict.relay_fees.checked_add(record.relay_fees)?;
                verdict.proof_fees = verdict.proof_fees.checked_add(record.proof_fees)?;
                verdict.fines = verdict.fines.checked_add(record.fines)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts all money where it lies now: there must be as much as the genesis made.
    fn verdict(mut self) -> Result<ChainVerdict, WalletError> {
        let (counted, supply) = (count_money(&self.state), self.state.chain().supply);
        if counted != u128::from(supply.get()) {
            let reason = format!("{counted} grains are there, {} were made", supply.get());
            return Err(unproven(format!("the money at height {}", self.verdict.height), reason));
        }
        self.verdict.supply = supply;
        Ok(self.verdict)
    }
}

fn count_money(state: &State) -> u128 {
    let balances = state.iter_accounts().map(|(_, account)| account.balance);
    let deposits = state.iter_holders().map(|(_, holder)| holder.deposit);
    let escrows = state.iter_contracts().map(|(_, contract)| contract.escrow);
    let bonds = state.iter_validators().map(|(_, validator)| validator.liable());
    let all = balances.chain(deposits).chain(escrows).chain(bonds).chain([state.chain().reserve]);
    all.map(|amount| u128::from(amount.get())).sum()
}
