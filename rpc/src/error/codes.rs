//! The table of codes: every number that can come back, its word for machines, and what to do about it.

use upstream::types::error as standard;

/// One row of the table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The JSON-RPC error code; never changes.
    pub code: i32,
    /// The word for machines, in `data.reason`; never changes.
    pub reason: &'static str,
    /// What to do about it, in `data.hint`.
    pub hint: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $reason:literal, $hint:literal;)*) => {
        $($(#[$doc])* pub const $name: ErrorCode = ErrorCode { code: $code, reason: $reason, hint: $hint };)*

        /// Every code of this interface, in the order of the numbers.
        pub const CODES: &[ErrorCode] = &[$($name),*];
    };
}

codes! {
    /// The block is not there.
    BLOCK_UNKNOWN = 1001, "block_unknown", "ask chain_status for the newest height";
    /// The transaction is not final.
    TX_UNKNOWN = 1002, "tx_unknown", "ask tx_status whether it is still pending";
    /// The account is not there.
    ACCOUNT_UNKNOWN = 1003, "account_unknown", "an account begins with the first money sent to it";
    /// The holder is not there.
    HOLDER_UNKNOWN = 1004, "holder_unknown", "market_holders lists all holders";
    /// The account is not a holder's.
    NOT_A_HOLDER = 1005, "not_a_holder", "market_holders lists all holders";
    /// The contract is not there.
    CONTRACT_UNKNOWN = 1006, "contract_unknown", "account_contracts lists an account's contracts";
    /// The segment is not there.
    SEGMENT_UNKNOWN = 1007, "segment_unknown", "account_segments lists an account's segments";
    /// The round is not that far.
    ROUND_UNKNOWN = 1008, "round_unknown", "round_latest is the newest settled round, round_running the one after it";
    /// The holder had nothing to prove.
    NOT_IN_ROUND = 1009, "not_in_round", "round_frozen lists the holders that had something to prove";
    /// The part is not there.
    PART_UNKNOWN = 1010, "part_unknown", "audit_bundle lists the parts of a proof";
    /// The slot is not there.
    SLOT_UNKNOWN = 1011, "slot_unknown", "audit_bundle says how many batches were frozen";
    /// The record is not there.
    RECORD_UNKNOWN = 1012, "record_unknown", "records are numbered from 0 without gaps";
    /// It was there once.
    NOT_KEPT = 1013, "not_kept", "ask a node that keeps more history";
    /// The account has never bonded.
    NOT_A_VALIDATOR = 1014, "not_a_validator", "stake_validators lists all who bonded";
    /// From before this node joined.
    BEFORE_JOINED = 1015, "before_joined", "ask a node that has the whole chain";
    /// An address of another network.
    WRONG_NETWORK = 1101, "wrong_network", "use an address of this network, or choose the other network with --network";
    /// A page of a wrong size.
    PAGE_LIMIT = 1102, "page_limit", "ask for fewer rows and go on at `next`";
    /// Too many slots.
    SLOTS_LIMIT = 1103, "slots_limit", "ask for the slots in several calls";
    /// Bytes that are no transaction.
    MALFORMED = 1104, "malformed", "send the hex of a borsh TxEnvelope";
    /// What is no beginning of a transaction's id.
    TX_PREFIX = 1105, "tx_prefix", "give 4 to 64 hexadecimal digits";
    /// The transaction breaks a rule; `data.reason` names it.
    TX_REFUSED = 1201, "tx_refused", "mend the transaction and sign it again";
    /// No room for another waiting transaction.
    POOL_FULL = 1202, "pool_full", "wait for a few blocks and try again, or offer a higher fee";
    /// The node has not caught up.
    NOT_SYNCED = 1203, "not_synced", "wait until chain_status says synced, or ask another node";
    /// A batch size that the network does not allow.
    BATCH_CLASS = 1301, "batch_class", "market_params lists the batch sizes";
    /// A code that no segment can have.
    QUOTE_CODE = 1302, "quote_code", "take 1 to 64 data batches and at most 128 batches in all";
    /// A term that no contract can have.
    QUOTE_ROUNDS = 1303, "quote_rounds", "market_params says how long a contract may run";
    /// A price that does not fit 64 bits.
    QUOTE_TOO_LARGE = 1304, "quote_too_large", "ask for fewer bytes or a shorter term";
    /// Not enough holders.
    HOLDERS_TOO_FEW = 1305, "holders_too_few", "ask for fewer batches per segment, or wait for more holders";
    /// More than the faucet gives.
    FAUCET_LIMIT = 1401, "faucet_limit", "dev_faucet_limit says how much one call may ask for";
    /// Not the caller's doing.
    INTERNAL = 1500, "internal", "try again; if it stays, give the operator the trace id";
}

/// The codes that come from JSON-RPC itself or from the library that speaks it.
pub const STANDARD: &[ErrorCode] = &[
    ErrorCode { code: standard::PARSE_ERROR_CODE, reason: "parse_error", hint: "send JSON" },
    ErrorCode { code: standard::INVALID_REQUEST_CODE, reason: "invalid_request", hint: "send a JSON-RPC 2.0 request" },
    ErrorCode {
        code: standard::METHOD_NOT_FOUND_CODE,
        reason: "method_not_found",
        hint: "rpc.discover lists the methods",
    },
    ErrorCode {
        code: standard::INVALID_PARAMS_CODE,
        reason: "invalid_params",
        hint: "rpc.discover says what the method takes",
    },
    ErrorCode {
        code: standard::INTERNAL_ERROR_CODE,
        reason: "internal_error",
        hint: "subscribe over a WebSocket, not over HTTP",
    },
    ErrorCode {
        code: standard::TOO_MANY_SUBSCRIPTIONS_CODE,
        reason: "too_many_subscriptions",
        hint: "end a subscription first",
    },
    OVERSIZED_REQUEST,
    ErrorCode { code: standard::OVERSIZED_RESPONSE_CODE, reason: "oversized_response", hint: "ask for fewer rows" },
    SERVER_BUSY,
    ErrorCode {
        code: standard::TOO_BIG_BATCH_REQUEST_CODE,
        reason: "oversized_batch",
        hint: "send fewer calls in one batch",
    },
    ErrorCode {
        code: standard::TOO_BIG_BATCH_RESPONSE_CODE,
        reason: "oversized_batch_response",
        hint: "send fewer calls in one batch",
    },
];

/// A request larger than the node takes.
pub const OVERSIZED_REQUEST: ErrorCode =
    ErrorCode { code: standard::OVERSIZED_REQUEST_CODE, reason: "oversized_request", hint: "send less in one request" };
/// A node that has no room for another connection.
pub const SERVER_BUSY: ErrorCode =
    ErrorCode { code: standard::SERVER_IS_BUSY_CODE, reason: "server_busy", hint: "try again in a moment" };

/// What to do when a transaction breaks this rule.
pub(super) fn rule_hint(rule: &str) -> &'static str {
    match rule {
        "balance_too_low" => "send money to the account first, or spend less",
        "fee_too_low" => "pay at least fee_per_byte (chain_params) for every signed byte",
        "wrong_sequence" => "ask account_get for the next sequence number and sign again",
        "unknown_sender" => "send money to the account first",
        "expired" => "sign it again with a later expiry height",
        "bad_signature" => "sign with the key of the sender, for this chain id",
        "replacement_underpriced" => "offer the fee that the message names, or wait for the one that waits",
        "sender_full" => "wait until some of the account's transactions are final",
        "wrong_ordinal" => "another registration came first: read the catalog again and register after it",
        _ => TX_REFUSED.hint,
    }
}
