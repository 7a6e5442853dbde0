//! The shapes of the `chain` namespace.

use crate::text::{AddressText, GrainText, Hex32, Hex64, HexBytes, Raw, Time};
use holdfast_ledger::{Block, Genesis, GenesisValidator, Header, Params};
use holdfast_primitives::{
    Amount, BlockHash, Certificate, ChainId, Digest, Height, NetworkPrefix, RoundNo, Signature, StateRoot, TxId,
    Validator, ValidatorSet, VrfPublicKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainStatus {
    /// `mainnet`, `testnet` or `devnet`.
    #[schemars(with = "String")]
    pub network: NetworkPrefix,
    /// The chain's id.
    #[schemars(with = "Hex32")]
    pub chain: ChainId,
    /// The chain's name for people.
    pub name: String,
    /// Version of the rule book.
    pub protocol_version: u32,
    /// Version of the node's software.
    pub node_version: String,
    /// The newest final height.
    #[schemars(with = "u64")]
    pub height: Height,
    /// The newest final block.
    #[schemars(with = "Hex32")]
    pub block: BlockHash,
    /// Its state root.
    #[schemars(with = "Hex32")]
    pub state_root: StateRoot,
    /// Its time.
    pub time: Time,
    /// The running verification round.
    #[schemars(with = "u64")]
    pub round: RoundNo,
    /// Where the round stands: `open`, `awaiting_seed` or `proving`.
    pub phase: crate::round::PhaseName,
    /// When the round's next step is due.
    pub due: Time,
    /// Validators of the next block.
    pub validators: u32,
    /// Holders that ever joined.
    pub holders: u32,
    /// Heavy nodes this node is connected to.
    pub peers: u32,
    /// Whether this node has caught up with the network.
    pub synced: bool,
}

/// The first state and the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GenesisView {
    /// The chain's id: `SHA256("holdfast/genesis/v1\0" | raw)`.
    #[schemars(with = "Hex32")]
    pub chain: ChainId,
    /// A name for people.
    pub name: String,
    /// When the chain starts.
    pub time: Time,
    /// Accounts that start with money.
    pub accounts: u32,
    /// The first validators.
    pub validators: Vec<FounderView>,
    /// The rules.
    pub params: ParamsView,
    /// The genesis itself.
    pub raw: Raw<Genesis>,
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValidatorView {
    /// Its account.
    pub address: AddressText,
    /// Its beacon key.
    #[schemars(with = "Hex32")]
    pub vrf: VrfPublicKey,
    /// Its voting power.
    pub power: u64,
}

/// A validator from the first block on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FounderView {
    /// Its account.
    pub address: AddressText,
    /// Its beacon key.
    #[schemars(with = "Hex32")]
    pub vrf: VrfPublicKey,
    /// Its bond.
    #[schemars(with = "GrainText")]
    pub bond: Amount,
}

