//! The address book of a heavy node: which children are online, where, and what they offer. No IO; `H` is whatever
//! the user needs to reach a child (a connection, a number in a test).

use crate::address::NodeAddr;
use crate::fit::fit;
use crate::wire::{HolderOffer, PlacementRequest, QuoteRefusal, Role};
use holdfast_ledger::Profile;
use holdfast_primitives::{Address, Amount, Tag, sha256_parts};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderStanding {
    /// Bytes of its quota that no contract binds.
    pub free_bytes: u64,
    /// Whether it takes new batches.
    pub accepting: bool,
    /// Its price per MiB per round on the ledger.
    pub price: Amount,
    /// What it says of itself there.
    pub profile: Profile,
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
    /// Who runs it, if it says so.
    pub operator: Option<Tag>,
}

/// The holders online, as one request sees them.
#[derive(Clone, Debug)]
pub struct Subtree<H> {
    /// Those that look fit, best first.
    pub fit: Vec<Candidate<H>>,
    /// Why the others are not; those that the owner excluded are left out.
    pub unfit: Vec<QuoteRefusal>,
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

    /// Holders as a request sees them: those that look fit, the cheapest first; equals in an order that differs from
    /// request to request, so that load spreads. `standing` asks the ledger.
    pub fn subtree(
        &self,
        request: &PlacementRequest,
        standing: impl Fn(&Address) -> Option<HolderStanding>,
    ) -> Subtree<H> {
        let (mut fitting, mut unfit) = (Vec::new(), Vec::new());
        for (holder, child) in self.holders() {
            let (Some(offer), Some(standing)) = (&child.offer, standing(&holder)) else { continue };
            if holder == request.owner || request.exclude.contains(&holder) {
                continue;
            }
            match fit(request, &holder, offer, &standing) {
                Ok(price) => {
                    let lot = sha256_parts(&[request.request.as_bytes(), holder.as_bytes()]);
                    let (addr, handle) = (child.addr.clone(), child.handle.clone());
                    let operator = standing.profile.operator;
                    fitting.push((price, lot, Candidate { holder, addr, handle, operator }));
                }
                Err(refusal) => unfit.push(refusal),
            }
        }
        fitting.sort_by_key(|(price, lot, _)| (*price, *lot));
        Subtree { fit: fitting.into_iter().map(|(_, _, candidate)| candidate).collect(), unfit }
    }

    fn of_session(&mut self, id: Address, role: Role, session: SessionNo) -> Option<&mut Child<H>> {
        self.children.get_mut(&(id, role)).filter(|child| child.session == session)
    }
}
