//! Footprints as they are carried: who signed which hop (DESIGN section 7). The ledger checks them again.

use holdfast_ledger::statement::{Footprint, FootprintHop, hop_payload, hop_payloads};
use holdfast_primitives::{Address, Bounded, ChainId, Purpose, RequestId, SecretKey};
use thiserror::Error;

/// Why a footprint proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FootprintError {
    /// No hop at all.
    #[error("the footprint is empty")]
    Empty,
    /// It begins elsewhere than the owner's request says.
    #[error("the footprint begins at {found}, the request at {expected}")]
    WrongFirst {
        /// Its first heavy node.
        found: Address,
        /// The one that the owner asked.
        expected: Address,
    },
    /// It ends elsewhere than it came from.
    #[error("the footprint ends at {found}, it came from {expected}")]
    WrongLast {
        /// Its last heavy node.
        found: Address,
        /// Who passed it on.
        expected: Address,
    },
    /// One heavy node twice.
    #[error("{node} stands in the footprint twice")]
    Repeated {
        /// The heavy node.
        node: Address,
    },
    /// A hop that its heavy node did not sign, or not between these neighbours.
    #[error("hop {index} is not signed by {node}")]
    BadSignature {
        /// Its place, from 0.
        index: usize,
        /// The heavy node.
        node: Address,
    },
}

/// The footprint of a placement that went through one heavy node only.
pub fn first_hop(
    request: &RequestId,
    owner: &Address,
    holder: &Address,
    key: &SecretKey,
    chain: &ChainId,
) -> Footprint {
    extend(&Bounded::empty(), (request, owner, holder), key, chain).expect("one hop is within the limit")
}

/// `path` with one hop more: that of `key`'s node, signed towards the last of `ends`, a holder or the next heavy node.
/// `None` when the path is full.
pub fn extend(
    path: &Footprint,
    ends: (&RequestId, &Address, &Address),
    key: &SecretKey,
    chain: &ChainId,
) -> Option<Footprint> {
    let (request, owner, next) = ends;
    let previous = path.last().map_or(owner, |hop| &hop.node);
    let index = u8::try_from(path.len()).ok()?;
    let signature = key.sign(Purpose::FootprintHop, chain, &hop_payload(request, owner, index, previous, next));
    let hop = FootprintHop { node: key.address(), signature };
    Bounded::new(path.iter().cloned().chain([hop]).collect()).ok()
}

/// Whether `path` leads from the owner through `first` and on through `last` to the holder, every hop signed.
pub fn check_footprint(
    path: &Footprint,
    ends: (&RequestId, &Address, &Address),
    first: &Address,
    last: &Address,
    chain: &ChainId,
) -> Result<(), FootprintError> {
    let (request, owner, holder) = ends;
    let (Some(begin), Some(end)) = (path.first(), path.last()) else { return Err(FootprintError::Empty) };
    if begin.node != *first {
        return Err(FootprintError::WrongFirst { found: begin.node, expected: *first });
    }
    if end.node != *last {
        return Err(FootprintError::WrongLast { found: end.node, expected: *last });
    }
    for (index, hop) in path.iter().enumerate() {
        if path[..index].iter().any(|earlier| earlier.node == hop.node) {
            return Err(FootprintError::Repeated { node: hop.node });
        }
    }
    for (index, ((node, payload), hop)) in
        hop_payloads(request, owner, holder, path).iter().zip(path.iter()).enumerate()
    {
        hop.signature
            .verify(node, Purpose::FootprintHop, chain, payload)
            .map_err(|_| FootprintError::BadSignature { index, node: *node })?;
    }
    Ok(())
}
