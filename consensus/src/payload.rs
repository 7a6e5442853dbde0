//! What a validator signs besides votes and proposals. No two statements share their bytes: each layout is fixed by what stands in
//! front, and the purpose and the chain id come before it (DESIGN section 6).

use holdfast_primitives::{BlockHash, Height};

/// Signed with `Purpose::ProposalFin` by whoever's turn it is to propose:
/// `height u64 LE | round u32 LE | block hash | block bytes u32 LE | SHA-256 of each chunk`.
pub(crate) fn stream_payload(
    height: Height,
    round: u32,
    block: &BlockHash,
    block_bytes: u32,
    chunks: &[[u8; 32]],
) -> Vec<u8> {
    let mut payload = Vec::with_capacity(48 + 32 * chunks.len());
    payload.extend_from_slice(&height.get().to_le_bytes());
    payload.extend_from_slice(&round.to_le_bytes());
    payload.extend_from_slice(block.as_bytes());
    payload.extend_from_slice(&block_bytes.to_le_bytes());
    payload.extend_from_slice(chunks.as_flattened());
    payload
}
