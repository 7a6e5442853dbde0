//! After a block: what it took goes, and what the new tip rules out.

use super::Mempool;
use super::entry::Place;
use holdfast_ledger::{Pending, State, TxError};
use holdfast_primitives::TxId;

impl Mempool {
    /// Forgets what a block took and what the new tip rules out; remembers why for those that ask.
    pub fn committed(&mut self, state: &State, included: impl IntoIterator<Item = TxId>, skipped: &[(TxId, TxError)]) {
        for tx in included {
            self.remove(&tx);
        }
        for (tx, reason) in skipped {
            if self.remove(tx).is_some() {
                self.remember(*tx, reason.clone().into());
            }
        }
        self.recheck(state);
    }

    /// Admits everything anew against `state`, but for what certainly holds still.
    fn recheck(&mut self, state: &State) {
        let mut gone: Vec<(TxId, TxError)> = Vec::new();
        for (tx, entry) in &self.proofs {
            let pending = Pending::none(state, &entry.sender());
            gone.extend(entry.tx.check_again(state, &pending).err().map(|reason| (*tx, reason)));
        }
        for (sender, queue) in self.queues.iter().filter(|(sender, queue)| !queue.holds_still(state, sender)) {
            gone.extend(queue.broken_from(state, 0, Pending::none(state, sender)));
        }
        self.drop_all(gone);
    }

    /// Drops each for its reason.
    pub(super) fn drop_all(&mut self, gone: Vec<(TxId, TxError)>) {
        for (tx, reason) in gone {
            if let Some((Place::Queue { sender, .. }, _)) = self.remove(&tx)
                && let Some(queue) = self.queues.get_mut(&sender)
            {
                queue.look_again();
            }
            self.remember(tx, reason.into());
        }
    }
}
