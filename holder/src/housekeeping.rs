//! Housekeeping: what nobody pays for goes, what broke is declared.
//!
//! A batch may go when the ledger does not list it and its registration can no longer come (its quote's height has
//! passed). A batch that the ledger lists and the disk has lost is declared before the next freeze, while lists are open: a
//! small fine instead of a failed round.
//!
//! Most damage shows in a file's length or date. A disk that rots changes neither, so besides the quick look at every file
//! a part of the batches is read in full each round: all of them in turn.

use crate::ledger::{ChainView, Ledger, LedgerError, RoundPhase};
use crate::submit::Sender;
use holdfast_ledger::{Slot, TxBody};
use holdfast_primitives::limits::RELEASE_BATCHES_MAX;
use holdfast_primitives::{Bounded, Digest, HolderNo, RoundNo};
use holdfast_store::{Damage, Vault, VaultError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rounds in which every batch is read in full once: about as often as the chain challenges it.
const SCRUB_ROUNDS: u64 = 120;

/// What the ledger lists, by root. An owner may pay a holder twice for one batch, so a root may stand in several slots.
type ListedSlots = BTreeMap<[u8; 32], Vec<(u8, u32, Slot)>>;

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sweep {
    /// Batches removed because nobody pays for them, by root in hex.
    pub removed: Vec<String>,
    /// Batches declared faulty: root in hex and reason.
    pub declared: Vec<(String, String)>,
}

/// Sweeps once per round.
pub struct Housekeeper {
    ledger: Arc<dyn Ledger>,
    vault: Vault,
    sender: Arc<Sender>,
    number: HolderNo,
    swept: Option<RoundNo>,
}

impl Housekeeper {
    /// Keeps house in `vault` for holder `number`.
    pub fn new(ledger: Arc<dyn Ledger>, vault: Vault, sender: Arc<Sender>, number: HolderNo) -> Self {
        Self { ledger, vault, sender, number, swept: None }
    }

    /// Sweeps, if lists are open and this round has not been swept; `None` otherwise.
    pub async fn step(&mut self, view: &ChainView) -> Result<Option<Sweep>, LedgerError> {
        let round = view.running.round;
        if view.running.phase != RoundPhase::Open || self.swept == Some(round) {
            return Ok(None);
        }
        let listed = self.listed().await?;
        let mut sweep = Sweep { removed: self.remove_unpaid(&listed, view).await?, declared: Vec::new() };
        sweep.declared = self.declare_broken(&listed, round).await?;
        self.swept = Some(round);
        Ok(Some(sweep))
    }

    async fn listed(&self) -> Result<ListedSlots, LedgerError> {
        let holder = self.ledger.holder(self.number).await?;
        let mut listed = ListedSlots::new();
        for class in holder.lists.iter() {
            let slots = self.ledger.slots(self.number, class.batch_log2).await?;
            for (slot, number) in slots.into_iter().zip(0u32..) {
                listed.entry(slot.meta.root).or_default().push((class.batch_log2, number, slot));
            }
        }
        Ok(listed)
    }

    async fn remove_unpaid(&self, listed: &ListedSlots, view: &ChainView) -> Result<Vec<String>, LedgerError> {
        let here = self.vault.list().into_iter();
        let unpaid = here.filter(|batch| batch.tag.expires < view.height && !listed.contains_key(&batch.meta.root));
        let roots: Vec<[u8; 32]> = unpaid.map(|batch| batch.meta.root).collect();
        let vault = self.vault.clone();
        let remove = move || {
            let gone = roots.into_iter().filter(|root| match vault.remove(root) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "an unpaid batch stays");
                    false
                }
            });
            gone.map(|root| Digest::new(root).to_string()).collect()
        };
        tokio::task::spawn_blocking(remove).await.map_err(unavailable)
    }

    async fn declare_broken(&self, listed: &ListedSlots, round: RoundNo) -> Result<Vec<(String, String)>, LedgerError> {
        let sound: ListedSlots = listed.iter().filter_map(|(root, slots)| Some((*root, sound_slots(slots)?))).collect();
        let (vault, roots) = (self.vault.clone(), sound.keys().copied().collect::<Vec<_>>());
        let find = move || find_broken(&vault, &roots, round);
        let broken = tokio::task::spawn_blocking(find).await.map_err(unavailable)?;
        let slots: Vec<(u8, u32)> = broken
            .iter()
            .filter_map(|(root, _)| sound.get(root))
            .flat_map(|slots| slots.iter().map(|(size, slot, _)| (*size, *slot)))
            .collect();
        for chunk in slots.chunks(RELEASE_BATCHES_MAX) {
            let batches = Bounded::new(chunk.to_vec()).expect("chunks are cut to the limit");
            self.sender.send(TxBody::DeclareFaulty { batches }).await?;
        }
        Ok(broken.into_iter().map(|(root, reason)| (Digest::new(root).to_string(), reason)).collect())
    }
}

/// The slots that are not known to be faulty, if any.
fn sound_slots(slots: &[(u8, u32, Slot)]) -> Option<Vec<(u8, u32, Slot)>> {
    let sound: Vec<_> = slots.iter().filter(|(_, _, slot)| slot.faulty_since.is_none()).cloned().collect();
    (!sound.is_empty()).then_some(sound)
}

/// Whether it is this batch's turn to be read in full. By round and root alone, so that a restart begins no new turn.
fn has_its_turn(root: &[u8; 32], round: RoundNo) -> bool {
    let (number, _) = root.split_first_chunk().expect("a root has more than 8 bytes");
    u64::from_le_bytes(*number) % SCRUB_ROUNDS == round.get() % SCRUB_ROUNDS
}

/// Which of these batches are not whole, and why. A quick look at every file; whatever looks odd, or has its turn in
/// `round`, is read in full.
fn find_broken(vault: &Vault, roots: &[[u8; 32]], round: RoundNo) -> Vec<([u8; 32], String)> {
    let suspects: BTreeMap<[u8; 32], Damage> =
        vault.check().into_iter().map(|damaged| (damaged.root, damaged.damage)).collect();
    let mut broken = Vec::new();
    for root in roots {
        let reason = match suspects.get(root) {
            Some(Damage::Missing) => Some(Damage::Missing.to_string()),
            None if !vault.contains(root) => Some(NOT_HERE.to_owned()),
            None if !has_its_turn(root, round) => None,
            _ => scrubbed(vault, root),
        };
        broken.extend(reason.map(|reason| (*root, reason)));
    }
    broken
}

const NOT_HERE: &str = "it is not in the vault";

fn scrubbed(vault: &Vault, root: &[u8; 32]) -> Option<String> {
    match vault.scrub(root) {
        Ok(None) => None,
        Ok(Some(damaged)) => Some(damaged.damage.to_string()),
        Err(VaultError::NotStored { .. }) => Some(NOT_HERE.to_owned()),
        // Its bytes are whole and only its head could not be written anew: it can be proved all the same.
        Err(error) if vault.layers(root).is_ok() => {
            tracing::warn!(%error, "a whole batch could not be mended");
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

fn unavailable(error: impl ToString) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}
