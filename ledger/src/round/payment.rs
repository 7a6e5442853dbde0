//! What one contract pays in one round (DESIGN section 5). Settlement and audit share it.

use crate::block::Payment;
use crate::execute::ledger::times;
use crate::records::Contract;
use holdfast_primitives::{Amount, ContractNo, RoundNo};

/// Ten thousand basis points are the whole.
const BPS_WHOLE: u64 = 10_000;

/// What `contract` pays in `round` to a holder that proved; `None` when it owes nothing.
pub(crate) fn payment(number: ContractNo, contract: &Contract, round: RoundNo, relay_fee_bps: u16) -> Option<Payment> {
    let batches = contract.batches - contract.faulty;
    if batches == 0 || !contract.pays_for(round) {
        return None;
    }
    let paid = contract.due_per_round();
    let relay_fee = paid.share(relay_fee_bps.into(), BPS_WHOLE);
    Some(Payment { contract: number, batches, paid, relay_fee })
}

impl Contract {
    /// Whether it has batches to pay for in `round`.
    pub fn pays_for(&self, round: RoundNo) -> bool {
        self.batches > 0 && self.first_round <= round && round < self.end_round
    }

    /// What its sound batches cost per round, relay fee included.
    ///
    /// # Panics
    /// When that does not fit 64 bits: an escrow that was prepaid is larger.
    pub fn due_per_round(&self) -> Amount {
        times(self.price, u64::from(self.batches - self.faulty))
    }
}
