//! What a network fixes in its genesis. Everything here is hashed into the chain id.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::ChallengeParams;
use holdfast_primitives::limits::{BATCH_CLASSES_MAX, GRID_MAX, VALIDATORS_MAX};
use holdfast_primitives::{Address, Amount, Bounded, ChainId, NetworkPrefix, TimeMs, VrfPublicKey, sha256_parts};

/// Accounts that a genesis may fund.
pub const GENESIS_ACCOUNTS_MAX: usize = 65_536;

/// The rules of one network that its founders choose.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Params {
    /// Version of the rule book.
    pub protocol_version: u32,
    /// Which prefix addresses carry.
    pub prefix: NetworkPrefix,

    /// Milliseconds from one freeze to the next.
    pub round_ms: u64,
    /// Milliseconds from a freeze to its deadline; less than `round_ms`.
    pub proof_window_ms: u64,
    /// Blocks from the freeze to the block whose beacon is the seed; at least 1.
    pub seed_delay_blocks: u64,
    /// How many and how often challenges are drawn.
    pub challenge: ChallengeParams,
    /// Openings in one proof transaction, at most.
    pub proof_part_openings: u32,
    /// Rounds for which nodes keep the openings of proofs.
    pub proof_retention_rounds: u64,

    /// Allowed batch sizes, log2 of bytes, ascending.
    pub batch_classes: Bounded<u8, BATCH_CLASSES_MAX>,
    /// Data batches of a segment unless the owner asks otherwise.
    pub code_data: u8,
    /// Parity batches of a segment unless the owner asks otherwise.
    pub code_parity: u8,
    /// Longest term of a contract, in rounds.
    pub contract_rounds_max: u32,

    /// The heavy nodes' share of every payment, in 1/10,000; 100 to 200.
    pub relay_fee_bps: u16,
    /// Smallest fee of a transaction, per byte.
    pub fee_per_byte: Amount,
    /// What a holder pays for the verification of one opening.
    pub proof_fee: Amount,
    /// Smallest deposit of a holder.
    pub holder_bond: Amount,
    /// Collateral locked per batch, as a number of rounds of its price.
    pub collateral_rounds: u32,
    /// Fine for a missing opening, as a multiple of (the holder's revenue of the round / k); at least 10.
    pub opening_fine_multiple: u32,
    /// Fine for a missed round, in percent of the holder's revenue of the round.
    pub missed_round_fine_percent: u8,
    /// Fine for declaring a batch faulty, in percent of its price for one round.
    pub declare_fine_percent: u8,

    /// Smallest bond of a validator; at least 1 HOLD, which is one unit of weight.
    pub validator_bond_min: Amount,
    /// Validators of one height, at most: those with the largest bonds.
    pub validators_max: u16,
    /// Rounds for which what a validator takes back stays liable, and for which evidence counts.
    pub unbond_rounds: u32,
    /// Turns to propose that a validator may miss in a row before it is jailed.
    pub missed_turns_max: u32,
    /// Rounds that a jailed validator stays out, at least.
    pub jail_rounds: u32,
    /// What contradicting itself costs a validator, in 1/10,000 of all that is liable.
    pub slash_bps: u16,

    /// Milliseconds from one block to the next while there is work.
    pub block_interval_ms: u64,
    /// Milliseconds after which a block is made even without work.
    pub heartbeat_ms: u64,
    /// How far a block's time may lie ahead of a voter's clock, in milliseconds.
    pub clock_drift_ms: u64,
    /// Bytes of a block with its proof openings.
    pub block_bytes_max: u32,

    /// Whose keys may hold, store and read here, ascending; empty for everybody's.
    pub grid: Bounded<Address, GRID_MAX>,
}

impl Params {
    /// Whether this key may hold, store and read here.
    pub fn admits(&self, key: &Address) -> bool {
        self.grid.is_empty() || self.grid.binary_search(key).is_ok()
    }
}

/// The first state of a chain, and its rules.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Genesis {
    /// A name for people, at most 64 bytes.
    pub name: Bounded<u8, 64>,
    /// When the chain starts; the first freeze is `round_ms` later.
    pub time: TimeMs,
    /// The rules.
    pub params: Params,
    /// Who starts with how much; addresses strictly ascending.
    pub accounts: Bounded<(Address, Amount), GENESIS_ACCOUNTS_MAX>,
    /// The first validators; they are the first heavy nodes too.
    pub validators: Bounded<GenesisValidator, VALIDATORS_MAX>,
    /// Grows into the first beacon.
    pub seed: [u8; 32],
}

/// A validator from the first block on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GenesisValidator {
    /// Its account, whose key signs its votes.
    pub address: Address,
    /// Its beacon key.
    pub vrf: VrfPublicKey,
    /// Its bond; comes on top of what the accounts start with.
    pub bond: Amount,
}

impl Genesis {
    /// The chain's id: `SHA256("holdfast/genesis/v1\0" | borsh)`.
    pub fn chain_id(&self) -> ChainId {
        let bytes = borsh::to_vec(self).expect("a genesis encodes into memory");
        ChainId::new(sha256_parts(&[b"holdfast/genesis/v1\0", &bytes]))
    }
}
