//! Proving: once a round's seed is known, read the challenged leaves and hand in the proof, part by part.

use crate::ledger::{ChainView, Ledger, LedgerError, RoundPhase};
use crate::submit::Sender;
use holdfast_ledger::{Frozen, Slot, TxBody};
use holdfast_por::{
    ClassCount, HolderChallenge, PROOF_VERSION, ProofPart, Proved, RoundSeed, openings_digest, prove_part,
};
use holdfast_primitives::{ChainId, Height, HeightDelta, HolderNo, RoundNo};
use holdfast_store::Vault;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A proof that finds no block within so many is void; the deadline comes first.
const EXPIRY_BLOCKS: HeightDelta = HeightDelta::new(100_000);

/// What one round's proof came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Proven {
    /// The round.
    pub round: RoundNo,
    /// Openings asked for.
    pub challenges: u32,
    /// Openings that could not be read; they count as missing.
    pub unreadable: u32,
    /// Batches they belong to, by root in hex.
    pub lost: Vec<String>,
}

/// Answers rounds for one holder.
pub struct Prover {
    ledger: Arc<dyn Ledger>,
    vault: Vault,
    sender: Arc<Sender>,
    number: HolderNo,
    chain: ChainId,
    part_openings: u32,
    proved: Option<RoundNo>,
}

impl Prover {
    /// Proves what lies in `vault` for holder `number`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        vault: Vault,
        sender: Arc<Sender>,
        number: HolderNo,
        chain: ChainId,
        part_openings: u32,
    ) -> Self {
        Self { ledger, vault, sender, number, chain, part_openings, proved: None }
    }

    /// Proves the running round if it wants proofs and has not had this holder's; `None` when there is nothing to do.
    pub async fn step(&mut self, view: &ChainView) -> Result<Option<Proven>, LedgerError> {
        let round = view.running.round;
        let RoundPhase::Proving { seed } = view.running.phase else { return Ok(None) };
        if self.proved == Some(round) || view.time >= view.running.due {
            return Ok(None);
        }
        let holder = self.ledger.holder(self.number).await?;
        let Some(frozen) = holder.frozen.filter(|frozen| frozen.round == round) else {
            self.proved = Some(round);
            return Ok(None);
        };
        let proven = self.prove(&frozen, seed, view.height).await?;
        self.proved = Some(round);
        Ok(Some(proven))
    }

    async fn prove(&self, frozen: &Frozen, seed: [u8; 32], height: Height) -> Result<Proven, LedgerError> {
        let slots = Arc::new(self.frozen_slots(frozen).await?);
        let challenge = Arc::new(self.challenge(frozen, seed)?);
        let mut lost: BTreeMap<[u8; 32], ()> = BTreeMap::new();
        let mut unreadable = 0;
        for (first_j, count) in challenge.parts(self.part_openings) {
            let proved = self.read_part(&challenge, &slots, first_j, count).await?;
            unreadable += proved.unreadable.len() as u32;
            let positions = proved.unreadable.iter().filter_map(|j| challenge.position(*j));
            lost.extend(positions.filter_map(|at| slot_root(&slots, at.batch_log2, at.slot)).map(|root| (root, ())));
            self.hand_in(frozen, first_j, count, proved.openings, height).await?;
        }
        Ok(Proven {
            round: frozen.round,
            challenges: challenge.count(),
            unreadable,
            lost: lost.into_keys().map(|root| holdfast_primitives::Digest::new(root).to_string()).collect(),
        })
    }

    async fn frozen_slots(&self, frozen: &Frozen) -> Result<BTreeMap<u8, Vec<Slot>>, LedgerError> {
        let mut lists = BTreeMap::new();
        for class in frozen.classes.iter() {
            lists.insert(class.batch_log2, self.ledger.slots(self.number, class.batch_log2).await?);
        }
        Ok(lists)
    }

    fn challenge(&self, frozen: &Frozen, seed: [u8; 32]) -> Result<HolderChallenge, LedgerError> {
        let counts: Vec<ClassCount> = frozen
            .classes
            .iter()
            .map(|class| ClassCount { batch_log2: class.batch_log2, batches: class.batches })
            .collect();
        let of = RoundSeed {
            chain: self.chain,
            round: frozen.round,
            seed,
            holder: self.sender.address(),
            set_root: frozen.set_root,
        };
        HolderChallenge::new(of, &counts, frozen.challenges).map_err(nonsense)
    }

    /// Reads the leaves; off the runtime, because disks block.
    async fn read_part(
        &self,
        challenge: &Arc<HolderChallenge>,
        slots: &Arc<BTreeMap<u8, Vec<Slot>>>,
        first_j: u32,
        count: u32,
    ) -> Result<Proved, LedgerError> {
        let (challenge, slots, vault) = (Arc::clone(challenge), Arc::clone(slots), self.vault.clone());
        let read = move || {
            let mut source = vault.source(|batch_log2, slot| slot_root(&slots, batch_log2, slot));
            prove_part(&challenge, first_j, count, &mut source)
        };
        tokio::task::spawn_blocking(read).await.map_err(nonsense)?.map_err(nonsense)
    }

    async fn hand_in(
        &self,
        frozen: &Frozen,
        first_j: u32,
        count: u32,
        openings: Vec<u8>,
        height: Height,
    ) -> Result<(), LedgerError> {
        let part = ProofPart {
            version: PROOF_VERSION,
            round: frozen.round,
            holder: self.sender.address(),
            set_root: frozen.set_root,
            first_j,
            count,
        };
        let body = TxBody::Prove { part, openings_digest: openings_digest(&openings) };
        match self.sender.prove(body, openings, height.saturating_add(EXPIRY_BLOCKS)).await {
            // Handed in before a restart: the ledger has it.
            Err(LedgerError::Refused { code, .. }) if ALREADY_THERE.contains(&code.as_str()) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Codes by which the ledger and the mempool say that a part is there already.
const ALREADY_THERE: &[&str] = &["proof_part_twice", "tx_known"];

fn slot_root(slots: &BTreeMap<u8, Vec<Slot>>, batch_log2: u8, slot: u64) -> Option<[u8; 32]> {
    let list = slots.get(&batch_log2)?;
    list.get(usize::try_from(slot).ok()?).map(|slot| slot.meta.root)
}

fn nonsense(error: impl ToString) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}
