//! One connection to one node that may have a snapshot.

use crate::address::NodeAddr;
use crate::transport::{BiStream, CloseReason, Connection, Endpoint, Protocol, TransportError, last_words};
use crate::wire::{
    FrameError, FromSource, JOIN_VERSION, Refusal, SourceOffer, ToSource, read_frame_within, read_hello, write_frame,
};
use holdfast_primitives::{Address, ChainId};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long an answer may take: the largest is a few megabytes.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const STALL: Duration = Duration::from_secs(30);
/// How long a peer that ends a conversation may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A conversation with one node.
pub struct JoinClient {
    peer: Address,
    connection: Arc<dyn Connection>,
    stream: BiStream,
}

/// Why a node did not give what it was asked for.
#[derive(Debug, Error)]
pub enum JoinError {
    /// It was not reached, or went away.
    #[error(transparent)]
    Transport(TransportError),
    /// Its words were no answer, or came too late.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It refuses.
    #[error("it refuses: {0}")]
    Refused(Refusal),
    /// It follows another chain.
    #[error("it follows chain {found}")]
    OtherChain {
        /// Which.
        found: ChainId,
    },
    /// It answers another question.
    #[error("it answers what it was not asked")]
    OtherAnswer,
}

impl From<TransportError> for JoinError {
    /// A connection that was closed with a reason was refused for that reason.
    fn from(error: TransportError) -> Self {
        let TransportError::Closed { reason: CloseReason::Remote { code, reason }, .. } = &error else {
            return Self::Transport(error);
        };
        match Refusal::of_close(*code, reason) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Transport(error),
        }
    }
}

impl JoinError {
    /// Whether the node sent what no honest one does.
    pub fn is_garbage(&self) -> bool {
        matches!(self, Self::OtherAnswer) || matches!(self, Self::Frame(error) if error.is_garbage())
    }

    /// Whether it does not have it, or not now.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl JoinClient {
    /// Connects and says hello.
    ///
    /// # Errors
    /// When the node is not reached, speaks another version, or follows another chain.
    pub async fn connect(endpoint: &dyn Endpoint, peer: &NodeAddr, chain: ChainId) -> Result<Self, JoinError> {
        let connection = endpoint.connect(peer, Protocol::Join).await?;
        let stream = connection.open_bi().await?;
        let mut client = Self { peer: peer.id, connection, stream };
        let greeted = client.greet(chain).await;
        client.explained(greeted).await?;
        Ok(client)
    }

    /// Who it is.
    pub const fn peer(&self) -> Address {
        self.peer
    }

    async fn greet(&mut self, chain: ChainId) -> Result<(), JoinError> {
        let hello = ToSource::Hello { version: JOIN_VERSION, chain };
        write_frame(&mut self.stream.send, &hello, STALL).await?;
        match read_hello::<FromSource>(&mut self.stream.recv, ANSWER_WITHIN).await? {
            FromSource::Hello { chain: found, .. } if found == chain => Ok(()),
            FromSource::Hello { chain: found, .. } => Err(JoinError::OtherChain { found }),
            _ => Err(JoinError::OtherAnswer),
        }
    }

    /// What it has.
    pub async fn offer(&mut self) -> Result<SourceOffer, JoinError> {
        match self.say(&ToSource::Offer).await? {
            FromSource::Offer(offer) => Ok(offer),
            FromSource::Refused(refusal) => Err(JoinError::Refused(refusal)),
            _ => Err(JoinError::OtherAnswer),
        }
    }

    /// The answer to any other question. Not safe to cancel: a client whose question was cancelled is of no use any more.
    pub async fn ask(&mut self, question: &ToSource) -> Result<Vec<u8>, JoinError> {
        match self.say(question).await? {
            FromSource::Data(data) => Ok(data.into_inner()),
            FromSource::Refused(refusal) => Err(JoinError::Refused(refusal)),
            _ => Err(JoinError::OtherAnswer),
        }
    }

    async fn say(&mut self, question: &ToSource) -> Result<FromSource, JoinError> {
        let said = async {
            write_frame(&mut self.stream.send, question, STALL).await?;
            read_frame_within::<FromSource>(&mut self.stream.recv, ANSWER_WITHIN).await
        };
        let said = said.await.map_err(JoinError::from);
        self.explained(said).await
    }

    /// A conversation that was ended with a reason ends with that reason.
    async fn explained<T>(&self, outcome: Result<T, JoinError>) -> Result<T, JoinError> {
        let Err(error @ JoinError::Frame(FrameError::Stream { .. } | FrameError::Ended { .. })) = outcome else {
            return outcome;
        };
        let words = last_words(&*self.connection, LAST_WORDS).await;
        Err(words.and_then(|(code, reason)| Refusal::of_close(code, &reason)).map_or(error, JoinError::Refused))
    }
}
