//! Who may read and store here: on a private grid its members, and a reader only as long as its permission stands.
//!
//! What an owner took back stands in its account on the ledger. It is asked for once per owner and height, so a
//! permission ends here with the next block, and reading on costs the ledger nothing.

use crate::ledger::Ledger;
use holdfast_ledger::Params;
use holdfast_network::wire::{Capability, Refusal, RefusalCode};
use holdfast_primitives::{Address, GrantId, Height};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Owners whose word is kept: when there are more, all are asked for anew.
const OWNERS_KEPT: usize = 1_024;
/// How long a reader waits for the ledger's word.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What one owner had taken back at one height. Whoever asks first asks for all that wait.
type Word = Arc<tokio::sync::Mutex<Option<(Height, Vec<GrantId>)>>>;

/// Decides who may read.
pub struct Readers {
    ledger: Arc<dyn Ledger>,
    params: Params,
    owners: Mutex<HashMap<Address, Word>>,
}

impl Readers {
    /// Asks `ledger` for what owners took back, on a network with these rules.
    pub fn new(ledger: Arc<dyn Ledger>, params: Params) -> Self {
        Self { ledger, params, owners: Mutex::default() }
    }

    /// Whether this key may store and read on this network.
    pub fn admits(&self, key: &Address) -> bool {
        self.params.admits(key)
    }

    /// Whether a capability counts at `height`.
    ///
    /// # Errors
    /// `NotWelcome` when its reader is not of the grid, `Revoked` when its owner took it back, `Busy` when the ledger cannot
    /// tell: who may not know lets nobody in.
    pub async fn check(&self, capability: &Capability, height: Height) -> Result<(), Refusal> {
        let Capability { owner, reader, grant, .. } = capability;
        if !self.admits(reader) {
            return Err(Refusal::new(RefusalCode::NotWelcome, format!("{reader} is not of this network's grid")));
        }
        if owner == reader {
            // An owner needs nobody's permission, its own included.
            return Ok(());
        }
        let word = self.word(owner);
        let mut known = word.lock().await;
        if known.as_ref().is_none_or(|(of, _)| *of < height) {
            *known = Some((height, self.ask(owner).await?));
        }
        let taken_back = known.as_ref().is_some_and(|(_, revoked)| revoked.contains(grant));
        if taken_back { Err(Refusal::new(RefusalCode::Revoked, format!("{owner} took {grant} back"))) } else { Ok(()) }
    }

    async fn ask(&self, owner: &Address) -> Result<Vec<GrantId>, Refusal> {
        let busy = |reason: String| Refusal::new(RefusalCode::Busy, format!("the ledger cannot be asked: {reason}"));
        let answer = timeout(ANSWER_WITHIN, self.ledger.account(owner)).await;
        let answer = answer.map_err(|_| busy("no answer in time".to_owned()))?;
        let account = answer.map_err(|error| busy(error.to_string()))?;
        Ok(account.map_or_else(Vec::new, |account| account.revoked.iter().map(|revoked| revoked.grant).collect()))
    }

    fn word(&self, owner: &Address) -> Word {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= OWNERS_KEPT && !owners.contains_key(owner) {
            owners.clear();
        }
        Arc::clone(owners.entry(*owner).or_default())
    }
}
