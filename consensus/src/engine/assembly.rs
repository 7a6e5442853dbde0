//! Puts streamed blocks back together, within limits that a stranger cannot move.
//!
//! A stream counts from its opening, which must be signed by the proposer whose turn it is; its chunks must be those
//! that were signed. So only validators can take up memory, a few blocks per round each, and nobody can spoil the
//! stream of another. Chunks that overtake their opening wait in one small queue for all.

use super::part::{BlockPart, Opening, PART_BYTES, StreamName, stream_name};
use super::types::EngineValidatorSet;
use arc_malachitebft_app::streaming::{StreamContent, StreamMessage};
use bytes::{Bytes, BytesMut};
use holdfast_primitives::{Address, ChainId, Height, KeyError};
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// Blocks of one round: an honest proposer sends one.
pub(crate) const STREAMS_PER_ROUND_MAX: usize = 2;
/// Rounds before and after ours of which blocks are still taken.
pub(crate) const ROUNDS_AROUND: u32 = 2;
/// Chunks that wait for their opening.
pub(crate) const EARLY_CHUNKS_MAX: usize = 64;

/// Which streams are of interest: those of the next height and, because others may be one block ahead, the one after.
pub(crate) struct Wanted<'a> {
    pub next: Height,
    /// Our round at the next height.
    pub round: u32,
    /// The validators of the next height.
    pub validators: &'a EngineValidatorSet,
}

/// A block whose bytes are all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    pub opening: Opening,
    pub block: Bytes,
}

/// Why a message was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    /// The height is decided, or too far ahead.
    #[error("a block for height {height}, wanted {lowest} to {highest}")]
    Height { height: Height, lowest: Height, highest: Height },
    /// The round is over for long, or too far ahead.
    #[error("a block for round {round}, wanted {lowest} to {highest}")]
    Round { round: u32, lowest: u32, highest: u32 },
    /// It is not the proposer's turn, or it is no validator.
    #[error("{proposer} may not propose in round {round} of height {height}")]
    NotItsTurn { proposer: Address, height: Height, round: u32 },
    /// The block exceeds the limit.
    #[error("a block of {found} bytes, the limit is {limit}")]
    BlockTooLarge { found: usize, limit: usize },
    /// The chunk digests do not fit the block's length.
    #[error("{chunks} chunks for {block_bytes} bytes")]
    ChunkCount { chunks: usize, block_bytes: u32 },
    /// The opening is not signed by the proposer it names.
    #[error(transparent)]
    Signature(#[from] KeyError),
    /// The proposer has sent too many different blocks in this round.
    #[error("{open} blocks of {proposer} in one round, the limit is {limit}")]
    TooManyStreams { proposer: Address, open: usize, limit: usize },
    /// The stream's id does not belong to its opening.
    #[error("a stream under a wrong name")]
    Name,
    /// An opening elsewhere than at the beginning, or a chunk there.
    #[error("message {sequence} is out of place")]
    OutOfPlace { sequence: u64 },
    /// A chunk that was not signed.
    #[error("{found} bytes that are not chunk {sequence}")]
    FalseChunk { sequence: u64, found: usize },
}

/// Streams of the next heights, complete ones included until their height is over.
pub(crate) struct Assembler {
    chain: ChainId,
    block_bytes_max: usize,
    streams: BTreeMap<StreamName, Stream>,
    early: VecDeque<EarlyChunk>,
}

struct Stream {
    opening: Opening,
    /// `None` once the block is complete and handed on.
    chunks: Option<BTreeMap<u64, Vec<u8>>>,
}

/// A chunk that overtook its opening.
struct EarlyChunk {
    stream: StreamName,
    sequence: u64,
    bytes: Vec<u8>,
}

impl Wanted<'_> {
    fn check(&self, opening: &Opening) -> Result<(), Refusal> {
        let Opening { height, round, proposer, .. } = *opening;
        let (lowest, highest) = (self.next, self.next.next());
        if height < lowest || height > highest {
            return Err(Refusal::Height { height, lowest, highest });
        }
        let (lowest, highest) = self.rounds(height);
        if round < lowest || round > highest {
            return Err(Refusal::Round { round, lowest, highest });
        }
        // Who will propose at the height after next is known once the next one is decided; a validator at least.
        let may = if height == self.next {
            *self.validators.proposer(height, round).address() == proposer
        } else {
            self.validators.contains(&proposer)
        };
        if may { Ok(()) } else { Err(Refusal::NotItsTurn { proposer, height, round }) }
    }

    fn rounds(&self, height: Height) -> (u32, u32) {
        let ours = if height == self.next { self.round } else { 0 };
        (ours.saturating_sub(ROUNDS_AROUND), ours.saturating_add(ROUNDS_AROUND))
    }

    fn keeps(&self, opening: &Opening) -> bool {
        opening.height >= self.next && opening.round >= self.rounds(opening.height).0
    }
}

