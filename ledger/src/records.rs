//! The records of the state: what each numbered entry of a state vector holds. Borsh, in the order of the fields.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::{BatchMeta, ClassList};
use holdfast_primitives::limits::{
    BATCH_CLASSES_MAX, CATALOG_HEAD_BYTES_MAX, FOOTPRINT_HOPS_MAX, REVOKED_MAX, SEGMENT_BATCHES_MAX, TOPICS_MAX,
    UNBONDINGS_MAX, VALIDATORS_MAX,
};
use holdfast_primitives::{
    AccountNo, Address, Amount, Bounded, ChainId, ContractNo, Digest, GRAIN_PER_HOLD, GrantId, Height, HolderNo,
    RoundNo, SegmentNo, Tag, TimeMs, ValidatorNo, ValidatorSet, VrfPublicKey,
};

/// The encrypted entry from which an owner finds its catalog.
pub type CatalogHead = Bounded<u8, CATALOG_HEAD_BYTES_MAX>;

/// Money and identity.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// The public key that signs for it.
    pub address: Address,
    /// What it may spend.
    pub balance: Amount,
    /// The sequence number that its next transaction must carry.
    pub sequence: u64,
    /// Its holder record, once it has joined as a holder.
    pub holder: Option<HolderNo>,
    /// Its validator record, once it has bonded.
    pub validator: Option<ValidatorNo>,
    /// Segments it has registered so far: the ordinal of its next one.
    pub segments: u32,
    /// Its encrypted catalog head; empty when it has stored nothing.
    pub catalog_head: CatalogHead,
    /// Its permissions to read that it took back before they ended, in order of their ends.
    pub revoked: Bounded<Revoked, REVOKED_MAX>,
}

/// A permission to read that its owner took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Revoked {
    /// Which.
    pub grant: GrantId,
    /// When it would have ended by itself: nobody needs to remember it from then on.
    pub until: TimeMs,
}

/// What a holder says of itself besides room and price. Nobody checks it: who is found to lie loses its owners.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Profile {
    /// The longest term for which it binds itself, in rounds.
    pub rounds_max: u32,
    /// Where its disk is.
    pub region: Option<Tag>,
    /// Who runs it: holders with one operator may fail together. A holder that names none is its own operator.
    pub operator: Option<Tag>,
    /// What its disk is for; empty for anything.
    pub topics: Bounded<Tag, TOPICS_MAX>,
}

impl Default for Profile {
    /// Any term, no word on anything else.
    fn default() -> Self {
        Self { rounds_max: u32::MAX, region: None, operator: None, topics: Bounded::empty() }
    }
}

/// What one holder is bound to in the running round: fixed from freeze to settlement.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Frozen {
    /// The round.
    pub round: RoundNo,
    /// `set_root` over its lists as they were at the freeze.
    pub set_root: [u8; 32],
    /// Its lists as they were at the freeze, ascending; empty lists are left out.
    pub classes: Bounded<ClassList, BATCH_CLASSES_MAX>,
    /// Challenges it must answer.
    pub challenges: u32,
    /// What it would be paid, relay fee included, if everything passed.
    pub revenue: Amount,
}

/// A holder: an offer, a deposit, and a list of batches per size.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Holder {
    /// Its account.
    pub account: AccountNo,
    /// Bytes it offers in all.
    pub quota_bytes: u64,
    /// Bytes of batches it is bound to.
    pub used_bytes: u64,
    /// Its asking price per MiB per round.
    pub price: Amount,
    /// Whether it takes new batches.
    pub accepting: bool,
    /// What it says of itself.
    pub profile: Profile,
    /// Its deposit: bond and collateral.
    pub deposit: Amount,
    /// The part of the deposit that secures batches.
    pub locked: Amount,
    /// Its batch lists, ascending by size: count and root of each.
    pub lists: Bounded<ClassList, BATCH_CLASSES_MAX>,
    /// What it must prove in the running round; `None` when it had nothing at the freeze or no round is pending.
    pub frozen: Option<Frozen>,
    /// Batches marked faulty now.
    pub faulty: u32,
    /// Rounds it proved.
    pub rounds_proved: u64,
    /// Rounds it missed.
    pub rounds_missed: u64,
    /// What it was paid in all, after relay fees and before proof fees.
    pub earned: Amount,
    /// What it was fined in all.
    pub fined: Amount,
}

