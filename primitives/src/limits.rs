//! Every limit of the protocol, in one place, tied to its neighbours by compile-time assertions.
//!
//! A length is compared with its limit before memory is reserved for it. What a network may choose stands in its
//! genesis; what stands here bounds even that choice.

/// log2 of the smallest batch, 1 MiB.
pub const BATCH_LOG2_MIN: u8 = 20;
/// log2 of the largest batch, 256 MiB.
pub const BATCH_LOG2_MAX: u8 = 28;
/// log2 of a leaf in scheme 1, 1 KiB.
pub const LEAF_LOG2: u8 = 10;
/// Bytes of a leaf in scheme 1.
pub const LEAF_BYTES: usize = 1 << LEAF_LOG2;
/// Depth of the deepest batch tree.
pub const BATCH_DEPTH_MAX: u8 = BATCH_LOG2_MAX - LEAF_LOG2;
/// Batch sizes that one network may allow at once.
pub const BATCH_CLASSES_MAX: usize = 9;

/// Challenges one holder answers in one round, at most.
pub const CHALLENGES_MAX: u32 = 65_536;
/// Openings in one proof transaction, at most.
pub const PROOF_PART_OPENINGS_MAX: u32 = 512;
/// Bytes of one proof part's openings, at most.
pub const PROOF_PART_BYTES_MAX: usize = PROOF_PART_OPENINGS_MAX as usize * (LEAF_BYTES + 32 * BATCH_DEPTH_MAX as usize);

/// Data batches of a segment, at most.
pub const SEGMENT_DATA_MAX: u8 = 64;
/// Batches of a segment (data and parity), at most.
pub const SEGMENT_BATCHES_MAX: usize = 128;
/// Segments registered by one transaction, at most.
pub const REGISTER_SEGMENTS_MAX: usize = 1_024;
/// Contracts opened by one transaction, at most.
pub const REGISTER_PLACEMENTS_MAX: usize = 256;
/// Batches registered by one transaction, at most.
pub const REGISTER_BATCHES_MAX: usize = 6_144;
/// Batches released or declared faulty by one transaction, at most.
pub const RELEASE_BATCHES_MAX: usize = 4_096;
/// Contracts extended by one transaction, at most.
pub const EXTEND_CONTRACTS_MAX: usize = 4_096;
/// Heavy nodes in one footprint, at most.
pub const FOOTPRINT_HOPS_MAX: usize = 4;
/// Topics of one holder or of one request, at most.
pub const TOPICS_MAX: usize = 8;
/// Regions that one request names, at most.
pub const REGIONS_MAX: usize = 16;
/// Keys that a private network admits, at most.
pub const GRID_MAX: usize = 1_024;
/// Permissions of one account that are taken back and have not ended by themselves, at most.
pub const REVOKED_MAX: usize = 64;
/// Bytes of the encrypted catalog head in an account.
pub const CATALOG_HEAD_BYTES_MAX: usize = 1_024;
/// Bytes of a transfer's memo.
pub const MEMO_BYTES_MAX: usize = 64;

/// Bytes of a signed transaction without its proof openings.
pub const TX_BYTES_MAX: usize = 1024 * 1024;
/// Transactions in a block.
pub const BLOCK_TXS_MAX: usize = 32_768;
/// Bytes of a block with its proof openings.
pub const BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Validators in a set.
pub const VALIDATORS_MAX: usize = 256;
/// Withdrawals of one validator's bond that may be on their way at once.
pub const UNBONDINGS_MAX: usize = 8;
/// Blocks between the agreement on a new rule book and its first block, at least: time to install it.
pub const UPGRADE_NOTICE_BLOCKS: u64 = 10;

/// Heavy nodes whose whereabouts a heavy node keeps: all validators and as many that it is connected with.
pub const HEAVY_CARDS_MAX: usize = 2 * VALIDATORS_MAX;
/// Bytes of the URL under which a node's JSON-RPC answers.
pub const RPC_URL_BYTES_MAX: usize = 256;

/// Bytes of one control message between nodes.
pub const CONTROL_FRAME_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one evidence bundle: the proofs of some hundred holders.
pub const EVIDENCE_BUNDLE_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Bytes of one chunk of a state snapshot, encoded.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one JSON-RPC request body (hex doubles a transaction and its proof part).
pub const RPC_REQUEST_BYTES_MAX: u32 = 8 * 1024 * 1024;
/// Bytes of one JSON-RPC response body.
pub const RPC_RESPONSE_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// Calls in one JSON-RPC batch.
pub const RPC_BATCH_CALLS_MAX: u32 = 1_000;

/// Bytes of a genesis or of a draft of one: tens of thousands of accounts, every validator with its entry.
pub const GENESIS_FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one validator's entry for a draft.
pub const ENTRY_FILE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a list of peers.
pub const PEERS_FILE_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(PROOF_PART_BYTES_MAX + TX_BYTES_MAX < BLOCK_BYTES_MAX, "a block holds at least one proof part");
const _: () =
    assert!(2 * (PROOF_PART_BYTES_MAX + 4096) <= RPC_REQUEST_BYTES_MAX as usize, "a proof part fits one request");
const _: () = assert!(2 * TX_BYTES_MAX <= RPC_REQUEST_BYTES_MAX as usize, "a transaction fits one request");
const _: () = assert!(BATCH_LOG2_MIN > LEAF_LOG2 && BATCH_LOG2_MAX < 32, "leaf indices fit 32 bits");
const _: () = assert!((BATCH_LOG2_MAX - BATCH_LOG2_MIN) as usize + 1 == BATCH_CLASSES_MAX);
const _: () = assert!(REGISTER_BATCHES_MAX * 64 < TX_BYTES_MAX, "the batches of one registration fit one transaction");
