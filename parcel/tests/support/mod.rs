//! An owner with a vault in memory: packs files, loses batches, reads back on a bare machine.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use holdfast_parcel::{
    BatchSpan, Catalog, CatalogHead, CatalogLoad, ChunkRecord, ErasureCode, Fetched, FileAdded, FileMeta, FilePath,
    Finish, Layout, Locator, MemorySpace, OwnerKeys, PackError, PackStats, PackedSegment, Packer, Piece, PieceRead,
    ReadError, SegmentSink, plan_read, roots_digest,
};
use holdfast_primitives::{Address, TimeMs, sha256};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

pub const OWNER: Address = Address::new([7; 32]);
pub const DEVNET: (u8, u8, u8) = (4, 2, 20);

/// Every batch that was shipped. Parcel takes roots as opaque 32 bytes, so a plain hash serves here.
#[derive(Default)]
pub struct Vault {
    pub segments: BTreeMap<u32, (Layout, Vec<Vec<u8>>)>,
}

impl SegmentSink for Vault {
    type Space = MemorySpace;

    fn open(&mut self, _ordinal: u32, layout: &Layout) -> io::Result<MemorySpace> {
        Ok(MemorySpace::with_capacity(layout.data_bytes() as usize))
    }

    fn ship(&mut self, segment: PackedSegment<MemorySpace>) -> io::Result<Vec<[u8; 32]>> {
        let mut batches = vec![Vec::with_capacity(segment.layout().batch_bytes() as usize); segment.layout().batches()];
        segment.write_batches(&mut batches)?;
        let roots = batches.iter().map(|batch| sha256(batch)).collect();
        self.segments.insert(segment.ordinal(), (*segment.layout(), batches));
        Ok(roots)
    }
}

/// What the owner has between two sessions: the vault out there, the sealed head in the account, the master secret.
pub struct Owner {
    pub master: [u8; 32],
    pub layout: Layout,
    pub vault: Vault,
    pub sealed_head: Vec<u8>,
    pub next_ordinal: u32,
}

impl Owner {
    pub fn new() -> Self {
        Self::with_layout(DEVNET)
    }

    pub fn with_layout((data, parity, batch_log2): (u8, u8, u8)) -> Self {
        let layout = Layout::new(data, parity, batch_log2).unwrap();
        Self { master: [42; 32], layout, vault: Vault::default(), sealed_head: Vec::new(), next_ordinal: 0 }
    }

    pub fn keys(&self) -> OwnerKeys {
        OwnerKeys::derive(&self.master)
    }

    /// Stores these files on top of what is there.
    pub fn store(&mut self, files: &[(&str, &[u8])]) -> (Vec<FileAdded>, PackStats) {
        let mut added = Vec::new();
        let stats = self.session(|packer| {
            for (path, content) in files {
                added.push(packer.add_file(path_of(path), meta_of(content), *content).unwrap());
            }
        });
        (added, stats)
    }

    /// One packing session on top of what is there.
    pub fn session(&mut self, work: impl FnOnce(&mut Packer<Vault>)) -> PackStats {
        let catalog = if self.sealed_head.is_empty() { Catalog::new() } else { self.catalog() };
        let vault = std::mem::take(&mut self.vault);
        let mut packer = Packer::new(self.layout, self.next_ordinal, catalog, self.keys(), vault);
        work(&mut packer);
        let Finish { head, stats, sink, .. } = packer.finish(TimeMs::new(1_000)).unwrap();
        self.sealed_head = head.seal(&self.keys(), &OWNER);
        assert!(self.sealed_head.len() <= 1024, "the head fits the account");
        self.vault = sink;
        self.next_ordinal += stats.segments as u32;
        stats
    }

    /// The catalog as a bare machine finds it: from the head alone.
    pub fn catalog(&self) -> Catalog {
        self.catalog_without(&[]).unwrap()
    }

    /// The same, while batches of these numbers are lost in every segment.
    pub fn catalog_without(&self, lost: &[u8]) -> Result<Catalog, ReadError> {
        let head = CatalogHead::open(&self.sealed_head, &self.keys(), &OWNER).unwrap();
        let mut fetch = head.fetch();
        loop {
            let stored = self.fetch(fetch.wanted(), |segment| fetch.shape(segment).map(|shape| shape.layout), lost)?;
            match fetch.supply(stored).unwrap() {
                CatalogLoad::Fetch(next) => fetch = next,
                CatalogLoad::Ready(catalog) => return Ok(*catalog),
            }
        }
    }

