//! Streams of blocks: any order, any villain.

use super::{CHAIN, key, validators};
use crate::app::Undecided;
use crate::engine::assembly::{
    Assembled, Assembler, EARLY_CHUNKS_MAX, ROUNDS_AROUND, Refusal, STREAMS_PER_ROUND_MAX, Wanted,
};
use crate::engine::part::{self, BlockPart, Opening, PART_BYTES};
use crate::engine::signing::ChainSigner;
use crate::engine::types::EngineValidatorSet;
use arc_malachitebft_app::streaming::{StreamContent, StreamId, StreamMessage};
use bytes::Bytes;
use holdfast_primitives::{BlockHash, Bounded, Height};
use proptest::prelude::*;

const BLOCK_BYTES_MAX: usize = 4 * PART_BYTES;
const NEXT: Height = Height::new(3);

type Message = StreamMessage<BlockPart>;

struct Scene {
    set: EngineValidatorSet,
    assembler: Assembler,
    round: u32,
}

impl Scene {
    fn new() -> Self {
        let set = EngineValidatorSet::new(&validators(&[1, 1, 1]));
        Self { set, assembler: Assembler::new(CHAIN, BLOCK_BYTES_MAX), round: 0 }
    }

    fn accept(&mut self, message: &Message) -> Result<Option<Assembled>, Refusal> {
        let wanted = Wanted { next: NEXT, round: self.round, validators: &self.set };
        self.assembler.accept(message.clone(), &wanted)
    }

    /// The proposer of this round.
    fn proposer(&self, height: Height, round: u32) -> ChainSigner {
        let address = *self.set.proposer(height, round).address();
        let key = (1..=3).map(key).find(|key| key.address() == address).unwrap();
        ChainSigner { chain: CHAIN, key }
    }

    /// A block as its proposer streams it; the tag makes it another block.
    fn stream(&self, height: Height, round: u32, bytes: usize, tag: u8) -> (Bytes, Vec<Message>) {
        let signer = self.proposer(height, round);
        let block: Bytes = (0..bytes).map(|index| (index % 251) as u8).collect();
        let (hash, proposer) = (BlockHash::new([tag + 1; 32]), signer.key.address());
        let kept = Undecided { height, round, valid_round: None, proposer, block: block.clone(), hash, valid: true };
        let opening = Opening::sign(&signer, &kept, round, None);
        (block.clone(), part::stream(opening, &block, 0).collect())
    }
}

fn opening(message: &Message) -> Opening {
    let StreamContent::Data(BlockPart::Opening(opening)) = &message.content else { panic!("{message:?}") };
    opening.clone()
}

fn message(id: StreamId, sequence: u64, part: BlockPart) -> Message {
    StreamMessage::new(id, sequence, StreamContent::Data(part))
}

fn tampered(original: &Message, change: impl FnOnce(&mut Opening)) -> Message {
    let mut opening = opening(original);
    change(&mut opening);
    message(original.stream_id.clone(), 0, BlockPart::Opening(opening))
}

