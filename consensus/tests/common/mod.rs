//! A small ledger for the engines to drive: an append-only file of blocks, each a list of byte strings that somebody
//! submitted. It checks what a real one checks first: height, parent, size, and that no entry is "bad".
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use holdfast_consensus::{
    AppError, BlockIdentity, BuildRequest, Evidence, HeightConfig, LedgerApp, Timeouts, Undecided, Verdict,
};
use holdfast_primitives::{
    Address, BlockHash, Certificate, ChainId, Height, SecretKey, Validator, ValidatorSet, VrfSecretKey, sha256,
};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

pub const CHAIN: ChainId = ChainId::new([7; 32]);
/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const GENESIS: BlockHash = BlockHash::new([1; 32]);
/// What no block may contain.
pub const BAD_ENTRY: &[u8] = b"bad";

/// How the test network decides; the same on all nodes.
#[derive(Clone)]
pub struct Rules {
    pub validators: ValidatorSet,
    /// Other sets, each from a height on, in order of heights.
    pub changes: Vec<(u64, ValidatorSet)>,
    pub target: Option<Duration>,
    pub heartbeat: Duration,
    pub timeouts: Timeouts,
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    pub height: Height,
    pub parent: BlockHash,
    pub proposer: Address,
    /// Two builds never give the same block.
    pub nonce: u64,
    pub entries: Vec<Vec<u8>>,
}

pub struct TestApp {
    dir: PathBuf,
    rules: Rules,
    chain: Mutex<Vec<(Bytes, Certificate)>>,
    tip: watch::Sender<Height>,
    waiting: watch::Sender<Vec<Vec<u8>>>,
    built: Mutex<Vec<(Height, u32, BlockHash)>>,
    resting: watch::Sender<u64>,
    pub seen_evidence: Mutex<Vec<Evidence>>,
    /// The commit of this height fails, as if the disk were full.
    pub refuse_commit: Mutex<Option<u64>>,
    /// Never says that there is work, nor that the heartbeat has passed.
    pub deaf: AtomicBool,
    /// Goes wrong from now on.
    pub trouble: Mutex<Option<Trouble>>,
}

impl Block {
    pub fn bytes(&self) -> Bytes {
        borsh::to_vec(self).unwrap().into()
    }

    pub fn hash(&self) -> BlockHash {
        BlockHash::new(sha256(&self.bytes()))
    }
}

impl Rules {
    /// Equal powers, no target, a heartbeat far away, and a timeout that a busy machine keeps.
    pub fn of(keys: &[SecretKey]) -> Self {
        let validator = |key: &SecretKey| Validator {
            address: key.address(),
            vrf: VrfSecretKey::from_seed(key.to_seed()).public(),
            power: 10,
        };
        Self {
            validators: ValidatorSet::new(keys.iter().map(validator).collect()).unwrap(),
            changes: Vec::new(),
            target: None,
            heartbeat: Duration::from_secs(3_600),
            timeouts: Timeouts::default(),
        }
    }

    /// Who votes at `height`.
    pub fn validators_at(&self, height: Height) -> &ValidatorSet {
        let change = self.changes.iter().rev().find(|(from, _)| *from <= height.get());
        change.map_or(&self.validators, |(_, set)| set)
    }
}

/// What goes wrong in a ledger that is broken in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The commit never returns.
    CommitHangs,
    /// The commit panics, and with it the task that waits for it.
    CommitPanics,
    /// The block is never built.
    BuildHangs,
    /// Building panics.
    BuildPanics,
    /// A proposed block cannot be kept.
    KeepFails,
    /// No block can be judged yet, as if all were made later than this machine's clock.
    JudgesLater,
    /// Judging never returns.
    JudgeHangs,
}

impl TestApp {
    /// Opens the ledger in `dir`, reading back what is there.
    pub fn open(dir: &Path, rules: Rules) -> Arc<Self> {
        fs::create_dir_all(dir.join("undecided")).unwrap();
        let log = fs::read(dir.join("chain.log")).unwrap_or_default();
        let mut rest = log.as_slice();
        let mut chain = Vec::new();
        while !rest.is_empty() {
            let block = Vec::<u8>::deserialize(&mut rest).unwrap();
            chain.push((Bytes::from(block), Certificate::deserialize(&mut rest).unwrap()));
        }
        let tip = watch::Sender::new(Height::new(chain.len() as u64));
        Arc::new(Self {
            dir: dir.to_owned(),
            rules,
            chain: Mutex::new(chain),
            tip,
            waiting: watch::Sender::new(Vec::new()),
            built: Mutex::new(Vec::new()),
            resting: watch::Sender::new(0),
            seen_evidence: Mutex::new(Vec::new()),
            refuse_commit: Mutex::new(None),
            deaf: AtomicBool::new(false),
            trouble: Mutex::new(None),
        })
    }

