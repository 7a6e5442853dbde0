//! Downloading one batch into memory, over as many sessions and holders as it takes.

use super::Progress;
use super::client::TransferClient;
use super::error::TransferError;
use super::range::GROUP;
use crate::wire::GroupSet;
use futures::StreamExt as _;
use holdfast_por::{BatchMeta, GROUP_BYTES, MetaError};
use holdfast_primitives::limits::LEAF_BYTES;
use std::sync::{Mutex, PoisonError};

/// A batch as far as it is there. Everything in it is verified.
#[derive(Debug)]
pub struct Download {
    meta: BatchMeta,
    bytes: Vec<u8>,
    have: GroupSet,
}

impl Download {
    /// Nothing yet. Reserves the whole batch's bytes.
    pub fn new(meta: BatchMeta) -> Result<Self, MetaError> {
        meta.check()?;
        let have = GroupSet::empty(GroupSet::groups_of(&meta));
        Ok(Self { meta, bytes: vec![0; have.groups() as usize * GROUP_BYTES], have })
    }

    /// Which batch.
    pub fn meta(&self) -> &BatchMeta {
        &self.meta
    }

    /// Which groups are there.
    pub fn have(&self) -> &GroupSet {
        &self.have
    }

    /// Whether all of it is there.
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// The whole batch, once it is complete.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        self.is_complete().then_some(self.bytes)
    }

    fn progress(&self) -> Progress {
        let done_bytes = u64::from(self.have.count()) * GROUP_BYTES as u64;
        Progress { done_bytes, total_bytes: self.meta.batch_bytes() }
    }

    fn put(&mut self, first_leaf: u32, leaves: &[u8]) {
        let from = first_leaf as usize * LEAF_BYTES;
        self.bytes[from..from + leaves.len()].copy_from_slice(leaves);
        let end = first_leaf + (leaves.len() / LEAF_BYTES) as u32;
        // A piece that ends within a group leaves that group to be fetched again.
        self.have.insert(first_leaf.div_ceil(GROUP)..end / GROUP);
    }
}

impl TransferClient {
    /// Fetches what is missing of a batch, on several streams. What came before an error stays in `download`, for another
    /// session or another holder.
    pub async fn fetch(
        &self,
        download: &mut Download,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), TransferError> {
        let meta = download.meta;
        let runs = download.have.missing((self.config.range_leaves / GROUP).max(1));
        let shared = Mutex::new(download);
        let with = |act: &mut dyn FnMut(&mut Download)| {
            let mut download = shared.lock().unwrap_or_else(PoisonError::into_inner);
            act(&mut download);
            progress(download.progress());
        };
        with(&mut |_| {});
        let fetches = runs.into_iter().map(|groups| {
            let run = (groups.start * GROUP, (groups.end - groups.start) * GROUP);
            self.get(&meta, run, &|_| (), |first_leaf, leaves| with(&mut |download| download.put(first_leaf, &leaves)))
        });
        let mut fetches = futures::stream::iter(fetches).buffer_unordered(self.config.streams);
        while let Some(fetched) = fetches.next().await {
            fetched?;
        }
        Ok(())
    }
}
