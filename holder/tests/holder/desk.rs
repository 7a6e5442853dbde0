//! A holder's service as its parent and its owners meet it: a clock that a test turns, real promises, a real vault.

use crate::batch::{Batch, GROUPS, MIB};
use crate::chain::{PRICE, address, key, params};
use crate::grants::Grants;
use bytes::Bytes;
use holdfast_holder::{Doors, HolderService, Issuers, Offer, Promises, Readers, SharedService};
use holdfast_ledger::statement::{Quote, Receipt};
use holdfast_ledger::{Params, Profile};
use holdfast_network::control::{CheckedQuoteRequest, QuoteService};
use holdfast_network::footprint::first_hop;
use holdfast_network::time::Clock;
use holdfast_network::transfer::BatchService;
use holdfast_network::wire::{GroupSet, PlacementRequest, QuoteRefusal, QuoteRequest, Refusal, Signed};
use holdfast_por::GROUP_LEAVES;
use holdfast_primitives::{Bounded, ChainId, Height, RequestId, TimeMs};
use holdfast_store::Vault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const CHAIN: ChainId = ChainId::new([5; 32]);
const START_MS: u64 = 1_700_000_000_000;
/// The holder's parent.
const PARENT: &str = "walter";
/// The holder.
pub const HOLDER: &str = "carol";

/// A clock that stands until it is turned.
pub struct TurnedClock(AtomicU64);

impl Clock for TurnedClock {
    fn now(&self) -> TimeMs {
        TimeMs::new(self.0.load(Ordering::SeqCst))
    }
}

/// The holder's desk. Dropping it is the end of its process.
pub struct Desk {
    pub vault: Vault,
    pub promises: Arc<Promises>,
    pub clock: Arc<TurnedClock>,
    pub grants: Arc<Grants>,
    pub service: SharedService,
}

/// What the desk's operator says of it, and the network it is on.
#[derive(Clone)]
pub struct Signboard {
    pub profile: Profile,
    pub params: Params,
}

impl Default for Signboard {
    fn default() -> Self {
        Self { profile: Profile { rounds_max: 1_000, ..Profile::default() }, params: params() }
    }
}

/// The request that an owner numbers so.
pub fn request(number: u8) -> RequestId {
    RequestId::new([number; 16])
}

pub fn promises_folder(folder: &Path) -> PathBuf {
    folder.join("promises")
}

impl Desk {
    /// Opens what lies in `folder`.
    pub fn open(folder: &Path, quota_bytes: u64, now: TimeMs) -> Self {
        Self::open_as(folder, quota_bytes, now, Signboard::default())
    }

    /// Opens it under another signboard.
    pub fn open_as(folder: &Path, quota_bytes: u64, now: TimeMs, board: Signboard) -> Self {
        let vault = Vault::open(&folder.join("vault"), quota_bytes, 0).unwrap();
        let tags = vault.list().into_iter().map(|batch| batch.tag);
        let promises = Arc::new(Promises::open(&promises_folder(folder), tags).unwrap());
        let clock = Arc::new(TurnedClock(AtomicU64::new(now.get())));
        let grants = Arc::new(Grants::default());
        let offer =
            Offer { quota_bytes, price: PRICE, profile: board.profile, batch_classes: vec![20], accepting: true };
        let issuers = Arc::new(Issuers::new(Arc::clone(&clock) as Arc<dyn Clock>));
        issuers.lean_on(&[address(PARENT)]);
        let service = HolderService::new(
            key(HOLDER),
            CHAIN,
            Doors { issuers, readers: Readers::new(Arc::clone(&grants) as _, board.params) },
            offer,
            vault.clone(),
            Arc::clone(&promises),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self { vault, promises, clock, grants, service: SharedService(Arc::new(service)) }
    }

    pub fn new(folder: &Path, quota_bytes: u64) -> Self {
        Self::open(folder, quota_bytes, TimeMs::new(START_MS))
    }

    pub fn now(&self) -> TimeMs {
        self.clock.now()
    }

    pub fn pass(&self, milliseconds: u64) {
        self.clock.0.fetch_add(milliseconds, Ordering::SeqCst);
    }

    pub fn free_batches(&self) -> u64 {
        self.service.0.free_bytes() / MIB
    }

    /// What the parent passes on from an owner who wants room for `batches`.
    pub async fn quote(&self, owner: &str, request: RequestId, batches: u32) -> Result<Quote, QuoteRefusal> {
        self.quote_as(owner, request, batches, |_| ()).await
    }

    /// The same, from an owner who wants more than room.
    pub async fn quote_as(
        &self,
        owner: &str,
        request: RequestId,
        batches: u32,
        wish: impl FnOnce(&mut PlacementRequest),
    ) -> Result<Quote, QuoteRefusal> {
        let (owner, walter) = (key(owner), key(PARENT));
        let mut wanted = PlacementRequest {
            request,
            owner: owner.address(),
            first_hop: walter.address(),
            batch_log2: 20,
            batches_per_holder: batches,
            holders: 1,
            rounds: 10,
            price_max: PRICE,
            exclude: Bounded::empty(),
            only: Bounded::empty(),
            topics: Bounded::empty(),
            regions: Bounded::empty(),
            distinct_operators: false,
            hops_max: 4,
            expires: self.now().saturating_add(60_000),
        };
        wish(&mut wanted);
        let footprint = first_hop(&request, &wanted.owner, &address(HOLDER), &walter, &CHAIN);
        let question = QuoteRequest { placement: Signed::new(wanted, &owner, &CHAIN), footprint };
        let (holder, now) = (address(HOLDER), self.now());
        let checked = CheckedQuoteRequest::check(question, &holder, &walter.address(), &CHAIN, now).unwrap();
        self.service.quote(checked).await
    }

    pub async fn begin(&self, owner: &str, request: RequestId, batch: &Batch) -> Result<GroupSet, Refusal> {
        self.service.begin(address(owner), request, batch.meta).await
    }

    /// Everything after the beginning, up to the stored batch.
    pub async fn send_all(&self, owner: &str, request: RequestId, batch: &Batch) -> Result<(), Refusal> {
        let leaves = GROUPS * GROUP_LEAVES as u32;
        assert_eq!(leaves as usize * 1_024, batch.bytes.len());
        let bytes = Bytes::from(batch.bytes.clone());
        self.service.put(address(owner), batch.meta, 0, bytes).await?;
        self.finish(owner, request, batch).await
    }

    pub async fn finish(&self, owner: &str, request: RequestId, batch: &Batch) -> Result<(), Refusal> {
        self.service.finish(address(owner), request, batch.meta).await
    }

    pub async fn receipt(&self, owner: &str, request: RequestId, batch: &Batch) -> Result<Receipt, Refusal> {
        self.service.receipt(address(owner), request, vec![batch.meta], Height::new(100)).await
    }
}
