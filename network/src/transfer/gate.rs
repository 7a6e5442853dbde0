//! Who may come in: tickets and capabilities against the proven identity, the clock, and what was used up already.

use super::service::BatchService;
use crate::wire::{Capability, Direction, GroupSet, Refusal, RefusalCode, Signed, Ticket};
use holdfast_por::{BatchMeta, GROUP_BYTES};
use holdfast_primitives::{Address, ChainId, RequestId, TimeMs};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that a ticket may be for, at most: as many of the largest batches as a placement may ask of one holder
/// (`PlacementRequest::batches_per_holder` is 16 bits).
const TICKET_BYTES_MAX: u64 = (u16::MAX as u64 + 1) << 28;
/// Placements whose bytes are counted, at most.
const COUNTED_MAX: usize = 65_536;

/// Who stands at the gate, and when.
pub(super) struct Gate<'a, S> {
    pub(super) service: &'a S,
    pub(super) me: Address,
    pub(super) peer: Address,
    pub(super) now: TimeMs,
}

impl<S: BatchService> Gate<'_, S> {
    /// Whether a ticket lets this peer in. The cheap rules come first, the signature last.
    pub(super) fn check_ticket(&self, ticket: &Signed<Ticket>, direction: Direction) -> Result<(), Refusal> {
        let said = &ticket.statement;
        if said.client != self.peer || said.holder != self.me {
            let ends = format!("a ticket for {} to {}", said.client, said.holder);
            return Err(Refusal::new(RefusalCode::Foreign, ends));
        }
        if said.direction != direction {
            return Err(Refusal::new(RefusalCode::WrongDirection, format!("a ticket to {:?}", said.direction)));
        }
        if said.bytes_max > TICKET_BYTES_MAX {
            let words = format!("a ticket for {} bytes, at most {TICKET_BYTES_MAX} are possible", said.bytes_max);
            return Err(Refusal::new(RefusalCode::TicketTooLarge, words));
        }
        if said.expires <= self.now {
            return Err(Refusal::new(RefusalCode::Expired, format!("the ticket ended at {}", said.expires)));
        }
        if !self.service.trusts(&said.issuer) {
            return Err(Refusal::new(RefusalCode::UntrustedIssuer, format!("a ticket of {}", said.issuer)));
        }
        self.check_signature(ticket.verify(&self.chain()))
    }

    /// Whether a capability lets this peer read.
    pub(super) fn check_capability(&self, capability: &Signed<Capability>) -> Result<(), Refusal> {
        let said = &capability.statement;
        if said.reader != self.peer || said.holder.is_some_and(|holder| holder != self.me) {
            return Err(Refusal::new(RefusalCode::Foreign, format!("a capability for {}", said.reader)));
        }
        if said.expires <= self.now {
            return Err(Refusal::new(RefusalCode::Expired, format!("the capability ended at {}", said.expires)));
        }
        self.check_signature(capability.verify(&self.chain()))
    }

    fn chain(&self) -> ChainId {
        self.service.chain()
    }

    fn check_signature<E: std::fmt::Display>(&self, verdict: Result<(), E>) -> Result<(), Refusal> {
        verdict.map_err(|error| Refusal::new(RefusalCode::BadSignature, error))
    }
}

/// What each placement has stored, across sessions: presenting a ticket again gives no new bytes. Groups that two
/// sessions store both count once.
#[derive(Debug, Default)]
pub(super) struct Spent {
    placements: Mutex<HashMap<(Address, RequestId), Stored>>,
}

#[derive(Debug)]
struct Stored {
    batches: HashMap<[u8; 32], GroupSet>,
    expires: TimeMs,
}

impl Spent {
    /// Whether a ticket has bytes left for these groups of a batch.
    pub(super) fn check(
        &self,
        ticket: &Ticket,
        meta: &BatchMeta,
        groups: Range<u32>,
        now: TimeMs,
    ) -> Result<(), Refusal> {
        let mut placements = self.lock();
        let Some(stored) = placements.get(&key(ticket)) else {
            if placements.len() >= COUNTED_MAX {
                placements.retain(|_, stored| stored.expires > now);
            }
            if placements.len() >= COUNTED_MAX {
                return Err(Refusal::new(RefusalCode::Busy, format!("{COUNTED_MAX} placements are under way")));
            }
            return fits(0, groups.len(), ticket);
        };
        let known = stored.batches.get(&meta.root);
        let fresh = groups.filter(|group| known.is_none_or(|known| !known.contains(*group))).count();
        let used = stored.batches.values().map(|groups| u64::from(groups.count())).sum();
        fits(used, fresh, ticket)
    }

    /// Notes that these groups were stored.
    pub(super) fn note(&self, ticket: &Ticket, meta: &BatchMeta, groups: Range<u32>) {
        let mut placements = self.lock();
        let fresh = || Stored { batches: HashMap::new(), expires: ticket.expires };
        let stored = placements.entry(key(ticket)).or_insert_with(fresh);
        stored.expires = stored.expires.max(ticket.expires);
        let known = stored.batches.entry(meta.root).or_insert_with(|| GroupSet::empty(GroupSet::groups_of(meta)));
        known.insert(groups);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Address, RequestId), Stored>> {
        self.placements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(ticket: &Ticket) -> (Address, RequestId) {
    (ticket.client, ticket.request)
}

fn fits(used_groups: u64, fresh_groups: usize, ticket: &Ticket) -> Result<(), Refusal> {
    let group_bytes = GROUP_BYTES as u64;
    let (used, fresh) = (used_groups * group_bytes, fresh_groups as u64 * group_bytes);
    if used + fresh > ticket.bytes_max {
        let words = format!("{used} of {} bytes are used, {fresh} more do not fit", ticket.bytes_max);
        return Err(Refusal::new(RefusalCode::TicketSpent, words));
    }
    Ok(())
}
