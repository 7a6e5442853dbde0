//! Finding damage before the chain does, and mending what can be mended without anyone's help.

use crate::files::{self, FileError};
use crate::vault::layout::{BatchPaths, HEAD_SEAL, Head, HeadState, Stamp};
use crate::vault::read::read_layers;
use crate::vault::upload::{hash_file, stamp};
use crate::vault::{BatchTag, Damage, Damaged, Entry, Place, Vault, VaultError};
use holdfast_por::{BatchMeta, Tagged};

impl Vault {
    /// A cheap look at every stored batch: is each file there, of the right length, and untouched since it was stored?
    /// Reads the small layers file only where it was touched. For the start of a holder; a scrub is thorough.
    pub fn check(&self) -> Vec<Damaged> {
        let (entries, headless) = {
            let index = self.shared.index();
            let headless: Vec<_> = index.headless.keys().copied().collect();
            (index.batches.values().cloned().collect::<Vec<_>>(), headless)
        };
        let stored = entries.iter().filter(|entry| matches!(entry.place, Place::Stored));
        let damaged = stored.filter_map(|entry| self.look(entry).err()).filter(|damaged| self.contains(&damaged.root));
        damaged.chain(headless.into_iter().map(|root| Damaged { root, damage: Damage::HeadLost })).collect()
    }

    /// Rehashes a whole stored batch. If it is whole, its layers and its head are mended where they need it, and the
    /// answer is `None`; else the answer says what is wrong, and the holder should declare the batch.
    ///
    /// # Errors
    /// When no such batch is stored, or a mended file cannot be written.
    pub fn scrub(&self, root: &[u8; 32]) -> Result<Option<Damaged>, VaultError> {
        if self.shared.index().headless.contains_key(root) {
            return Ok(Some(Damaged { root: *root, damage: Damage::HeadLost }));
        }
        let entry = self.shared.stored(root)?;
        let paths = self.shared.paths(root);
        let tagged = match self.rehash(&entry.meta, &paths)? {
            Ok(tagged) => tagged,
            Err(damage) => return Ok(Some(Damaged { root: *root, damage })),
        };
        let _admission = self.shared.admit();
        // It may have been removed while it was hashed.
        let entry = self.shared.stored(root)?;
        self.mend(&entry, &paths, &tagged)?;
        Ok(None)
    }

    /// Takes in a batch file that has lost its head, or was laid there by hand: rehashes it, and if it is the batch that
    /// `meta` says, writes its layers and a new head. A batch that is stored already only gets the new tag.
    pub fn adopt(&self, meta: BatchMeta, tag: BatchTag) -> Result<(), VaultError> {
        meta.check()?;
        let root = meta.root;
        let paths = self.shared.paths(&root);
        let _admission = self.shared.admit();
        if let Some(Entry { place: Place::Uploading(_), tag, .. }) = self.shared.entry(&root) {
            return Err(VaultError::ReservedByAnother { root, owner: tag.owner });
        }
        let tagged = self.rehash(&meta, &paths)?.map_err(|damage| Damaged { root, damage })?;
        let entry = Entry { meta, tag, place: Place::Stored };
        self.mend(&entry, &paths, &tagged)?;
        let mut index = self.shared.index_mut();
        index.headless.remove(&root);
        index.batches.insert(root, entry);
        Ok(())
    }

    fn look(&self, entry: &Entry) -> Result<(), Damaged> {
        let root = entry.meta.root;
        let damaged = |damage| Damaged { root, damage };
        let paths = self.shared.paths(&root);
        let expected = entry.meta.batch_bytes();
        let metadata = std::fs::metadata(&paths.batch)
            .map_err(FileError::at("inspect", &paths.batch))
            .map_err(|error| Damaged::from_file(root, error, expected))?;
        if metadata.len() != expected {
            return Err(damaged(Damage::Length { found: metadata.len(), expected }));
        }
        let head = Head::read(&paths.head).ok().flatten().ok_or_else(|| damaged(Damage::HeadLost))?;
        let HeadState::Stored { data, tree } = head.state else {
            return Err(damaged(Damage::HeadLost));
        };
        if stamp(&paths.tree).ok() != Some(tree) {
            read_layers(&entry.meta, &paths.tree)?;
        }
        if Stamp::of(&metadata) != data {
            return Err(damaged(Damage::Touched));
        }
        Ok(())
    }

    /// The outer result is the system's, the inner one the batch's.
    fn rehash(&self, meta: &BatchMeta, paths: &BatchPaths) -> Result<Result<Tagged, Damage>, VaultError> {
        let root = meta.root;
        let expected = meta.batch_bytes();
        match hash_file(&paths.batch, meta) {
            Ok(Some(tagged)) if tagged.meta == *meta => Ok(Ok(tagged)),
            Ok(Some(tagged)) => Ok(Err(Damage::Changed { found: tagged.meta.root })),
            Ok(None) => {
                let found = std::fs::metadata(&paths.batch).map_or(0, |metadata| metadata.len());
                Ok(Err(Damage::Length { found, expected }))
            }
            Err(VaultError::File(error)) => Ok(Err(Damaged::from_file(root, error, expected).damage)),
            Err(error) => Err(error),
        }
    }

    /// Writes layers and head of a batch that was just rehashed, where they are not as they should be.
    fn mend(&self, entry: &Entry, paths: &BatchPaths, tagged: &Tagged) -> Result<(), VaultError> {
        if read_layers(&entry.meta, &paths.tree).is_err() {
            files::replace(&paths.tree, &tagged.layers.to_bytes())?;
        }
        let state = HeadState::Stored { data: stamp(&paths.batch)?, tree: stamp(&paths.tree)? };
        let head = Head { state, meta: entry.meta, tag: entry.tag };
        if Head::read(&paths.head)? != Some(head) {
            HEAD_SEAL.write(&paths.head, &head)?;
        }
        Ok(())
    }
}