impl Assembler {
    pub(crate) const fn new(chain: ChainId, block_bytes_max: usize) -> Self {
        Self { chain, block_bytes_max, streams: BTreeMap::new(), early: VecDeque::new() }
    }

    /// Takes one message; returns a block when it completes one, once per opening.
    ///
    /// # Errors
    /// The message is dropped; everything else stays as it was.
    pub(crate) fn accept(
        &mut self,
        message: StreamMessage<BlockPart>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Assembled>, Refusal> {
        let name = stream_name(&message.stream_id).ok_or(Refusal::Name)?;
        let sequence = message.sequence;
        match message.content {
            StreamContent::Data(BlockPart::Opening(opening)) if sequence == 0 => self.open(name, opening, wanted)?,
            StreamContent::Data(BlockPart::Chunk(bytes)) if sequence > 0 => self.add(name, sequence, bytes)?,
            StreamContent::Data(_) => return Err(Refusal::OutOfPlace { sequence }),
            StreamContent::Fin => return Ok(None),
        }
        Ok(self.take_complete(&name))
    }

    /// Bytes of chunks in memory.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        let chunks = self.streams.values().filter_map(|stream| stream.chunks.as_ref()).flat_map(BTreeMap::values);
        chunks.map(Vec::len).sum::<usize>() + self.early.iter().map(|early| early.bytes.len()).sum::<usize>()
    }

    /// Forgets what is no longer wanted.
    pub(crate) fn retire(&mut self, wanted: &Wanted<'_>) {
        self.streams.retain(|_, stream| wanted.keeps(&stream.opening));
    }

    fn open(&mut self, name: StreamName, opening: Opening, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        wanted.check(&opening)?;
        let (found, limit) = (opening.block_bytes as usize, self.block_bytes_max);
        if found > limit {
            return Err(Refusal::BlockTooLarge { found, limit });
        }
        if !opening.is_whole() {
            return Err(Refusal::ChunkCount { chunks: opening.chunks.len(), block_bytes: opening.block_bytes });
        }
        if name != opening.name() {
            return Err(Refusal::Name);
        }
        if self.streams.contains_key(&name) {
            return Ok(());
        }
        opening.verify(&self.chain)?;
        self.retire(wanted);
        self.check_room(&opening)?;
        self.streams.insert(name, Stream { opening, chunks: Some(BTreeMap::new()) });
        self.adopt_early(name);
        Ok(())
    }

    fn check_room(&self, opening: &Opening) -> Result<(), Refusal> {
        let place = |opening: &Opening| (opening.height, opening.round, opening.proposer);
        let open = self.streams.values().filter(|stream| place(&stream.opening) == place(opening)).count();
        let (proposer, limit) = (opening.proposer, STREAMS_PER_ROUND_MAX);
        if open >= limit { Err(Refusal::TooManyStreams { proposer, open, limit }) } else { Ok(()) }
    }

    fn adopt_early(&mut self, name: StreamName) {
        let (own, others): (VecDeque<_>, VecDeque<_>) = self.early.drain(..).partition(|early| early.stream == name);
        self.early = others;
        for EarlyChunk { sequence, bytes, .. } in own {
            if let Err(refusal) = self.add(name, sequence, bytes) {
                tracing::debug!(%refusal, "dropped an early chunk");
            }
        }
    }

    fn add(&mut self, name: StreamName, sequence: u64, bytes: Vec<u8>) -> Result<(), Refusal> {
        let found = bytes.len();
        let Some(stream) = self.streams.get_mut(&name) else {
            if found > PART_BYTES {
                return Err(Refusal::FalseChunk { sequence, found });
            }
            if self.early.len() >= EARLY_CHUNKS_MAX {
                self.early.pop_front();
            }
            self.early.push_back(EarlyChunk { stream: name, sequence, bytes });
            return Ok(());
        };
        let Some(chunks) = &mut stream.chunks else { return Ok(()) };
        if chunks.contains_key(&sequence) {
            return Ok(());
        }
        if !stream.opening.has_chunk(sequence, &bytes) {
            return Err(Refusal::FalseChunk { sequence, found });
        }
        chunks.insert(sequence, bytes);
        Ok(())
    }

    fn take_complete(&mut self, name: &StreamName) -> Option<Assembled> {
        let stream = self.streams.get_mut(name)?;
        let chunks = stream.chunks.take_if(|chunks| chunks.len() == stream.opening.chunks.len())?;
        let mut block = BytesMut::with_capacity(chunks.values().map(Vec::len).sum());
        chunks.values().for_each(|chunk| block.extend_from_slice(chunk));
        Some(Assembled { opening: stream.opening.clone(), block: block.freeze() })
    }
}