    /// Submits an entry for the next block.
    pub fn submit(&self, entry: impl Into<Vec<u8>>) {
        self.waiting.send_modify(|waiting| waiting.push(entry.into()));
    }

    /// Waits until the tip has reached `height`.
    pub async fn reached(&self, height: u64) {
        let mut tip = self.tip.subscribe();
        let reached = tip.wait_for(|tip| tip.get() >= height);
        let at = || self.tip.borrow().get();
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(reached) => drop(reached.unwrap()),
            Err(_) => panic!("at height {} after {PATIENCE:?}, wanted {height}", at()),
        }
    }

    /// Waits until a block with this entry is committed.
    pub async fn holds(&self, entry: &[u8]) {
        let mut tip = self.tip.subscribe();
        let holds = tip.wait_for(|_| self.entries().iter().any(|found| found == entry));
        assert!(tokio::time::timeout(PATIENCE, holds).await.is_ok(), "no block with {entry:?}");
    }

    /// Waits until the engine asks for work after it has decided `height`.
    pub async fn rests_after(&self, height: u64) {
        let mut resting = self.resting.subscribe();
        let rests = resting.wait_for(|resting| *resting >= height);
        assert!(tokio::time::timeout(PATIENCE, rests).await.is_ok(), "no rest after height {height}");
    }

    pub fn height(&self) -> u64 {
        self.tip.borrow().get()
    }

    /// Tells of every commit.
    pub fn follow(&self) -> watch::Receiver<Height> {
        self.tip.subscribe()
    }

    /// The block of a height, read.
    pub fn parsed(&self, height: u64) -> Block {
        Block::try_from_slice(&self.block(height)).unwrap()
    }

    fn suffers(&self, trouble: Trouble) -> bool {
        *self.trouble.lock().unwrap() == Some(trouble)
    }

    pub fn block(&self, height: u64) -> Bytes {
        self.chain.lock().unwrap()[height as usize - 1].0.clone()
    }

    pub fn certificate(&self, height: u64) -> Certificate {
        self.chain.lock().unwrap()[height as usize - 1].1.clone()
    }

    /// All committed entries in order.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        let chain = self.chain.lock().unwrap();
        chain.iter().flat_map(|(block, _)| Block::try_from_slice(block).unwrap().entries).collect()
    }

    /// Every block that this process built: height, round, hash.
    pub fn built(&self) -> Vec<(Height, u32, BlockHash)> {
        self.built.lock().unwrap().clone()
    }

    /// Checks by our own certificate rule that every height was decided, each block on its parent.
    pub fn audit(&self) {
        let mut parent = GENESIS;
        for (index, (bytes, certificate)) in self.chain.lock().unwrap().iter().enumerate() {
            let block = Block::try_from_slice(bytes).unwrap();
            assert_eq!(block.height, Height::new(index as u64 + 1));
            assert_eq!(block.parent, parent);
            parent = block.hash();
            assert_eq!((certificate.height, certificate.block), (block.height, parent));
            certificate.verify(&CHAIN, self.rules.validators_at(block.height)).unwrap();
        }
    }

    fn undecided_path(&self, kept: &Undecided) -> PathBuf {
        self.dir.join("undecided").join(format!("{}-{}-{}", kept.height, kept.round, kept.hash))
    }

    fn write_synced(path: &Path, bytes: &[u8], append: bool) -> Result<(), AppError> {
        let mut file =
            if append { OpenOptions::new().create(true).append(true).open(path)? } else { File::create(path)? };
        file.write_all(bytes)?;
        Ok(file.sync_all()?)
    }
}

/// How an undecided block lies on the disk.
type Stored = (Height, u32, Option<u32>, Address, Vec<u8>, BlockHash, bool);

#[async_trait]
impl LedgerApp for TestApp {
    fn tip(&self) -> (Height, BlockHash) {
        let chain = self.chain.lock().unwrap();
        let hash = chain.last().map_or(GENESIS, |(_, certificate)| certificate.block);
        (Height::new(chain.len() as u64), hash)
    }

    fn config_for(&self, height: Height) -> Result<HeightConfig, AppError> {
        let Rules { target, heartbeat, timeouts, .. } = self.rules;
        let validators = self.rules.validators_at(height).clone();
        Ok(HeightConfig { validators, target, heartbeat, timeouts })
    }

    fn identify(&self, block: &[u8]) -> Result<BlockIdentity, AppError> {
        let parsed = Block::try_from_slice(block)?;
        Ok(BlockIdentity { hash: BlockHash::new(sha256(block)), height: parsed.height, proposer: parsed.proposer })
    }

