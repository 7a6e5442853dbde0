//! How a transaction enters a mempool: its shape, its signatures, then its standing at the tip.

use crate::check::signatures::verify_all;
use crate::check::standing::{self, Pending};
use crate::check::{ShapedTx, SoundTx};
use crate::error::TxError;
use crate::params::Params;
use crate::state::State;
use crate::tx::TxEnvelope;
use holdfast_primitives::{Amount, ChainId};

/// A transaction that the tip's state would take next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedTx {
    sound: SoundTx,
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

/// Checks shapes and signatures of many transactions, the signatures together: about half the work of one by one.
/// Verdicts come in the order of the transactions. Needs no state, so it can run beside anything.
pub fn sound(params: &Params, chain: &ChainId, envelopes: Vec<TxEnvelope>) -> Vec<Result<SoundTx, TxError>> {
    sound_of(chain, envelopes.into_iter().map(|envelope| ShapedTx::check(params, envelope)))
}

/// As [`sound`], for transactions whose shapes were judged in whatever way.
pub(crate) fn sound_of(
    chain: &ChainId,
    shapes: impl ExactSizeIterator<Item = Result<ShapedTx, TxError>>,
) -> Vec<Result<SoundTx, TxError>> {
    let mut verdicts: Vec<Result<(), TxError>> = Vec::with_capacity(shapes.len());
    let mut shaped = Vec::with_capacity(shapes.len());
    for shape in shapes {
        verdicts.push(shape.map(|tx| shaped.push(tx)));
    }
    let mut signed = verify_all(chain, shaped).into_iter();
    let verdict = |shape: Result<(), TxError>| {
        shape.and_then(|()| signed.next().expect("one verdict per well-shaped transaction"))
    };
    verdicts.into_iter().map(verdict).collect()
}

/// Checks a sound transaction against the tip, for the next height, after the sender's `pending` ones.
///
/// # Errors
/// The first rule that it breaks.
pub fn admit_sound(state: &State, sound: SoundTx, pending: &Pending) -> Result<AdmittedTx, TxError> {
    let cost = standing::check(state, state.chain().height.next(), &sound, pending)?;
    Ok(AdmittedTx { sound, cost })
}

impl AdmittedTx {
    /// The transaction.
    pub const fn sound(&self) -> &SoundTx {
        &self.sound
    }

    /// The transaction without a copy.
    pub fn into_sound(self) -> SoundTx {
        self.sound
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
