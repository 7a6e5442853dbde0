//! What only the state can tell about a transaction: whose turn it is, what the sender can pay, and whether what it asks
//! for is there. Reads, never writes; admission and execution share it, so a block holds nothing that admission refuses.

use crate::check::{SoundTx, escrow, extend, placement_counts, stake};
use crate::error::{PlacementRule, TxError};
use crate::records::{Account, Frozen, Holder, Member, Phase, Revoked};
use crate::state::State;
use crate::tx::{Placement, Register, TxBody};
use holdfast_por::{HolderChallenge, ProofPart, RoundSeed};
use holdfast_primitives::limits::REVOKED_MAX;
use holdfast_primitives::{AccountNo, Address, Amount, Digest, Height, HolderNo};

/// What a sender's waiting transactions have used up already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The sequence number after the last waiting transaction's.
    pub next_sequence: u64,
    /// What the waiting transactions cost together.
    pub reserved: Amount,
}

impl Pending {
    /// Nothing waits: the account's own sequence number, nothing reserved.
    pub fn none(state: &State, sender: &Address) -> Self {
        let next_sequence = state.account_by_address(sender).map_or(0, |(_, account)| account.sequence);
        Self { next_sequence, reserved: Amount::ZERO }
    }
}

/// Checks a transaction against `state` for a block at `height`; returns what it takes from the sender's balance.
pub(crate) fn check(state: &State, height: Height, sound: &SoundTx, pending: &Pending) -> Result<Amount, TxError> {
    let tx = &sound.signed().tx;
    if height > tx.expires {
        return Err(TxError::Expired { expires: tx.expires, height });
    }
    if let TxBody::Prove { part, .. } = &tx.body {
        check_prove(state, part, sound)?;
        return Ok(Amount::ZERO);
    }
    let (sender, account) = state.account_by_address(&tx.sender).ok_or(TxError::UnknownSender { sender: tx.sender })?;
    if tx.body.is_free() {
        check_body(state, height, sender, account, &tx.body)?;
        return Ok(Amount::ZERO);
    }
    if tx.sequence != pending.next_sequence {
        return Err(TxError::WrongSequence { expected: pending.next_sequence, found: tx.sequence });
    }
    let cost = tx.fee.checked_add(locked_up(state, &tx.body)?).map_err(|_| TxError::CostOverflow)?;
    let available = account.balance.saturating_sub(pending.reserved);
    if cost > available {
        return Err(TxError::BalanceTooLow { needed: cost, available });
    }
    check_body(state, height, sender, account, &tx.body)?;
    Ok(cost)
}

/// What a body takes from the balance besides the fee.
fn locked_up(state: &State, body: &TxBody) -> Result<Amount, TxError> {
    match body {
        TxBody::Transfer { amount, .. } | TxBody::Bond { amount, .. } => Ok(*amount),
        TxBody::HolderJoin { deposit, .. } => Ok(*deposit),
        TxBody::HolderUpdate { deposit_add, .. } => Ok(*deposit_add),
        TxBody::Register(register) => {
            let counts = placement_counts(register);
            register.placements.iter().zip(counts).try_fold(Amount::ZERO, |sum, (placement, batches)| {
                let escrow = escrow(placement, batches).map_err(|_| TxError::CostOverflow)?;
                sum.checked_add(escrow).map_err(|_| TxError::CostOverflow)
            })
        }
        TxBody::Extend { contracts, end_round } => extend::added_in_all(state, contracts, *end_round),
        TxBody::Release { .. } | TxBody::DeclareFaulty { .. } | TxBody::Prove { .. } | TxBody::Revoke { .. } => {
            Ok(Amount::ZERO)
        }
        TxBody::Unbond { .. } | TxBody::Unjail | TxBody::Accuse { .. } | TxBody::Ready { .. } => Ok(Amount::ZERO),
    }
}

fn check_body(
    state: &State,
    height: Height,
    sender: AccountNo,
    account: &Account,
    body: &TxBody,
) -> Result<(), TxError> {
    match body {
        TxBody::Transfer { .. } | TxBody::Prove { .. } => Ok(()),
        TxBody::HolderJoin { .. } => match account.holder {
            Some(holder) => Err(TxError::HolderAlready { holder }),
            None => check_admitted(state, account),
        },
        TxBody::HolderUpdate { quota_bytes, accepting, deposit_add, deposit_take, .. } => {
            let (_, holder) = holder_of(state, account)?;
            check_quota(*quota_bytes, holder)?;
            check_deposit(state, holder, *accepting, *deposit_add, *deposit_take)
        }
        TxBody::Register(register) => {
            check_admitted(state, account)?;
            check_register(state, height, account, register)
        }
        TxBody::Release { ordinals, .. } => {
            ordinals.iter().try_for_each(|ordinal| check_release(state, sender, *ordinal))
        }
        TxBody::Extend { contracts, end_round } => {
            let by = (sender, account.address);
            contracts.iter().try_for_each(|number| extend::check(state, by, *number, *end_round))
        }
        TxBody::DeclareFaulty { batches } => check_declare(state, account, batches),
        TxBody::Revoke { revoked } => check_revoke(state, account, *revoked),
        TxBody::Bond { .. } | TxBody::Unbond { .. } | TxBody::Unjail | TxBody::Accuse { .. } | TxBody::Ready { .. } => {
            Ok(stake::check(state, height, &account.address, body)?)
        }
    }
}

