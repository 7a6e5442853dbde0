//! The holder's side of a placement: checks what the parent passes on, and answers with the holder's own word.

use super::client::ControlClient;
use super::error::ControlError;
use crate::footprint::{FootprintError, check_footprint};
use crate::transport::BiStream;
use crate::wire::{
    FrameError, FromHolder, PlacementRequest, QuoteRefusal, QuoteRequest, ToHolder, read_frame_within, write_frame,
};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_ledger::statement::{Footprint, Quote, path_digest};
use holdfast_primitives::{Address, ChainId, Digest, TimeMs};
use std::sync::Arc;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Questions that a holder answers at once.
const QUESTIONS_AT_ONCE: usize = 8;

/// Answers placement requests.
#[async_trait]
pub trait QuoteService: Send + Sync + 'static {
    /// The holder's signed word for this request, or why it gives none. `path` of the terms must be
    /// [`CheckedQuoteRequest::path`].
    async fn quote(&self, request: CheckedQuoteRequest) -> Result<Quote, QuoteRefusal>;
}

/// A request whose signatures, expiry and footprint hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedQuoteRequest {
    placement: PlacementRequest,
    path: Digest,
}

/// Why a question is not worth an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuoteRequestError {
    /// Past its time.
    #[error("the request ended at {expires}, it is {now}")]
    Expired {
        /// When.
        expires: TimeMs,
        /// Now.
        now: TimeMs,
    },
    /// The owner did not sign it.
    #[error("the request's signature by {owner} does not hold")]
    BadSignature {
        /// The owner.
        owner: Address,
    },
    /// More heavy nodes on the way than the owner allows.
    #[error("{hops} heavy nodes are on the way, the owner allows {hops_max}")]
    TooFar {
        /// Heavy nodes on the path.
        hops: usize,
        /// The owner's limit.
        hops_max: u8,
    },
    /// The path does not hold.
    #[error(transparent)]
    Footprint(#[from] FootprintError),
}

impl CheckedQuoteRequest {
    /// Checks a question that `parent` passed to `holder`.
    pub fn check(
        request: QuoteRequest,
        holder: &Address,
        parent: &Address,
        chain: &ChainId,
        now: TimeMs,
    ) -> Result<Self, QuoteRequestError> {
        let wanted = &request.placement.statement;
        if wanted.expires <= now {
            return Err(QuoteRequestError::Expired { expires: wanted.expires, now });
        }
        let hops = request.footprint.len();
        if hops > usize::from(wanted.hops_max) {
            return Err(QuoteRequestError::TooFar { hops, hops_max: wanted.hops_max });
        }
        check_path(&request.footprint, wanted, holder, parent, chain)?;
        request.placement.verify(chain).map_err(|_| QuoteRequestError::BadSignature { owner: wanted.owner })?;
        let path = path_digest(request.footprint.iter().map(|hop| &hop.node));
        Ok(Self { placement: request.placement.statement, path })
    }

    /// What the owner wants.
    pub fn placement(&self) -> &PlacementRequest {
        &self.placement
    }

    /// What the quote must say of the path.
    pub fn path(&self) -> Digest {
        self.path
    }
}

fn check_path(
    path: &Footprint,
    wanted: &PlacementRequest,
    holder: &Address,
    parent: &Address,
    chain: &ChainId,
) -> Result<(), FootprintError> {
    check_footprint(path, (&wanted.request, &wanted.owner, holder), &wanted.first_hop, parent, chain)
}

impl ControlClient {
    /// Answers the parent's questions until the connection ends; returns why it did.
    pub async fn serve_quotes(&self, service: Arc<dyn QuoteService>) -> ControlError {
        match self.serve_quotes_until(service, &CancellationToken::new()).await {
            Some(ended) => ended,
            None => unreachable!("nobody else has the token, and nobody cancels it"),
        }
    }

    /// The same until `enough` is cancelled: then what was asked is still answered, and nothing new is taken.
    pub async fn serve_quotes_until(
        &self,
        service: Arc<dyn QuoteService>,
        enough: &CancellationToken,
    ) -> Option<ControlError> {
        let room = Semaphore::new(QUESTIONS_AT_ONCE);
        let mut running = FuturesUnordered::new();
        loop {
            let next = async {
                let place = room.acquire().await.expect("nobody closes this semaphore");
                self.connection.accept_bi().await.map(|stream| (stream, place))
            };
            tokio::select! {
                () = enough.cancelled() => break,
                question = next => match question {
                    Ok((stream, place)) => running.push(async {
                        let answered = self.answer(stream, &service).await;
                        drop(place);
                        answered
                    }),
                    Err(error) => return Some(error.into()),
                },
                Some(answered) = running.next() => if let Err(error) = answered {
                    tracing::debug!(%error, "a question of the parent came to nothing");
                },
            }
        }
        while running.next().await.is_some() {}
        None
    }

    async fn answer(&self, mut stream: BiStream, service: &Arc<dyn QuoteService>) -> Result<(), FrameError> {
        let ToHolder::Quote(question) = read_frame_within(&mut stream.recv, self.config.header).await?;
        let checked = CheckedQuoteRequest::check(question, &self.me, &self.parent, &self.chain, self.clock.now());
        let answer = match checked {
            Ok(request) => match service.quote(request).await {
                Ok(quote) => FromHolder::Quoted(quote),
                Err(refusal) => FromHolder::Declined(refusal),
            },
            Err(error) => {
                tracing::warn!(parent = %self.parent, %error, "the parent passes on a bad request");
                FromHolder::Declined(QuoteRefusal::BadRequest)
            }
        };
        write_frame(&mut stream.send, &answer, self.config.stall).await?;
        stream.send.shutdown().await?;
        Ok(())
    }
}
