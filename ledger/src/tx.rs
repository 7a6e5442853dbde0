//! Transactions: what anyone may ask of the ledger.

use crate::records::{CatalogHead, Profile, Revoked, Upgrade};
use crate::statement::{Footprint, Quote, Receipt};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::{BatchMeta, ProofPart};
use holdfast_primitives::limits::{
    EXTEND_CONTRACTS_MAX, LEAF_LOG2, MEMO_BYTES_MAX, PROOF_PART_BYTES_MAX, REGISTER_PLACEMENTS_MAX,
    REGISTER_SEGMENTS_MAX, RELEASE_BATCHES_MAX, SEGMENT_BATCHES_MAX,
};
use holdfast_primitives::{
    Address, Amount, Bounded, ChainId, ContractNo, Digest, Height, Misbehaviour, Purpose, RoundNo, SecretKey,
    Signature, TxId, VrfPublicKey, sha256_parts,
};

/// A transaction before its signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tx {
    /// Who asks and pays.
    pub sender: Address,
    /// The sender's sequence number; 0 for a proof, which is told apart by round and part instead, and for an accusation,
    /// which is told apart by the accused.
    pub sequence: u64,
    /// What the proposer gets; at least `fee_per_byte` times the signed size. 0 for a proof and for an accusation.
    pub fee: Amount,
    /// The last height at which it may enter a block.
    pub expires: Height,
    /// What is asked.
    pub body: TxBody,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TxBody {
    /// Give money.
    Transfer {
        /// To whom; the account is made if there is none.
        to: Address,
        /// How much; not zero.
        amount: Amount,
        /// Anything.
        memo: Bounded<u8, MEMO_BYTES_MAX>,
    },
    /// Become a holder.
    HolderJoin {
        /// Bytes offered.
        quota_bytes: u64,
        /// Asking price per MiB per round.
        price: Amount,
        /// What it says of itself.
        profile: Profile,
        /// Deposit moved from the balance; at least the bond.
        deposit: Amount,
    },
    /// Change a holder's offer or deposit.
    HolderUpdate {
        /// Bytes offered; not below what is used.
        quota_bytes: u64,
        /// Asking price per MiB per round.
        price: Amount,
        /// Whether new batches are taken.
        accepting: bool,
        /// What it says of itself.
        profile: Profile,
        /// Moved from the balance to the deposit.
        deposit_add: Amount,
        /// Moved from the deposit to the balance. What secures batches stays; the bond stays unless the holder
        /// neither holds nor accepts anything.
        deposit_take: Amount,
    },
    /// Register stored segments, open their contracts, and replace the catalog head, all or nothing.
    Register(Register),
    /// Let go of segments at the end of the running round.
    Release {
        /// The sender's segments, by ordinal.
        ordinals: Bounded<u32, RELEASE_BATCHES_MAX>,
        /// The new catalog head, unless it stays.
        catalog_head: Option<CatalogHead>,
    },
    /// A holder's word that batches of its are broken.
    DeclareFaulty {
        /// Size and slot of each.
        batches: Bounded<(u8, u32), RELEASE_BATCHES_MAX>,
    },
    /// A part of a holder's proof. The openings travel beside the transaction.
    Prove {
        /// Which part of which proof.
        part: ProofPart,
        /// Digest of the openings.
        openings_digest: Digest,
    },
    /// Stake to decide blocks, or stake more. Who bonds for the first time decides from the next round on.
    Bond {
        /// Moved from the balance into the bond; the bond is then at least `validator_bond_min`.
        amount: Amount,
        /// The sender's beacon key: needed the first time, refused when it is another later on.
        vrf: VrfPublicKey,
    },
    /// Take back a part of the bond, or all of it. It stays liable for `unbond_rounds`.
    Unbond {
        /// How much; what is left is nothing or at least `validator_bond_min`.
        amount: Amount,
    },
    /// A jailed validator asks to be let in again.
    Unjail,
    /// A validator contradicted itself. Costs nothing to report; a proof of it is accepted once per validator.
    Accuse {
        /// The two statements.
        misbehaviour: Misbehaviour,
    },
    /// A validator is ready for another rule book. The last word counts; the present version takes it back.
    Ready {
        /// Version and first height.
        upgrade: Upgrade,
    },
    /// Pay contracts of the sender's for longer, at the price and with the batches that they have.
    Extend {
        /// The contracts.
        contracts: Bounded<ContractNo, EXTEND_CONTRACTS_MAX>,
        /// The first round that they no longer pay for, from now on.
        end_round: RoundNo,
    },
    /// Take back a permission to read. Holders refuse it from then on.
    Revoke {
        /// Which, and when it would have ended by itself.
        revoked: Revoked,
    },
}

