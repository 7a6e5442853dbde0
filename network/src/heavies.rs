//! The book of heavy nodes: how each is reached, in its own signed words. No IO, no clock.
//!
//! One card for each identity, the newest. A card counts while it is young, so that who is gone is forgotten. Only cards of
//! nodes that the ledger calls bonded are passed on, and only those of neighbours are kept besides: whoever makes up
//! identities fills nobody's book.

use crate::address::NodeAddr;
use crate::wire::{HeavyCard, Signed};
use holdfast_primitives::limits::HEAVY_CARDS_MAX;
use holdfast_primitives::{Address, ChainId, TimeMs};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How long a card counts.
pub const CARD_MS: u64 = 60 * 60 * 1_000;
/// How often a node writes its card anew while nothing changes.
pub const CARD_RENEWED_MS: u64 = 10 * 60 * 1_000;
/// Cards of one node that follow each other faster are not taken: they travel through the whole network.
pub const CARD_SPACING_MS: u64 = 5_000;
/// How far a card's time may lie ahead: clocks differ.
const AHEAD_MS: u64 = 5 * 60 * 1_000;

/// What a node's place among the others makes of its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Bonded: its card is kept and passed on.
    Bonded,
    /// A neighbour that is not bonded: its own card is kept and not passed on.
    Neighbour,
    /// Neither.
    Stranger,
}

/// What became of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is new here and is to be passed on.
    Spread,
    /// It is new here and stays here.
    Kept,
    /// The same or a newer one is known, or it is nobody's that counts, or there is no room: no reproach.
    Passed,
    /// It is not what its node signed: no honest node sends it.
    Forged,
}

/// Cards by identity.
#[derive(Clone, Debug, Default)]
pub struct HeavyBook {
    cards: BTreeMap<Address, (Signed<HeavyCard>, Rank)>,
}

impl HeavyBook {
    /// An empty book.
    pub const fn new() -> Self {
        Self { cards: BTreeMap::new() }
    }

    /// Takes note of a card; `rank` is its node's. The cheap rules come first, the signature last.
    pub fn note(&mut self, card: Signed<HeavyCard>, rank: Rank, chain: &ChainId, now: TimeMs) -> Noted {
        let (id, written) = (card.statement.node.id, card.statement.written);
        let timely = written.saturating_add(CARD_MS) > now && written < now.saturating_add(AHEAD_MS);
        let newer =
            |(known, _): &(Signed<HeavyCard>, Rank)| written >= known.statement.written.saturating_add(CARD_SPACING_MS);
        let counts = self.cards.get(&id).is_none_or(newer);
        if rank == Rank::Stranger || !timely || !counts {
            return Noted::Passed;
        }
        if card.verify(chain).is_err() {
            return Noted::Forged;
        }
        self.forget_old(now);
        if self.cards.len() >= HEAVY_CARDS_MAX && !self.cards.contains_key(&id) {
            return Noted::Passed;
        }
        self.cards.insert(id, (card, rank));
        if rank == Rank::Bonded { Noted::Spread } else { Noted::Kept }
    }

    /// The cards that count, by identity.
    pub fn cards(&self, now: TimeMs) -> impl Iterator<Item = &HeavyCard> {
        let young = move |card: &&HeavyCard| card.written.saturating_add(CARD_MS) > now;
        self.cards.values().map(|(card, _)| &card.statement).filter(young)
    }

    /// Cards to pass on: those of bonded nodes, and `own`.
    pub fn to_tell(&self, own: Address) -> impl Iterator<Item = &Signed<HeavyCard>> {
        let told = move |(id, (_, rank)): &(&Address, &(Signed<HeavyCard>, Rank))| *rank == Rank::Bonded || **id == own;
        self.cards.iter().filter(told).map(|(_, (card, _))| card)
    }

    fn forget_old(&mut self, now: TimeMs) {
        self.cards.retain(|_, (card, _)| card.statement.written.saturating_add(CARD_MS) > now);
    }
}

/// The URL under which a card's node answers JSON-RPC, where it can be meant for others: one on the loopback interface only
/// from a node that is itself reached there, since it is of this machine or of no use at all.
pub fn usable_url(card: &HeavyCard) -> Option<&str> {
    let url = card.rpc_url.as_ref()?.as_str();
    is_usable(&card.node, url).then_some(url)
}

/// Whether `url` can be meant for others as that of `node`; see [`usable_url`].
pub fn is_usable(node: &NodeAddr, url: &str) -> bool {
    !is_loopback_url(url) || node.direct.iter().any(|addr| addr.ip().is_loopback())
}

/// Whether a URL leads to the machine of whoever uses it: `localhost` or a loopback address.
pub fn is_loopback_url(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let bare = match host.parse::<SocketAddr>() {
        Ok(socket) => return socket.ip().is_loopback(),
        Err(_) => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let ip = bare.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or_else(|_| bare.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}
