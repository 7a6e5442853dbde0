//! Offers as the owner receives them: each is checked against what was asked before anyone looks at its price.

use super::client::ControlClient;
use super::error::ControlError;
use crate::address::NodeAddr;
use crate::footprint::{FootprintError, check_footprint};
use crate::placement::{QuoteError, check_quote};
use crate::transport::BiStream;
use crate::wire::{
    Direction, FromParent, Offered, PLACEMENT_HOLDERS_MAX, PlacementDone, PlacementRequest, Signed, Ticket,
    read_frame_within,
};
use holdfast_ledger::statement::{Footprint, Quote, path_digest};
use holdfast_primitives::{Address, ChainId, TimeMs};
use std::collections::BTreeSet;
use std::time::Duration;
use thiserror::Error;

/// A holder that would do: its quote, the footprint and the ticket all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedOffer {
    quote: Quote,
    footprint: Footprint,
    ticket: Signed<Ticket>,
}

/// What came of a placement.
#[derive(Debug)]
pub struct Offers {
    /// Holders that would do, in the order in which they came.
    pub offers: Vec<CheckedOffer>,
    /// Offers that did not hold, and why.
    pub dropped: Vec<OfferError>,
    /// The parent's summary.
    pub done: PlacementDone,
}

/// The offers of one placement as they come.
pub struct OfferStream<'a> {
    client: &'a ControlClient,
    stream: BiStream,
    request: PlacementRequest,
    /// Whose sound offers came: a holder's second offer would be counted as another holder.
    holders: BTreeSet<Address>,
    /// Messages so far.
    told: usize,
}

/// Offers that one placement may bring: far more than any parent passes on.
const OFFERS_MAX: usize = 16 * PLACEMENT_HOLDERS_MAX;

/// Why an offer does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OfferError {
    /// The quote is not what was asked.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// The path does not hold.
    #[error(transparent)]
    Footprint(#[from] FootprintError),
    /// The holder was excluded.
    #[error("{holder} was excluded")]
    Excluded {
        /// The holder.
        holder: Address,
    },
    /// The owner named others.
    #[error("{holder} is none of those that were named")]
    NotNamed {
        /// The holder.
        holder: Address,
    },
    /// More heavy nodes on the way than the owner allowed.
    #[error("{hops} heavy nodes are on the way to {holder}, the limit is {hops_max}")]
    TooFar {
        /// The holder.
        holder: Address,
        /// Heavy nodes on its path.
        hops: usize,
        /// The owner's limit.
        hops_max: u8,
    },
    /// The holder's offer has come before.
    #[error("{holder} was offered before")]
    Repeated {
        /// The holder.
        holder: Address,
    },
    /// The ticket is for somebody or something else, or has ended.
    #[error("the ticket for {holder} is not for this request, or ended at {expires}")]
    Ticket {
        /// The ticket's holder.
        holder: Address,
        /// When it ends.
        expires: TimeMs,
    },
    /// The parent did not sign the ticket.
    #[error("the ticket's signature by {issuer} does not hold")]
    BadTicketSignature {
        /// Who should have.
        issuer: Address,
    },
}

/// What comes next of a placement.
#[derive(Debug)]
pub enum OfferEvent {
    /// A holder that would do.
    Offer(Box<CheckedOffer>),
    /// An offer that does not hold.
    Dropped(OfferError),
    /// The parent's summary; nothing follows.
    Done(PlacementDone),
}

impl CheckedOffer {
    /// Checks an offer for `request`, whose path must begin at `parent`.
    pub fn check(
        offered: Offered,
        request: &PlacementRequest,
        parent: &Address,
        chain: &ChainId,
        now: TimeMs,
    ) -> Result<Self, OfferError> {
        let Offered { quote, footprint, ticket } = offered;
        let holder = quote.terms.holder;
        if request.exclude.contains(&holder) {
            return Err(OfferError::Excluded { holder });
        }
        if !request.only.is_empty() && !request.only.contains(&holder) {
            return Err(OfferError::NotNamed { holder });
        }
        if footprint.len() > usize::from(request.hops_max) {
            return Err(OfferError::TooFar { holder, hops: footprint.len(), hops_max: request.hops_max });
        }
        let last_hop = footprint.last().map_or(*parent, |hop| hop.node);
        let path = path_digest(footprint.iter().map(|hop| &hop.node));
        check_quote(&quote, request, &holder, &path, chain)?;
        check_footprint(&footprint, (&request.request, &request.owner, &holder), parent, &last_hop, chain)?;
        check_ticket(&ticket, request, &holder, &last_hop, chain, now)?;
        Ok(Self { quote, footprint, ticket })
    }

