//! One of four validators lies, with valid signatures, to three honest engines over real sockets. Whatever it does, the
//! honest ones agree on one block at every height, go on, and can prove what it signed.

use super::common::{BAD_ENTRY, GENESIS, keys};
use super::villain::{HONEST, Scene, Villain};
use crate::engine::assembly::STREAMS_PER_ROUND_MAX;
use crate::engine::config::Publish;
use crate::engine::part::{BlockPart, Opening, PART_BYTES};
use arc_malachitebft_app::streaming::{StreamContent, StreamId, StreamMessage};
use arc_malachitebft_network::Channel;
use bytes::Bytes;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{BlockHash, Height, Misbehaviour, SecretKey, Signature, sha256};

/// Everybody hears everything the villain says.
const ONE_FACE: &[&[usize]] = &[&[0, 1, 2]];
/// One honest validator hears something else than the other two.
const TWO_FACES: &[&[usize]] = &[&[0], &[1, 2]];

fn is_double_proposal(misbehaviour: &Misbehaviour) -> bool {
    matches!(misbehaviour, Misbehaviour::DoubleProposal { .. })
}

fn is_double_vote(precommits: bool) -> impl Fn(&Misbehaviour) -> bool {
    move |misbehaviour| matches!(misbehaviour, Misbehaviour::DoubleVote { first, .. } if first.precommit == precommits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposer_of_two_blocks_is_proven_guilty_and_splits_nobody() {
    let scene = Scene::of(Publish::Gossip, TWO_FACES).await;
    let villain = &scene.villain;
    let deed = async |height: Height, parent: BlockHash| {
        if villain.has_turn(height) {
            let blocks = [0, 1].map(|_| villain.block(height, parent, &[]));
            tokio::join!(villain.propose(0, &blocks[0], 0), villain.propose(1, &blocks[1], 0));
        }
    };
    scene.haunted(deed, |scene| scene.reached(12) && scene.all_saw(is_double_proposal)).await;
    scene.judged().await;
}

/// Without relaying, each side knows only its own block, and the villain's votes make a quorum for one of them: the rest has to
/// learn from the certificate what was decided.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_shown_another_block_takes_the_one_that_has_the_certificate() {
    let scene = Scene::of(Publish::Direct, TWO_FACES).await;
    let villain = &scene.villain;
    let deed = async |height: Height, parent: BlockHash| {
        if villain.has_turn(height) {
            for face in [0, 1] {
                let block = villain.block(height, parent, &[]);
                villain.propose(face, &block, 0).await;
                villain.vote(face, height, 0, Some(block.hash())).await;
            }
        }
    };
    scene.haunted(deed, |scene| scene.reached(9)).await;
    let (_, own) = scene.judged().await;
    assert!(!own.is_empty(), "two honest validators and the villain are a quorum");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_of_two_minds_is_proven_guilty_of_both_kinds() {
    let scene = Scene::of(Publish::Gossip, TWO_FACES).await;
    let villain = &scene.villain;
    let deed = async |height: Height, parent: BlockHash| {
        let block = villain.block(height, parent, &[]);
        if villain.has_turn(height) {
            tokio::join!(villain.propose(0, &block, 0), villain.propose(1, &block, 0));
        }
        tokio::join!(villain.vote(0, height, 0, Some(block.hash())), villain.vote(1, height, 0, None));
    };
    let both = |scene: &Scene| scene.all_saw(is_double_vote(false)) && scene.all_saw(is_double_vote(true));
    scene.haunted(deed, |scene| scene.reached(8) && both(scene)).await;
    scene.judged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposer_that_says_nothing_costs_its_turns_and_no_more() {
    let scene = Scene::of(Publish::Gossip, ONE_FACE).await;
    scene.haunted(async |_, _| {}, |scene| scene.reached(12)).await;
    let rounds = scene.rounds_of_its_turns();
    assert!(rounds.len() >= 2 && rounds.iter().all(|round| *round > 0), "{rounds:?}");
    assert!(rounds.contains(&1), "the next proposer is enough: {rounds:?}");
    assert_eq!(scene.judged().await.1, [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_breaks_a_rule_gets_no_vote_however_well_it_is_signed() {
    let scene = Scene::of(Publish::Gossip, ONE_FACE).await;
    let villain = &scene.villain;
    let deed = async |height: Height, parent: BlockHash| {
        if villain.has_turn(height) {
            let block = villain.block(height, parent, &[BAD_ENTRY]);
            villain.propose(0, &block, 0).await;
            villain.vote(0, height, 0, Some(block.hash())).await;
        }
    };
    scene.haunted(deed, |scene| scene.reached(12)).await;
    let rounds = scene.rounds_of_its_turns();
    assert!(rounds.len() >= 2 && rounds.iter().all(|round| *round > 0), "{rounds:?}");
    assert_eq!(scene.judged().await.1, [0; 0]);
}

/// Kinds of nonsense.
const KINDS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kind_of_nonsense_stops_the_chain_or_enters_it() {
    let scene = Scene::of(Publish::Gossip, ONE_FACE).await;
    let villain = &scene.villain;
    // Its turns come every fourth height: each takes the next kind. Between its turns it is as noisy.
    let deed = async |height: Height, parent: BlockHash| match height.get() / 4 % KINDS {
        0 => noise(villain, height).await,
        1 => another_hash(villain, height, parent).await,
        2 => false_chunks(villain, height, parent).await,
        3 => false_names(villain, height, parent).await,
        4 => too_large(villain, height, parent).await,
        _ => without_end(villain, height, parent).await,
    };
    scene.haunted(deed, |scene| scene.reached(4 * KINDS + 4)).await;
    let rounds = scene.rounds_of_its_turns();
    assert!(rounds.len() >= KINDS as usize && rounds.iter().all(|round| *round > 0), "{rounds:?}");

    // It was heard all the time: once it talks sense, its blocks are decided.
    let sober_from = scene.nodes[0].app.height();
    let sense = async |height: Height, parent: BlockHash| {
        if villain.has_turn(height) {
            villain.propose(0, &villain.block(height, parent, &[]), 0).await;
        }
    };
    scene.haunted(sense, |scene| scene.reached(4 * KINDS + 4 + 12)).await;
    let (_, own) = scene.judged().await;
    assert!(!own.is_empty() && own.iter().all(|height| *height > sober_from), "{own:?} after {sober_from}");
}

/// Bytes that mean nothing, on every channel, of many lengths.
async fn noise(villain: &Villain, height: Height) {
    for channel in [Channel::ProposalParts, Channel::Consensus, Channel::Liveness] {
        for bytes in [0, 1, 32, 500, 5_000, PART_BYTES] {
            let seed = sha256(&[&height.get().to_le_bytes()[..], &villain.fresh().to_le_bytes()].concat());
            let noise: Vec<u8> = seed.iter().copied().cycle().take(bytes).collect();
            villain.say(0, channel, noise).await;
        }
    }
}

/// A signed stream whose bytes are another block than the one it names, one whose bytes are no block, and the true opening of
/// a block with other bytes.
async fn another_hash(villain: &Villain, height: Height, parent: BlockHash) {
    let [named, sent] = [0, 1].map(|_| villain.block(height, parent, &[]));
    villain.stream(0, villain.opening_of(height, 0, named.hash(), &sent.bytes()), &sent.bytes()).await;
    villain.announce(0, height, 0, named.hash()).await;
    let garbage = Bytes::from_static(b"no block at all");
    villain.stream(0, villain.opening_of(height, 0, BlockHash::new([9; 32]), &garbage), &garbage).await;
    villain.stream(0, villain.opening(&named, 0), &garbage).await;
}

/// Chunks that are too long, empty, out of place or somebody else's, before and after their opening.
async fn false_chunks(villain: &Villain, height: Height, parent: BlockHash) {
    let block = villain.block(height, parent, &[]);
    let opening = villain.opening(&block, 0);
    let id = StreamId::new([opening.name().as_slice(), &villain.fresh().to_le_bytes()].concat().into());
    let part = |sequence, part| StreamMessage::new(id.clone(), sequence, StreamContent::Data(part));
    let chunks = [(1, PART_BYTES + 1), (1, 0), (1, PART_BYTES), (0, 5), (7, 5), (u64::MAX, 5)];
    let junk = || chunks.map(|(sequence, bytes)| part(sequence, BlockPart::Chunk(vec![0xee; bytes])));
    for message in junk() {
        villain.send_part(0, &message).await;
    }
    villain.send_part(0, &part(0, BlockPart::Opening(opening.clone()))).await;
    villain.send_part(0, &part(3, BlockPart::Opening(opening))).await;
    villain.send_part(0, &StreamMessage::new(id.clone(), 9, StreamContent::Fin)).await;
    for message in junk() {
        villain.send_part(0, &message).await;
    }
    villain.announce(0, height, 0, block.hash()).await;
}

/// Everything in the name of honest validators, signed by the villain.
async fn false_names(villain: &Villain, height: Height, parent: BlockHash) {
    let block = villain.block(height, parent, &[]);
    for honest in keys(4).iter().take(HONEST).map(SecretKey::address) {
        let opening = Opening { proposer: honest, ..villain.opening(&block, 0) };
        villain.stream(0, opening, &block.bytes()).await;
        villain.announce_as(0, honest, height, block.hash()).await;
        villain.vote_as(0, honest, height, 0, Some(block.hash())).await;
        villain.vote_as(0, honest, height, 0, None).await;
    }
    let unsigned = Opening { signature: Signature::new([0; 64]), ..villain.opening(&block, 0) };
    villain.stream(0, unsigned, &block.bytes()).await;
    // Its own turn would be a true one: a block on another parent than the tip is not.
    let elsewhere = villain.block(height, GENESIS, &[b"elsewhere"]);
    if height > Height::new(1) {
        villain.propose(0, &elsewhere, 0).await;
    }
}

/// Openings that promise more than a block may have, or have not what they promise; all well signed.
async fn too_large(villain: &Villain, height: Height, parent: BlockHash) {
    let (small, chunk) = (villain.block(height, parent, &[]), Bytes::from(vec![0x11; PART_BYTES]));
    let promises = [u32::MAX, BLOCK_BYTES_MAX as u32 + 1, BLOCK_BYTES_MAX as u32, 0];
    for block_bytes in promises {
        let promise = villain.signed(Opening { block_bytes, ..villain.opening(&small, 0) });
        villain.stream(0, promise, &chunk).await;
    }
    villain.announce(0, height, 0, small.hash()).await;
}

/// Many more blocks than a round may have, each signed and none of them whole, and as many proposals.
async fn without_end(villain: &Villain, height: Height, parent: BlockHash) {
    for _ in 0..20 * STREAMS_PER_ROUND_MAX {
        let block = villain.block(height, parent, &[]);
        villain.stream(0, villain.opening(&block, 0), &Bytes::new()).await;
        villain.announce(0, height, 0, block.hash()).await;
    }
}
