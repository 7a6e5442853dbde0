//! Small steps on records that must exist, and on amounts that must fit: the checks before execution made sure.

use crate::state::State;
use holdfast_primitives::{AccountNo, Address, Amount, HolderNo};

/// Why sums of parts never overflow.
const ONE_SUPPLY: &str = "all amounts are parts of one supply of 64 bits";

/// The account with this address, made if there is none.
pub(crate) fn account_or_new(state: &mut State, address: &Address) -> AccountNo {
    match state.account_by_address(address) {
        Some((number, _)) => number,
        None => state.create_account(*address),
    }
}

/// Adds to a balance.
pub(crate) fn credit(state: &mut State, account: AccountNo, amount: Amount) {
    let account = state.account_mut(account);
    account.balance = plus(account.balance, amount);
}

/// Takes from a balance that was checked.
pub(crate) fn debit(state: &mut State, account: AccountNo, amount: Amount) {
    let account = state.account_mut(account);
    account.balance = minus(account.balance, amount);
}

/// Takes up to `amount` from a deposit into the reserve and returns what was there to take.
pub(crate) fn fine(state: &mut State, number: HolderNo, amount: Amount) -> Amount {
    let holder = state.holder_mut(number);
    let taken = amount.min(holder.deposit);
    holder.deposit = minus(holder.deposit, taken);
    holder.fined = plus(holder.fined, taken);
    let chain = state.chain_mut();
    chain.reserve = plus(chain.reserve, taken);
    taken
}

/// The sum of two parts of the supply.
pub(crate) fn plus(left: Amount, right: Amount) -> Amount {
    left.checked_add(right).expect(ONE_SUPPLY)
}

/// A part of the supply less a part of that part.
pub(crate) fn minus(left: Amount, right: Amount) -> Amount {
    left.checked_sub(right).expect("a check made sure that this much is there")
}

/// A part of an escrow: price x batches (x rounds), which was prepaid.
pub(crate) fn times(price: Amount, factor: u64) -> Amount {
    price.checked_mul(factor).expect("what was prepaid fits 64 bits")
}

/// `ceil(amount * percent / 100)`, at most 64 bits.
pub(crate) fn percent(amount: Amount, percent: u8) -> Amount {
    let wide = (u128::from(amount.get()) * u128::from(percent)).div_ceil(100);
    Amount::grains(u64::try_from(wide).unwrap_or(u64::MAX))
}
