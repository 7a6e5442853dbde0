//! The cast of the tests: a clock that obeys the runtime, a ledger of a few lines, a holder with a disk in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "every test file takes what it needs")]

pub mod blows;
pub mod tap;
pub mod town;

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::Profile;
use holdfast_ledger::statement::{Quote, QuoteTerms, Receipt, receipt_payload};
use holdfast_network::control::{CheckedQuoteRequest, ControlPolicy, QuoteService};
use holdfast_network::lookup::HolderStanding;
use holdfast_network::memory::{Conditions, MemoryNetwork};
use holdfast_network::serve::{Handler, ServeLimits, serve};
use holdfast_network::time::Clock;
use holdfast_network::transfer::{BatchService, MemoryBatch, StoredRange};
use holdfast_network::wire::{
    Capability, GroupSet, HolderOffer, PlacementRequest, QuoteRefusal, Refusal, RefusalCode, Signed,
};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_por::{BatchMeta, GROUP_BYTES, Layers, Tagger, range_proof};
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_primitives::{Address, Amount, Bounded, ChainId, GrantId, Height, Purpose, RequestId, SecretKey, TimeMs};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const CHAIN: ChainId = ChainId::new([7; 32]);
pub const START_MS: u64 = 1_700_000_000_000;

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub fn id(seed: u8) -> Address {
    key(seed).address()
}

pub fn network(seed: u64) -> MemoryNetwork {
    MemoryNetwork::new(seed, Conditions::default())
}

/// Wall-clock time that stands still while the runtime's clock does.
pub struct TestClock(tokio::time::Instant);

impl TestClock {
    pub fn start() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for TestClock {
    fn now(&self) -> TimeMs {
        TimeMs::new(START_MS + self.0.elapsed().as_millis() as u64)
    }
}

/// A holder with room for anything.
pub fn standing() -> HolderStanding {
    let (price, profile) = (Amount::grains(1), Profile::default());
    HolderStanding { free_bytes: 1 << 40, accepting: true, price, profile }
}

/// A ledger that knows some holders, and some heavy nodes.
#[derive(Default)]
pub struct TestLedger {
    pub holders: Mutex<HashMap<Address, HolderStanding>>,
    pub heavy: Mutex<BTreeSet<Address>>,
}

impl TestLedger {
    pub fn with_holders(holders: impl IntoIterator<Item = Address>) -> Arc<Self> {
        let standing = standing();
        let holders = holders.into_iter().map(|holder| (holder, standing.clone())).collect();
        Arc::new(Self { holders: Mutex::new(holders), heavy: Mutex::default() })
    }
}

impl ControlPolicy for TestLedger {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    fn height(&self) -> Height {
        Height::new(42)
    }

    fn holder(&self, address: &Address) -> Option<HolderStanding> {
        self.holders.lock().unwrap().get(address).cloned()
    }

    fn is_heavy(&self, node: &Address) -> bool {
        self.heavy.lock().unwrap().contains(node)
    }

