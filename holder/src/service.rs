//! What a holder answers others: quotes to its parent, batches to owners.
//!
//! Nothing is accepted that was not promised, nothing is promised that does not fit, and a receipt is signed only over
//! batches that lie whole on the disk. Disk work runs off the runtime.

use crate::issuers::Issuers;
use crate::offer::Offer;
use crate::promises::{NotPromised, Promises};
use crate::readers::Readers;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::statement::{Quote, Receipt, receipt_payload};
use holdfast_network::control::{CheckedQuoteRequest, QuoteService};
use holdfast_network::time::Clock;
use holdfast_network::transfer::{BatchService, StoredRange};
use holdfast_network::wire::{Capability, GroupSet, QuoteRefusal, Refusal, RefusalCode};
use holdfast_por::{BatchMeta, GROUP_LEAVES, range_proof};
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_primitives::{Address, ChainId, Height, HeightDelta, Purpose, RequestId, SecretKey};
use holdfast_store::{BatchTag, ProvenLeaves, Upload, Vault, VaultError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blocks for which a quote can be registered.
const QUOTE_BLOCKS: HeightDelta = HeightDelta::new(20_000);

/// Whom a holder lets in.
pub struct Doors {
    /// Whose introductions count.
    pub issuers: Arc<Issuers>,
    /// Whose permissions to read count.
    pub readers: Readers,
}

/// One holder, as others see it.
pub struct HolderService {
    key: SecretKey,
    chain: ChainId,
    doors: Doors,
    offer: Offer,
    vault: Vault,
    promises: Arc<Promises>,
    clock: Arc<dyn Clock>,
    uploads: Mutex<HashMap<[u8; 32], Upload>>,
    /// Taken by whoever promises space or begins to use what was promised: one at a time, or two would take the same.
    room: Mutex<()>,
    height: AtomicU64,
    secured_bytes: AtomicU64,
    accepting: AtomicBool,
    registered_bytes: AtomicU64,
}

impl HolderService {
    /// Answers for `key`'s holder.
    pub fn new(
        key: SecretKey,
        chain: ChainId,
        doors: Doors,
        offer: Offer,
        vault: Vault,
        promises: Arc<Promises>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let accepting = AtomicBool::new(offer.accepting);
        Self {
            key,
            chain,
            doors,
            offer,
            vault,
            promises,
            clock,
            uploads: Mutex::default(),
            room: Mutex::default(),
            height: AtomicU64::new(0),
            secured_bytes: AtomicU64::new(u64::MAX),
            accepting,
            registered_bytes: AtomicU64::new(0),
        }
    }

    /// Tells what the ledger says now: its height, for how many more bytes the deposit is collateral enough, how many bytes
    /// are registered here already, and whether new batches are taken. The last may change while the holder runs: its
    /// operator leaves with a command of its own.
    pub fn learn(&self, height: Height, secured_bytes: u64, registered_bytes: u64, accepting: bool) {
        self.height.store(height.get(), Ordering::Relaxed);
        self.secured_bytes.store(secured_bytes, Ordering::Relaxed);
        self.registered_bytes.store(registered_bytes, Ordering::Relaxed);
        self.accepting.store(accepting, Ordering::Relaxed);
    }

    /// Whether it takes new batches.
    pub fn accepting(&self) -> bool {
        self.accepting.load(Ordering::Relaxed)
    }

    /// Bytes that could still be promised: what quota, disk and deposit allow, less what young promises reserve.
    pub fn free_bytes(&self) -> u64 {
        let used = self.vault.used_bytes();
        let of_quota = self.offer.quota_bytes.saturating_sub(used);
        let unregistered = used.saturating_sub(self.registered_bytes.load(Ordering::Relaxed));
        let of_deposit = self.secured_bytes.load(Ordering::Relaxed).saturating_sub(unregistered);
        let free = of_quota.min(self.vault.disk_room_bytes()).min(of_deposit);
        free.saturating_sub(self.promises.reserved_bytes(self.clock.now()))
    }

    /// What it offers.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    fn height(&self) -> Height {
        Height::new(self.height.load(Ordering::Relaxed))
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<[u8; 32], Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upload(&self, meta: &BatchMeta) -> Result<Upload, Refusal> {
        let upload = self.uploads().get(&meta.root).cloned();
        upload.ok_or_else(|| Refusal::new(RefusalCode::UnknownBatch, "this batch was not begun"))
    }

    fn room(&self) -> MutexGuard<'_, ()> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn promise(&self, request: &CheckedQuoteRequest) -> Result<Quote, QuoteRefusal> {
        if !self.accepting() {
            return Err(QuoteRefusal::NotAccepting);
        }
        if !self.doors.readers.admits(&request.placement().owner) {
            // The ledger would not take its registration: no room for a stranger to a private grid.
            return Err(QuoteRefusal::BadRequest);
        }
        let _room = self.room();
        let expires = self.height().saturating_add(QUOTE_BLOCKS);
        let holder = self.key.address();
        let terms = self.offer.terms(request.placement(), holder, request.path(), self.free_bytes(), expires)?;
        self.promises.make(terms.clone(), self.clock.now()).map_err(|error| {
            tracing::warn!(%error, "a promise could not be written down");
            QuoteRefusal::Failed
        })?;
        Ok(terms.sign(&self.key, &self.chain))
    }

    fn reserve(&self, owner: Address, request: RequestId, meta: BatchMeta) -> Result<GroupSet, Refusal> {
        let _room = self.room();
        let groups = GroupSet::groups_of(&meta);
        if let Some(held) = self.vault.get(&meta.root) {
            if held.tag.owner != owner {
                return Err(Refusal::new(RefusalCode::AlreadyHeld, "a batch with this root is held for somebody else"));
            }
            if held.stored {
                return Ok(GroupSet::full(groups));
            }
        }
        let terms = self.promises.terms(&request, &owner).ok_or_else(|| not_promised(NotPromised::Unknown))?;
        if terms.batch_log2 != meta.batch_log2 {
            return Err(Refusal::new(RefusalCode::BadBatch, "the quote is for batches of another size"));
        }
        let tag = BatchTag { owner, request, expires: terms.expires };
        let resumed = self.vault.get(&meta.root).is_some_and(|held| held.tag == tag);
        if !resumed {
            let begun = self.promises.begin(&request, &owner, self.clock.now(), self.free_bytes());
            begun.map_err(not_promised)?;
        }
        match self.vault.reserve(meta, tag) {
            Ok(upload) => {
                let have = have(&upload, groups);
                self.uploads().insert(meta.root, upload);
                Ok(have)
            }
            Err(error) => {
                if !resumed {
                    self.promises.not_begun(&request, &owner);
                }
                Err(refusal(&error))
            }
        }
    }

    fn sign_receipt(
        &self,
        owner: Address,
        request: RequestId,
        metas: &[BatchMeta],
        expires: Height,
    ) -> Result<Receipt, Refusal> {
        let terms = self.promises.terms(&request, &owner);
        let terms = terms.ok_or_else(|| Refusal::new(RefusalCode::UnknownRequest, "no quote for this"))?;
        if metas.is_empty() || metas.len() > terms.batches_max as usize {
            return Err(Refusal::new(
                RefusalCode::BadBatch,
                format!("{} batches, quoted {}", metas.len(), terms.batches_max),
            ));
        }
        for meta in metas {
            let held = self.vault.get(&meta.root).filter(|held| held.stored && held.tag.owner == owner);
            if held.is_none_or(|held| held.meta != *meta) || !self.vault.contains(&meta.root) {
                let root = holdfast_primitives::Digest::new(meta.root).short();
                return Err(Refusal::new(RefusalCode::Incomplete, format!("batch {root} is not here")));
            }
        }
        let expires = expires.min(terms.expires);
        let payload = receipt_payload(&request, &owner, expires, metas);
        Ok(Receipt { expires, signature: self.key.sign(Purpose::Receipt, &self.chain, &payload) })
    }

    fn read_range(&self, owner: Address, meta: BatchMeta, first_leaf: u32, count: u32) -> Result<StoredRange, Refusal> {
        let held = self.vault.get(&meta.root).filter(|held| held.stored && held.meta == meta);
        let held = held.ok_or_else(|| Refusal::new(RefusalCode::UnknownBatch, "no such batch here"))?;
        if held.tag.owner != owner {
            return Err(Refusal::new(RefusalCode::NotEntitled, "this batch belongs to somebody else"));
        }
        let (offset, length) = (u64::from(first_leaf) * LEAF_BYTES as u64, count as usize * LEAF_BYTES);
        let leaves = self.vault.read(&meta.root, offset, length).map_err(|error| refusal(&error))?;
        let layers = self.vault.layers(&meta.root).map_err(|error| refusal(&error))?;
        let read_group =
            |group: u32, out: &mut [u8]| self.vault.read_group(&meta.root, group, out).map_err(std::io::Error::other);
        let proof = range_proof(&meta, &layers, first_leaf, count, read_group)
            .map_err(|error| Refusal::new(RefusalCode::BadRange, error))?;
        Ok(StoredRange { leaves: leaves.into(), proof })
    }
}

