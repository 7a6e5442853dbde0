//! Making grants: the owner signs for the batches that a file lies in, and hands over the file's own keys.

use super::grant::{BearerSecret, GRANT_CAPABILITIES_MAX, Grant, GrantReader, Shared, SharedBatch};
use crate::error::WalletError;
use crate::reading::{LedgerSegments, SegmentBatches, SegmentSource as _};
use crate::session::Session;
use holdfast_network::wire::{CAPABILITY_BATCHES_MAX, Capability, Scope, Signed};
use holdfast_parcel::{Catalog, FilePath};
use holdfast_primitives::limits::SEGMENT_BATCHES_MAX;
use holdfast_primitives::{Address, Bounded, GrantId, TimeMs};

/// The longest time for which anything is shared: a year and a day. It bounds how long a name that was taken back must be
/// kept on the ledger.
pub const GRANT_MS_MAX: u64 = 366 * 24 * 3_600 * 1_000;

const _: () = assert!(SEGMENT_BATCHES_MAX <= CAPABILITY_BATCHES_MAX, "one permission covers a whole segment");

/// A grant of the file `path` until `expires`: to `to`, or to whoever has it.
pub async fn share_file(
    session: &Session,
    catalog: &Catalog,
    path: &str,
    to: Option<Address>,
    expires: TimeMs,
) -> Result<Grant, WalletError> {
    let file = catalog.excerpt(path)?;
    let source = ledger(session);
    let mut scopes = vec![Vec::new()];
    for shape in file.segments.iter() {
        let listed = source.segment(shape.ordinal).await?.ok_or_else(|| no_segment(shape.ordinal))?;
        listed.vouched(shape)?;
        add_roots(&mut scopes, &listed);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = FilePath::new(name).map_err(|source| WalletError::Name { name: name.to_owned(), source })?;
    sign(session, name, Shared::File(file), scopes, to, expires)
}

/// A grant of one batch as its holder has it, named by segment and place.
pub async fn share_batch(
    session: &Session,
    (ordinal, index): (u32, u8),
    to: Option<Address>,
    expires: TimeMs,
) -> Result<Grant, WalletError> {
    let listed = ledger(session).segment(ordinal).await?.ok_or_else(|| no_segment(ordinal))?;
    let place = listed.batches.get(usize::from(index)).copied().flatten();
    let (_, root) = place.ok_or(WalletError::NoSuchBatch { batch: format!("{ordinal}/{index}") })?;
    let batch = SharedBatch { ordinal, index, meta: listed.meta(root) };
    let name = format!("batch-{ordinal}-{index}");
    let name = FilePath::new(name.as_str()).map_err(|source| WalletError::Name { name, source })?;
    sign(session, name, Shared::Batch(batch), vec![vec![root]], to, expires)
}

fn ledger(session: &Session) -> LedgerSegments {
    LedgerSegments { rpc: session.rpc().clone(), owner: session.address_text() }
}

fn no_segment(ordinal: u32) -> WalletError {
    WalletError::unreadable(format!("no segment {ordinal} on the ledger"))
}

/// All of a segment's batches, since any of them may be needed to rebuild another, go into one permission: a reader opens
/// one session with a holder for each permission.
fn add_roots(scopes: &mut Vec<Vec<[u8; 32]>>, listed: &SegmentBatches) {
    let roots: Vec<[u8; 32]> = listed.batches.iter().flatten().map(|(_, root)| *root).collect();
    match scopes.last_mut() {
        Some(last) if last.len() + roots.len() <= CAPABILITY_BATCHES_MAX => last.extend(roots),
        _ => scopes.push(roots),
    }
}

fn sign(
    session: &Session,
    name: FilePath,
    shared: Shared,
    scopes: Vec<Vec<[u8; 32]>>,
    to: Option<Address>,
    expires: TimeMs,
) -> Result<Grant, WalletError> {
    let reader = to.map_or_else(|| GrantReader::Bearer(BearerSecret::generate()), GrantReader::Named);
    let address = match &reader {
        GrantReader::Bearer(secret) => secret.key().address(),
        GrantReader::Named(address) => *address,
    };
    let (id, owner, chain) = (fresh_id(), session.address(), session.chain());
    let permission = |roots: Vec<[u8; 32]>| {
        let roots = Bounded::new(roots).expect("roots were gathered up to the limit");
        let scope = Scope::Batches(roots);
        let said = Capability { grant: id, owner, reader: address, holder: None, scope, expires };
        Signed::new(said, session.key(), &chain)
    };
    let capabilities: Vec<Signed<Capability>> =
        scopes.into_iter().filter(|roots| !roots.is_empty()).map(permission).collect();
    let found = capabilities.len();
    let capabilities = Bounded::new(capabilities)
        .map_err(|_| WalletError::TooLargeToShare { found, limit: GRANT_CAPABILITIES_MAX })?;
    Ok(Grant { chain, owner, id, expires, reader, name, shared, capabilities })
}

fn fresh_id() -> GrantId {
    let mut bytes = [0; GrantId::BYTES];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    GrantId::new(bytes)
}
