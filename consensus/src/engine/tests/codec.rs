//! The wire: what we send comes back as it was, and no bytes of a stranger do harm.
//!
//! 1. decode(encode(message)) == message, within the limit of its kind
//! 2. any bytes decode to a message or an error, and a message encodes back to the very same bytes
//! 3. what no honest node sends is an error

use super::key;
use crate::engine::codec::{CodecError, SYNC_BLOCKS_MAX, Wire};
use crate::engine::convert;
use crate::engine::part::{BlockPart, CHUNKS_MAX, Opening, PART_BYTES, STREAM_ID_BYTES};
use crate::engine::types::{BlockValue, EngineAddress, EngineHeight, Holdfast, Proposal, Vote};
use arc_malachitebft_app::streaming::{StreamContent, StreamId, StreamMessage};
use arc_malachitebft_codec::{Codec, HasEncodedLen};
use arc_malachitebft_core_consensus::{LivenessMsg, PeerId, ProposedValue, SignedConsensusMsg};
use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType, RoundSignature,
    SignedMessage, ValidatorProof, Validity, VoteType,
};
use arc_malachitebft_sync::{RawDecidedValue, Request, Response, Status, ValueRequest, ValueResponse};
use bytes::Bytes;
use holdfast_primitives::limits::VALIDATORS_MAX;
use holdfast_primitives::{Address, BlockHash, Bounded, Certificate, CommitSignature, Height, Signature};
use proptest::prelude::*;
use std::fmt::Debug;

const WIRE: Wire = Wire { response_bytes_max: 1024 * 1024 };

type Message = SignedConsensusMsg<Holdfast>;
type Liveness = LivenessMsg<Holdfast>;
type Part = StreamMessage<BlockPart>;

fn height() -> impl Strategy<Value = EngineHeight> {
    any::<u64>().prop_map(|height| EngineHeight(Height::new(height)))
}

fn hash() -> impl Strategy<Value = BlockHash> {
    any::<[u8; 32]>().prop_map(|mut bytes| {
        bytes[0] |= 1;
        BlockHash::new(bytes)
    })
}

fn address() -> impl Strategy<Value = EngineAddress> {
    any::<[u8; 32]>().prop_map(|bytes| EngineAddress(Address::new(bytes)))
}

fn signature() -> impl Strategy<Value = Signature> {
    any::<[u8; 32]>().prop_map(|half| Signature::new([half, half].concat().try_into().unwrap()))
}

fn round() -> impl Strategy<Value = Round> {
    any::<u32>().prop_map(Round::new)
}

fn maybe_round() -> impl Strategy<Value = Round> {
    prop_oneof![Just(Round::Nil), round()]
}

fn kind() -> impl Strategy<Value = VoteType> {
    prop_oneof![Just(VoteType::Prevote), Just(VoteType::Precommit)]
}

fn value() -> impl Strategy<Value = NilOrVal<BlockHash>> {
    prop_oneof![Just(NilOrVal::Nil), hash().prop_map(NilOrVal::Val)]
}

