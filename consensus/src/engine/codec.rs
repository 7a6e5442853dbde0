//! Bytes on the wire and in the write-ahead log: borsh, with every message's length checked before it is decoded, and
//! what no honest node sends refused here, so that the engine never meets it.
//!
//! Refused beyond what borsh refuses: a round of "none" where a round is due, the all-zero hash as a value (it stands
//! for nil in signed bytes), and lists longer than a validator set.

use super::convert;
use super::part::{BlockPart, CHUNKS_MAX, PART_BYTES, STREAM_ID_BYTES};
use super::types::{BlockValue, EngineHeight, Holdfast, Proposal, Vote};
use arc_malachitebft_app::streaming::StreamMessage;
use arc_malachitebft_codec::{Codec, HasEncodedLen};
use arc_malachitebft_core_consensus::{LivenessMsg, ProposedValue, SignedConsensusMsg};
use arc_malachitebft_core_types::{NilOrVal, PolkaCertificate, Round, RoundCertificate, ValidatorProof};
use arc_malachitebft_sync::{RawDecidedValue, Request, Response, Status, ValueResponse};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use holdfast_primitives::limits::VALIDATORS_MAX;
use holdfast_primitives::{BlockHash, Bounded, BoundedError, Certificate, Height, Signature, decode_exact};
use thiserror::Error;

/// Bytes of one vote, proposal or status.
pub(crate) const MESSAGE_BYTES_MAX: usize = 512;
/// Bytes of one certificate about a round: at most a prevote and a precommit of each validator.
pub(crate) const LIVENESS_BYTES_MAX: usize = 2 * VALIDATORS_MAX * 144 + 256;
/// Bytes of one message of a block's stream.
pub(crate) const PART_MESSAGE_BYTES_MAX: usize = PART_BYTES + 32 * CHUNKS_MAX + 512;
/// Blocks in one answer to a node that catches up.
pub(crate) const SYNC_BLOCKS_MAX: usize = 32;
/// Bytes of a network peer's id.
const PEER_ID_BYTES_MAX: usize = 64;

const _: () =
    assert!(PART_MESSAGE_BYTES_MAX > LIVENESS_BYTES_MAX, "the part limit is the largest of published messages");

/// Encodes and decodes for the network and the write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// Most bytes of an answer to a node that catches up.
    pub response_bytes_max: usize,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CodecError {
    /// Too long, or not the encoding of the expected type.
    #[error(transparent)]
    Bytes(#[from] BoundedError),
    /// "No round" where a round is due.
    #[error("a message without a round")]
    NoRound,
    /// The all-zero hash as a value.
    #[error("the all-zero hash is no value")]
    ZeroHash,
    /// The name of a stream has the wrong length.
    #[error("a stream id of {found} bytes, expected {expected}")]
    StreamId {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
}

impl Codec<SignedConsensusMsg<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<SignedConsensusMsg<Holdfast>, CodecError> {
        let message = decode_exact(&bytes, MESSAGE_BYTES_MAX)?;
        match &message {
            SignedConsensusMsg::Vote(vote) => check_vote(&vote.message)?,
            SignedConsensusMsg::Proposal(proposal) => check_proposal(&proposal.message)?,
        }
        Ok(message)
    }

    fn encode(&self, message: &SignedConsensusMsg<Holdfast>) -> Result<Bytes, CodecError> {
        encode(message)
    }
}

impl Codec<LivenessMsg<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<LivenessMsg<Holdfast>, CodecError> {
        let message = decode_exact(&bytes, LIVENESS_BYTES_MAX)?;
        match &message {
            LivenessMsg::Vote(vote) => check_vote(&vote.message)?,
            LivenessMsg::PolkaCertificate(certificate) => check_polka(certificate)?,
            LivenessMsg::SkipRoundCertificate(certificate) => check_round_certificate(certificate)?,
        }
        Ok(message)
    }

    fn encode(&self, message: &LivenessMsg<Holdfast>) -> Result<Bytes, CodecError> {
        encode(message)
    }
}

