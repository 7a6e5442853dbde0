//! Who is online around this node, as neighbours tell each other: for estimates and for people who look. Nobody is found
//! by it, and nothing is paid by it.
//!
//! Each node tells each neighbour of its own holders and of those it hears of from others, with how far away they are; what
//! is further than a path can lead is not told on, so what has gone is forgotten even where nodes stand in a circle.

use holdfast_primitives::Address;
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use std::collections::BTreeMap;

/// What each connected neighbour says of who is online, by the neighbour's seat.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    told: BTreeMap<u64, Told>,
    /// Changes with everything that is heard, so that nothing is put together anew for nothing.
    revision: u64,
}

#[derive(Debug)]
struct Told {
    by: Address,
    /// How many heavy nodes away from this one.
    holders: BTreeMap<Address, u8>,
}

impl Hearsay {
    /// Takes what a neighbour says; what it said before is forgotten.
    pub(super) fn hear(&mut self, seat: u64, by: Address, online: &[(Address, u8)]) {
        let within =
            |(holder, hops): &(Address, u8)| Some((*holder, hops.checked_add(1).filter(|hops| is_near(*hops))?));
        self.revision += 1;
        self.told.insert(seat, Told { by, holders: online.iter().filter_map(within).collect() });
    }

    /// A neighbour has gone.
    pub(super) fn forget(&mut self, seat: u64) {
        if self.told.remove(&seat).is_some() {
            self.revision += 1;
        }
    }

    /// Changes whenever something new is heard.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether somebody says that a holder is online.
    pub(super) fn knows(&self, holder: &Address) -> bool {
        self.told.values().any(|told| told.holders.contains_key(holder))
    }

    /// What to tell a neighbour: this node's own holders, and those that it hears of from others.
    pub(super) fn for_neighbour(&self, but: &Address, own: impl Iterator<Item = Address>) -> BTreeMap<Address, u8> {
        let mut online: BTreeMap<Address, u8> = own.map(|holder| (holder, 0)).collect();
        let others = self.told.values().filter(|told| told.by != *but).flat_map(|told| &told.holders);
        for (holder, hops) in others {
            let known = online.entry(*holder).or_insert(*hops);
            *known = (*known).min(*hops);
        }
        online
    }
}

/// Whether a path from here can lead so far.
const fn is_near(hops: u8) -> bool {
    (hops as usize) < FOOTPRINT_HOPS_MAX
}