/// One who bonded to decide blocks. Whether it does now, the [`ChainRecord`]'s set says.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ValidatorRecord {
    /// Its account, whose key signs its votes.
    pub account: AccountNo,
    /// Its beacon key.
    pub vrf: VrfPublicKey,
    /// What it stakes: its weight, and what misbehaviour costs it a part of.
    pub bonded: Amount,
    /// What it takes back, in order of time. Still liable until it is paid out.
    pub unbonding: Bounded<Unbonding, UNBONDINGS_MAX>,
    /// The first round in which it may decide blocks. A newcomer's beacon key must be older than the beacons it
    /// answers: who could add a key within a round could try out keys until one makes the seed it likes.
    pub since: RoundNo,
    /// Whether it may decide blocks.
    pub standing: Standing,
    /// Turns to propose that it missed since it last proposed.
    pub missed_in_row: u32,
    /// Turns that it missed in all.
    pub missed: u64,
    /// Blocks of its that were decided.
    pub proposed: u64,
    /// What was taken from it for misbehaviour.
    pub slashed: Amount,
    /// The rule book that it is ready for, and from when on.
    pub ready: Option<Upgrade>,
}

/// A part of a bond on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Unbonding {
    /// How much.
    pub amount: Amount,
    /// The round whose opening pays it out.
    pub until: RoundNo,
}

/// Whether a validator may decide blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Standing {
    /// It may, if its bond is among the largest.
    Good,
    /// It missed too many turns in a row. From this round on it may ask to be let in again.
    Jailed {
        /// The first round in which it may ask.
        until: RoundNo,
    },
    /// It said two things of which it may say only one. Never again.
    Banned,
}

/// A rule book and its first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Upgrade {
    /// Its version.
    pub version: u32,
    /// The first height that it rules.
    pub height: Height,
}

impl ValidatorRecord {
    /// Its weight in votes: whole HOLD.
    pub const fn power(&self) -> u64 {
        self.bonded.get() / GRAIN_PER_HOLD
    }

    /// All that it could lose: what is bonded and what is on its way back.
    pub fn liable(&self) -> Amount {
        let parts = self.unbonding.iter().map(|unbonding| unbonding.amount).chain([self.bonded]);
        Amount::checked_sum(parts).expect("a bond is a part of the supply")
    }
}

/// Owner, holder, price, term, footprint, and the escrow that pays.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Contract {
    /// Who pays.
    pub owner: AccountNo,
    /// Who holds.
    pub holder: HolderNo,
    /// Size of its batches, log2 of bytes.
    pub batch_log2: u8,
    /// Batches it pays for now.
    pub batches: u32,
    /// How many of them are faulty, and so unpaid.
    pub faulty: u32,
    /// Price per batch per round, relay fee included.
    pub price: Amount,
    /// Collateral of the holder locked per batch.
    pub collateral: Amount,
    /// What is left to pay from.
    pub escrow: Amount,
    /// The first round it pays for.
    pub first_round: RoundNo,
    /// The first round it no longer pays for.
    pub end_round: RoundNo,
    /// How far its owner may extend it at the same price: the longest term that the holder's quote offered.
    pub end_round_max: RoundNo,
    /// The distinct heavy nodes that share the relay fee, in the order of the path.
    pub footprint: Bounded<AccountNo, FOOTPRINT_HOPS_MAX>,
}

/// Where one batch of a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Member {
    /// Who holds it.
    pub holder: HolderNo,
    /// Its place in the holder's list of this size, or [`Member::GONE`].
    pub slot: u32,
}

impl Member {
    /// The slot of a batch that is in no list any more: it was released or its contract ended.
    pub const GONE: u32 = u32::MAX;

    /// Whether the batch is in no list any more.
    pub const fn is_gone(&self) -> bool {
        self.slot == Self::GONE
    }
}

/// `k` data batches and `m` parity batches of one owner.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Segment {
    /// Whose data it is.
    pub owner: AccountNo,
    /// The owner's own count: its first segment is 0.
    pub ordinal: u32,
    /// Size of its batches, log2 of bytes.
    pub batch_log2: u8,
    /// Data batches `k`.
    pub data: u8,
    /// Parity batches `m`.
    pub parity: u8,
    /// Erasure code: 1 is the classic GF(2^8) Vandermonde code.
    pub codec: u8,
    /// Its `k + m` batches in order.
    pub members: Bounded<Member, SEGMENT_BATCHES_MAX>,
}

/// One entry of a holder's list: a batch and whom it belongs to. Never changes while a round is pending.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Slot {
    /// By this anyone verifies the batch.
    pub meta: BatchMeta,
    /// Who pays for it.
    pub contract: ContractNo,
    /// The segment it is part of.
    pub segment: SegmentNo,
    /// Its place in the segment.
    pub index: u8,
    /// The round in which it was found or declared faulty; `None` while it is sound.
    pub faulty_since: Option<RoundNo>,
}