impl Codec<PolkaCertificate<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<PolkaCertificate<Holdfast>, CodecError> {
        let certificate = decode_exact(&bytes, LIVENESS_BYTES_MAX)?;
        check_polka(&certificate)?;
        Ok(certificate)
    }

    fn encode(&self, certificate: &PolkaCertificate<Holdfast>) -> Result<Bytes, CodecError> {
        encode(certificate)
    }
}

impl Codec<ProposedValue<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<ProposedValue<Holdfast>, CodecError> {
        let value: ProposedValue<Holdfast> = decode_exact(&bytes, MESSAGE_BYTES_MAX)?;
        check_round(value.round)?;
        check_hash(&value.value.0)?;
        Ok(value)
    }

    fn encode(&self, value: &ProposedValue<Holdfast>) -> Result<Bytes, CodecError> {
        encode(value)
    }
}

impl Codec<BlockPart> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<BlockPart, CodecError> {
        Ok(decode_exact(&bytes, PART_MESSAGE_BYTES_MAX)?)
    }

    fn encode(&self, part: &BlockPart) -> Result<Bytes, CodecError> {
        encode(part)
    }
}

impl Codec<StreamMessage<BlockPart>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<StreamMessage<BlockPart>, CodecError> {
        let message: StreamMessage<BlockPart> = decode_exact(&bytes, PART_MESSAGE_BYTES_MAX)?;
        let found = message.stream_id.to_bytes().len();
        if found != STREAM_ID_BYTES {
            return Err(CodecError::StreamId { found, expected: STREAM_ID_BYTES });
        }
        Ok(message)
    }

    fn encode(&self, message: &StreamMessage<BlockPart>) -> Result<Bytes, CodecError> {
        encode(message)
    }
}

/// The engine's type has no borsh form of its own.
#[derive(BorshSerialize, BorshDeserialize)]
struct WireProof {
    public_key: [u8; 32],
    peer_id: Bounded<u8, PEER_ID_BYTES_MAX>,
    signature: Signature,
}

impl Codec<ValidatorProof<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<ValidatorProof<Holdfast>, CodecError> {
        let proof: WireProof = decode_exact(&bytes, MESSAGE_BYTES_MAX)?;
        Ok(ValidatorProof::new(proof.public_key.to_vec(), proof.peer_id.into_inner(), proof.signature))
    }

    fn encode(&self, proof: &ValidatorProof<Holdfast>) -> Result<Bytes, CodecError> {
        let public_key: [u8; 32] = proof.public_key.as_slice().try_into().map_err(|_| BoundedError::Malformed {
            reason: format!("a public key of {} bytes", proof.public_key.len()),
        })?;
        encode(&WireProof { public_key, peer_id: Bounded::new(proof.peer_id.clone())?, signature: proof.signature })
    }
}

impl Codec<Status<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Status<Holdfast>, CodecError> {
        Ok(decode_exact(&bytes, MESSAGE_BYTES_MAX)?)
    }

    fn encode(&self, status: &Status<Holdfast>) -> Result<Bytes, CodecError> {
        encode(status)
    }
}

impl Codec<Request<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Request<Holdfast>, CodecError> {
        Ok(decode_exact(&bytes, MESSAGE_BYTES_MAX)?)
    }

    fn encode(&self, request: &Request<Holdfast>) -> Result<Bytes, CodecError> {
        encode(request)
    }
}

/// A committed block as it travels to a node that catches up. Our certificate, not the engine's: that one has no borsh
/// form, and vote extensions are not used.
#[derive(BorshDeserialize)]
struct WireDecided {
    block: Vec<u8>,
    certificate: Certificate,
}

#[derive(BorshDeserialize)]
struct WireResponse {
    start: Height,
    blocks: Bounded<WireDecided, SYNC_BLOCKS_MAX>,
}