    fn heavy_nodes(&self) -> u32 {
        self.heavy.lock().unwrap().len() as u32
    }
}

/// Lets others in at an endpoint until the test ends.
pub fn open_doors(endpoint: Arc<dyn Endpoint>, handlers: Vec<Arc<dyn Handler>>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(serve(endpoint, handlers, ServeLimits::default()))
}

pub fn offer(price: u64) -> HolderOffer {
    HolderOffer {
        free_bytes: 1 << 30,
        price: Amount::grains(price),
        classes: Bounded::new(vec![20, 21]).unwrap(),
        accepting: true,
    }
}

pub fn placement(owner: u8, parent: u8, holders: u16) -> PlacementRequest {
    PlacementRequest {
        request: RequestId::new([owner; 16]),
        owner: id(owner),
        first_hop: id(parent),
        batch_log2: 20,
        batches_per_holder: 4,
        holders,
        rounds: 100,
        price_max: Amount::grains(1_000),
        exclude: Bounded::empty(),
        only: Bounded::empty(),
        topics: Bounded::empty(),
        regions: Bounded::empty(),
        distinct_operators: false,
        hops_max: 4,
        expires: TimeMs::new(START_MS + 600_000),
    }
}

pub fn sign(request: PlacementRequest, owner: u8) -> Signed<PlacementRequest> {
    Signed::new(request, &key(owner), &CHAIN)
}

/// A holder that quotes by a rule.
pub struct Quoter {
    pub key: SecretKey,
    pub price: u64,
    pub refuses: Option<QuoteRefusal>,
}

#[async_trait]
impl QuoteService for Quoter {
    async fn quote(&self, request: CheckedQuoteRequest) -> Result<Quote, QuoteRefusal> {
        if let Some(refusal) = &self.refuses {
            return Err(refusal.clone());
        }
        let wanted = request.placement();
        let terms = QuoteTerms {
            request: wanted.request,
            owner: wanted.owner,
            holder: self.key.address(),
            batch_log2: wanted.batch_log2,
            batches_max: wanted.batches_per_holder,
            price: Amount::grains(self.price),
            rounds_max: wanted.rounds,
            path: request.path(),
            expires: Height::new(1_000),
        };
        Ok(terms.sign(&self.key, &CHAIN))
    }
}

/// Random bytes and their tree.
pub fn batch(seed: u64, batch_log2: u8) -> (Bytes, MemoryBatch, BatchMeta, Layers) {
    let mut bytes = vec![0; 1 << batch_log2];
    StdRng::seed_from_u64(seed).fill(&mut bytes[..]);
    let tagged = Tagger::read(batch_log2, &mut &bytes[..]).unwrap();
    let bytes = Bytes::from(bytes);
    let (meta, layers) = (tagged.meta, tagged.layers.clone());
    (bytes.clone(), MemoryBatch::new(tagged, bytes), meta, layers)
}

/// A holder's disk. What was put survives; what was on the way does not.
pub struct Disk {
    pub key: SecretKey,
    pub trusted: Vec<Address>,
    /// The placement it quoted for, per owner.
    pub quoted: Mutex<HashMap<(Address, RequestId), u8>>,
    pub batches: Mutex<HashMap<(Address, [u8; 32]), Stored>>,
    /// Bytes of every put so far, repeated ones included.
    pub put_bytes: Mutex<u64>,
    /// How long a flush takes.
    pub flush: Duration,
    /// Whether the next put is met by a bug.
    pub buggy: Mutex<bool>,
    /// Permissions that were taken back.
    pub revoked: Mutex<HashSet<GrantId>>,
}

pub struct Stored {
    pub meta: BatchMeta,
    pub bytes: Vec<u8>,
    pub have: GroupSet,
    /// Layers, so that ranges can be proven when the bytes have rotted.
    pub layers: Option<Layers>,
}

impl Disk {
    pub fn new(seed: u8, trusted: Address) -> Arc<Self> {
        Arc::new(Self {
            key: key(seed),
            trusted: vec![trusted],
            quoted: Mutex::default(),
            batches: Mutex::default(),
            put_bytes: Mutex::default(),
            flush: Duration::from_millis(3),
            buggy: Mutex::default(),
            revoked: Mutex::default(),
        })
    }

    pub fn quote_for(&self, owner: Address, request: RequestId, batch_log2: u8) {
        self.quoted.lock().unwrap().insert((owner, request), batch_log2);
    }

    /// Puts a complete batch there, as if it had been uploaded long ago.
    pub fn place(&self, owner: Address, bytes: &[u8], meta: BatchMeta, layers: Layers) {
        let have = GroupSet::full(GroupSet::groups_of(&meta));
        let stored = Stored { meta, bytes: bytes.to_vec(), have, layers: Some(layers) };
        self.batches.lock().unwrap().insert((owner, meta.root), stored);
    }

    pub fn panic_at_next_put(&self) {
        *self.buggy.lock().unwrap() = true;
    }

    pub fn bytes_of(&self, owner: Address, root: &[u8; 32]) -> Vec<u8> {
        self.batches.lock().unwrap()[&(owner, *root)].bytes.clone()
    }

    pub fn flip_bit(&self, owner: Address, root: &[u8; 32], byte: usize) {
        self.batches.lock().unwrap().get_mut(&(owner, *root)).unwrap().bytes[byte] ^= 1;
    }
}

fn unknown(root: &[u8; 32]) -> Refusal {
    Refusal::new(RefusalCode::UnknownBatch, format!("{root:02x?}"))
}

#[async_trait]
impl BatchService for Disk {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    fn trusts(&self, issuer: &Address) -> bool {
        self.trusted.contains(issuer)
    }

