//! Paying contracts for longer. The holder need not be asked again: its quote offered a longest term at this price, and an
//! extension stays within it. A holder that takes nothing new is let go when its terms are over, so nothing of its is
//! extended.

use crate::error::TxError;
use crate::records::Contract;
use crate::state::State;
use holdfast_primitives::{AccountNo, Address, Amount, AmountError, ContractNo, RoundNo};

/// What extending `contract` to `end_round` adds to its escrow: price x batches x further rounds. Faulty batches are prepaid
/// like all others: they may be mended, and what they do not earn returns in the end.
pub(crate) fn added(contract: &Contract, end_round: RoundNo) -> Result<Amount, AmountError> {
    let per_round = contract.price.checked_mul(u64::from(contract.batches))?;
    per_round.checked_mul(end_round.since(contract.end_round))
}

/// What extending all of these adds together; contracts that are not there add nothing.
pub(super) fn added_in_all(state: &State, contracts: &[ContractNo], end_round: RoundNo) -> Result<Amount, TxError> {
    contracts.iter().filter_map(|number| state.contract(*number)).try_fold(Amount::ZERO, |sum, contract| {
        let added = added(contract, end_round).map_err(|_| TxError::CostOverflow)?;
        sum.checked_add(added).map_err(|_| TxError::CostOverflow)
    })
}

/// Checks whether `sender` may extend one contract.
pub(super) fn check(
    state: &State,
    (owner, sender): (AccountNo, Address),
    number: ContractNo,
    end_round: RoundNo,
) -> Result<(), TxError> {
    let contract = state.contract(number).ok_or(TxError::UnknownContract { contract: number })?;
    if contract.owner != owner {
        return Err(TxError::ContractOfAnother { contract: number, sender });
    }
    if contract.batches == 0 {
        return Err(TxError::ContractOver { contract: number });
    }
    if end_round <= contract.end_round {
        let end = contract.end_round;
        return Err(TxError::ExtendBackwards { contract: number, end_round: end, found: end_round });
    }
    if end_round > contract.end_round_max {
        let limit = contract.end_round_max;
        return Err(TxError::ExtendTooLong { contract: number, limit, found: end_round });
    }
    let holder = state.holder(contract.holder).expect("a contract names a holder that exists");
    if !holder.accepting {
        return Err(TxError::ExtendClosed { contract: number, holder: contract.holder });
    }
    Ok(())
}
