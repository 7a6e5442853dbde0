//! The owner's files: the catalog from the account's head, and files out of the catalog.

use crate::error::WalletError;
use crate::link::Link;
use crate::reading::{LedgerSegments, ReadReport, Reader};
use crate::session::Session;
use futures::stream::{self, StreamExt as _};
use holdfast_parcel::{
    Catalog, CatalogHead, CatalogLoad, Locator, Piece, PieceRead, ReadError, SegmentInfo, SegmentShape,
};
use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;

/// Stored bytes that are on their way at once while a file is read; two such windows are in memory.
const WINDOW_BYTES: u64 = 16 * 1024 * 1024;

/// Loads the owner's catalog; an empty one when nothing was ever stored.
pub async fn load_catalog(session: &Session, link: &Link) -> Result<Catalog, WalletError> {
    load_catalog_placed(session, link).await.map(|(catalog, _)| catalog)
}

/// As [`load_catalog`], with the segments that the catalog itself lies in: without them no file can be read.
pub async fn load_catalog_placed(session: &Session, link: &Link) -> Result<(Catalog, BTreeSet<u32>), WalletError> {
    let mut segments = BTreeSet::new();
    let head = session.account().await?.map(|account| account.catalog_head.0).unwrap_or_default();
    if head.is_empty() {
        return Ok((Catalog::new(), segments));
    }
    let head = CatalogHead::open(&head, session.keys(), &session.address())?;
    let reader = reader_of(session, link);
    let mut fetch = head.fetch();
    loop {
        let wanted: Vec<Locator> = fetch.wanted().iter().map(|chunk| chunk.at).collect();
        segments.extend(wanted.iter().map(|at| at.segment));
        let stored = reader.stored(&wanted, |segment| fetch.shape(segment)).await?;
        match fetch.supply(stored)? {
            CatalogLoad::Fetch(next) => fetch = next,
            CatalogLoad::Ready(catalog) => return Ok((*catalog, segments)),
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
    let reader = reader_of(session, link);
    let shape_of = |segment: u32| catalog.segment(segment).ok().map(SegmentInfo::shape);
    write_pieces(&reader, catalog.pieces(path, range)?, &shape_of, out, progress).await?;
    Ok(reader.report())
}

/// Reads what the session's own account stored.
pub(crate) fn reader_of<'a>(session: &Session, link: &'a Link) -> Reader<'a> {
    let source = LedgerSegments { rpc: session.rpc().clone(), owner: session.address_text() };
    Reader::new(source, link.sessions(), session.params().prefix)
}

/// Writes pieces of a file to `out`, in order; memory stays bounded whatever there is.
pub(crate) async fn write_pieces(
    reader: &Reader<'_>,
    pieces: Vec<Piece<'_>>,
    shape_of: &(dyn Fn(u32) -> Option<SegmentShape> + Send + Sync),
    out: &mut (impl Write + Send),
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), WalletError> {
    let mut reads = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let segment = piece.record.at.segment;
        let shape = shape_of(segment).ok_or(ReadError::UnknownSegment { segment })?;
        reads.push(piece.read(reader.vouched(shape).await?)?);
    }
    let windows = windows(&reads);
    let plain = windows.iter().map(|window| reader.plain(&reads[window.clone()], shape_of));
    // One window is written while the next is fetched.
    let mut plain = stream::iter(plain).buffered(2);
    let mut written = 0;
    while let Some(window) = plain.next().await {
        for bytes in window? {
            out.write_all(&bytes).map_err(|source| WalletError::Output { source })?;
            written += bytes.len() as u64;
            progress(written);
        }
    }
    Ok(())
}

/// Runs of pieces that are fetched together.
fn windows(pieces: &[PieceRead<'_>]) -> Vec<Range<usize>> {
    let (mut windows, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, piece) in pieces.iter().enumerate() {
        bytes += u64::from(piece.at().stored_len);
        if bytes >= WINDOW_BYTES || index + 1 == pieces.len() {
            windows.push(start..index + 1);
            (start, bytes) = (index + 1, 0);
        }
    }
    windows
}
