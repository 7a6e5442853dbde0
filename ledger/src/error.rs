//! Why a transaction is refused: one variant per rule, in the order in which the rules are checked.

mod block;
mod register;
mod stake;

pub use block::BlockError;
pub use register::{PlacementRule, SegmentRule};
pub use stake::StakeRule;

use holdfast_primitives::{Address, Amount, ContractNo, Digest, GrantId, Height, HolderNo, RoundNo, TimeMs};
use thiserror::Error;

/// A rule that a transaction breaks, with the offending values.
///
/// The variants stand in order of precedence: what the transaction shows by itself comes before its signatures, and
/// both come before what only the state can tell.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TxError {
    /// Larger than any transaction may be.
    #[error("{bytes} bytes, a transaction has at most {limit}")]
    TooLarge {
        /// Signed size in bytes.
        bytes: usize,
        /// Most bytes.
        limit: usize,
    },
    /// The fee does not pay for the bytes.
    #[error("fee {fee} for {bytes} bytes, at least {needed} is needed")]
    FeeTooLow {
        /// What is offered.
        fee: Amount,
        /// What is needed.
        needed: Amount,
        /// Signed size in bytes.
        bytes: usize,
    },
    /// Openings travel beside a transaction that is no proof.
    #[error("{bytes} bytes of openings beside a transaction that is no proof")]
    OpeningsUnexpected {
        /// How many.
        bytes: usize,
    },
    /// A transfer of nothing.
    #[error("a transfer of nothing")]
    TransferNothing,
    /// A holder that asks for no price.
    #[error("a holder's price is not zero")]
    HolderPriceZero,
    /// A holder that offers no space.
    #[error("a holder joins with some space")]
    HolderQuotaZero,
    /// A deposit below the bond.
    #[error("deposit {deposit} is below the bond of {bond}")]
    DepositBelowBond {
        /// The deposit.
        deposit: Amount,
        /// The bond.
        bond: Amount,
    },
    /// A registration without segments.
    #[error("a registration without segments")]
    RegisterNothing,
    /// More batches than one registration may bring.
    #[error("{batches} batches, one registration brings at most {limit}")]
    TooManyBatches {
        /// Batches of all its segments.
        batches: usize,
        /// Most batches.
        limit: usize,
    },
    /// A segment that breaks a rule.
    #[error("segment {segment} of the registration: {rule}")]
    Segment {
        /// Its place in the registration.
        segment: usize,
        /// The rule.
        rule: SegmentRule,
    },
    /// A placement that breaks a rule.
    #[error("placement {placement} of the registration: {rule}")]
    Placement {
        /// Its place in the registration.
        placement: usize,
        /// The rule.
        rule: PlacementRule,
    },
    /// A release that lets go of nothing and changes no catalog head.
    #[error("a release of nothing")]
    ReleaseNothing,
    /// The same segment twice in one release.
    #[error("segment {ordinal} is released twice")]
    ReleaseTwice {
        /// The owner's own number of it.
        ordinal: u32,
    },
    /// An extension of nothing.
    #[error("an extension of nothing")]
    ExtendNothing,
    /// The same contract twice in one extension.
    #[error("contract {contract} is extended twice")]
    ExtendTwice {
        /// The contract.
        contract: ContractNo,
    },
    /// A declaration of nothing.
    #[error("a declaration of nothing")]
    DeclareNothing,
    /// The same batch twice in one declaration.
    #[error("slot {slot} of size 2^{batch_log2} is declared twice")]
    DeclareTwice {
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Slot.
        slot: u32,
    },
    /// A proof or an accusation with a sequence number.
    #[error("a proof or an accusation has sequence 0, not {sequence}")]
    ProofSequence {
        /// The sequence number.
        sequence: u64,
    },
    /// A proof or an accusation with a fee.
    #[error("a proof or an accusation has no fee, not {fee}")]
    ProofFee {
        /// The fee.
        fee: Amount,
    },
    /// A proof of a version that is not known.
    #[error("proof version {version} is not known")]
    ProofVersion {
        /// The version.
        version: u8,
    },
    /// A proof in somebody else's name.
    #[error("{sender} sends a proof in the name of {holder}")]
    ProofSender {
        /// Who signed.
        sender: Address,
        /// Whom the proof names.
        holder: Address,
    },
    /// Openings that the transaction does not commit to.
    #[error("the openings' digest is {found}, the transaction says {stated}")]
    OpeningsDigest {
        /// Digest of what came.
        found: Digest,
        /// Digest in the transaction.
        stated: Digest,
    },
    /// A signature that does not hold.
    #[error("the signature of {signer} as {role} does not hold")]
    BadSignature {
        /// Who was said to have signed.
        signer: Address,
        /// As what: `sender`, `quote`, `footprint hop`, `receipt` or `accused`.
        role: &'static str,
    },
    /// Too late.
    #[error("expired at height {expires}, the block has height {height}")]
    Expired {
        /// The last height it was good for.
        expires: Height,
        /// The block's height.
        height: Height,
    },
    /// Nobody has heard of the sender.
    #[error("{sender} has no account")]
    UnknownSender {
        /// The sender.
        sender: Address,
    },
    /// Not the sender's next transaction.
    #[error("sequence {found}, the sender's next is {expected}")]
    WrongSequence {
        /// The next.
        expected: u64,
        /// Found.
        found: u64,
    },
    /// Fee and amounts do not fit 64 bits together.
    #[error("the cost does not fit 64 bits of grain")]
    CostOverflow,
    /// The sender cannot pay.
    #[error("{needed} is needed, the sender can spend {available}")]
    BalanceTooLow {
        /// Fee and amounts.
        needed: Amount,
        /// Balance, less what its waiting transactions take.
        available: Amount,
    },
    /// The account is a holder already.
    #[error("the account is holder {holder} already")]
    HolderAlready {
        /// Its number.
        holder: HolderNo,
    },
    /// The sender is not a holder.
    #[error("{sender} is not a holder")]
    NotAHolder {
        /// The sender.
        sender: Address,
    },
    /// A private network, and a key that it does not list.
    #[error("{key} is not among those that this network admits")]
    NotAdmitted {
        /// The sender.
        key: Address,
    },
    /// A permission that has ended by itself.
    #[error("the permission ended at {until}, there is nothing to take back")]
    GrantOver {
        /// Its end.
        until: TimeMs,
    },
    /// A permission that was taken back before.
    #[error("permission {grant} was taken back already")]
    GrantRevoked {
        /// Which.
        grant: GrantId,
    },
    /// Too many permissions taken back before their ends.
    #[error("{limit} permissions are taken back and have not ended, which is the limit")]
    RevokedFull {
        /// The limit.
        limit: usize,
    },
    /// Less space offered than is used.
    #[error("quota of {quota_bytes} bytes, {used_bytes} are used")]
    QuotaBelowUsed {
        /// Offered.
        quota_bytes: u64,
        /// Used.
        used_bytes: u64,
    },
    /// More taken out of the deposit than is free.
    #[error("{take} taken from the deposit, {free} is free")]
    DepositNotFree {
        /// Asked for.
        take: Amount,
        /// Deposit less collateral and, unless the holder neither holds nor accepts anything, the bond.
        free: Amount,
    },
    /// Not the owner's next segment.
    #[error("first segment {found}, the owner's next is {expected}")]
    WrongOrdinal {
        /// The next.
        expected: u32,
        /// Found.
        found: u32,
    },
    /// No such segment.
    #[error("the sender has no segment {ordinal}")]
    UnknownSegment {
        /// The owner's own number of it.
        ordinal: u32,
    },
    /// Released before.
    #[error("segment {ordinal} is released already")]
    ReleasedAlready {
        /// The owner's own number of it.
        ordinal: u32,
    },
    /// No such contract.
    #[error("there is no contract {contract}")]
    UnknownContract {
        /// Its number.
        contract: ContractNo,
    },
    /// A contract that somebody else pays.
    #[error("contract {contract} is not {sender}'s")]
    ContractOfAnother {
        /// The contract.
        contract: ContractNo,
        /// The sender.
        sender: Address,
    },
    /// A contract without batches: it ended, or its owner let go of all of them.
    #[error("contract {contract} is over")]
    ContractOver {
        /// The contract.
        contract: ContractNo,
    },
    /// Not longer than it is.
    #[error("contract {contract} ends with round {end_round}, {found} is no later")]
    ExtendBackwards {
        /// The contract.
        contract: ContractNo,
        /// The first round it does not pay for.
        end_round: RoundNo,
        /// Asked for.
        found: RoundNo,
    },
    /// Longer than the holder offered when it was opened.
    #[error("contract {contract} can be extended to round {limit}, not {found}: the holder offered no longer term")]
    ExtendTooLong {
        /// The contract.
        contract: ContractNo,
        /// The last end round that the quote allows.
        limit: RoundNo,
        /// Asked for.
        found: RoundNo,
    },
    /// The contract's holder is leaving.
    #[error("contract {contract} cannot be extended: holder {holder} takes nothing new")]
    ExtendClosed {
        /// The contract.
        contract: ContractNo,
        /// The holder.
        holder: HolderNo,
    },
    /// Bonds, accusations and rule books.
    #[error(transparent)]
    Stake(#[from] StakeRule),
    /// A declaration while lists are frozen.
    #[error("round {round} is pending: batches are declared faulty before a freeze")]
    RoundPending {
        /// The round.
        round: RoundNo,
    },
    /// No such batch.
    #[error("the holder has no slot {slot} of size 2^{batch_log2}")]
    UnknownSlot {
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Slot.
        slot: u32,
    },
    /// Declared or found faulty before.
    #[error("slot {slot} of size 2^{batch_log2} is faulty already")]
    FaultyAlready {
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Slot.
        slot: u32,
    },
    /// No proofs are taken now.
    #[error("round {round} takes no proofs now")]
    NotProving {
        /// The running round.
        round: RoundNo,
    },
    /// A proof for another round.
    #[error("a proof for round {found}, round {expected} is running")]
    ProofRound {
        /// The running round.
        expected: RoundNo,
        /// Found.
        found: RoundNo,
    },
    /// The holder had nothing to prove when the lists were frozen.
    #[error("holder {holder} has nothing to prove")]
    NothingToProve {
        /// Its number.
        holder: HolderNo,
    },
    /// A proof over another set of batches.
    #[error("a proof over set {found}, the holder is bound to {expected}")]
    ProofSet {
        /// Frozen.
        expected: Digest,
        /// Found.
        found: Digest,
    },
    /// A part that does not lie where parts lie.
    #[error("a part of {count} from {first_j} on is none of the proof's parts of {part_openings} out of {challenges}")]
    ProofPartBounds {
        /// First challenge.
        first_j: u32,
        /// Challenges.
        count: u32,
        /// Openings of a whole part.
        part_openings: u32,
        /// Challenges of the whole proof.
        challenges: u32,
    },
    /// A part that was accepted before.
    #[error("the part from {first_j} on was accepted before")]
    ProofPartTwice {
        /// First challenge.
        first_j: u32,
    },
    /// Openings of the wrong length.
    #[error("{found} bytes of openings, exactly {expected} are expected")]
    OpeningsLength {
        /// Expected.
        expected: usize,
        /// Found.
        found: usize,
    },
}