fn check_admitted(state: &State, account: &Account) -> Result<(), TxError> {
    let key = account.address;
    if state.params().admits(&key) { Ok(()) } else { Err(TxError::NotAdmitted { key }) }
}

fn check_revoke(state: &State, account: &Account, revoked: Revoked) -> Result<(), TxError> {
    let (Revoked { grant, until }, now) = (revoked, state.chain().time);
    if until <= now {
        return Err(TxError::GrantOver { until });
    }
    let mut known = account.revoked.iter().filter(|known| known.until > now);
    if known.clone().count() >= REVOKED_MAX {
        return Err(TxError::RevokedFull { limit: REVOKED_MAX });
    }
    if known.any(|known| known.grant == grant) { Err(TxError::GrantRevoked { grant }) } else { Ok(()) }
}

fn holder_of<'a>(state: &'a State, account: &Account) -> Result<(HolderNo, &'a Holder), TxError> {
    let number = account.holder.ok_or(TxError::NotAHolder { sender: account.address })?;
    Ok((number, state.holder(number).expect("an account names a holder that exists")))
}

const fn check_quota(quota_bytes: u64, holder: &Holder) -> Result<(), TxError> {
    if quota_bytes < holder.used_bytes {
        return Err(TxError::QuotaBelowUsed { quota_bytes, used_bytes: holder.used_bytes });
    }
    Ok(())
}

fn check_deposit(state: &State, holder: &Holder, accepting: bool, add: Amount, take: Amount) -> Result<(), TxError> {
    let stays = if accepting || holder.used_bytes > 0 { state.params().holder_bond } else { Amount::ZERO };
    let deposit = holder.deposit.checked_add(add).expect("deposit and balance are parts of one supply");
    let free = deposit.saturating_sub(holder.locked).saturating_sub(stays);
    if take > free {
        return Err(TxError::DepositNotFree { take, free });
    }
    Ok(())
}

fn check_register(state: &State, height: Height, owner: &Account, register: &Register) -> Result<(), TxError> {
    if register.first_ordinal != owner.segments {
        return Err(TxError::WrongOrdinal { expected: owner.segments, found: register.first_ordinal });
    }
    for (index, (placement, batches)) in register.placements.iter().zip(placement_counts(register)).enumerate() {
        check_placement(state, height, placement, batches)
            .map_err(|rule| TxError::Placement { placement: index, rule })?;
    }
    Ok(())
}

fn check_placement(state: &State, height: Height, placement: &Placement, batches: u32) -> Result<(), PlacementRule> {
    let terms = &placement.quote.terms;
    if height > terms.expires {
        return Err(PlacementRule::QuoteExpired { expires: terms.expires, height });
    }
    let receipt_expires = placement.receipt.expires;
    if height > receipt_expires {
        return Err(PlacementRule::ReceiptExpired { expires: receipt_expires, height });
    }
    let unknown = PlacementRule::HolderUnknown { holder: terms.holder };
    let (_, holder) = state.holder_by_address(&terms.holder).ok_or(unknown)?;
    if !holder.accepting {
        return Err(PlacementRule::HolderClosed { holder: terms.holder });
    }
    for hop in placement.footprint.iter() {
        heavy_node(state, &hop.node).ok_or(PlacementRule::HopUnknown { node: hop.node })?;
    }
    check_room(holder, placement, batches)?;
    check_collateral(state, holder, placement, batches)
}

/// The account of a heavy node whose footprint earns.
pub(crate) fn heavy_node(state: &State, address: &Address) -> Option<AccountNo> {
    let (number, _) = state.account_by_address(address)?;
    state.chain().heavy_nodes.binary_search(&number).ok().map(|_| number)
}

fn check_room(holder: &Holder, placement: &Placement, batches: u32) -> Result<(), PlacementRule> {
    let terms = &placement.quote.terms;
    let bytes = u64::from(batches) << terms.batch_log2;
    let free = holder.quota_bytes.saturating_sub(holder.used_bytes);
    if bytes > free {
        return Err(PlacementRule::QuotaExceeded { holder: terms.holder, bytes, free });
    }
    Ok(())
}

/// Collateral locked for one batch: its price for `collateral_rounds` rounds.
pub(crate) fn collateral(state: &State, price: Amount) -> Option<Amount> {
    price.checked_mul(u64::from(state.params().collateral_rounds)).ok()
}