fn have(upload: &Upload, groups: u32) -> GroupSet {
    let (stored, mut set) = (upload.have(), GroupSet::empty(groups));
    for group in (0..groups).filter(|group| stored.has(*group)) {
        set.insert(group..group + 1);
    }
    set
}

fn not_promised(error: NotPromised) -> Refusal {
    let code = match error {
        NotPromised::Unknown | NotPromised::UsedUp { .. } => RefusalCode::UnknownRequest,
        NotPromised::NoRoom { .. } => RefusalCode::NoRoom,
    };
    Refusal::new(code, error)
}

fn refusal(error: &VaultError) -> Refusal {
    let code = match error {
        VaultError::QuotaExceeded { .. } | VaultError::DiskFull { .. } => RefusalCode::NoRoom,
        VaultError::File(error) if error.is_disk_full() => RefusalCode::NoRoom,
        VaultError::ReservedByAnother { .. } | VaultError::AlreadyStored { .. } => RefusalCode::AlreadyHeld,
        VaultError::NotStored { .. } | VaultError::UploadClosed { .. } => RefusalCode::UnknownBatch,
        VaultError::Incomplete { .. } => RefusalCode::Incomplete,
        VaultError::NotWholeGroups { .. } | VaultError::OutOfBatch { .. } => RefusalCode::BadRange,
        VaultError::Meta(_) => RefusalCode::BadBatch,
        VaultError::Range(_) | VaultError::OtherBatch { .. } => RefusalCode::BadLeaves,
        VaultError::Damaged(_) => RefusalCode::Damaged,
        _ => RefusalCode::Internal,
    };
    tracing::debug!(%error, "refused");
    Refusal::new(code, error)
}

