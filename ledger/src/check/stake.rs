//! Whether a transaction about bonds, accusations or rule books may be executed now.

use crate::error::StakeRule;
use crate::records::{Standing, Upgrade, ValidatorRecord};
use crate::stake::{may_decide, oldest_liable};
use crate::state::State;
use crate::tx::TxBody;
use holdfast_primitives::limits::{UNBONDINGS_MAX, UPGRADE_NOTICE_BLOCKS};
use holdfast_primitives::{Address, Amount, Height, HeightDelta, Misbehaviour, ValidatorNo, VrfPublicKey};

/// What the transaction shows by itself.
pub(super) fn check_shape(body: &TxBody) -> Result<(), StakeRule> {
    match body {
        TxBody::Bond { amount, .. } | TxBody::Unbond { amount } if amount.is_zero() => Err(StakeRule::Nothing),
        TxBody::Bond { vrf, .. } if !vrf.is_valid() => Err(StakeRule::BeaconKey),
        TxBody::Accuse { misbehaviour } if !misbehaviour.contradicts() => {
            Err(StakeRule::NoContradiction { accused: *misbehaviour.validator() })
        }
        _ => Ok(()),
    }
}

/// What only the state can tell, for a block at `height`.
pub(super) fn check(state: &State, height: Height, sender: &Address, body: &TxBody) -> Result<(), StakeRule> {
    match body {
        TxBody::Bond { amount, vrf } => check_bond(state, sender, *amount, vrf),
        TxBody::Unbond { amount } => check_unbond(state, sender, *amount),
        TxBody::Unjail => check_unjail(state, sender),
        TxBody::Accuse { misbehaviour } => check_accusation(state, height, misbehaviour),
        TxBody::Ready { upgrade } => check_ready(state, height, sender, *upgrade),
        _ => unreachable!("the caller matched what is about stake"),
    }
}

fn validator_of<'a>(state: &'a State, address: &Address) -> Result<(ValidatorNo, &'a ValidatorRecord), StakeRule> {
    let found = state.validator_by_address(address).ok_or(StakeRule::NotAValidator { address: *address })?;
    if found.1.standing == Standing::Banned {
        return Err(StakeRule::Banned { address: *address });
    }
    Ok(found)
}

fn check_bond(state: &State, sender: &Address, amount: Amount, vrf: &VrfPublicKey) -> Result<(), StakeRule> {
    let bonded = match validator_of(state, sender) {
        Ok((_, record)) if record.vrf != *vrf => return Err(StakeRule::OtherBeaconKey),
        Ok((_, record)) => record.bonded,
        Err(StakeRule::NotAValidator { .. }) => Amount::ZERO,
        Err(banned) => return Err(banned),
    };
    let bond = bonded.checked_add(amount).unwrap_or(Amount::grains(u64::MAX));
    let least = state.params().validator_bond_min;
    if bond < least {
        return Err(StakeRule::BondTooSmall { bond, least });
    }
    Ok(())
}

/// Who is banned may take back what is left, too.
fn check_unbond(state: &State, sender: &Address, amount: Amount) -> Result<(), StakeRule> {
    let found = state.validator_by_address(sender).ok_or(StakeRule::NotAValidator { address: *sender });
    let (number, record) = found?;
    let too_much = StakeRule::UnbondTooMuch { amount, bonded: record.bonded };
    let bond = record.bonded.checked_sub(amount).map_err(|_| too_much)?;
    let least = state.params().validator_bond_min;
    if !bond.is_zero() && bond < least {
        return Err(StakeRule::BondTooSmall { bond, least });
    }
    if record.unbonding.len() >= UNBONDINGS_MAX {
        return Err(StakeRule::TooManyUnbondings { limit: UNBONDINGS_MAX });
    }
    if bond.is_zero() && may_decide(state, record) && !others_may_decide(state, number) {
        return Err(StakeRule::LastValidator);
    }
    Ok(())
}

/// Whether somebody else than this validator may decide blocks.
pub(crate) fn others_may_decide(state: &State, number: ValidatorNo) -> bool {
    state.iter_validators().any(|(other, record)| other != number && may_decide(state, record))
}

fn check_unjail(state: &State, sender: &Address) -> Result<(), StakeRule> {
    let (_, record) = validator_of(state, sender)?;
    let Standing::Jailed { until } = record.standing else { return Err(StakeRule::NotJailed) };
    let round = state.chain().running.round;
    if round < until {
        return Err(StakeRule::StillJailed { until, round });
    }
    let (bond, least) = (record.bonded, state.params().validator_bond_min);
    if bond < least {
        return Err(StakeRule::BondTooSmall { bond, least });
    }
    Ok(())
}

fn check_accusation(state: &State, block: Height, misbehaviour: &Misbehaviour) -> Result<(), StakeRule> {
    validator_of(state, misbehaviour.validator())?;
    let (height, oldest) = (misbehaviour.height(), oldest_liable(state));
    if height > block {
        return Err(StakeRule::AccusationAhead { height, block });
    }
    if height < oldest {
        return Err(StakeRule::AccusationTooOld { height, oldest });
    }
    Ok(())
}

fn check_ready(state: &State, block: Height, sender: &Address, upgrade: Upgrade) -> Result<(), StakeRule> {
    validator_of(state, sender)?;
    let protocol = state.protocol_at(block);
    if upgrade.version < protocol {
        return Err(StakeRule::ReadyBackwards { version: upgrade.version, protocol });
    }
    let earliest = block.saturating_add(HeightDelta::new(UPGRADE_NOTICE_BLOCKS));
    if upgrade.version > protocol && upgrade.height < earliest {
        return Err(StakeRule::ReadyTooSoon { height: upgrade.height, earliest });
    }
    Ok(())
}