    async fn begin(&self, owner: Address, request: RequestId, meta: BatchMeta) -> Result<GroupSet, Refusal> {
        match self.quoted.lock().unwrap().get(&(owner, request)) {
            None => return Err(Refusal::new(RefusalCode::UnknownRequest, "no quote")),
            Some(log2) if *log2 != meta.batch_log2 => return Err(Refusal::new(RefusalCode::BadBatch, "size")),
            Some(_) => {}
        }
        let groups = GroupSet::groups_of(&meta);
        let fresh =
            || Stored { meta, bytes: vec![0; 1 << meta.batch_log2], have: GroupSet::empty(groups), layers: None };
        Ok(self.batches.lock().unwrap().entry((owner, meta.root)).or_insert_with(fresh).have.clone())
    }

    async fn put(&self, owner: Address, meta: BatchMeta, first_leaf: u32, leaves: Bytes) -> Result<(), Refusal> {
        tokio::time::sleep(self.flush).await;
        assert!(!std::mem::take(&mut *self.buggy.lock().unwrap()), "a bug in the holder");
        *self.put_bytes.lock().unwrap() += leaves.len() as u64;
        let mut batches = self.batches.lock().unwrap();
        let stored = batches.get_mut(&(owner, meta.root)).ok_or_else(|| unknown(&meta.root))?;
        let from = first_leaf as usize * LEAF_BYTES;
        stored.bytes[from..from + leaves.len()].copy_from_slice(&leaves);
        stored.have.insert((from / GROUP_BYTES) as u32..((from + leaves.len()) / GROUP_BYTES) as u32);
        Ok(())
    }

    async fn finish(&self, owner: Address, _request: RequestId, meta: BatchMeta) -> Result<(), Refusal> {
        let mut batches = self.batches.lock().unwrap();
        let stored = batches.get_mut(&(owner, meta.root)).ok_or_else(|| unknown(&meta.root))?;
        if !stored.have.is_full() {
            return Err(Refusal::new(RefusalCode::Incomplete, "groups are missing"));
        }
        let tagged = Tagger::read(meta.batch_log2, &mut &stored.bytes[..]).unwrap();
        assert_eq!(tagged.meta, meta, "what was verified leaf by leaf is the batch");
        stored.layers = Some(tagged.layers);
        Ok(())
    }

    async fn receipt(
        &self,
        owner: Address,
        request: RequestId,
        metas: Vec<BatchMeta>,
        expires: Height,
    ) -> Result<Receipt, Refusal> {
        let batches = self.batches.lock().unwrap();
        for meta in &metas {
            let stored = batches.get(&(owner, meta.root)).ok_or_else(|| unknown(&meta.root))?;
            if stored.layers.is_none() {
                return Err(Refusal::new(RefusalCode::Incomplete, "not finished"));
            }
        }
        let payload = receipt_payload(&request, &owner, expires, &metas);
        Ok(Receipt { expires, signature: self.key.sign(Purpose::Receipt, &CHAIN, &payload) })
    }

    async fn may_read(&self, capability: &Capability) -> Result<(), Refusal> {
        if self.revoked.lock().unwrap().contains(&capability.grant) {
            return Err(Refusal::new(RefusalCode::Revoked, "its owner took it back"));
        }
        let known = self.batches.lock().unwrap().keys().any(|(owner, _)| *owner == capability.owner);
        if known { Ok(()) } else { Err(Refusal::new(RefusalCode::NotEntitled, "nothing of this owner is here")) }
    }

    async fn read(&self, owner: Address, meta: BatchMeta, first_leaf: u32, count: u32) -> Result<StoredRange, Refusal> {
        let batches = self.batches.lock().unwrap();
        let stored = batches.get(&(owner, meta.root)).ok_or_else(|| unknown(&meta.root))?;
        let layers = stored.layers.as_ref().ok_or_else(|| unknown(&meta.root))?;
        let proof = range_proof(&meta, layers, first_leaf, count, |group, room| {
            room.copy_from_slice(&stored.bytes[group as usize * GROUP_BYTES..][..GROUP_BYTES]);
            Ok(())
        })
        .map_err(|error| Refusal::new(RefusalCode::Damaged, error))?;
        let from = first_leaf as usize * LEAF_BYTES;
        let leaves = Bytes::copy_from_slice(&stored.bytes[from..from + count as usize * LEAF_BYTES]);
        Ok(StoredRange { leaves, proof })
    }
}

pub fn bare(seed: u8) -> NodeAddr {
    NodeAddr::bare(id(seed))
}
