//! How a transaction enters a mempool: its shape, its signatures, then its standing at the tip.

use crate::check::signatures::verify_all;
use crate::check::standing::{self, Pending};
use crate::check::{ShapedTx, SoundTx};
use crate::error::TxError;
use crate::params::Params;
use crate::state::State;
use crate::tx::TxEnvelope;
use holdfast_primitives::{Amount, ChainId};
use rayon::prelude::*;
use std::sync::Arc;

/// Transactions whose signatures one thread verifies together, at most: enough for the batch's gain, few enough to share out.
pub const VERIFIED_TOGETHER_MAX: usize = 1_024;
/// Fewer are not worth another thread: most of the batch's gain would be lost.
pub const VERIFIED_TOGETHER_MIN: usize = 32;

/// A transaction that the tip's state would take next.
///
/// A clone costs one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedTx {
    sound: Arc<SoundTx>,
    cost: Amount,
}

/// Checks everything about one transaction: as [`sound`], then as [`admit_sound`].
///
/// # Errors
/// The first rule that it breaks.
pub fn admit(state: &State, envelope: TxEnvelope, pending: &Pending) -> Result<AdmittedTx, TxError> {
    let verdict = sound(state.params(), &state.chain().chain, vec![envelope]).pop();
    admit_sound(state, verdict.expect("one transaction gets one verdict")?, pending)
}

/// Checks shapes and signatures of many transactions, the signatures together ([`verify`]). Verdicts come in the order of
/// the transactions. Needs no state, so it can run beside anything.
pub fn sound(params: &Params, chain: &ChainId, envelopes: Vec<TxEnvelope>) -> Vec<Result<SoundTx, TxError>> {
    sound_of(chain, shape(params, envelopes))
}

/// Checks the shapes of many transactions on all of rayon's threads. Verdicts come in the order of the transactions.
pub fn shape(params: &Params, envelopes: Vec<TxEnvelope>) -> Vec<Result<ShapedTx, TxError>> {
    let check = |envelope| ShapedTx::check(params, envelope);
    envelopes.into_par_iter().with_min_len(VERIFIED_TOGETHER_MIN).map(check).collect()
}

/// As [`sound`], for transactions whose shapes were judged in whatever way.
pub(crate) fn sound_of(chain: &ChainId, shapes: Vec<Result<ShapedTx, TxError>>) -> Vec<Result<SoundTx, TxError>> {
    let mut verdicts: Vec<Result<(), TxError>> = Vec::with_capacity(shapes.len());
    let mut shaped = Vec::with_capacity(shapes.len());
    for shape in shapes {
        verdicts.push(shape.map(|tx| shaped.push(tx)));
    }
    let mut signed = verify(chain, shaped, VERIFIED_TOGETHER_MAX).into_iter();
    let verdict = |shape: Result<(), TxError>| {
        shape.and_then(|()| signed.next().expect("one verdict per well-shaped transaction"))
    };
    verdicts.into_iter().map(verdict).collect()
}

/// Verifies the signatures of many transactions on all of rayon's threads, up to `together` at once on each: about half the
/// work of one by one, unless one of those that are verified together does not hold. Verdicts come in the order of the
/// transactions.
pub fn verify(chain: &ChainId, shaped: Vec<ShapedTx>, together: usize) -> Vec<Result<SoundTx, TxError>> {
    let share = shaped.len().div_ceil(rayon::current_num_threads());
    let together = share.max(VERIFIED_TOGETHER_MIN).min(together.max(1));
    if shaped.len() <= together {
        return verify_all(chain, shaped);
    }
    shaped.into_par_iter().chunks(together).flat_map_iter(|chunk| verify_all(chain, chunk)).collect()
}

/// Checks a sound transaction against the tip, for the next height, after the sender's `pending` ones.
///
/// # Errors
/// The first rule that it breaks.
pub fn admit_sound(state: &State, sound: SoundTx, pending: &Pending) -> Result<AdmittedTx, TxError> {
    let cost = standing::check(state, state.chain().height.next(), &sound, pending)?;
    Ok(AdmittedTx { sound: Arc::new(sound), cost })
}

impl AdmittedTx {
    /// The transaction.
    pub fn sound(&self) -> &SoundTx {
        &self.sound
    }

    /// The transaction, to share.
    pub const fn shared(&self) -> &Arc<SoundTx> {
        &self.sound
    }

    /// The transaction without a copy, unless it is shared.
    pub fn into_sound(self) -> SoundTx {
        Arc::unwrap_or_clone(self.sound)
    }

    /// Whether another tip would take it next, after the sender's `pending` ones.
    ///
    /// # Errors
    /// The first rule that it breaks there.
    pub fn check_again(&self, state: &State, pending: &Pending) -> Result<(), TxError> {
        standing::check(state, state.chain().height.next(), &self.sound, pending).map(|_| ())
    }

    /// What it takes from the sender's balance, fee included.
    pub const fn cost(&self) -> Amount {
        self.cost
    }

    /// What the sender's next transaction finds waiting, this one included.
    pub fn after(&self, pending: &Pending) -> Pending {
        if self.sound.is_free() {
            return *pending;
        }
        let reserved = pending.reserved.checked_add(self.cost).expect("admission checked the sum against the balance");
        Pending { next_sequence: pending.next_sequence + 1, reserved }
    }
}