impl TxError {
    /// A short word for machines; never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::FeeTooLow { .. } => "fee_too_low",
            Self::OpeningsUnexpected { .. } => "openings_unexpected",
            Self::TransferNothing => "transfer_nothing",
            Self::HolderPriceZero => "holder_price_zero",
            Self::HolderQuotaZero => "holder_quota_zero",
            Self::DepositBelowBond { .. } => "deposit_below_bond",
            Self::RegisterNothing => "register_nothing",
            Self::TooManyBatches { .. } => "too_many_batches",
            Self::Segment { rule, .. } => rule.code(),
            Self::Placement { rule, .. } => rule.code(),
            Self::ReleaseNothing => "release_nothing",
            Self::ReleaseTwice { .. } => "release_twice",
            Self::ExtendNothing => "extend_nothing",
            Self::ExtendTwice { .. } => "extend_twice",
            Self::DeclareNothing => "declare_nothing",
            Self::DeclareTwice { .. } => "declare_twice",
            Self::ProofSequence { .. } => "proof_sequence",
            Self::ProofFee { .. } => "proof_fee",
            Self::ProofVersion { .. } => "proof_version",
            Self::ProofSender { .. } => "proof_sender",
            Self::OpeningsDigest { .. } => "openings_digest",
            Self::BadSignature { .. } => "bad_signature",
            Self::Expired { .. } => "expired",
            Self::UnknownSender { .. } => "unknown_sender",
            Self::WrongSequence { .. } => "wrong_sequence",
            Self::CostOverflow => "cost_overflow",
            Self::BalanceTooLow { .. } => "balance_too_low",
            Self::HolderAlready { .. } => "holder_already",
            Self::NotAHolder { .. } => "not_a_holder",
            Self::NotAdmitted { .. } => "not_admitted",
            Self::GrantOver { .. } => "grant_over",
            Self::GrantRevoked { .. } => "grant_revoked",
            Self::RevokedFull { .. } => "revoked_full",
            Self::QuotaBelowUsed { .. } => "quota_below_used",
            Self::DepositNotFree { .. } => "deposit_not_free",
            Self::WrongOrdinal { .. } => "wrong_ordinal",
            Self::UnknownSegment { .. } => "unknown_segment",
            Self::ReleasedAlready { .. } => "released_already",
            Self::UnknownContract { .. } => "unknown_contract",
            Self::ContractOfAnother { .. } => "contract_of_another",
            Self::ContractOver { .. } => "contract_over",
            Self::ExtendBackwards { .. } => "extend_backwards",
            Self::ExtendTooLong { .. } => "extend_too_long",
            Self::ExtendClosed { .. } => "extend_closed",
            Self::Stake(rule) => rule.code(),
            Self::RoundPending { .. } => "round_pending",
            Self::UnknownSlot { .. } => "unknown_slot",
            Self::FaultyAlready { .. } => "faulty_already",
            Self::NotProving { .. } => "not_proving",
            Self::ProofRound { .. } => "proof_round",
            Self::NothingToProve { .. } => "nothing_to_prove",
            Self::ProofSet { .. } => "proof_set",
            Self::ProofPartBounds { .. } => "proof_part_bounds",
            Self::ProofPartTwice { .. } => "proof_part_twice",
            Self::OpeningsLength { .. } => "openings_length",
        }
    }
}