    /// A whole file.
    pub fn read(&self, catalog: &Catalog, path: &str) -> Vec<u8> {
        let size = catalog.file(path).unwrap().meta.size;
        self.read_range(catalog, path, 0..size, &[]).unwrap()
    }

    /// A range of a file, while batches of these numbers are lost in every segment.
    pub fn read_range(
        &self,
        catalog: &Catalog,
        path: &str,
        range: Range<u64>,
        lost: &[u8],
    ) -> Result<Vec<u8>, ReadError> {
        let pieces = catalog.pieces(path, range).unwrap();
        let reads: Vec<PieceRead<'_>> = pieces.iter().map(|piece| self.plan(catalog, piece)).collect();
        let wanted: Vec<Locator> = reads.iter().map(|read| *read.at()).collect();
        let stored = self.fetch_at(&wanted, |segment| catalog.segment(segment).ok().map(|info| info.layout), lost)?;
        let mut content = Vec::new();
        for (read, stored) in reads.iter().zip(stored) {
            content.extend_from_slice(&read.decode(stored).unwrap());
        }
        Ok(content)
    }

    /// A slice where the catalog vouches for the segment's roots, and only then.
    fn plan<'a>(&self, catalog: &Catalog, piece: &Piece<'a>) -> PieceRead<'a> {
        let info = catalog.segment(piece.record.at.segment).unwrap();
        let roots: Vec<[u8; 32]> = self.vault.segments[&info.ordinal].1.iter().map(|batch| sha256(batch)).collect();
        piece.read(info.roots_digest == Some(roots_digest(&roots))).unwrap()
    }

    /// The stored bytes of chunks.
    pub fn fetch(
        &self,
        records: &[ChunkRecord],
        layout_of: impl Fn(u32) -> Option<Layout>,
        lost: &[u8],
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        self.fetch_at(&records.iter().map(|record| record.at).collect::<Vec<_>>(), layout_of, lost)
    }

    /// The stored bytes at these places: straight from data batches where they are, rebuilt where they are lost.
    pub fn fetch_at(
        &self,
        wanted: &[Locator],
        layout_of: impl Fn(u32) -> Option<Layout>,
        lost: &[u8],
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut fetched = Fetched::new();
        for span in plan_read(wanted, &layout_of)? {
            let span = span.leaf_aligned();
            if lost.contains(&span.batch) {
                let layout = layout_of(span.segment).unwrap();
                let others = (0..layout.batches() as u8).filter(|batch| !lost.contains(batch));
                others.for_each(|batch| self.deliver(&mut fetched, &span.in_batch(batch)));
                fetched.rebuild(&ErasureCode::new(layout), &span)?;
            } else {
                self.deliver(&mut fetched, &span);
            }
        }
        wanted.iter().map(|at| fetched.chunk(at, &layout_of(at.segment).unwrap())).collect()
    }

    fn deliver(&self, fetched: &mut Fetched, span: &BatchSpan) {
        let batch = &self.vault.segments[&span.segment].1[usize::from(span.batch)];
        fetched.insert(span.segment, span.batch, span.from, batch[span.from as usize..span.to as usize].to_vec());
    }
}

/// A packer on a fresh vault, for tests of single steps.
pub fn fresh_packer() -> Packer<Vault> {
    let owner = Owner::new();
    Packer::new(owner.layout, 0, Catalog::new(), owner.keys(), Vault::default())
}

pub fn try_add(packer: &mut Packer<Vault>, path: &str, content: &[u8]) -> Result<FileAdded, PackError> {
    packer.add_file(path_of(path), meta_of(content), content)
}

pub fn path_of(path: &str) -> FilePath {
    FilePath::new(path).unwrap()
}

pub fn meta_of(content: &[u8]) -> FileMeta {
    FileMeta { size: content.len() as u64, modified: TimeMs::new(1_700_000_000_123), mode: 0o640 }
}

/// Bytes that neither compress nor repeat.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut noise);
    noise
}