/// Runs disk work off the runtime.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Refusal::new(RefusalCode::Internal, error)))
}

#[async_trait]
impl QuoteService for SharedService {
    async fn quote(&self, request: CheckedQuoteRequest) -> Result<Quote, QuoteRefusal> {
        let service = Arc::clone(&self.0);
        let quote = move || service.promise(&request);
        tokio::task::spawn_blocking(quote).await.unwrap_or(Err(QuoteRefusal::Failed))
    }
}

/// The service as the network's servers share it.
#[derive(Clone)]
pub struct SharedService(pub Arc<HolderService>);

#[async_trait]
impl BatchService for SharedService {
    fn chain(&self) -> ChainId {
        self.0.chain
    }

    fn trusts(&self, issuer: &Address) -> bool {
        self.0.doors.issuers.trusts(issuer)
    }

    async fn begin(&self, owner: Address, request: RequestId, meta: BatchMeta) -> Result<GroupSet, Refusal> {
        let service = Arc::clone(&self.0);
        off_runtime(move || service.reserve(owner, request, meta)).await
    }

    async fn put(&self, _owner: Address, meta: BatchMeta, first_leaf: u32, leaves: Bytes) -> Result<(), Refusal> {
        debug_assert!(first_leaf.is_multiple_of(GROUP_LEAVES as u32), "the server takes whole groups");
        let upload = self.0.upload(&meta)?;
        off_runtime(move || {
            let proven = ProvenLeaves::verified(&meta, first_leaf, &leaves);
            upload.put(proven).map_err(|error| refusal(&error))
        })
        .await
    }

    async fn finish(&self, owner: Address, _request: RequestId, meta: BatchMeta) -> Result<(), Refusal> {
        let held = self.0.vault.get(&meta.root);
        if held.is_some_and(|held| held.stored && held.tag.owner == owner) {
            return Ok(());
        }
        let upload = self.0.upload(&meta)?;
        off_runtime(move || upload.finish().map_err(|error| refusal(&error))).await?;
        self.0.uploads().remove(&meta.root);
        Ok(())
    }

    async fn receipt(
        &self,
        owner: Address,
        request: RequestId,
        metas: Vec<BatchMeta>,
        expires: Height,
    ) -> Result<Receipt, Refusal> {
        let service = Arc::clone(&self.0);
        off_runtime(move || service.sign_receipt(owner, request, &metas, expires)).await
    }

    async fn may_read(&self, capability: &Capability) -> Result<(), Refusal> {
        // The server has checked signature, reader, holder and end; whose a batch is, is checked batch by batch.
        self.0.doors.readers.check(capability, self.0.height()).await
    }

    async fn read(&self, owner: Address, meta: BatchMeta, first_leaf: u32, count: u32) -> Result<StoredRange, Refusal> {
        let service = Arc::clone(&self.0);
        off_runtime(move || service.read_range(owner, meta, first_leaf, count)).await
    }
}