fn chunk(stream: &Message, sequence: u64, bytes: usize) -> Message {
    message(stream.stream_id.clone(), sequence, BlockPart::Chunk(vec![0xee; bytes]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_block_comes_together_once_in_any_order(bytes in 0..=BLOCK_BYTES_MAX, seed: u64, twice: bool) {
        let mut scene = Scene::new();
        let (block, mut messages) = scene.stream(NEXT, 0, bytes, 0);
        if twice {
            messages.extend(messages.clone());
        }
        messages.sort_by_key(|message| (message.sequence + 1).wrapping_mul(seed | 1).rotate_left(17));
        let mut complete = Vec::new();
        for message in &messages {
            complete.extend(scene.accept(message).unwrap());
        }
        prop_assert_eq!(complete.len(), 1);
        prop_assert_eq!(&complete[0].block, &block);
    }

    /// Whatever a stranger throws in under the same name, the true block comes together.
    #[test]
    fn nobody_spoils_the_stream_of_another(junk in prop::collection::vec((0u64..6, 0usize..300, any::<bool>()), 0..40)) {
        let mut scene = Scene::new();
        let (block, messages) = scene.stream(NEXT, 0, 3 * PART_BYTES, 0);
        let (early, late): (Vec<_>, Vec<_>) = junk.into_iter().partition(|(.., early)| *early);
        for (sequence, bytes, _) in early {
            // Refused or put aside; which one does not matter here.
            let _ = scene.accept(&chunk(&messages[0], sequence, bytes));
        }
        scene.accept(&messages[0]).unwrap();
        for (sequence, bytes, _) in late {
            prop_assert!(scene.accept(&chunk(&messages[0], sequence, bytes)).is_err());
        }
        let complete = messages[1..].iter().filter_map(|message| scene.accept(message).unwrap()).next();
        prop_assert_eq!(complete.unwrap().block, block);
    }
}

#[test]
fn only_the_proposer_whose_turn_it_is_opens_a_stream() {
    let mut scene = Scene::new();
    let (_, messages) = scene.stream(NEXT, 0, 10, 0);
    let other = scene.proposer(NEXT, 1).key.address();
    let impersonated = tampered(&messages[0], |opening| opening.proposer = other);
    assert!(matches!(scene.accept(&impersonated), Err(Refusal::NotItsTurn { .. })));
    let stranger = tampered(&messages[0], |opening| {
        opening.height = NEXT.next();
        opening.proposer = key(9).address();
    });
    assert!(matches!(scene.accept(&stranger), Err(Refusal::NotItsTurn { .. })));
}

#[test]
fn what_is_signed_cannot_be_changed() {
    let mut scene = Scene::new();
    let (_, messages) = scene.stream(NEXT, 0, 10, 0);
    let changes: [fn(&mut Opening); 3] = [
        |opening| opening.hash = BlockHash::new([99; 32]),
        |opening| opening.block_bytes += 1,
        |opening| opening.chunks = Bounded::new(vec![[0; 32]]).unwrap(),
    ];
    for change in changes {
        assert!(matches!(scene.accept(&tampered(&messages[0], change)), Err(Refusal::Signature(_))));
    }
    let uncounted = tampered(&messages[0], |opening| opening.chunks = Bounded::empty());
    assert_eq!(scene.accept(&uncounted), Err(Refusal::ChunkCount { chunks: 0, block_bytes: 10 }));
    let renamed = message(StreamId::new(Bytes::from_static(&[1; 24])), 0, BlockPart::Opening(opening(&messages[0])));
    assert_eq!(scene.accept(&renamed), Err(Refusal::Name));
}

#[test]
fn only_what_may_be_decided_soon_is_wanted() {
    let mut scene = Scene::new();
    for height in [NEXT.previous().unwrap(), NEXT.next().next()] {
        let (_, messages) = scene.stream(height, 0, 10, 0);
        assert!(matches!(scene.accept(&messages[0]), Err(Refusal::Height { .. })), "{height}");
    }
    scene.round = 10;
    for (round, wanted) in [(7, false), (8, true), (12, true), (13, false)] {
        assert_eq!(wanted, round + ROUNDS_AROUND >= scene.round && round <= scene.round + ROUNDS_AROUND);
        let (_, messages) = scene.stream(NEXT, round, 10, 0);
        assert_eq!(scene.accept(&messages[0]).is_ok(), wanted, "round {round}");
    }
    let (_, messages) = scene.stream(NEXT, 10, BLOCK_BYTES_MAX + 1, 0);
    assert_eq!(
        scene.accept(&messages[0]),
        Err(Refusal::BlockTooLarge { found: BLOCK_BYTES_MAX + 1, limit: BLOCK_BYTES_MAX })
    );
}

#[test]
fn an_equivocator_takes_no_room_from_other_rounds() {
    let mut scene = Scene::new();
    for tag in 0..STREAMS_PER_ROUND_MAX as u8 {
        assert_eq!(scene.accept(&scene.stream(NEXT, 0, 10, tag).1[0]), Ok(None));
    }
    let more = scene.accept(&scene.stream(NEXT, 0, 10, 50).1[0]);
    assert!(matches!(more, Err(Refusal::TooManyStreams { .. })), "{more:?}");
    let (block, messages) = scene.stream(NEXT, 1, 10, 51);
    scene.accept(&messages[0]).unwrap();
    assert_eq!(scene.accept(&messages[1]).unwrap().unwrap().block, block);
}

/// Blocks that are never whole, of every round that is open and of the next height too, signed by those whose turn it is.
#[test]
fn streams_without_end_hold_no_more_than_two_blocks_a_round() {
    let mut scene = Scene::new();
    let (heights, rounds) = ([NEXT, NEXT.next()], 0..=ROUNDS_AROUND);
    let places = heights.len() * (ROUNDS_AROUND as usize + 1);
    let bound = places * STREAMS_PER_ROUND_MAX * BLOCK_BYTES_MAX + EARLY_CHUNKS_MAX * PART_BYTES;
    for tag in 0..8 * STREAMS_PER_ROUND_MAX as u8 {
        for (height, round) in heights.iter().flat_map(|height| rounds.clone().map(move |round| (*height, round))) {
            let (_, messages) = scene.stream(height, round, BLOCK_BYTES_MAX, tag);
            for message in &messages[..messages.len() - 1] {
                // Taken or refused: what counts is what it leaves in memory.
                let _ = scene.accept(message);
            }
            assert!(scene.assembler.held_bytes() <= bound, "{} of {bound}", scene.assembler.held_bytes());
        }
    }
    assert!(scene.assembler.held_bytes() > bound / 2, "the test fills what there is");
}

#[test]
fn chunks_that_are_early_wait_in_a_queue_of_fixed_length() {
    let mut scene = Scene::new();
    let (_, first) = scene.stream(NEXT, 0, 10, 0);
    let (_, second) = scene.stream(NEXT, 0, 10, 1);
    scene.accept(&first[1]).unwrap();
    for _ in 0..EARLY_CHUNKS_MAX {
        scene.accept(&second[1]).unwrap();
    }
    assert_eq!(scene.accept(&first[0]), Ok(None), "its chunk was pushed out");
    assert!(scene.accept(&second[0]).unwrap().is_some(), "its chunk was kept");
    let huge = scene.accept(&chunk(&scene.stream(NEXT, 1, 10, 2).1[0], 1, PART_BYTES + 1));
    assert_eq!(huge, Err(Refusal::FalseChunk { sequence: 1, found: PART_BYTES + 1 }));
}