/// The rules of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParamsView {
    /// Version of the rule book.
    pub protocol_version: u32,
    /// `mainnet`, `testnet` or `devnet`.
    #[schemars(with = "String")]
    pub network: NetworkPrefix,
    /// Milliseconds from one freeze to the next.
    pub round_ms: u64,
    /// Milliseconds from a freeze to its deadline.
    pub proof_window_ms: u64,
    /// Blocks from the freeze to the seed.
    pub seed_delay_blocks: u64,
    /// Openings in one proof transaction, at most.
    pub proof_part_openings: u32,
    /// Rounds for which nodes keep the openings of proofs.
    pub proof_retention_rounds: u64,
    /// Allowed batch sizes, log2 of bytes.
    pub batch_classes: Vec<u8>,
    /// Data batches of a segment unless the owner asks otherwise.
    pub code_data: u8,
    /// Parity batches of a segment unless the owner asks otherwise.
    pub code_parity: u8,
    /// Longest term of a contract, in rounds.
    pub contract_rounds_max: u32,
    /// The heavy nodes' share of every payment, in 1/10,000.
    pub relay_fee_bps: u16,
    /// Smallest fee of a transaction, per byte.
    #[schemars(with = "GrainText")]
    pub fee_per_byte: Amount,
    /// What a holder pays for the verification of one opening.
    #[schemars(with = "GrainText")]
    pub proof_fee: Amount,
    /// Smallest deposit of a holder.
    #[schemars(with = "GrainText")]
    pub holder_bond: Amount,
    /// Collateral locked per batch, as a number of rounds of its price.
    pub collateral_rounds: u32,
    /// Fine for a missing opening, as a multiple of (the holder's revenue of the round / challenges).
    pub opening_fine_multiple: u32,
    /// Fine for a missed round, in percent of the holder's revenue of the round.
    pub missed_round_fine_percent: u8,
    /// Fine for declaring a batch faulty, in percent of its price for one round.
    pub declare_fine_percent: u8,
    /// Smallest bond of a validator.
    #[schemars(with = "GrainText")]
    pub validator_bond_min: Amount,
    /// Validators of one height, at most.
    pub validators_max: u16,
    /// Rounds for which what a validator takes back stays liable, and for which evidence counts.
    pub unbond_rounds: u32,
    /// Turns that a validator may miss in a row before it is jailed.
    pub missed_turns_max: u32,
    /// Rounds that a jailed validator stays out, at least.
    pub jail_rounds: u32,
    /// What contradicting itself costs a validator, in 1/10,000 of all that is liable.
    pub slash_bps: u16,
    /// Challenges of a holder that has enough batches.
    pub challenges_min: u32,
    /// Challenges of a holder with very few batches.
    pub challenges_small: u32,
    /// Rounds in which every batch is expected to be challenged once.
    pub challenge_target_rounds: u32,
    /// Milliseconds from one block to the next while there is work.
    pub block_interval_ms: u64,
    /// Milliseconds after which a block is made even without work.
    pub heartbeat_ms: u64,
    /// How far a block's time may lie ahead of a voter's clock, in milliseconds.
    pub clock_drift_ms: u64,
    /// Bytes of a block with its proof openings.
    pub block_bytes_max: u32,
    /// Whose keys may hold, store and read; absent when everybody's may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grid: Vec<AddressText>,
    /// All rules, exactly.
    pub raw: Raw<Params>,
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderView {
    /// The block's hash: `SHA256("holdfast/header/v1\0" | raw)`.
    #[schemars(with = "Hex32")]
    pub hash: BlockHash,
    /// The block's height.
    #[schemars(with = "u64")]
    pub height: Height,
    /// The proposer's clock.
    pub time: Time,
    /// The block before.
    #[schemars(with = "Hex32")]
    pub parent: BlockHash,
    /// Who built it.
    pub proposer: AddressText,
    /// Merkle root over the transactions.
    #[schemars(with = "Hex32")]
    pub tx_root: Digest,
    /// Merkle root over the events.
    #[schemars(with = "Hex32")]
    pub result_root: Digest,
    /// Root of the state after this block.
    #[schemars(with = "Hex32")]
    pub state_root: StateRoot,
    /// The beacon after this block.
    pub beacon: HexBytes,
    /// Digest of the validators that decided this block.
    #[schemars(with = "Hex32")]
    pub validators: Digest,
    /// Digest of the validators that decide the next.
    #[schemars(with = "Hex32")]
    pub next_validators: Digest,
    /// The header itself.
    pub raw: Raw<Header>,
}

/// One block with its transactions in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockView {
    /// The header.
    pub header: HeaderView,
    /// The transactions, in order of execution.
    pub txs: Vec<TxBrief>,
}

/// One transaction in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TxBrief {
    /// Its id.
    #[schemars(with = "Hex32")]
    pub id: TxId,
    /// What it asks: `transfer`, `holder_join`, `holder_update`, `register`, `release`, `extend`, `declare_faulty`, `prove`,
    /// `bond`, `unbond`, `unjail`, `accuse` or `ready`.
    pub kind: String,
    /// Who asks and pays.
    pub sender: AddressText,
    /// What the proposer got.
    #[schemars(with = "GrainText")]
    pub fee: Amount,
}

/// One block as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RawBlock {
    /// The block's height.
    #[schemars(with = "u64")]
    pub height: Height,
    /// Its hash.
    #[schemars(with = "Hex32")]
    pub hash: BlockHash,
    /// The block itself.
    pub raw: Raw<Block>,
}

/// The signatures that made one block final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateView {
    /// The block's height.
    #[schemars(with = "u64")]
    pub height: Height,
    /// The consensus round (not the verification round) in which it was decided.
    pub round: u32,
    /// The block.
    #[schemars(with = "Hex32")]
    pub block: BlockHash,
    /// Who signed.
    pub signatures: Vec<CommitView>,
    /// Who could sign; its digest stands in the header.
    pub validators: Vec<ValidatorView>,
    /// The certificate itself.
    pub raw: Raw<Certificate>,
    /// The validator set itself.
    pub raw_validators: Raw<ValidatorSet>,
}

/// One validator's signature on a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitView {
    /// Who signed.
    pub validator: AddressText,
    /// The signature.
    #[schemars(with = "Hex64")]
    pub signature: Signature,
}

/// A new block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockNotice {
    /// Its header.
    pub header: HeaderView,
    /// How many transactions it holds.
    pub txs: u32,
    /// How many events it caused.
    pub events: u32,
}

