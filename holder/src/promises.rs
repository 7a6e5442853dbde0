//! What this holder quoted and has not yet seen registered: a file per quote, so that an upload survives a restart.
//!
//! A young promise reserves its space; an old one that nobody began is honoured only while there is room.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::statement::QuoteTerms;
use holdfast_primitives::{Address, Height, RequestId, TimeMs, decode_exact};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a promise reserves space that nobody has begun to use.
const RESERVED_MS: u64 = 10 * 60 * 1_000;
const PROMISE_BYTES_MAX: usize = 1_024;

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Promise {
    /// What was promised, to whom.
    pub terms: QuoteTerms,
    /// When.
    pub made: TimeMs,
    /// Batches begun so far.
    pub begun: u32,
}

/// All promises of one holder.
pub struct Promises {
    folder: PathBuf,
    by_request: Mutex<HashMap<RequestId, Promise>>,
}

impl Promises {
    /// Reads the promises in `folder`, which is made if it is missing. A file that is no promise is removed: it was torn
    /// before the quote went out.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut by_request = HashMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match decode_exact::<Promise>(&fs::read(&path)?, PROMISE_BYTES_MAX) {
                Ok(promise) => {
                    by_request.insert(promise.terms.request, promise);
                }
                Err(_) => fs::remove_file(&path)?,
            }
        }
        Ok(Self { folder: folder.to_owned(), by_request: Mutex::new(by_request) })
    }

    /// Bytes that young promises reserve besides what has been begun.
    pub fn reserved_bytes(&self, now: TimeMs) -> u64 {
        let promises = self.lock();
        let young = promises.values().filter(|promise| now.since(promise.made) < RESERVED_MS);
        young
            .map(|promise| {
                u64::from(promise.terms.batches_max.saturating_sub(promise.begun)) << promise.terms.batch_log2
            })
            .fold(0, u64::saturating_add)
    }

    /// Keeps a promise: durable on return.
    pub fn make(&self, terms: QuoteTerms, now: TimeMs) -> io::Result<()> {
        let promise = Promise { terms, made: now, begun: 0 };
        self.write(&promise)?;
        self.lock().insert(promise.terms.request, promise);
        Ok(())
    }

    /// Counts one more batch under a promise to `owner`; what was promised, or `None` when nothing (more) was.
    pub fn begin(&self, request: &RequestId, owner: &Address) -> Option<QuoteTerms> {
        let mut promises = self.lock();
        let promise = promises.get_mut(request).filter(|promise| promise.terms.owner == *owner)?;
        if promise.begun >= promise.terms.batches_max {
            return None;
        }
        promise.begun += 1;
        Some(promise.terms.clone())
    }

    /// Gives back what [`Promises::begin`] counted, when the batch was not begun after all.
    pub fn not_begun(&self, request: &RequestId) {
        if let Some(promise) = self.lock().get_mut(request) {
            promise.begun = promise.begun.saturating_sub(1);
        }
    }

    /// What was promised to `owner` under `request`.
    pub fn terms(&self, request: &RequestId, owner: &Address) -> Option<QuoteTerms> {
        let promises = self.lock();
        promises.get(request).filter(|promise| promise.terms.owner == *owner).map(|promise| promise.terms.clone())
    }

    /// Forgets promises that can no longer be registered.
    pub fn expire(&self, height: Height) -> io::Result<()> {
        let mut promises = self.lock();
        let over: Vec<RequestId> = promises
            .values()
            .filter(|promise| promise.terms.expires < height)
            .map(|promise| promise.terms.request)
            .collect();
        for request in over {
            match fs::remove_file(self.path(&request)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => promises.remove(&request),
            };
        }
        Ok(())
    }

    fn write(&self, promise: &Promise) -> io::Result<()> {
        let bytes = borsh::to_vec(promise)?;
        let path = self.path(&promise.terms.request);
        let mut file = fs::File::create(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::File::open(&self.folder)?.sync_all()
    }

    fn path(&self, request: &RequestId) -> PathBuf {
        self.folder.join(request.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Promise>> {
        self.by_request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