/// One holder's outcome of one round: 72 bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoundResult {
    /// The holder's address.
    pub holder: Address,
    /// Digest over its proof parts; zero when it sent none.
    pub proof_digest: Digest,
    /// Openings that failed or never came.
    pub missing: u32,
    /// Openings it was asked for.
    pub challenges: u32,
}

/// One settled round. The vector of these only ever grows.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoundRecord {
    /// Its number, which is also its place in the vector.
    pub round: RoundNo,
    /// The block that froze the lists.
    pub freeze_height: Height,
    /// That block's time.
    pub freeze_time: TimeMs,
    /// The block whose beacon is the seed.
    pub seed_height: Height,
    /// The seed.
    pub seed: [u8; 32],
    /// The block that settled it.
    pub settle_height: Height,
    /// Merkle root over the `FrozenHolder` rows, in order of holder number.
    pub frozen_root: Digest,
    /// Merkle root over the `RoundResult` rows, in order of holder number.
    pub results_root: Digest,
    /// Holders that had something to prove.
    pub holders: u32,
    /// Holders that sent no proof.
    pub missed: u32,
    /// Batches challenged.
    pub batches: u64,
    /// Batches newly marked faulty.
    pub newly_faulty: u32,
    /// Paid out of escrows in all.
    pub paid: Amount,
    /// The part of it that went to footprints.
    pub relay_fees: Amount,
    /// Paid by holders for verification.
    pub proof_fees: Amount,
    /// Taken from deposits.
    pub fines: Amount,
}

/// A holder's commitment at the freeze, as the auditor sees it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FrozenHolder {
    /// The holder's number.
    pub number: HolderNo,
    /// The holder's address.
    pub holder: Address,
    /// What it was bound to.
    pub frozen: Frozen,
}

/// What of one holder's proof has arrived in the running round.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProofProgress {
    /// Per part: the digest of its openings and the challenges that failed in it.
    pub parts: Vec<Option<PartOutcome>>,
}

/// One accepted proof part.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PartOutcome {
    /// Digest of the openings.
    pub openings_digest: Digest,
    /// The `j` of the openings that failed, ascending.
    pub failed: Vec<u32>,
}

/// Where the running round stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Phase {
    /// Lists may change freely; the next freeze waits for its time.
    Open,
    /// Lists are frozen; the seed is not known yet.
    AwaitingSeed,
    /// Proofs are taken until the deadline.
    Proving {
        /// The block whose beacon is the seed.
        seed_height: Height,
        /// The seed.
        seed: [u8; 32],
    },
}

/// The running round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RunningRound {
    /// Its number.
    pub round: RoundNo,
    /// Where it stands.
    pub phase: Phase,
    /// The block that froze it; meaningless while open.
    pub freeze_height: Height,
    /// That block's time; meaningless while open.
    pub freeze_time: TimeMs,
    /// When the first block at or after this time freezes (open) or settles (frozen).
    pub due: TimeMs,
    /// The time for which the freeze was planned: such times are `round_ms` apart, whenever their blocks come.
    pub freeze_due: TimeMs,
    /// Merkle root over the `FrozenHolder` rows; zero while open.
    pub frozen_root: Digest,
    /// Openings verified so far by each proposer, for its share of the proof fees; ascending by account.
    pub verified_by: Bounded<(AccountNo, u64), VALIDATORS_MAX>,
}

/// A change to a list that waits for the round's end.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Deferred {
    /// The owner let go of a segment.
    Release {
        /// The segment.
        segment: SegmentNo,
    },
}

/// What there is only one of.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChainRecord {
    /// The chain.
    pub chain: ChainId,
    /// The tip's height.
    pub height: Height,
    /// The tip's time.
    pub time: TimeMs,
    /// The beacon after the tip.
    pub beacon: [u8; 32],
    /// Who decides the next block.
    pub validators: ValidatorSet,
    /// The version of the rule book that ruled the tip.
    pub protocol: u32,
    /// The next rule book, once validators with more than two thirds of the power are ready for it.
    pub upgrade: Option<Upgrade>,
    /// Heavy nodes whose footprint earns, ascending.
    pub heavy_nodes: Bounded<AccountNo, VALIDATORS_MAX>,
    /// The running round.
    pub running: RunningRound,
    /// Fines, kept for repair.
    pub reserve: Amount,
    /// All money there is; never changes.
    pub supply: Amount,
}
