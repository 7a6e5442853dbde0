//! Answers those who join. Anyone may ask: what is handed out is public, and bounded by how many may ask at once.

use crate::serve::Handler;
use crate::transport::{BiStream, Connection, Protocol};
use crate::wire::{
    FrameError, FromSource, JOIN_VERSION, Refusal, RefusalCode, SourceOffer, ToSource, read_frame_within, read_hello,
    write_frame,
};
use async_trait::async_trait;
use holdfast_primitives::{Bounded, ChainId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a node has for those who join.
#[async_trait]
pub trait JoinSource: Send + Sync + 'static {
    /// The chain it is of.
    fn chain(&self) -> ChainId;

    /// What there is now.
    async fn offer(&self) -> SourceOffer;

    /// The answer to any other question.
    async fn answer(&self, question: ToSource) -> Result<Vec<u8>, Refusal>;
}

/// How much joining may cost the node that helps.
#[derive(Clone, Debug)]
pub struct JoinLimits {
    /// Connections served at once.
    pub sessions_max: usize,
    /// How long a connection may stay silent.
    pub idle: Duration,
    /// How long a write may stall.
    pub stall: Duration,
}

impl Default for JoinLimits {
    fn default() -> Self {
        Self { sessions_max: 16, idle: Duration::from_secs(60), stall: Duration::from_secs(30) }
    }
}

/// Serves the join protocol.
pub struct JoinServer<S> {
    source: Arc<S>,
    limits: JoinLimits,
    room: Semaphore,
}

impl<S: JoinSource> JoinServer<S> {
    /// Hands out what `source` has.
    pub fn new(source: Arc<S>, limits: JoinLimits) -> Self {
        Self { source, room: Semaphore::new(limits.sessions_max), limits }
    }

    /// One conversation to its end; the refusal it ended with, if any.
    async fn talk(&self, connection: &dyn Connection) -> Result<(), Refusal> {
        let Ok(_room) = self.room.try_acquire() else {
            return Err(Refusal::new(RefusalCode::Busy, "too many nodes are joining; ask another or later"));
        };
        let stream = tokio::time::timeout(self.limits.idle, connection.accept_bi()).await;
        let Ok(Ok(mut stream)) = stream else { return Ok(()) };
        self.greet(&mut stream).await?;
        loop {
            let question = match read_frame_within::<ToSource>(&mut stream.recv, self.limits.idle).await {
                Ok(question) => question,
                Err(error) if error.is_garbage() => return Err(Refusal::of_frame(&error)),
                // Silence, or an orderly end.
                Err(_) => return Ok(()),
            };
            let answer = self.answer(question).await?;
            self.say(&mut stream, &answer).await?;
        }
    }

    async fn greet(&self, stream: &mut BiStream) -> Result<(), Refusal> {
        let hello = read_hello::<ToSource>(&mut stream.recv, self.limits.idle).await;
        let chain = self.source.chain();
        match hello.map_err(|error| Refusal::of_frame(&error))? {
            ToSource::Hello { chain: found, .. } if found == chain => {
                self.say(stream, &FromSource::Hello { version: JOIN_VERSION, chain }).await
            }
            _ => Err(Refusal::new(RefusalCode::WrongChain, format!("this is chain {chain}"))),
        }
    }

    async fn answer(&self, question: ToSource) -> Result<FromSource, Refusal> {
        Ok(match question {
            ToSource::Hello { .. } => return Err(Refusal::new(RefusalCode::Malformed, "hello was said before")),
            ToSource::Offer => FromSource::Offer(self.source.offer().await),
            question => match self.source.answer(question).await.map(Bounded::new) {
                Ok(Ok(data)) => FromSource::Data(data),
                Ok(Err(error)) => FromSource::Refused(Refusal::new(RefusalCode::Internal, error)),
                Err(refusal) => FromSource::Refused(refusal),
            },
        })
    }

    async fn say(&self, stream: &mut BiStream, answer: &FromSource) -> Result<(), Refusal> {
        let said = write_frame(&mut stream.send, answer, self.limits.stall).await;
        said.map_err(|error: FrameError| Refusal::of_frame(&error))
    }
}

#[async_trait]
impl<S: JoinSource> Handler for JoinServer<S> {
    fn protocol(&self) -> Protocol {
        Protocol::Join
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        if let Err(refusal) = self.talk(&*connection).await {
            let peer = connection.remote_id();
            tracing::debug!(%peer, %refusal, "a joining node was turned away");
            connection.close(refusal.code.number(), refusal.detail.as_str());
        }
    }
}