fn check_collateral(state: &State, holder: &Holder, placement: &Placement, batches: u32) -> Result<(), PlacementRule> {
    let terms = &placement.quote.terms;
    let needed = collateral(state, terms.price).and_then(|each| each.checked_mul(u64::from(batches)).ok());
    let secured = holder.locked.checked_add(state.params().holder_bond).ok();
    let free = secured.and_then(|secured| holder.deposit.checked_sub(secured).ok());
    if let (Some(needed), Some(free)) = (needed, free)
        && needed <= free
    {
        return Ok(());
    }
    Err(PlacementRule::CollateralMissing {
        holder: terms.holder,
        needed: needed.unwrap_or(Amount::grains(u64::MAX)),
        free: free.unwrap_or(Amount::ZERO),
    })
}

fn check_release(state: &State, owner: AccountNo, ordinal: u32) -> Result<(), TxError> {
    let unknown = TxError::UnknownSegment { ordinal };
    let number = state.segment_of(owner, ordinal).ok_or(unknown)?;
    let segment = state.segment(number).expect("the index names segments that exist");
    if segment.members.iter().all(Member::is_gone) {
        return Err(TxError::ReleasedAlready { ordinal });
    }
    Ok(())
}

fn check_declare(state: &State, account: &Account, batches: &[(u8, u32)]) -> Result<(), TxError> {
    let (holder, _) = holder_of(state, account)?;
    let running = &state.chain().running;
    if running.phase != Phase::Open {
        return Err(TxError::RoundPending { round: running.round });
    }
    for &(batch_log2, slot) in batches {
        let entry = state.slot(holder, batch_log2, slot).ok_or(TxError::UnknownSlot { batch_log2, slot })?;
        if entry.faulty_since.is_some() {
            return Err(TxError::FaultyAlready { batch_log2, slot });
        }
    }
    Ok(())
}

fn check_prove(state: &State, part: &ProofPart, sound: &SoundTx) -> Result<(), TxError> {
    let running = &state.chain().running;
    let (holder, frozen) = frozen_of(state, &part.holder)?;
    if !matches!(running.phase, Phase::Proving { .. }) {
        return Err(TxError::NotProving { round: running.round });
    }
    if part.round != running.round {
        return Err(TxError::ProofRound { expected: running.round, found: part.round });
    }
    let frozen = frozen.ok_or(TxError::NothingToProve { holder })?;
    if part.set_root != frozen.set_root {
        let (expected, found) = (Digest::new(frozen.set_root), Digest::new(part.set_root));
        return Err(TxError::ProofSet { expected, found });
    }
    let index = part_index(state, frozen, part)?;
    let accepted = state.progress(holder).and_then(|progress| progress.parts.get(index)).is_some_and(Option::is_some);
    if accepted {
        return Err(TxError::ProofPartTwice { first_j: part.first_j });
    }
    let challenge = challenge(state, &part.holder, frozen).expect("proofs are taken only once the seed is known");
    let expected = challenge.openings_bytes(part.first_j, part.count).expect("the part's bounds were checked");
    let found = sound.openings().len();
    if found != expected && sound.stated().is_none() {
        return Err(TxError::OpeningsLength { expected, found });
    }
    Ok(())
}

fn frozen_of<'a>(state: &'a State, address: &Address) -> Result<(HolderNo, Option<&'a Frozen>), TxError> {
    let not_a_holder = TxError::NotAHolder { sender: *address };
    let (number, holder) = state.holder_by_address(address).ok_or(not_a_holder)?;
    Ok((number, holder.frozen.as_ref()))
}

/// Which part of the proof this is; parts start at multiples of the whole part and only the last is shorter.
pub(crate) fn part_index(state: &State, frozen: &Frozen, part: &ProofPart) -> Result<usize, TxError> {
    let (step, challenges) = (part_openings(state), frozen.challenges);
    let aligned = part.first_j.is_multiple_of(step) && part.first_j < challenges;
    if !aligned || part.count != step.min(challenges - part.first_j) {
        let ProofPart { first_j, count, .. } = *part;
        return Err(TxError::ProofPartBounds { first_j, count, part_openings: step, challenges });
    }
    Ok((part.first_j / step) as usize)
}

/// Openings of a whole part; a genesis allows no zero.
pub(crate) fn part_openings(state: &State) -> u32 {
    state.params().proof_part_openings
}

/// A frozen holder's challenge; `None` until the seed is known.
pub(crate) fn challenge(state: &State, holder: &Address, frozen: &Frozen) -> Option<HolderChallenge> {
    let chain = state.chain();
    let Phase::Proving { seed, .. } = chain.running.phase else { return None };
    let of = RoundSeed { chain: chain.chain, round: frozen.round, seed, holder: *holder, set_root: frozen.set_root };
    let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
    Some(
        HolderChallenge::new(of, &classes, frozen.challenges)
            .expect("the freeze takes ascending lists of allowed sizes"),
    )
}
