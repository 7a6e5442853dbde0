//! The address book of a heavy node: which children are online, where, and what they offer. No IO; `H` is whatever
//! the user needs to reach a child (a connection, a number in a test).

use crate::address::NodeAddr;
use crate::wire::{HolderOffer, PlacementRequest, Role};
use holdfast_primitives::limits::BATCH_LOG2_MIN;
use holdfast_primitives::{Address, Amount, sha256_parts};
use std::collections::HashMap;
use thiserror::Error;

/// Online children by identity and role: one identity may be an owner in one process and a holder in another.
#[derive(Debug)]
pub struct Directory<H> {
    children: HashMap<(Address, Role), Child<H>>,
    children_max: usize,
    sessions: u64,
}

/// Names one session of a child, so that the end of an old one does not remove a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionNo(u64);

/// One child.
#[derive(Clone, Debug)]
pub struct Child<H> {
    /// Where it can be dialled by others.
    pub addr: NodeAddr,
    /// How its parent reaches it.
    pub handle: H,
    /// What it offers, if it is a holder and has said so.
    pub offer: Option<HolderOffer>,
    session: SessionNo,
}

/// What the ledger says of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderStanding {
    /// Bytes of its quota that no contract binds.
    pub free_bytes: u64,
    /// Whether it takes new batches.
    pub accepting: bool,
    /// Its price per MiB per round on the ledger.
    pub price: Amount,
}

/// A holder that looks fit.
#[derive(Clone, Debug)]
pub struct Candidate<H> {
    /// Who.
    pub holder: Address,
    /// Where.
    pub addr: NodeAddr,
    /// How it is reached.
    pub handle: H,
}

/// No more children fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{limit} children are online, which is the limit")]
pub struct DirectoryFull {
    /// The limit.
    pub limit: usize,
}

impl<H: Clone> Directory<H> {
    /// An empty book for at most `children_max` children.
    pub fn new(children_max: usize) -> Self {
        Self { children: HashMap::new(), children_max, sessions: 0 }
    }

    /// Takes a child in. An older session of the same child is replaced and its handle returned.
    pub fn join(&mut self, role: Role, addr: NodeAddr, handle: H) -> Result<(SessionNo, Option<H>), DirectoryFull> {
        let key = (addr.id, role);
        if self.children.len() >= self.children_max && !self.children.contains_key(&key) {
            return Err(DirectoryFull { limit: self.children_max });
        }
        self.sessions += 1;
        let session = SessionNo(self.sessions);
        let replaced = self.children.insert(key, Child { addr, handle, offer: None, session });
        Ok((session, replaced.map(|old| old.handle)))
    }

    /// Removes a child, unless a newer session has taken its place.
    pub fn leave(&mut self, id: Address, role: Role, session: SessionNo) {
        if self.of_session(id, role, session).is_some() {
            self.children.remove(&(id, role));
        }
    }

    /// Notes what a holder offers; an offer of a replaced session is ignored.
    pub fn offer(&mut self, id: Address, session: SessionNo, offer: HolderOffer) {
        if let Some(child) = self.of_session(id, Role::Holder, session) {
            child.offer = Some(offer);
        }
    }

    /// Notes a child's new address.
    pub fn moved(&mut self, role: Role, session: SessionNo, addr: NodeAddr) {
        if let Some(child) = self.of_session(addr.id, role, session) {
            child.addr = addr;
        }
    }

    /// Where a holder is, if it is online here.
    pub fn locate(&self, holder: &Address) -> Option<&NodeAddr> {
        self.children.get(&(*holder, Role::Holder)).map(|child| &child.addr)
    }

    /// Children online.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether no child is online.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// The holders online, with what they offer.
    pub fn holders(&self) -> impl Iterator<Item = (Address, &Child<H>)> {
        self.children.iter().filter(|((_, role), _)| *role == Role::Holder).map(|((id, _), child)| (*id, child))
    }

    /// Holders that look fit for a request, the cheapest first; equals in an order that differs from request to
    /// request, so that load spreads. `standing` asks the ledger.
    pub fn candidates(
        &self,
        request: &PlacementRequest,
        standing: impl Fn(&Address) -> Option<HolderStanding>,
    ) -> Vec<Candidate<H>> {
        let mut fit: Vec<(Amount, [u8; 32], Candidate<H>)> = self
            .holders()
            .filter(|(holder, _)| *holder != request.owner && !request.exclude.contains(holder))
            .filter_map(|(holder, child)| {
                let price = asking_price(request, child.offer.as_ref()?, standing(&holder)?)?;
                let lot = sha256_parts(&[request.request.as_bytes(), holder.as_bytes()]);
                Some((price, lot, Candidate { holder, addr: child.addr.clone(), handle: child.handle.clone() }))
            })
            .collect();
        fit.sort_by_key(|(price, lot, _)| (*price, *lot));
        fit.into_iter().map(|(_, _, candidate)| candidate).collect()
    }

    fn of_session(&mut self, id: Address, role: Role, session: SessionNo) -> Option<&mut Child<H>> {
        self.children.get_mut(&(id, role)).filter(|child| child.session == session)
    }
}

/// The price per batch per round that a holder would ask; `None` when it is plainly not fit. Whether the price is too
/// high is left to the holder's own answer, which then says what would do.
fn asking_price(request: &PlacementRequest, offer: &HolderOffer, standing: HolderStanding) -> Option<Amount> {
    let batch_bytes = 1u64.checked_shl(request.batch_log2.into())?;
    let room = offer.free_bytes.min(standing.free_bytes);
    let takes = offer.accepting && standing.accepting && offer.classes.contains(&request.batch_log2);
    if !takes || room < batch_bytes {
        return None;
    }
    let mebibytes = 1u64.checked_shl(u32::from(request.batch_log2).checked_sub(BATCH_LOG2_MIN.into())?)?;
    offer.price.checked_mul(mebibytes).ok()
}
