//! A waiting transaction gives way to another of the same sender with the same sequence number that pays more.
//!
//! It must pay a tenth more both in all and per byte. So what gossip carries for one sequence number rises by a tenth each
//! time: it comes to an end, and of two nodes that pass each other their own one both keep the better. Two that pay the
//! same do not replace each other anywhere.
//!
//! Those that wait behind it stay as long as the balance covers them after the new cost; the first that it does not cover
//! goes, and all behind that one.

use super::entry::{Entry, Place};
use super::{DropReason, Mempool, SubmitError};
use holdfast_ledger::{SoundTx, State, admit_sound};
use holdfast_primitives::{Address, Amount, TxId};

/// What a replacement pays at least, in percent of what it replaces: in all, and per byte.
pub const REPLACEMENT_PERCENT: u64 = 110;

impl Mempool {
    /// The transaction that waits in the newcomer's place; a proof's place is never another's to take.
    pub(super) fn in_place_of(&self, place: &Place) -> Option<&Entry> {
        let Place::Queue { sender, sequence } = place else { return None };
        self.queues.get(sender)?.by_sequence.get(sequence)
    }

    /// Puts `sound` where a transaction of its sender and sequence number waits.
    ///
    /// # Errors
    /// When it does not pay enough more, breaks a rule, or finds no room. Everything is as before then.
    pub(super) fn replace(&mut self, state: &State, sound: SoundTx, at: (Address, u64)) -> Result<TxId, SubmitError> {
        let (sender, sequence) = at;
        let queue = self.queues.get(&sender).expect("the caller found a transaction in this queue");
        let before = queue.by_sequence.get(&sequence).expect("the caller found a transaction in this place");
        let (old, old_bytes) = (before.id(), before.bytes);
        check_pays_more(before, &sound)?;
        self.check_sender_bytes(&sender, sound.block_bytes(), old_bytes)?;
        let pending = queue.pending_below(state, &sender, sequence);
        let entry = Entry::new(admit_sound(state, sound, &pending)?);

        let (tx, place) = (entry.id(), Place::Queue { sender, sequence });
        let (_, replaced) = self.remove(&old).expect("it waits in this place");
        if let Err(full) = self.make_room(&entry, &place) {
            self.put(old, place, replaced);
            return Err(full);
        }
        self.remember(old, DropReason::Replaced { by: tx });
        self.forget(&tx);
        let behind = entry.tx.after(&pending);
        let unpaid = self.queues.get(&sender).map(|queue| queue.broken_from(state, sequence + 1, behind));
        self.drop_all(unpaid.unwrap_or_default());
        self.put(tx, place, entry);
        Ok(tx)
    }
}

fn check_pays_more(before: &Entry, newcomer: &SoundTx) -> Result<(), SubmitError> {
    let fee = newcomer.signed().tx.fee;
    let needed = needed(before, newcomer.block_bytes());
    if fee < needed {
        return Err(SubmitError::Underpriced { tx: before.id(), fee, needed });
    }
    Ok(())
}

/// The smallest fee for which a transaction of `bytes` replaces `before`.
fn needed(before: &Entry, bytes: usize) -> Amount {
    let percent = u128::from(before.fee().get()) * u128::from(REPLACEMENT_PERCENT);
    let in_all = percent.div_ceil(100);
    let per_byte = (percent * bytes as u128).div_ceil(100 * before.bytes.max(1) as u128);
    // A fee that no account could hold is as good as none.
    Amount::grains(u64::try_from(in_all.max(per_byte)).unwrap_or(u64::MAX))
}
