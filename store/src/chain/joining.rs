//! A database that is being filled from a snapshot, beside the place where the chain database will be.
//!
//! ```text
//! <node>/chain.joining/     verified chunks, and what is still to be asked for, row by row in one write each
//!         | finish          everything is hashed once more; then the tip is written, durable
//!         v
//! <node>/chain/             the directory is renamed: whole, or not there
//! ```
//! Killed at any moment it goes on where it was; without its tip it is never taken for a chain database.

use crate::chain::database::Database;
use crate::chain::open::know_chain;
use crate::chain::schema::{
    BlockHeights, Blocks, Certificates, Joined, JoinedRow, JoiningAsks, JoiningRow, Pruned, PrunedRow, SetChanges,
    Target, Tip, TipRow, ValidatorSets,
};
use crate::chain::{ChainDb, ChainOptions, StoreError};
use crate::files::{self, FileError};
use crate::lock::DirectoryLock;
use holdfast_ledger::{
    CheckedManifest, ChunkAsk, Diff, EachRecord, Genesis, ListIndex, LoadError, Phase, State, StateSource, Step, Table,
};
use holdfast_primitives::ValidatorSet;
use std::path::{Path, PathBuf};

/// A snapshot on its way into a database.
#[derive(Debug)]
pub struct Joining {
    database: Database,
    directory: PathBuf,
    lock: DirectoryLock,
}

impl Joining {
    /// Opens what was begun in `directory`, or begins there.
    ///
    /// # Errors
    /// When another process works in it, it is of another chain, or the disk refuses.
    pub fn open(directory: &Path, genesis: &Genesis) -> Result<Self, StoreError> {
        let lock = DirectoryLock::acquire(directory)?;
        know_chain(directory, genesis)?;
        let database = Database::open(&directory.join("db"), &ChainOptions::default())?;
        Ok(Self { database, directory: directory.to_owned(), lock })
    }

    /// Whether everything is there and only the last step is missing.
    pub fn is_finished(&self) -> Result<bool, StoreError> {
        Ok(self.database.get::<TipRow>(&0)?.is_some())
    }

    /// Which snapshot was begun with.
    pub fn target(&self) -> Result<Option<Target>, StoreError> {
        self.database.get::<JoiningRow>(&0)
    }

    /// Sets what is to be asked for from now on; `target` says of which snapshot and how far it is.
    pub fn plan(&self, target: Target, asks: &[ChunkAsk]) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        batch.put::<JoiningRow>(&0, &target);
        batch.delete_range::<JoiningAsks>(0..u32::MAX);
        for (number, ask) in (0..).zip(asks) {
            batch.put::<JoiningAsks>(&number, ask);
        }
        batch.write()
    }

    /// What is still to be asked for, by number.
    pub fn asks(&self) -> Result<Vec<(u32, ChunkAsk)>, StoreError> {
        self.database.range::<JoiningAsks>(0..u32::MAX, usize::MAX)
    }

    /// Takes verified records, and what of their ask is left.
    pub fn take(&self, number: u32, records: &Diff, left: Option<&ChunkAsk>) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        batch.change_all(records.iter().map(|(table, key, value)| (table.name(), key, value)));
        match left {
            Some(ask) => batch.put::<JoiningAsks>(&number, ask),
            None => batch.delete::<JoiningAsks>(&number),
        }
        batch.write_unsynced()
    }

    /// The lists that the holders have, once all but the lists is there.
    pub fn lists(&self) -> Result<ListIndex, StoreError> {
        Ok(ListIndex::read(self)?)
    }

    /// Hashes everything once more and writes the tip: from then on it is a chain database that begins at the snapshot.
    /// `steps` are those by which the validators were followed from `follow_from` on, which decided with `first`.
    ///
    /// # Errors
    /// When the records are not the state that the manifest names, or the disk refuses.
    pub fn finish(
        &self,
        genesis: &Genesis,
        manifest: &CheckedManifest,
        steps: &[Step],
        follow_from: (holdfast_primitives::Height, &ValidatorSet),
    ) -> Result<(), StoreError> {
        let (snapshot, trusted) = (manifest.manifest(), manifest.trusted());
        let (header, height) = (&snapshot.block.header, trusted.height);
        let mut chain = self.database.batch();
        chain.change_all(std::iter::once((Table::Chain.name(), &[0; 4][..], Some(&snapshot.chain[..]))));
        chain.write_unsynced()?;
        let found = State::load(genesis, self)?.root();
        let expected = header.state_root;
        if found != expected {
            return Err(StoreError::StateMismatch { height, expected, found });
        }
        let mut batch = self.database.batch();
        batch.put::<Blocks>(&height, &snapshot.block);
        batch.put::<BlockHeights>(&trusted.hash, &height);
        batch.put::<Certificates>(&height, &snapshot.certificate);
        let (first, decides_next) = (follow_from.1, &trusted.validators);
        for step in steps {
            batch.put::<SetChanges>(&step.header.height, step);
        }
        if header.next_validators != header.validators {
            let (header, certificate) = (header.clone(), snapshot.certificate.clone());
            batch.put::<SetChanges>(&height, &Step { header, certificate, next: Some(decides_next.clone()) });
        }
        for set in steps.iter().filter_map(|step| step.next.as_ref()).chain([first, decides_next]) {
            batch.put::<ValidatorSets>(&set.digest(), set);
        }
        let running = &manifest.chain_record().running;
        // The paths of a round that is under way were made in a block that is not here.
        let evidence_below = if running.phase == Phase::Open { running.round } else { running.round.next() };
        batch.put::<PrunedRow>(&0, &Pruned { openings_below: height.next(), evidence_below });
        batch.put::<JoinedRow>(&0, &Joined { height, follow_from: follow_from.0 });
        batch.delete::<JoiningRow>(&0);
        batch.put::<TipRow>(&0, &Tip { height, hash: trusted.hash, state_root: expected });
        batch.write()
    }

    /// Makes the finished database the one at `chain`, where there must be none or one that never went beyond the genesis.
    pub fn install(self, chain: &Path) -> Result<(), StoreError> {
        let Self { database, directory, lock } = self;
        drop(database);
        drop(lock);
        if chain.exists() {
            std::fs::remove_dir_all(chain).map_err(FileError::at("remove", chain))?;
        }
        Ok(files::rename(&directory, chain)?)
    }

    /// Throws away what was begun.
    pub fn discard(self) -> Result<(), StoreError> {
        let Self { database, directory, lock } = self;
        drop(database);
        drop(lock);
        std::fs::remove_dir_all(&directory).map_err(FileError::at("remove", &directory))?;
        Ok(())
    }
}

impl StateSource for Joining {
    fn scan(&self, table: Table, each: EachRecord<'_>) -> Result<(), LoadError> {
        let unreadable = |error: StoreError| LoadError::Source { table, source: Box::new(error) };
        self.database.scan(table.name(), each, unreadable)
    }
}

impl ChainDb {
    /// Opens the chain database at `chain` if there is one that went beyond the genesis.
    ///
    /// # Errors
    /// As [`ChainDb::open`].
    pub fn open_with_blocks(chain: &Path, genesis: &Genesis) -> Result<Option<Self>, StoreError> {
        if !chain.join("db").exists() {
            return Ok(None);
        }
        let db = Self::open(chain, genesis)?;
        Ok((db.tip().height > holdfast_primitives::Height::GENESIS).then_some(db))
    }
}
