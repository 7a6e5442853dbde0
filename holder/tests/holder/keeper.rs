//! Two holders with real vaults: Carol, to whom things happen, and Dave, to whom nothing does.

use crate::batch::{Batch, MIB};
use crate::chain::{ALICE, SmallChain, address, key, request};
use holdfast_holder::{Housekeeper, Ledger, Proven, Prover, Sender, Sweep};
use holdfast_primitives::{Height, HolderNo};
use holdfast_store::{BatchTag, Vault};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that each of the two offers.
pub const QUOTA: u64 = 64 * MIB;

/// One holder's vault and the parts of its day that work on it.
pub struct Keeper {
    pub name: &'static str,
    pub number: HolderNo,
    pub batches: Vec<Batch>,
    pub folder: tempfile::TempDir,
    chain: Arc<SmallChain>,
    open: Option<Open>,
}

struct Open {
    vault: Vault,
    housekeeper: Housekeeper,
    prover: Prover,
}

/// Alice's tag at a holder; her receipt may be registered until `expires`.
pub fn tag(holder: &str, expires: u64) -> BatchTag {
    BatchTag { owner: address(ALICE), request: request(holder), expires: Height::new(expires) }
}

/// A market in which Carol and Dave hold `count` batches each, all registered and paid for.
pub fn market(count: u64) -> (Arc<SmallChain>, Keeper, Keeper) {
    let chain = Arc::new(SmallChain::new());
    let carol = Keeper::join(&chain, "carol", (0..count).map(Batch::new).collect());
    let dave = Keeper::join(&chain, "dave", (0..count).map(|number| Batch::new(1_000 + number)).collect());
    let metas = |keeper: &Keeper| keeper.batches.iter().map(|batch| batch.meta).collect::<Vec<_>>();
    chain.register(&metas(&carol), &metas(&dave));
    (chain, carol, dave)
}

impl Keeper {
    /// Joins, opens a vault and stores the batches in it.
    fn join(chain: &Arc<SmallChain>, name: &'static str, batches: Vec<Batch>) -> Self {
        let number = chain.join(name);
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Self { name, number, batches, folder, chain: Arc::clone(chain), open: None };
        keeper.start();
        for batch in &keeper.batches {
            batch.store(keeper.vault(), tag(name, 1));
        }
        keeper
    }

    pub fn start(&mut self) {
        let vault = Vault::open(self.folder.path(), QUOTA, 0).unwrap();
        let (chain, number) = (Arc::clone(&self.chain), self.number);
        let (id, fee, parts) = (chain.chain_id(), chain.params().fee_per_byte, chain.params().proof_part_openings);
        let ledger = || Arc::clone(&chain) as Arc<dyn Ledger>;
        let sender = Arc::new(Sender::new(ledger(), key(self.name), id, fee));
        let prover = Prover::new(ledger(), vault.clone(), Arc::clone(&sender), number, id, parts);
        let housekeeper = Housekeeper::new(ledger(), vault.clone(), sender, number);
        self.open = Some(Open { vault, housekeeper, prover });
    }

    /// The process ends.
    pub fn stop(&mut self) {
        self.open = None;
    }

    pub fn vault(&self) -> &Vault {
        &self.open.as_ref().expect("the holder runs").vault
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// One of the files of batch `number`.
    pub fn file(&self, number: usize, extension: &str) -> PathBuf {
        self.batches[number].file(self.folder.path(), extension)
    }

    pub async fn sweep(&mut self) -> Option<Sweep> {
        let view = self.chain.chain().await.unwrap();
        self.open.as_mut().expect("the holder runs").housekeeper.step(&view).await.unwrap()
    }

    pub async fn prove(&mut self) -> Proven {
        let view = self.chain.chain().await.unwrap();
        let proven = self.open.as_mut().expect("the holder runs").prover.step(&view).await.unwrap();
        proven.expect("the round wants a proof")
    }

    /// The slots in which the ledger knows this holder to be faulty.
    pub fn faulty_slots(&self) -> Vec<usize> {
        let state = self.chain.state();
        let slots = state.slots(self.number, 20).enumerate();
        slots.filter(|(_, slot)| slot.faulty_since.is_some()).map(|(number, _)| number).collect()
    }

    /// Every file that holds data of a batch, with its bytes.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in fs::read_dir(self.path().join("batches")).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
        files
    }
}