/// A registration of stored segments.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Register {
    /// The ordinal of the first segment: must be the sender's count of segments.
    pub first_ordinal: u32,
    /// The segments, in order.
    pub segments: Bounded<NewSegment, REGISTER_SEGMENTS_MAX>,
    /// One contract each, each with another holder.
    pub placements: Bounded<Placement, REGISTER_PLACEMENTS_MAX>,
    /// The new catalog head, unless it stays.
    pub catalog_head: Option<CatalogHead>,
}

/// One segment to register.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NewSegment {
    /// Size of its batches, log2 of bytes.
    pub batch_log2: u8,
    /// Data batches.
    pub data: u8,
    /// Parity batches.
    pub parity: u8,
    /// Erasure code.
    pub codec: u8,
    /// Its batches in order: root, and which placement holds it. No placement twice.
    pub batches: Bounded<NewBatch, SEGMENT_BATCHES_MAX>,
}

/// One batch to register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NewBatch {
    /// Root of the batch's tree, scheme 1.
    pub root: [u8; 32],
    /// Index into the registration's placements.
    pub placement: u16,
}

/// One contract to open.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Placement {
    /// The holder's offer.
    pub quote: Quote,
    /// The term, in rounds.
    pub rounds: u32,
    /// The path that the request took. The owner signs only for a path that starts with the heavy node it asked: nobody
    /// else can tell if the first hops were cut off.
    pub footprint: Footprint,
    /// The holder's word that the batches are on its disk.
    pub receipt: Receipt,
}

/// A transaction and its sender's signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedTx {
    /// What was signed.
    pub tx: Tx,
    /// The sender's signature.
    pub signature: Signature,
}

/// A transaction as it travels: with the openings that a proof brings along (empty for everything else).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxEnvelope {
    /// The transaction.
    pub signed: SignedTx,
    /// The openings.
    pub openings: Bounded<u8, PROOF_PART_BYTES_MAX>,
}

impl Tx {
    /// Signs it; `key` must be the sender's.
    pub fn sign(self, key: &SecretKey, chain: &ChainId) -> SignedTx {
        let signature = key.sign(Purpose::Transaction, chain, &self.payload());
        SignedTx { tx: self, signature }
    }

    /// What is signed: the borsh of the transaction.
    pub fn payload(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("a transaction encodes into memory")
    }
}

impl SignedTx {
    /// Its id: `SHA256("holdfast/tx/v1\0" | borsh)`.
    pub fn id(&self) -> TxId {
        Self::id_of(&self.to_bytes())
    }

    /// The id of a signed transaction with these bytes.
    pub fn id_of(bytes: &[u8]) -> TxId {
        TxId::new(sha256_parts(&[b"holdfast/tx/v1\0", bytes]))
    }

    /// Its bytes, as blocks carry them.
    pub fn to_bytes(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("a signed transaction encodes into memory")
    }
}

impl TxBody {
    /// Whether it pays no fee and takes no place in its sender's sequence.
    pub const fn is_free(&self) -> bool {
        matches!(self, Self::Prove { .. } | Self::Accuse { .. })
    }
}

impl TxEnvelope {
    /// A transaction that brings nothing along.
    pub const fn bare(signed: SignedTx) -> Self {
        Self { signed, openings: Bounded::empty() }
    }
}

impl NewSegment {
    /// What the holder of `batch` is bound to prove.
    pub const fn meta(&self, batch: &NewBatch) -> BatchMeta {
        BatchMeta { scheme: 1, batch_log2: self.batch_log2, leaf_log2: LEAF_LOG2, inner_code: 0, root: batch.root }
    }
}

impl Register {
    /// The batches of each placement, in the order in which its holder's receipt signs them. Batches whose placement is
    /// not there are left out.
    pub fn metas_by_placement(&self) -> Vec<Vec<BatchMeta>> {
        let mut metas = vec![Vec::new(); self.placements.len()];
        for segment in self.segments.iter() {
            for batch in segment.batches.iter() {
                if let Some(of_placement) = metas.get_mut(usize::from(batch.placement)) {
                    of_placement.push(segment.meta(batch));
                }
            }
        }
        metas
    }
}