impl Codec<Response<Holdfast>> for Wire {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Response<Holdfast>, CodecError> {
        let response: WireResponse = decode_exact(&bytes, self.response_bytes_max)?;
        let mut values = Vec::with_capacity(response.blocks.len());
        for decided in response.blocks.into_inner() {
            check_hash(&decided.certificate.block)?;
            values.push(RawDecidedValue::new(decided.block.into(), convert::to_engine(&decided.certificate)));
        }
        Ok(Response::ValueResponse(ValueResponse::new(EngineHeight(response.start), values)))
    }

    fn encode(&self, response: &Response<Holdfast>) -> Result<Bytes, CodecError> {
        let Response::ValueResponse(response) = response;
        let limit = SYNC_BLOCKS_MAX;
        if response.values.len() > limit {
            return Err(BoundedError::TooMany { found: response.values.len(), limit }.into());
        }
        let mut bytes = borsh_bytes(&response.start_height)?;
        bytes.extend_from_slice(&(response.values.len() as u32).to_le_bytes());
        for value in &response.values {
            bytes.extend_from_slice(&borsh_bytes(&value.value_bytes.as_ref())?);
            bytes.extend_from_slice(&borsh_bytes(&convert::from_extended(&value.certificate)?)?);
        }
        Ok(bytes.into())
    }
}

impl HasEncodedLen<Response<Holdfast>> for Wire {
    fn encoded_len(&self, response: &Response<Holdfast>) -> Result<usize, CodecError> {
        let Response::ValueResponse(response) = response;
        let certificate = |signatures: usize| 8 + 4 + 32 + 4 + signatures * (32 + 64);
        let blocks = response.values.iter();
        let lengths =
            blocks.map(|value| 4 + value.value_bytes.len() + certificate(value.certificate.commit_signatures.len()));
        Ok(8 + 4 + lengths.sum::<usize>())
    }
}

fn encode<T: BorshSerialize>(message: &T) -> Result<Bytes, CodecError> {
    borsh_bytes(message).map(Bytes::from)
}

fn borsh_bytes<T: BorshSerialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    borsh::to_vec(message).map_err(|error| BoundedError::Malformed { reason: error.to_string() }.into())
}

fn check_round(round: Round) -> Result<(), CodecError> {
    if round.is_defined() { Ok(()) } else { Err(CodecError::NoRound) }
}

fn check_hash(hash: &BlockHash) -> Result<(), CodecError> {
    if *hash == BlockHash::ZERO { Err(CodecError::ZeroHash) } else { Ok(()) }
}

fn check_value(value: &NilOrVal<BlockHash>) -> Result<(), CodecError> {
    match value {
        NilOrVal::Nil => Ok(()),
        NilOrVal::Val(hash) => check_hash(hash),
    }
}

fn check_count(found: usize, limit: usize) -> Result<(), CodecError> {
    if found > limit { Err(BoundedError::TooMany { found, limit }.into()) } else { Ok(()) }
}

fn check_vote(vote: &Vote) -> Result<(), CodecError> {
    check_round(vote.round)?;
    check_value(&vote.value)
}

fn check_proposal(proposal: &Proposal) -> Result<(), CodecError> {
    let BlockValue(hash) = &proposal.value;
    check_round(proposal.round)?;
    check_hash(hash)
}

fn check_polka(certificate: &PolkaCertificate<Holdfast>) -> Result<(), CodecError> {
    check_round(certificate.round)?;
    check_hash(&certificate.value_id)?;
    check_count(certificate.polka_signatures.len(), VALIDATORS_MAX)
}

fn check_round_certificate(certificate: &RoundCertificate<Holdfast>) -> Result<(), CodecError> {
    check_round(certificate.round)?;
    check_count(certificate.round_signatures.len(), 2 * VALIDATORS_MAX)?;
    certificate.round_signatures.iter().try_for_each(|signature| check_value(&signature.value_id))
}
