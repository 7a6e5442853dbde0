//! Blocks and what they cause.

use crate::records::{FrozenHolder, RoundRecord, RoundResult, Upgrade};
use crate::tx::SignedTx;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::{BLOCK_TXS_MAX, PROOF_PART_BYTES_MAX};
use holdfast_primitives::{
    AccountNo, Address, Amount, BlockHash, Bounded, ChainId, ContractNo, Digest, Height, HolderNo, RoundNo, SegmentNo,
    StateRoot, TimeMs, TxId, ValidatorNo, VrfProof, sha256_parts,
};

/// Payments in one event, at most.
pub const PAYMENTS_PER_EVENT: usize = 256;
/// Proof parts in one block, at most.
pub const BLOCK_PROOFS_MAX: usize = 4_096;

/// What validators sign: everything else hangs from it by hash.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// Version of the rule book.
    pub protocol_version: u32,
    /// The chain.
    pub chain: ChainId,
    /// The block's height.
    pub height: Height,
    /// The proposer's clock, later than the parent's.
    pub time: TimeMs,
    /// The block before; the zero hash for the first block.
    pub parent: BlockHash,
    /// Who built it.
    pub proposer: Address,
    /// Merkle root over the transactions' bytes.
    pub tx_root: Digest,
    /// Merkle root over the events.
    pub result_root: Digest,
    /// Root of the state after this block.
    pub state_root: StateRoot,
    /// `SHA256("holdfast/beacon/v1\0" | beacon before | VRF output)`.
    pub beacon: [u8; 32],
    /// The proposer's VRF over the beacon before.
    pub vrf: VrfProof,
    /// Digest of the validator set that decides this block.
    pub validators: Digest,
    /// Digest of the validator set that decides the next.
    pub next_validators: Digest,
}

/// A header and its transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions, in order of execution.
    pub txs: Bounded<SignedTx, BLOCK_TXS_MAX>,
}

/// A block as it travels: with the openings of its proofs, in the order of its `Prove` transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FullBlock {
    /// The block.
    pub block: Block,
    /// The openings.
    pub openings: Bounded<Bounded<u8, PROOF_PART_BYTES_MAX>, BLOCK_PROOFS_MAX>,
}

impl Header {
    /// `SHA256("holdfast/header/v1\0" | borsh)`.
    pub fn hash(&self) -> BlockHash {
        let bytes = borsh::to_vec(self).expect("a header encodes into memory");
        BlockHash::new(sha256_parts(&[b"holdfast/header/v1\0", &bytes]))
    }
}

/// The beacon after a VRF output.
pub fn next_beacon(before: &[u8; 32], output: &[u8; 32]) -> [u8; 32] {
    sha256_parts(&[b"holdfast/beacon/v1\0", before, output])
}

/// What one contract paid in one round: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payment {
    /// The contract.
    pub contract: ContractNo,
    /// Batches paid for.
    pub batches: u32,
    /// Out of the escrow.
    pub paid: Amount,
    /// The part of it that went to the footprint.
    pub relay_fee: Amount,
}

