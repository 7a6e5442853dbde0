//! Statements that light and heavy nodes sign to each other and that the ledger checks later: quotes, receipts and
//! footprint hops. Each names the chain (through its purpose's sign bytes) and an expiry height.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::BatchMeta;
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{
    Address, Amount, Bounded, ChainId, Digest, Height, KeyError, Purpose, RequestId, SecretKey, Signature, sha256_parts,
};

/// What a holder offers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct QuoteTerms {
    /// The owner's request.
    pub request: RequestId,
    /// To whom.
    pub owner: Address,
    /// By whom.
    pub holder: Address,
    /// Size of a batch, log2 of bytes.
    pub batch_log2: u8,
    /// How many batches at most.
    pub batches_max: u32,
    /// Price per batch per round, relay fee included.
    pub price: Amount,
    /// Longest term, in rounds.
    pub rounds_max: u32,
    /// The path on which the request came, by [`path_digest`]: nobody can change it afterwards.
    pub path: Digest,
    /// The last height at which a registration may use it.
    pub expires: Height,
}

/// A signed offer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Quote {
    /// The offer.
    pub terms: QuoteTerms,
    /// The holder's signature over the terms.
    pub signature: Signature,
}

/// One heavy node of a footprint: 96 bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FootprintHop {
    /// The heavy node.
    pub node: Address,
    /// Its signature over [`hop_payload`].
    pub signature: Signature,
}

/// A signed path from owner to holder.
pub type Footprint = Bounded<FootprintHop, FOOTPRINT_HOPS_MAX>;

/// A holder's word that all batches of one placement lie on its disk.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// The last height at which a registration may use it.
    pub expires: Height,
    /// The holder's signature over [`receipt_payload`].
    pub signature: Signature,
}

impl QuoteTerms {
    /// Signs the terms; `key` must be the holder's.
    pub fn sign(self, key: &SecretKey, chain: &ChainId) -> Quote {
        let signature = key.sign(Purpose::Quote, chain, &self.payload());
        Quote { terms: self, signature }
    }

    /// What is signed: the borsh of the terms.
    pub fn payload(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("quote terms encode into memory")
    }
}

impl Quote {
    /// Whether the holder that the terms name signed them.
    pub fn verify(&self, chain: &ChainId) -> Result<(), KeyError> {
        self.signature.verify(&self.terms.holder, Purpose::Quote, chain, &self.terms.payload())
    }
}

/// What a quote says of the path on which its request came: `SHA256("holdfast/path/v1\0" | the heavy nodes in order)`.
pub fn path_digest<'a>(nodes: impl IntoIterator<Item = &'a Address>) -> Digest {
    let nodes: Vec<u8> = nodes.into_iter().flat_map(|node| *node.as_bytes()).collect();
    Digest::new(sha256_parts(&[b"holdfast/path/v1\0", &nodes]))
}

/// What hop `index` signs: `request | owner | index u8 | previous | next`, where `previous` is the owner for the first
/// hop and `next` the holder for the last.
pub fn hop_payload(request: &RequestId, owner: &Address, index: u8, previous: &Address, next: &Address) -> Vec<u8> {
    let mut payload = Vec::with_capacity(16 + 32 * 3 + 1);
    payload.extend_from_slice(request.as_bytes());
    payload.extend_from_slice(owner.as_bytes());
    payload.push(index);
    payload.extend_from_slice(previous.as_bytes());
    payload.extend_from_slice(next.as_bytes());
    payload
}

/// Per hop: who must have signed which payload, from owner to holder.
pub fn hop_payloads(
    request: &RequestId,
    owner: &Address,
    holder: &Address,
    path: &Footprint,
) -> Vec<(Address, Vec<u8>)> {
    let before = std::iter::once(owner).chain(path.iter().map(|hop| &hop.node));
    let after = path.iter().skip(1).map(|hop| &hop.node).chain(std::iter::once(holder));
    path.iter()
        .zip(before.zip(after))
        .enumerate()
        .map(|(index, (hop, (previous, next)))| (hop.node, hop_payload(request, owner, index as u8, previous, next)))
        .collect()
}

/// What a holder signs with [`Purpose::Receipt`]: `request | owner | expires u64 LE | count u32 LE | digest of the metas`,
/// the metas in the order in which the registration lists this placement's batches.
pub fn receipt_payload(request: &RequestId, owner: &Address, expires: Height, metas: &[BatchMeta]) -> Vec<u8> {
    let encoded: Vec<u8> =
        metas.iter().flat_map(|meta| borsh::to_vec(meta).expect("a batch meta encodes into memory")).collect();
    let digest = Digest::new(sha256_parts(&[b"holdfast/receipt-batches/v1\0", &encoded]));
    let mut payload = Vec::with_capacity(16 + 32 + 8 + 4 + 32);
    payload.extend_from_slice(request.as_bytes());
    payload.extend_from_slice(owner.as_bytes());
    payload.extend_from_slice(&expires.get().to_le_bytes());
    payload.extend_from_slice(&(metas.len() as u32).to_le_bytes());
    payload.extend_from_slice(digest.as_bytes());
    payload
}
