//! Housekeeping: what nobody pays for goes, what broke is declared.
//!
//! A batch may go when the ledger does not list it and its registration can no longer come (its quote's height has
//! passed). A batch that the ledger lists and the disk has lost is declared before the next freeze, while lists are open: a
//! small fine instead of a failed round.

use crate::ledger::{ChainView, Ledger, LedgerError, RoundPhase};
use crate::submit::Sender;
use holdfast_ledger::{Slot, TxBody};
use holdfast_primitives::limits::RELEASE_BATCHES_MAX;
use holdfast_primitives::{Bounded, Digest, HolderNo, RoundNo};
use holdfast_store::{Damage, Vault, VaultError};
use std::collections::BTreeMap;
use std::sync::Arc;

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
        sweep.declared = self.declare_broken(&listed).await?;
        self.swept = Some(round);
        Ok(Some(sweep))
    }

    /// What the ledger lists: root -> (size, slot number, record).
    async fn listed(&self) -> Result<BTreeMap<[u8; 32], (u8, u32, Slot)>, LedgerError> {
        let holder = self.ledger.holder(self.number).await?;
        let mut listed = BTreeMap::new();
        for class in holder.lists.iter() {
            let slots = self.ledger.slots(self.number, class.batch_log2).await?;
            let numbered = slots.into_iter().zip(0u32..);
            listed.extend(numbered.map(|(slot, number)| (slot.meta.root, (class.batch_log2, number, slot))));
        }
        Ok(listed)
    }

    async fn remove_unpaid(
        &self,
        listed: &BTreeMap<[u8; 32], (u8, u32, Slot)>,
        view: &ChainView,
    ) -> Result<Vec<String>, LedgerError> {
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

    async fn declare_broken(
        &self,
        listed: &BTreeMap<[u8; 32], (u8, u32, Slot)>,
    ) -> Result<Vec<(String, String)>, LedgerError> {
        let sound: Vec<[u8; 32]> =
            listed.iter().filter(|(_, (_, _, slot))| slot.faulty_since.is_none()).map(|(root, _)| *root).collect();
        let vault = self.vault.clone();
        let broken = tokio::task::spawn_blocking(move || find_broken(&vault, &sound)).await.map_err(unavailable)?;
        for chunk in broken.chunks(RELEASE_BATCHES_MAX) {
            let batches = chunk.iter().filter_map(|(root, _)| listed.get(root)).map(|(size, slot, _)| (*size, *slot));
            let batches = Bounded::new(batches.collect()).expect("chunks are cut to the limit");
            self.sender.send(TxBody::DeclareFaulty { batches }).await?;
        }
        Ok(broken.into_iter().map(|(root, reason)| (Digest::new(root).to_string(), reason)).collect())
    }
}

/// Which of these batches are not whole, and why. A quick look at every file; whatever looks odd is read in full.
fn find_broken(vault: &Vault, roots: &[[u8; 32]]) -> Vec<([u8; 32], String)> {
    let suspects: BTreeMap<[u8; 32], Damage> =
        vault.check().into_iter().map(|damaged| (damaged.root, damaged.damage)).collect();
    let mut broken = Vec::new();
    for root in roots {
        let reason = match suspects.get(root) {
            None if vault.contains(root) => None,
            None => Some("it is not in the vault".to_owned()),
            Some(Damage::Missing) => Some(Damage::Missing.to_string()),
            Some(_) => scrubbed(vault, root),
        };
        broken.extend(reason.map(|reason| (*root, reason)));
    }
    broken
}

fn scrubbed(vault: &Vault, root: &[u8; 32]) -> Option<String> {
    match vault.scrub(root) {
        Ok(None) => None,
        Ok(Some(damaged)) => Some(damaged.damage.to_string()),
        Err(VaultError::NotStored { .. }) => Some("it is not in the vault".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn unavailable(error: impl ToString) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}
