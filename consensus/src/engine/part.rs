//! How a block travels from its proposer to the others: an opening that names and signs it, then its bytes in chunks.
//!
//! ```text
//! sequence 0      Opening { height, round, valid round, proposer, hash, block bytes, chunk digests, signature }
//! sequence 1..=n  Chunk   PART_BYTES each, the last one what is left
//! stream id       first 16 bytes of SHA-256(signature) | nonce u64 LE
//! ```
//! The signature stands in front and covers the digest of every chunk. So whoever receives a stream knows from its
//! first message whether it comes from the proposer whose turn it is, sets no memory aside for anybody else, and tells
//! a true chunk from a false one, whoever relays it.

use super::signing::ChainSigner;
use super::types::Holdfast;
use crate::app::Undecided;
use crate::payload::stream_payload;
use arc_malachitebft_app::streaming::{StreamContent, StreamId, StreamMessage};
use arc_malachitebft_core_types::ProposalPart;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, BlockHash, Bounded, ChainId, Height, KeyError, Purpose, Signature, sha256};

/// Bytes of a block in one chunk.
pub(crate) const PART_BYTES: usize = 128 * 1024;
/// Chunks of the largest block.
pub(crate) const CHUNKS_MAX: usize = BLOCK_BYTES_MAX.div_ceil(PART_BYTES);
/// Bytes of a stream's id.
pub(crate) const STREAM_ID_BYTES: usize = NAME_BYTES + 8;

const NAME_BYTES: usize = 16;

/// What the streams of one opening have in common, however often it is sent.
pub(crate) type StreamName = [u8; NAME_BYTES];

/// One message of a block's stream.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum BlockPart {
    /// The first message.
    Opening(Opening),
    /// Some of the block's bytes; the place follows from the message's sequence number.
    Chunk(Vec<u8>),
}

/// Announces a block, signed by the proposer of its round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Opening {
    pub height: Height,
    pub round: u32,
    /// As the engine tells it; not signed, the signed proposal carries the one that counts.
    pub valid_round: Option<u32>,
    /// Whose turn the round is. Made the block itself, unless it proposes an earlier one again.
    pub proposer: Address,
    pub hash: BlockHash,
    pub block_bytes: u32,
    /// SHA-256 of each chunk.
    pub chunks: Bounded<[u8; 32], CHUNKS_MAX>,
    /// By the proposer, over all but the valid round. Whoever relays the block to help a slow round sends it as it is.
    pub signature: Signature,
}

impl Opening {
    /// Announces `block` as the proposal of `signer` in `round`.
    pub(crate) fn sign(signer: &ChainSigner, kept: &Undecided, round: u32, valid_round: Option<u32>) -> Self {
        let Undecided { height, ref block, hash, .. } = *kept;
        let block_bytes = u32::try_from(block.len()).expect("a block's length was checked against its limit");
        let digests = block.chunks(PART_BYTES).map(sha256).collect();
        let chunks = Bounded::new(digests).expect("a block's length was checked against its limit");
        let payload = stream_payload(height, round, &hash, block_bytes, &chunks);
        let signature = signer.key.sign(Purpose::ProposalFin, &signer.chain, &payload);
        Self { height, round, valid_round, proposer: signer.key.address(), hash, block_bytes, chunks, signature }
    }

    /// Whether the proposer it names signed it.
    pub(crate) fn verify(&self, chain: &ChainId) -> Result<(), KeyError> {
        let payload = stream_payload(self.height, self.round, &self.hash, self.block_bytes, &self.chunks);
        self.signature.verify(&self.proposer, Purpose::ProposalFin, chain, &payload)
    }

    /// Whether there are as many chunk digests as the block has chunks.
    pub(crate) fn is_whole(&self) -> bool {
        (self.block_bytes as usize).div_ceil(PART_BYTES) == self.chunks.len()
    }

    /// Whether `bytes` are the chunk with this sequence number.
    pub(crate) fn has_chunk(&self, sequence: u64, bytes: &[u8]) -> bool {
        let digest = sequence.checked_sub(1).and_then(|index| self.chunks.get(usize::try_from(index).ok()?));
        digest.is_some_and(|digest| *digest == sha256(bytes))
    }

    /// What its streams have in common.
    pub(crate) fn name(&self) -> StreamName {
        let digest = sha256(self.signature.as_bytes());
        std::array::from_fn(|index| digest[index])
    }
}

impl ProposalPart<Holdfast> for BlockPart {
    fn is_first(&self) -> bool {
        matches!(self, Self::Opening(_))
    }

    /// A chunk does not know whether it is the last; the engine asks for its log only.
    fn is_last(&self) -> bool {
        matches!(self, Self::Opening(opening) if opening.block_bytes == 0)
    }
}

/// The messages of one block's stream. Another `nonce` each time keeps the network from taking it for one it has seen.
pub(crate) fn stream(opening: Opening, block: &Bytes, nonce: u64) -> impl Iterator<Item = StreamMessage<BlockPart>> {
    let id = StreamId::new([opening.name().as_slice(), &nonce.to_le_bytes()].concat().into());
    let chunks = block.chunks(PART_BYTES).map(|chunk| BlockPart::Chunk(chunk.to_vec()));
    let parts = std::iter::once(BlockPart::Opening(opening)).chain(chunks);
    (0u64..).zip(parts).map(move |(sequence, part)| StreamMessage::new(id.clone(), sequence, StreamContent::Data(part)))
}

/// The name in a stream's id; `None` when its length is wrong.
pub(crate) fn stream_name(id: &StreamId) -> Option<StreamName> {
    let bytes = id.to_bytes();
    (bytes.len() == STREAM_ID_BYTES).then(|| std::array::from_fn(|index| bytes[index]))
}
