//! The owner's files: the catalog from the account's head, and files out of the catalog.

use crate::error::WalletError;
use crate::fetch::{Fetcher, ReadReport};
use crate::link::Link;
use crate::session::Session;
use futures::stream::{self, StreamExt as _};
use holdfast_parcel::{Catalog, CatalogHead, CatalogLoad, ChunkRecord};
use std::io::Write;
use std::ops::Range;

/// Stored bytes that are on their way at once while a file is read; two such windows are in memory.
const WINDOW_BYTES: u64 = 16 * 1024 * 1024;

/// Loads the owner's catalog; an empty one when nothing was ever stored.
pub async fn load_catalog(session: &Session, link: &Link) -> Result<Catalog, WalletError> {
    let head = session.account().await?.map(|account| account.catalog_head.0).unwrap_or_default();
    if head.is_empty() {
        return Ok(Catalog::new());
    }
    let head = CatalogHead::open(&head, session.keys(), &session.address())?;
    let fetcher = Fetcher::new(session, link);
    let mut fetch = head.fetch();
    loop {
        let wanted = fetch.wanted().to_vec();
        let stored = fetcher.stored(&wanted, |segment| fetch.layout(segment)).await?;
        match fetch.supply(stored, session.keys())? {
            CatalogLoad::Fetch(next) => fetch = next,
            CatalogLoad::Ready(catalog) => return Ok(*catalog),
        }
    }
}

/// Writes the bytes `range` of a file to `out`, in order; `progress` is told how many have been written.
pub async fn read_file(
    session: &Session,
    link: &Link,
    catalog: &Catalog,
    path: &str,
    range: Range<u64>,
    out: &mut (impl Write + Send),
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<ReadReport, WalletError> {
    let fetcher = Fetcher::new(session, link);
    let pieces = catalog.pieces(path, range)?;
    let layout_of = |segment: u32| catalog.segment(segment).ok().map(|info| info.layout);
    let windows = windows(&pieces.iter().map(|piece| piece.record).collect::<Vec<_>>());
    let reads = windows.iter().map(|window| {
        let chunks: Vec<ChunkRecord> = pieces[window.clone()].iter().map(|piece| piece.record.clone()).collect();
        let fetcher = &fetcher;
        async move { fetcher.plain(&chunks, layout_of).await }
    });
    // One window is written while the next is fetched.
    let mut plain = stream::iter(reads).buffered(2);
    let mut written = 0;
    for window in &windows {
        let chunks = plain.next().await.expect("there is a read for each window")?;
        for (piece, chunk) in pieces[window.clone()].iter().zip(chunks) {
            let bytes = piece.cut(&chunk);
            out.write_all(bytes).map_err(|source| WalletError::File { path: path.into(), source })?;
            written += bytes.len() as u64;
            progress(written);
        }
    }
    Ok(fetcher.report().await)
}

/// Runs of chunks that are fetched together.
fn windows(chunks: &[&ChunkRecord]) -> Vec<Range<usize>> {
    let (mut windows, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, chunk) in chunks.iter().enumerate() {
        bytes += u64::from(chunk.at.stored_len);
        if bytes >= WINDOW_BYTES || index + 1 == chunks.len() {
            windows.push(start..index + 1);
            (start, bytes) = (index + 1, 0);
        }
    }
    windows
}
