//! Our types in the engine's clothes: what it calls a context. Nothing here decides anything; each type wraps one of
//! ours because a foreign trait cannot be implemented for a foreign type.

use super::signing::Ed25519;
use arc_malachitebft_core_types as core;
use borsh::{BorshDeserialize, BorshSerialize};
use core::{Context, LinearTimeouts, NilOrVal, Round, SignedExtension, VoteType};
use holdfast_primitives::{Address, BlockHash, Height, Schedule, ValidatorSet};
use std::fmt;
use std::sync::Arc;

/// Ties our types together for the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holdfast;

/// A validator's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(crate) struct EngineAddress(pub Address);

/// A block height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub(crate) struct EngineHeight(pub Height);

/// The value that is decided: a block's hash. The block itself travels as [`super::part::BlockPart`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(crate) struct BlockValue(pub BlockHash);

/// A prevote or a precommit. Vote extensions are not used.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Vote {
    pub kind: VoteType,
    pub height: EngineHeight,
    pub round: Round,
    pub value: NilOrVal<BlockHash>,
    pub validator: EngineAddress,
}

/// The announcement that a block is proposed in a round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Proposal {
    pub height: EngineHeight,
    pub round: Round,
    pub value: BlockValue,
    pub valid_round: Round,
    pub proposer: EngineAddress,
}

/// A validator; its address is its public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineValidator {
    address: EngineAddress,
    power: u64,
}

/// The validators of a height with the order in which they propose; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineValidatorSet(Arc<SetInner>);

#[derive(Debug, PartialEq, Eq)]
struct SetInner {
    validators: Vec<EngineValidator>,
    total_power: u64,
    schedule: Schedule,
}

impl EngineValidatorSet {
    pub(crate) fn new(set: &ValidatorSet) -> Self {
        let wrap = |power, address| EngineValidator { address: EngineAddress(address), power };
        let validators: Vec<_> = set.iter().map(|validator| wrap(validator.power, validator.address)).collect();
        Self(Arc::new(SetInner { validators, total_power: set.total_power(), schedule: Schedule::of(set) }))
    }

    /// Whose turn it is to propose.
    pub(crate) fn proposer(&self, height: Height, round: u32) -> &EngineValidator {
        &self.0.validators[self.0.schedule.turn(height, round)]
    }

    /// Whether it was this validator's turn in `round` or before: a block may be proposed again after its own round.
    pub(crate) fn had_its_turn(&self, proposer: &Address, height: Height, round: u32) -> bool {
        let rounds = 0..=round.min(self.0.schedule.turns());
        rounds.into_iter().any(|round| self.proposer(height, round).address() == proposer)
    }

    /// Whether this is one of them.
    pub(crate) fn contains(&self, address: &Address) -> bool {
        core::ValidatorSet::get_by_address(self, &EngineAddress(*address)).is_some()
    }
}

impl EngineValidator {
    pub(crate) const fn address(&self) -> &Address {
        &self.address.0
    }
}

/// The round as we number it. The engine's "no round" never reaches this (decoding refuses it where it has no place);
/// if it did, it would stand for a round that nobody gets to.
pub(crate) fn round_number(round: Round) -> u32 {
    round.as_u32().unwrap_or(u32::MAX)
}

/// The engine's "no round" as an absent one.
pub(crate) fn round_option(round: Round) -> Option<u32> {
    round.as_u32()
}

/// An absent round as the engine's "no round".
pub(crate) fn engine_round(round: Option<u32>) -> Round {
    round.map_or(Round::Nil, Round::new)
}

impl Context for Holdfast {
    type Address = EngineAddress;
    type Height = EngineHeight;
    type ProposalPart = super::part::BlockPart;
    type Proposal = Proposal;
    type Validator = EngineValidator;
    type ValidatorSet = EngineValidatorSet;
    type Timeouts = LinearTimeouts;
    type Value = BlockValue;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(
        &self,
        set: &'a EngineValidatorSet,
        height: EngineHeight,
        round: Round,
    ) -> &'a EngineValidator {
        set.proposer(height.0, round_number(round))
    }

    fn new_proposal(
        &self,
        height: EngineHeight,
        round: Round,
        value: BlockValue,
        valid_round: Round,
        proposer: EngineAddress,
    ) -> Proposal {
        Proposal { height, round, value, valid_round, proposer }
    }

    fn new_prevote(
        &self,
        height: EngineHeight,
        round: Round,
        value: NilOrVal<BlockHash>,
        validator: EngineAddress,
    ) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, validator }
    }

    fn new_precommit(
        &self,
        height: EngineHeight,
        round: Round,
        value: NilOrVal<BlockHash>,
        validator: EngineAddress,
    ) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, validator }
    }
}

impl core::Address for EngineAddress {}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.short())
    }
}

impl fmt::Display for EngineHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Height for EngineHeight {
    const ZERO: Self = Self(Height::GENESIS);
    const INITIAL: Self = Self(Height::new(1));

    fn increment_by(&self, blocks: u64) -> Self {
        Self(Height::new(self.0.get().saturating_add(blocks)))
    }

    fn decrement_by(&self, blocks: u64) -> Option<Self> {
        self.0.get().checked_sub(blocks).map(|height| Self(Height::new(height)))
    }

    fn as_u64(&self) -> u64 {
        self.0.get()
    }
}

impl core::Value for BlockValue {
    type Id = BlockHash;

    fn id(&self) -> BlockHash {
        self.0
    }
}

impl core::Validator<Holdfast> for EngineValidator {
    fn address(&self) -> &EngineAddress {
        &self.address
    }

    fn public_key(&self) -> &Address {
        &self.address.0
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

impl core::ValidatorSet<Holdfast> for EngineValidatorSet {
    fn count(&self) -> usize {
        self.0.validators.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.total_power
    }

    fn get_by_address(&self, address: &EngineAddress) -> Option<&EngineValidator> {
        let index = self.0.validators.binary_search_by_key(address, |validator| validator.address).ok()?;
        self.get_by_index(index)
    }

    fn get_by_index(&self, index: usize) -> Option<&EngineValidator> {
        self.0.validators.get(index)
    }
}

impl core::Vote<Holdfast> for Vote {
    fn height(&self) -> EngineHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockHash> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockHash> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &EngineAddress {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Holdfast>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Holdfast>> {
        None
    }

    fn extend(self, _: SignedExtension<Holdfast>) -> Self {
        self
    }
}

impl core::Proposal<Holdfast> for Proposal {
    fn height(&self) -> EngineHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BlockValue {
        &self.value
    }

    fn take_value(self) -> BlockValue {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.valid_round
    }

    fn validator_address(&self) -> &EngineAddress {
        &self.proposer
    }
}
