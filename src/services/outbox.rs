//! What was handed in without waiting, kept on this machine. A heavy node keeps what waits for a block in its memory only; one
//! that was restarted has forgotten it, and whoever waits later can hand it in again from here.

use crate::context::Context;
use crate::failure::Failure;
use holdfast_ledger::TxEnvelope;
use holdfast_primitives::TxId;
use holdfast_primitives::limits::TX_BYTES_MAX;
use holdfast_wallet::{Prepared, Signer, write_private};
use std::path::PathBuf;
use std::time::SystemTime;

/// Transactions that are kept; an older one was final or void long ago.
const KEPT_MAX: usize = 256;
/// Bytes of an envelope without openings, which no wallet's transaction has.
const BYTES_MAX: usize = TX_BYTES_MAX + 4;

/// Hands in a transaction and returns at once; a later `holdfast tx wait` can hand it in again.
pub async fn hand_in(context: &Context, signer: &Signer, prepared: &Prepared) -> Result<TxId, Failure> {
    keep(context, prepared)?;
    let handed = signer.submit(prepared).await;
    if handed.is_err() {
        forget(context, &prepared.id());
    }
    Ok(handed?)
}

/// Keeps a transaction that was handed in.
pub fn keep(context: &Context, prepared: &Prepared) -> Result<(), Failure> {
    let bytes = borsh::to_vec(prepared.envelope()).expect("an envelope encodes into memory");
    forget(context, &prepared.id());
    write_private(&path(context, &prepared.id()), &bytes)?;
    thin_out(context);
    Ok(())
}

/// A transaction that was kept.
pub fn find(context: &Context, id: &TxId) -> Option<TxEnvelope> {
    let bytes = std::fs::read(path(context, id)).ok().filter(|bytes| bytes.len() <= BYTES_MAX)?;
    borsh::from_slice(&bytes).ok().filter(|envelope: &TxEnvelope| envelope.signed.id() == *id)
}

/// Forgets a transaction that is final, or can never be.
pub fn forget(context: &Context, id: &TxId) {
    // One that was not kept is no reason to complain.
    let _ = std::fs::remove_file(path(context, id));
}

/// Removes the oldest beyond the limit. What cannot be removed stays: it is small.
fn thin_out(context: &Context) {
    let listed = std::fs::read_dir(folder(context)).into_iter().flatten().flatten();
    let age =
        |file: &std::fs::DirEntry| file.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut files: Vec<_> = listed.map(|file| (age(&file), file.path())).collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(KEPT_MAX) {
        let _ = std::fs::remove_file(path);
    }
}

fn folder(context: &Context) -> PathBuf {
    context.data_dir().join("outbox")
}

fn path(context: &Context, id: &TxId) -> PathBuf {
    folder(context).join(id.to_string())
}
