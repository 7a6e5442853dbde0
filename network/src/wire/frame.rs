//! Frames: how one message follows another on a stream.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::decode_exact;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The kind byte and the version byte of a hello.
const HELLO_PREFIX_BYTES: usize = 2;

/// An enum of messages that one side sends.
pub trait Message: BorshSerialize + BorshDeserialize + Send + Sync {
    /// What these messages are called in errors.
    const NAME: &'static str;
    /// Bytes of each kind at most, kind byte included, in the order of the variants.
    const CAPS: &'static [u32];
    /// The version that a hello of this protocol carries.
    const VERSION: u8;
}

/// Why no message could be read or written.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The stream ended or failed within a frame.
    #[error("the stream failed: {source}")]
    Stream {
        /// The stream's reason.
        #[from]
        source: io::Error,
    },
    /// The stream ended where a message was due.
    #[error("the stream ended where a {message} message was due")]
    Ended {
        /// Which messages were due.
        message: &'static str,
    },
    /// Nothing, or too little, came in time.
    #[error("no {message} message within {after:?}")]
    Late {
        /// Which messages were due.
        message: &'static str,
        /// The time allowed.
        after: Duration,
    },
    /// A kind that these messages do not have.
    #[error("{message} messages have no kind {kind}")]
    UnknownKind {
        /// Which messages.
        message: &'static str,
        /// The kind byte.
        kind: u8,
    },
    /// Longer than this kind may be, or empty.
    #[error("{found} bytes for a {message} message of kind {kind}, allowed are 1 to {limit}")]
    Length {
        /// Which messages.
        message: &'static str,
        /// The kind byte; zero for an empty frame.
        kind: u8,
        /// Bytes announced.
        found: u64,
        /// Bytes allowed.
        limit: u32,
    },
    /// Not an encoding of the message.
    #[error("malformed {message} message: {reason}")]
    Malformed {
        /// Which messages.
        message: &'static str,
        /// The decoder's reason.
        reason: String,
    },
    /// A hello of another version of the protocol.
    #[error("{message} version {found}, this side speaks {expected}")]
    Version {
        /// Which messages.
        message: &'static str,
        /// Their version.
        found: u8,
        /// Ours.
        expected: u8,
    },
}

impl FrameError {
    /// Whether the other side sent what no honest node sends, as opposed to falling silent or going away.
    pub fn is_garbage(&self) -> bool {
        matches!(self, Self::UnknownKind { .. } | Self::Length { .. } | Self::Malformed { .. })
    }
}

/// Reads the next message, or `None` where the stream ends between two. Not safe to cancel: a cancelled read may have
/// taken half a frame.
pub async fn read_frame<M: Message>(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<M>, FrameError> {
    match read_raw::<M>(stream).await? {
        Some(bytes) => decode_frame(&bytes).map(Some),
        None => Ok(None),
    }
}

/// Reads the next message, which must come in time.
pub async fn read_frame_within<M: Message>(
    stream: &mut (impl AsyncRead + Unpin),
    within: Duration,
) -> Result<M, FrameError> {
    let read = tokio::time::timeout(within, read_frame(stream));
    let message = read.await.map_err(|_| FrameError::Late { message: M::NAME, after: within })??;
    message.ok_or(FrameError::Ended { message: M::NAME })
}

/// Reads the first message of a connection: kind 0, with this version, and in time.
pub async fn read_hello<M: Message>(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> Result<M, FrameError> {
    let read = tokio::time::timeout(within, read_raw::<M>(stream));
    let bytes = read.await.map_err(|_| FrameError::Late { message: M::NAME, after: within })??;
    let bytes = bytes.ok_or(FrameError::Ended { message: M::NAME })?;
    match bytes[..HELLO_PREFIX_BYTES.min(bytes.len())] {
        [0, version] if version == M::VERSION => decode_frame(&bytes),
        [0, found] => Err(FrameError::Version { message: M::NAME, found, expected: M::VERSION }),
        _ => Err(FrameError::Malformed { message: M::NAME, reason: "the first message is not a hello".to_owned() }),
    }
}

/// Writes one message; a stream on which nothing moves for `stall` counts as failed.
pub async fn write_frame<M: Message>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &M,
    stall: Duration,
) -> Result<(), FrameError> {
    let bytes = encode_frame(message)?;
    let write = tokio::time::timeout(stall, stream.write_all(&bytes));
    write.await.map_err(|_| FrameError::Late { message: M::NAME, after: stall })??;
    Ok(())
}

/// One message with its length before it.
pub fn encode_frame<M: Message>(message: &M) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; 4];
    message.serialize(&mut bytes)?;
    let found = bytes.len() - 4;
    check_length::<M>(bytes[4], found as u64)?;
    bytes[..4].copy_from_slice(&(found as u32).to_le_bytes());
    Ok(bytes)
}

/// Decodes one message from a frame's bytes, the length before them left out.
pub fn decode_frame<M: Message>(bytes: &[u8]) -> Result<M, FrameError> {
    let kind = bytes.first().copied().unwrap_or(0);
    check_length::<M>(kind, bytes.len() as u64)?;
    let limit = bytes.len();
    decode_exact(bytes, limit).map_err(|error| FrameError::Malformed { message: M::NAME, reason: error.to_string() })
}

async fn read_raw<M: Message>(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length);
    if length == 0 {
        return Err(FrameError::Length { message: M::NAME, kind: 0, found: 0, limit: 0 });
    }
    let kind = stream.read_u8().await?;
    check_length::<M>(kind, length.into())?;
    let mut bytes = vec![0; length as usize];
    bytes[0] = kind;
    stream.read_exact(&mut bytes[1..]).await?;
    Ok(Some(bytes))
}

fn check_length<M: Message>(kind: u8, found: u64) -> Result<(), FrameError> {
    let message = M::NAME;
    let limit = *M::CAPS.get(usize::from(kind)).ok_or(FrameError::UnknownKind { message, kind })?;
    if found == 0 || found > u64::from(limit) {
        return Err(FrameError::Length { message, kind, found, limit });
    }
    Ok(())
}
