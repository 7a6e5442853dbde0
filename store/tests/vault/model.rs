//! Any order of uploads, removals and restarts, against a model that knows only sets.

use crate::sample::{GROUPS, MIB, Sample, tag};
use holdfast_store::{Upload, Vault, VaultError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const BATCHES: usize = 4;
const QUOTA_BATCHES: usize = 3;
const OWNERS: [&str; 2] = ["alice", "bob"];

static SAMPLES: LazyLock<Vec<Sample>> =
    LazyLock::new(|| (0..BATCHES as u64).map(|seed| Sample::new(100 + seed)).collect());

#[derive(Clone, Debug)]
enum Step {
    Reserve { batch: usize, owner: usize },
    Put { batch: usize, first: u32, count: u32 },
    Finish { batch: usize },
    Remove { batch: usize },
    Read { batch: usize, offset: u64, len: usize },
    Reopen,
}

/// What the vault must say of one batch.
#[derive(Clone, Debug, Default)]
struct Known {
    owner: usize,
    have: BTreeSet<u32>,
    stored: bool,
}

struct Run {
    directory: tempfile::TempDir,
    vault: Option<Vault>,
    uploads: BTreeMap<usize, Upload>,
    model: BTreeMap<usize, Known>,
}

fn step() -> impl Strategy<Value = Step> {
    let batch = 0..BATCHES;
    prop_oneof![
        3 => (batch.clone(), 0..OWNERS.len()).prop_map(|(batch, owner)| Step::Reserve { batch, owner }),
        6 => (batch.clone(), 0..GROUPS, 1..=GROUPS).prop_map(|(batch, first, count)| Step::Put { batch, first, count }),
        3 => batch.clone().prop_map(|batch| Step::Finish { batch }),
        1 => batch.clone().prop_map(|batch| Step::Remove { batch }),
        2 => (batch, 0..MIB + 2, 0..200_000usize).prop_map(|(batch, offset, len)| Step::Read { batch, offset, len }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_vault_is_what_the_model_says(steps in proptest::collection::vec(step(), 1..40)) {
        let mut run = Run::start();
        for step in steps {
            run.take(&step);
            run.compare();
        }
    }
}

impl Run {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut run = Self { directory, vault: None, uploads: BTreeMap::new(), model: BTreeMap::new() };
        run.reopen();
        run
    }

    fn reopen(&mut self) {
        self.uploads.clear();
        self.vault = None;
        self.vault = Some(Vault::open(self.directory.path(), QUOTA_BATCHES as u64 * MIB, 0).unwrap());
    }

    fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Reserve { batch, owner } => self.reserve(batch, owner),
            Step::Put { batch, first, count } => self.put(batch, first, (first + count).min(GROUPS)),
            Step::Finish { batch } => self.finish(batch),
            Step::Remove { batch } => {
                self.vault().remove(&SAMPLES[batch].root()).unwrap();
                self.model.remove(&batch);
            }
            Step::Read { batch, offset, len } => self.read(batch, offset, len),
            Step::Reopen => self.reopen(),
        }
    }

    fn reserve(&mut self, batch: usize, owner: usize) {
        let answer = self.vault().reserve(SAMPLES[batch].meta, tag(OWNERS[owner]));
        match self.model.get(&batch) {
            Some(known) if known.stored => assert!(matches!(answer, Err(VaultError::AlreadyStored { .. }))),
            Some(known) if known.owner != owner => assert!(matches!(answer, Err(VaultError::ReservedByAnother { .. }))),
            None if self.model.len() == QUOTA_BATCHES => {
                assert!(matches!(answer, Err(VaultError::QuotaExceeded { .. })))
            }
            _ => {
                self.uploads.insert(batch, answer.unwrap());
                self.model.entry(batch).or_insert_with(|| Known { owner, ..Known::default() });
            }
        }
    }

    fn put(&mut self, batch: usize, first: u32, end: u32) {
        let Some(upload) = self.uploads.get(&batch) else { return };
        let answer = SAMPLES[batch].send(upload, first..end);
        match self.model.get_mut(&batch) {
            Some(known) if !known.stored && answer.is_ok() => known.have.extend(first..end),
            _ => assert!(matches!(answer, Err(VaultError::UploadClosed { .. })), "{answer:?}"),
        }
    }

    fn finish(&mut self, batch: usize) {
        let Some(upload) = self.uploads.get(&batch) else { return };
        let answer = upload.finish();
        match self.model.get_mut(&batch) {
            Some(known) if !known.stored && known.have.len() == GROUPS as usize => {
                answer.unwrap();
                known.stored = true;
            }
            Some(known) if !known.stored => assert!(matches!(answer, Err(VaultError::Incomplete { .. })), "{answer:?}"),
            _ => assert!(matches!(answer, Err(VaultError::UploadClosed { .. })), "{answer:?}"),
        }
    }

    fn read(&self, batch: usize, offset: u64, len: usize) {
        let answer = self.vault().read(&SAMPLES[batch].root(), offset, len);
        let stored = self.model.get(&batch).is_some_and(|known| known.stored);
        let expected = usize::try_from(offset).ok().and_then(|offset| SAMPLES[batch].bytes.get(offset..offset + len));
        match (stored, expected) {
            (false, _) => assert!(matches!(answer, Err(VaultError::NotStored { .. }))),
            (true, None) => assert!(matches!(answer, Err(VaultError::OutOfBatch { .. }))),
            (true, Some(bytes)) => assert_eq!(answer.unwrap(), bytes),
        }
    }

    fn compare(&self) {
        let vault = self.vault();
        assert_eq!(vault.used_bytes(), self.model.len() as u64 * MIB);
        assert_eq!(vault.list().len(), self.model.len());
        for (batch, sample) in SAMPLES.iter().enumerate() {
            let listed = vault.get(&sample.root());
            let known = self.model.get(&batch);
            assert_eq!(
                listed.map(|listed| (listed.tag, listed.stored)),
                known.map(|known| (tag(OWNERS[known.owner]), known.stored))
            );
            assert_eq!(vault.contains(&sample.root()), known.is_some_and(|known| known.stored));
            if let (Some(upload), Some(known)) = (self.uploads.get(&batch), known.filter(|known| !known.stored)) {
                let have = upload.have();
                assert_eq!((0..GROUPS).filter(|group| have.has(*group)).collect::<BTreeSet<_>>(), known.have);
            }
        }
        assert!(vault.check().is_empty());
    }
}