fn vote() -> impl Strategy<Value = SignedMessage<Holdfast, Vote>> {
    (kind(), height(), round(), value(), address(), signature()).prop_map(
        |(kind, height, round, value, validator, by)| {
            SignedMessage::new(Vote { kind, height, round, value, validator }, by)
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let proposal = (height(), round(), hash(), maybe_round(), address(), signature());
    let proposal = proposal.prop_map(|(height, round, hash, valid_round, proposer, by)| {
        SignedMessage::new(Proposal { height, round, value: BlockValue(hash), valid_round, proposer }, by)
    });
    prop_oneof![vote().prop_map(Message::Vote), proposal.prop_map(Message::Proposal)]
}

fn polka() -> impl Strategy<Value = PolkaCertificate<Holdfast>> {
    let signatures = prop::collection::vec((address(), signature()), 0..=VALIDATORS_MAX);
    (height(), round(), hash(), signatures).prop_map(|(height, round, value_id, signatures)| {
        let by = |(address, signature)| PolkaSignature { address, signature };
        PolkaCertificate { height, round, value_id, polka_signatures: signatures.into_iter().map(by).collect() }
    })
}

fn liveness() -> impl Strategy<Value = Liveness> {
    let kinds = prop_oneof![Just(RoundCertificateType::Precommit), Just(RoundCertificateType::Skip)];
    let signatures = prop::collection::vec((kind(), value(), address(), signature()), 0..=2 * VALIDATORS_MAX);
    let skip = (height(), round(), kinds, signatures).prop_map(|(height, round, cert_type, signatures)| {
        let by = |(vote_type, value_id, address, signature)| RoundSignature { vote_type, value_id, address, signature };
        RoundCertificate { height, round, cert_type, round_signatures: signatures.into_iter().map(by).collect() }
    });
    prop_oneof![
        vote().prop_map(Liveness::Vote),
        polka().prop_map(Liveness::PolkaCertificate),
        skip.prop_map(Liveness::SkipRoundCertificate),
    ]
}

fn proposed() -> impl Strategy<Value = ProposedValue<Holdfast>> {
    (height(), round(), maybe_round(), address(), hash(), any::<bool>()).prop_map(
        |(height, round, valid_round, proposer, hash, valid)| ProposedValue {
            height,
            round,
            valid_round,
            proposer,
            value: BlockValue(hash),
            validity: Validity::from_bool(valid),
        },
    )
}

fn part() -> impl Strategy<Value = Part> {
    let chunks = prop::collection::vec(any::<[u8; 32]>(), 0..=CHUNKS_MAX).prop_map(|list| Bounded::new(list).unwrap());
    let rounds = (any::<u32>(), any::<Option<u32>>());
    let opening = (height(), rounds, address(), hash(), any::<u32>(), chunks, signature());
    let opening = opening.prop_map(|(height, (round, valid_round), proposer, hash, block_bytes, chunks, signature)| {
        let (height, proposer) = (height.0, proposer.0);
        BlockPart::Opening(Opening { height, round, valid_round, proposer, hash, block_bytes, chunks, signature })
    });
    let chunk = prop_oneof![0..300usize, Just(PART_BYTES)].prop_map(|bytes| BlockPart::Chunk(vec![3; bytes]));
    let content = prop_oneof![
        opening.prop_map(StreamContent::Data),
        chunk.prop_map(StreamContent::Data),
        Just(StreamContent::Fin)
    ];
    (any::<[u8; STREAM_ID_BYTES]>(), any::<u64>(), content).prop_map(|(id, sequence, content)| {
        StreamMessage::new(StreamId::new(Bytes::copy_from_slice(&id)), sequence, content)
    })
}

fn response() -> impl Strategy<Value = Response<Holdfast>> {
    let commits = prop::collection::vec((address(), signature()), 0..20);
    let decided = (prop::collection::vec(any::<u8>(), 0..500), height(), any::<u32>(), hash(), commits).prop_map(
        |(block, height, round, block_hash, commits)| {
            let commits = commits.into_iter().map(|(by, signature)| CommitSignature { validator: by.0, signature });
            let signatures = Bounded::new(commits.collect()).unwrap();
            let certificate = Certificate { height: height.0, round, block: block_hash, signatures };
            RawDecidedValue::new(block.into(), convert::to_engine(&certificate))
        },
    );
    (height(), prop::collection::vec(decided, 0..=SYNC_BLOCKS_MAX))
        .prop_map(|(start, values)| Response::ValueResponse(ValueResponse::new(start, values)))
}

fn returns<T: Debug + PartialEq>(message: &T)
where
    Wire: Codec<T, Error = CodecError>,
{
    assert_eq!(&WIRE.decode(WIRE.encode(message).unwrap()).unwrap(), message);
}

/// Bytes decode to an error or to what encodes to the same bytes.
fn total<T: Debug>(bytes: &[u8])
where
    Wire: Codec<T, Error = CodecError>,
{
    let decoded: Result<T, CodecError> = WIRE.decode(Bytes::copy_from_slice(bytes));
    if let Ok(message) = decoded {
        assert_eq!(WIRE.encode(&message).unwrap(), bytes);
    }
}

fn total_for_all(bytes: &[u8]) {
    total::<Message>(bytes);
    total::<Liveness>(bytes);
    total::<PolkaCertificate<Holdfast>>(bytes);
    total::<ProposedValue<Holdfast>>(bytes);
    total::<BlockPart>(bytes);
    total::<Part>(bytes);
    total::<ValidatorProof<Holdfast>>(bytes);
    total::<Status<Holdfast>>(bytes);
    total::<Response<Holdfast>>(bytes);
    // An empty range has many forms, so only the absence of a panic is asked.
    let _: Result<Request<Holdfast>, _> = WIRE.decode(Bytes::copy_from_slice(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_we_send_comes_back(
        message in message(), liveness in liveness(), polka in polka(), proposed in proposed(), part in part(),
        response in response(), tip in height(), least in height(), proof in signature(),
    ) {
        returns(&message);
        returns(&liveness);
        returns(&polka);
        returns(&proposed);
        returns(&part);
        returns(&response);
        prop_assert_eq!(WIRE.encoded_len(&response).unwrap(), WIRE.encode(&response).unwrap().len());
        let peer_id = PeerId::from_bytes(&peer_bytes()).unwrap();
        returns(&Status::<Holdfast> { peer_id, tip_height: tip, history_min_height: least });
        returns(&Request::<Holdfast>::ValueRequest(ValueRequest::new(least.min(tip)..=tip)));
        returns(&ValidatorProof::<Holdfast>::new(key(1).address().as_bytes().to_vec(), peer_bytes(), proof));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        total_for_all(&bytes);
    }

    #[test]
    fn damaged_messages_are_messages_or_errors(
        message in message(), liveness in liveness(), part in part(), response in response(),
        at: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index,
    ) {
        for bytes in [WIRE.encode(&message), WIRE.encode(&liveness), WIRE.encode(&part), WIRE.encode(&response)] {
            let mut damaged = bytes.unwrap().to_vec();
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
            total_for_all(&damaged);
            total_for_all(&damaged[..cut.index(damaged.len())]);
        }
    }
}

fn peer_bytes() -> Vec<u8> {
    let keypair = arc_malachitebft_app::types::Keypair::ed25519_from_bytes([5; 32]).unwrap();
    keypair.public().to_peer_id().to_bytes()
}

fn refused(vote: Vote) -> CodecError {
    let bytes = WIRE.encode(&Message::Vote(SignedMessage::new(vote, Signature::new([0; 64])))).unwrap();
    let decoded: Result<Message, CodecError> = WIRE.decode(bytes);
    decoded.unwrap_err()
}

#[test]
fn a_vote_names_a_round_and_never_the_hash_that_stands_for_nil() {
    let (height, validator) = (EngineHeight(Height::new(1)), EngineAddress(key(1).address()));
    let vote = Vote { kind: VoteType::Precommit, height, round: Round::Nil, value: NilOrVal::Nil, validator };
    assert_eq!(refused(vote.clone()), CodecError::NoRound);
    assert_eq!(
        refused(Vote { round: Round::new(0), value: NilOrVal::Val(BlockHash::ZERO), ..vote }),
        CodecError::ZeroHash
    );
}

#[test]
fn lists_beyond_a_validator_set_are_refused() {
    let (height, round, value_id) = (EngineHeight(Height::new(1)), Round::new(0), BlockHash::new([1; 32]));
    let one = PolkaSignature { address: EngineAddress(key(1).address()), signature: Signature::new([0; 64]) };
    let polka_signatures = vec![one; VALIDATORS_MAX + 1];
    let bytes = WIRE.encode(&PolkaCertificate::<Holdfast> { height, round, value_id, polka_signatures }).unwrap();
    let decoded: Result<PolkaCertificate<Holdfast>, _> = WIRE.decode(bytes);
    assert!(matches!(decoded, Err(CodecError::Bytes(_))), "{decoded:?}");
}