impl GenesisView {
    /// Shows a genesis.
    pub fn of(genesis: &Genesis) -> Self {
        let prefix = genesis.params.prefix;
        Self {
            chain: genesis.chain_id(),
            name: String::from_utf8_lossy(&genesis.name).into_owned(),
            time: Time::of(genesis.time),
            accounts: genesis.accounts.len() as u32,
            validators: genesis.validators.iter().map(|validator| FounderView::of(validator, prefix)).collect(),
            params: ParamsView::of(&genesis.params),
            raw: Raw::of(genesis),
        }
    }
}

impl ValidatorView {
    /// Shows a validator.
    pub fn of(validator: &Validator, prefix: NetworkPrefix) -> Self {
        Self { address: AddressText::new(validator.address, prefix), vrf: validator.vrf, power: validator.power }
    }
}

impl FounderView {
    /// Shows a validator of a genesis.
    pub fn of(validator: &GenesisValidator, prefix: NetworkPrefix) -> Self {
        Self { address: AddressText::new(validator.address, prefix), vrf: validator.vrf, bond: validator.bond }
    }
}

impl ParamsView {
    /// Shows the rules.
    pub fn of(params: &Params) -> Self {
        Self {
            protocol_version: params.protocol_version,
            network: params.prefix,
            round_ms: params.round_ms,
            proof_window_ms: params.proof_window_ms,
            seed_delay_blocks: params.seed_delay_blocks,
            proof_part_openings: params.proof_part_openings,
            proof_retention_rounds: params.proof_retention_rounds,
            batch_classes: params.batch_classes.to_vec(),
            code_data: params.code_data,
            code_parity: params.code_parity,
            contract_rounds_max: params.contract_rounds_max,
            relay_fee_bps: params.relay_fee_bps,
            fee_per_byte: params.fee_per_byte,
            proof_fee: params.proof_fee,
            holder_bond: params.holder_bond,
            collateral_rounds: params.collateral_rounds,
            opening_fine_multiple: params.opening_fine_multiple,
            missed_round_fine_percent: params.missed_round_fine_percent,
            declare_fine_percent: params.declare_fine_percent,
            validator_bond_min: params.validator_bond_min,
            validators_max: params.validators_max,
            unbond_rounds: params.unbond_rounds,
            missed_turns_max: params.missed_turns_max,
            jail_rounds: params.jail_rounds,
            slash_bps: params.slash_bps,
            challenges_min: params.challenge.k_min,
            challenges_small: params.challenge.k_small,
            challenge_target_rounds: params.challenge.target_rounds,
            block_interval_ms: params.block_interval_ms,
            heartbeat_ms: params.heartbeat_ms,
            clock_drift_ms: params.clock_drift_ms,
            block_bytes_max: params.block_bytes_max,
            grid: params.grid.iter().map(|key| AddressText::new(*key, params.prefix)).collect(),
            raw: Raw::of(params),
        }
    }
}

impl HeaderView {
    /// Shows a header.
    pub fn of(header: &Header, prefix: NetworkPrefix) -> Self {
        Self {
            hash: header.hash(),
            height: header.height,
            time: Time::of(header.time),
            parent: header.parent,
            proposer: AddressText::new(header.proposer, prefix),
            tx_root: header.tx_root,
            result_root: header.result_root,
            state_root: header.state_root,
            beacon: HexBytes(header.beacon.to_vec()),
            validators: header.validators,
            next_validators: header.next_validators,
            raw: Raw::of(header),
        }
    }
}

impl BlockView {
    /// Shows a block.
    pub fn of(block: &Block, prefix: NetworkPrefix) -> Self {
        let brief = |signed: &holdfast_ledger::SignedTx| TxBrief {
            id: signed.id(),
            kind: crate::tx::kind_of(&signed.tx.body).to_owned(),
            sender: AddressText::new(signed.tx.sender, prefix),
            fee: signed.tx.fee,
        };
        Self { header: HeaderView::of(&block.header, prefix), txs: block.txs.iter().map(brief).collect() }
    }
}

impl CertificateView {
    /// Shows a certificate beside the validators it is checked against.
    pub fn of(certificate: &Certificate, set: &ValidatorSet, prefix: NetworkPrefix) -> Self {
        let commit = |commit: &holdfast_primitives::CommitSignature| CommitView {
            validator: AddressText::new(commit.validator, prefix),
            signature: commit.signature,
        };
        Self {
            height: certificate.height,
            round: certificate.round,
            block: certificate.block,
            signatures: certificate.signatures.iter().map(commit).collect(),
            validators: set.iter().map(|validator| ValidatorView::of(validator, prefix)).collect(),
            raw: Raw::of(certificate),
            raw_validators: Raw::of(set),
        }
    }
}