/// Something that a block caused, in order. Events are hashed into the header's result root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Event {
    /// A transaction was executed and paid its fee.
    Executed {
        /// The transaction.
        tx: TxId,
        /// Paid to the proposer.
        fee: Amount,
    },
    /// Money moved.
    Transferred {
        /// From.
        from: AccountNo,
        /// To.
        to: AccountNo,
        /// How much.
        amount: Amount,
    },
    /// A holder joined.
    HolderJoined {
        /// Its number.
        holder: HolderNo,
        /// Its account.
        account: AccountNo,
    },
    /// A holder changed its offer or deposit.
    HolderUpdated {
        /// Its number.
        holder: HolderNo,
    },
    /// A contract was opened.
    ContractOpened {
        /// Its number.
        contract: ContractNo,
        /// Who pays.
        owner: AccountNo,
        /// Who holds.
        holder: HolderNo,
        /// How many batches.
        batches: u32,
        /// Prepaid.
        escrow: Amount,
    },
    /// A segment was registered.
    SegmentRegistered {
        /// Its number.
        segment: SegmentNo,
        /// Whose.
        owner: AccountNo,
        /// The owner's own count.
        ordinal: u32,
    },
    /// A segment was let go and its batches left their lists.
    SegmentReleased {
        /// Its number.
        segment: SegmentNo,
    },
    /// A contract ended.
    ContractEnded {
        /// Its number.
        contract: ContractNo,
        /// Returned to the owner.
        refund: Amount,
    },
    /// One holder's list was frozen.
    HolderFrozen(FrozenHolder),
    /// All lists were frozen.
    RoundFrozen {
        /// The round.
        round: RoundNo,
        /// Its deadline, unless the chain stands still meanwhile or the seed comes late.
        deadline: TimeMs,
        /// Merkle root over the frozen holders.
        frozen_root: Digest,
    },
    /// The seed is known; proofs are taken.
    RoundSeeded {
        /// The round.
        round: RoundNo,
        /// The seed.
        seed: [u8; 32],
    },
    /// A proof part was verified.
    ProofVerified {
        /// By whom.
        holder: HolderNo,
        /// The transaction.
        tx: TxId,
        /// First challenge of the part.
        first_j: u32,
        /// Challenges of the part.
        count: u32,
        /// The ones that failed.
        failed: Vec<u32>,
    },
    /// One holder's outcome.
    HolderResult(RoundResult),
    /// A batch is faulty from now on.
    BatchFaulty {
        /// Its holder.
        holder: HolderNo,
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Its slot.
        slot: u32,
        /// Its segment.
        segment: SegmentNo,
        /// Its place in the segment.
        index: u8,
    },
    /// Contracts paid.
    Paid(Bounded<Payment, PAYMENTS_PER_EVENT>),
    /// A deposit was cut.
    Fined {
        /// Whose.
        holder: HolderNo,
        /// By how much.
        amount: Amount,
    },
    /// A round is settled.
    RoundSettled(RoundRecord),
    /// A validator bonded, or bonded more.
    Bonded {
        /// Its number.
        validator: ValidatorNo,
        /// Its account.
        account: AccountNo,
        /// Moved into the bond.
        amount: Amount,
    },
    /// A validator takes back a part of its bond.
    Unbonding {
        /// Its number.
        validator: ValidatorNo,
        /// How much.
        amount: Amount,
        /// The round whose opening pays it out.
        until: RoundNo,
    },
    /// A part of a bond was paid out.
    Unbonded {
        /// Its number.
        validator: ValidatorNo,
        /// How much.
        amount: Amount,
    },
    /// A validator missed too many turns in a row.
    Jailed {
        /// Its number.
        validator: ValidatorNo,
        /// The first round in which it may ask to be let in again.
        until: RoundNo,
    },
    /// A validator was let in again.
    Unjailed {
        /// Its number.
        validator: ValidatorNo,
    },
    /// A validator contradicted itself and is banned.
    Slashed {
        /// Its number.
        validator: ValidatorNo,
        /// Taken from its bond into the reserve.
        amount: Amount,
        /// The height at which it did.
        height: Height,
    },
    /// Other validators, or other weights, decide from the next block on.
    ValidatorsChanged {
        /// Digest of the set.
        validators: Digest,
    },
    /// Validators with more than two thirds of the power are ready for another rule book.
    UpgradeAgreed(Upgrade),
    /// From this block on another rule book rules.
    Upgraded {
        /// Its version.
        version: u32,
    },
    /// A contract is paid for longer.
    ContractExtended {
        /// Its number.
        contract: ContractNo,
        /// The first round it no longer pays for.
        end_round: RoundNo,
        /// Prepaid for that.
        added: Amount,
    },
}