    /// The holder's word.
    pub fn quote(&self) -> &Quote {
        &self.quote
    }

    /// The path, as the registration will carry it.
    pub fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// The introduction, for the transfer.
    pub fn ticket(&self) -> &Signed<Ticket> {
        &self.ticket
    }

    /// Where the holder is.
    pub fn holder_addr(&self) -> &NodeAddr {
        &self.ticket.statement.holder_addr
    }

    /// What was checked, to pass it on.
    pub fn into_offered(self) -> Offered {
        let Self { quote, footprint, ticket } = self;
        Offered { quote, footprint, ticket }
    }
}

fn check_ticket(
    ticket: &Signed<Ticket>,
    request: &PlacementRequest,
    holder: &Address,
    issuer: &Address,
    chain: &ChainId,
    now: TimeMs,
) -> Result<(), OfferError> {
    let said = &ticket.statement;
    let fits = said.client == request.owner
        && said.holder == *holder
        && said.holder_addr.id == *holder
        && said.request == request.request
        && said.direction == Direction::Write
        && said.expires > now;
    if !fits {
        return Err(OfferError::Ticket { holder: said.holder, expires: said.expires });
    }
    let holds = said.issuer == *issuer && ticket.verify(chain).is_ok();
    if holds { Ok(()) } else { Err(OfferError::BadTicketSignature { issuer: *issuer }) }
}

impl<'a> OfferStream<'a> {
    pub(super) const fn new(client: &'a ControlClient, stream: BiStream, request: PlacementRequest) -> Self {
        Self { client, stream, request, holders: BTreeSet::new(), told: 0 }
    }

    /// What comes next; after [`OfferEvent::Done`] nothing does.
    pub async fn next(&mut self) -> Result<OfferEvent, ControlError> {
        let (client, now) = (self.client, self.client.clock.now());
        let until_expiry = Duration::from_millis(self.request.expires.since(now));
        let patience = until_expiry.min(client.config.placement).max(client.config.header);
        let message = read_frame_within::<FromParent>(&mut self.stream.recv, patience).await;
        match message.map_err(|source| client.frame_error(source))? {
            FromParent::Offered(offered) => {
                self.told += 1;
                if self.told > OFFERS_MAX {
                    return Err(ControlError::TooMany { found: self.told, limit: OFFERS_MAX });
                }
                Ok(self
                    .check(*offered, now)
                    .map_or_else(OfferEvent::Dropped, |offer| OfferEvent::Offer(Box::new(offer))))
            }
            FromParent::Done(done) => Ok(OfferEvent::Done(done)),
            FromParent::Refused(refusal) => Err(ControlError::Refused { parent: client.parent, refusal }),
            other => Err(client.unexpected(&other, "an offer")),
        }
    }

    fn check(&mut self, offered: Offered, now: TimeMs) -> Result<CheckedOffer, OfferError> {
        let offer = CheckedOffer::check(offered, &self.request, &self.client.parent, &self.client.chain, now)?;
        let holder = offer.quote.terms.holder;
        if self.holders.insert(holder) { Ok(offer) } else { Err(OfferError::Repeated { holder }) }
    }

    /// Waits for the end and gives everything at once.
    pub async fn collect(mut self) -> Result<Offers, ControlError> {
        let (mut offers, mut dropped) = (Vec::new(), Vec::new());
        loop {
            match self.next().await? {
                OfferEvent::Offer(offer) => offers.push(*offer),
                OfferEvent::Dropped(error) => dropped.push(error),
                OfferEvent::Done(done) => return Ok(Offers { offers, dropped, done }),
            }
        }
    }
}