    async fn build(&self, request: BuildRequest) -> Result<Bytes, AppError> {
        if self.suffers(Trouble::BuildHangs) {
            std::future::pending::<()>().await;
        }
        assert!(!self.suffers(Trouble::BuildPanics), "the test asks for it");
        let entries = self.waiting.borrow().clone();
        let mut nonce = [0; 8];
        nonce.copy_from_slice(&SecretKey::generate().to_seed()[..8]);
        let nonce = u64::from_le_bytes(nonce);
        let block = Block { height: request.height, parent: self.tip().1, proposer: request.proposer, nonce, entries };
        assert!(block.bytes().len() <= request.bytes_max, "the test asks for more than a block holds");
        self.built.lock().unwrap().push((request.height, request.round, block.hash()));
        Ok(block.bytes())
    }

    async fn validate(&self, identity: &BlockIdentity, block: &Bytes) -> Verdict {
        let (tip, parent) = self.tip();
        assert_eq!(identity.height, tip.next(), "the driver asks about the tip's successor only");
        let parsed = Block::try_from_slice(block).unwrap();
        if self.suffers(Trouble::JudgeHangs) {
            std::future::pending::<()>().await;
        }
        if self.suffers(Trouble::JudgesLater) {
            return Verdict::RetryLater { reason: "the test asks for it".to_owned() };
        }
        if parsed.parent != parent {
            return Verdict::Invalid { reason: format!("its parent is {}", parsed.parent) };
        }
        if parsed.entries.iter().any(|entry| entry == BAD_ENTRY) {
            return Verdict::Invalid { reason: "a bad entry".to_owned() };
        }
        Verdict::Valid
    }

    fn save_undecided(&self, kept: &Undecided) -> Result<(), AppError> {
        if self.suffers(Trouble::KeepFails) {
            return Err("no space left on device".into());
        }
        let Undecided { height, round, valid_round, proposer, block, hash, valid } = kept.clone();
        let stored: Stored = (height, round, valid_round, proposer, block.to_vec(), hash, valid);
        Self::write_synced(&self.undecided_path(kept), &borsh::to_vec(&stored)?, false)
    }

    fn undecided(&self, wanted: Height) -> Result<Vec<Undecided>, AppError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.dir.join("undecided"))? {
            let (height, round, valid_round, proposer, block, hash, valid) =
                Stored::try_from_slice(&fs::read(entry?.path())?)?;
            if height == wanted {
                found.push(Undecided { height, round, valid_round, proposer, block: block.into(), hash, valid });
            }
        }
        Ok(found)
    }

    async fn commit(&self, block: Bytes, certificate: Certificate, evidence: Evidence) -> Result<(), AppError> {
        let parsed = Block::try_from_slice(&block)?;
        assert_eq!(parsed.height, self.tip().0.next(), "heights are committed in order");
        if self.suffers(Trouble::CommitHangs) {
            std::future::pending::<()>().await;
        }
        assert!(!self.suffers(Trouble::CommitPanics), "the test asks for it");
        if *self.refuse_commit.lock().unwrap() == Some(parsed.height.get()) {
            return Err("no space left on device".into());
        }
        let record = [borsh::to_vec(&block.to_vec())?, borsh::to_vec(&certificate)?].concat();
        Self::write_synced(&self.dir.join("chain.log"), &record, true)?;
        for entry in fs::read_dir(self.dir.join("undecided"))? {
            fs::remove_file(entry?.path())?;
        }
        self.waiting.send_modify(|waiting| waiting.retain(|entry| !parsed.entries.contains(entry)));
        self.chain.lock().unwrap().push((block, certificate));
        self.seen_evidence.lock().unwrap().push(evidence);
        self.tip.send_replace(parsed.height);
        Ok(())
    }

    fn decided(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, AppError> {
        let index = height.get().checked_sub(1).ok_or("nobody decides genesis")?;
        Ok(self.chain.lock().unwrap().get(index as usize).cloned())
    }

    fn min_height(&self) -> Height {
        Height::new(1)
    }

    async fn until_work(&self, heartbeat: Duration) {
        let mut waiting = self.waiting.subscribe();
        self.resting.send_replace(self.height());
        if self.deaf.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let _ = tokio::time::timeout(heartbeat, waiting.wait_for(|waiting| !waiting.is_empty())).await;
    }
}

/// Keys that every run of a test has.
pub fn keys(count: u8) -> Vec<SecretKey> {
    (0..count).map(|index| SecretKey::from_seed([index + 1; 32])).collect()
}
