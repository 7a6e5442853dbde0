//! What this holder quoted and has not yet seen registered: a file per quote, so that an upload survives a restart.
//!
//! A young promise reserves its space; an old one that nobody uses is honoured only while there is room that no young one
//! reserves. An owner's request is its own: another owner's of the same number is another promise.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::statement::QuoteTerms;
use holdfast_primitives::limits::BATCH_LOG2_MAX;
use holdfast_primitives::{Address, Height, RequestId, TimeMs, decode_exact};
use holdfast_store::BatchTag;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// How long a promise reserves space after it was made or last begun a batch under.
pub const RESERVED_MS: u64 = 10 * 60 * 1_000;
const PROMISE_BYTES_MAX: usize = 1_024;

/// One promise, as its file keeps it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Promise {
    /// What was promised, to whom.
    terms: QuoteTerms,
    /// When.
    made: TimeMs,
}

/// One promise, as it stands.
struct Standing {
    terms: QuoteTerms,
    /// When it was made, or a batch was last begun under it while it reserved.
    used: TimeMs,
    /// Batches begun so far.
    begun: u32,
}

/// Why no batch may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotPromised {
    /// No promise of this name to this owner, or it has ended.
    #[error("no quote for this")]
    Unknown,
    /// Every batch that was promised is begun.
    #[error("the quote for {batches_max} batches is used up")]
    UsedUp {
        /// Batches promised.
        batches_max: u32,
    },
    /// The promise is too old to reserve space, and nothing is left.
    #[error("the quote is old, and {free} bytes are free for {wanted}")]
    NoRoom {
        /// Bytes of the batch.
        wanted: u64,
        /// Bytes that no young promise reserves.
        free: u64,
    },
}

/// All promises of one holder.
pub struct Promises {
    folder: PathBuf,
    standing: Mutex<HashMap<Name, Standing>>,
}

type Name = (Address, RequestId);

impl Promises {
    /// Reads the promises in `folder`, which is made if it is missing; `batches` are the tags of all batches in the vault,
    /// which count as begun. A file that is no promise is removed: it was torn before the quote went out.
    pub fn open(folder: &Path, batches: impl Iterator<Item = BatchTag>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut begun: HashMap<(Name, Height), u32> = HashMap::new();
        for tag in batches {
            *begun.entry(((tag.owner, tag.request), tag.expires)).or_default() += 1;
        }
        let mut standing = HashMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match decode_exact::<Promise>(&fs::read(&path)?, PROMISE_BYTES_MAX) {
                Ok(Promise { terms, made }) if is_sane(&terms) && path == file(folder, &name(&terms)) => {
                    let begun = begun.get(&(name(&terms), terms.expires)).copied().unwrap_or(0);
                    standing.insert(name(&terms), Standing { terms, used: made, begun });
                }
                _ => fs::remove_file(&path)?,
            }
        }
        Ok(Self { folder: folder.to_owned(), standing: Mutex::new(standing) })
    }

    /// Bytes that young promises reserve besides what has been begun.
    pub fn reserved_bytes(&self, now: TimeMs) -> u64 {
        let standing = self.lock();
        let young = standing.values().filter(|promise| promise.reserves(now));
        young.map(Standing::unbegun_bytes).fold(0, u64::saturating_add)
    }

    /// Keeps a promise: durable on return. A request that is quoted anew begins to count anew, unless it ends at the same
    /// height: what is begun is told apart by that.
    pub fn make(&self, terms: QuoteTerms, now: TimeMs) -> io::Result<()> {
        let promise = Promise { terms, made: now };
        let mut standing = self.lock();
        self.write(&promise)?;
        let name = name(&promise.terms);
        let same = standing.get(&name).filter(|before| before.terms.expires == promise.terms.expires);
        let begun = same.map_or(0, |before| before.begun);
        standing.insert(name, Standing { terms: promise.terms, used: now, begun });
        Ok(())
    }

    /// Counts one more batch under a promise to `owner`. `free_bytes` is what no young promise reserves: what a promise
    /// that has grown old must find room in.
    pub fn begin(
        &self,
        request: &RequestId,
        owner: &Address,
        now: TimeMs,
        free_bytes: u64,
    ) -> Result<QuoteTerms, NotPromised> {
        let mut standing = self.lock();
        let promise = standing.get_mut(&(*owner, *request)).ok_or(NotPromised::Unknown)?;
        if promise.begun >= promise.terms.batches_max {
            return Err(NotPromised::UsedUp { batches_max: promise.terms.batches_max });
        }
        let wanted = 1 << promise.terms.batch_log2;
        if promise.reserves(now) {
            promise.used = promise.used.max(now);
        } else if free_bytes < wanted {
            return Err(NotPromised::NoRoom { wanted, free: free_bytes });
        }
        promise.begun += 1;
        Ok(promise.terms.clone())
    }

    /// Gives back what [`Promises::begin`] counted, when the batch was not begun after all.
    pub fn not_begun(&self, request: &RequestId, owner: &Address) {
        if let Some(promise) = self.lock().get_mut(&(*owner, *request)) {
            promise.begun = promise.begun.saturating_sub(1);
        }
    }

    /// What was promised to `owner` under `request`.
    pub fn terms(&self, request: &RequestId, owner: &Address) -> Option<QuoteTerms> {
        self.lock().get(&(*owner, *request)).map(|promise| promise.terms.clone())
    }

    /// Forgets promises that can no longer be registered.
    pub fn expire(&self, height: Height) -> io::Result<()> {
        let mut standing = self.lock();
        let over: Vec<Name> =
            standing.iter().filter(|(_, promise)| promise.terms.expires < height).map(|(name, _)| *name).collect();
        for name in over {
            match fs::remove_file(file(&self.folder, &name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => standing.remove(&name),
            };
        }
        Ok(())
    }

    /// All or nothing: an earlier promise of the same name is replaced only by a whole one.
    fn write(&self, promise: &Promise) -> io::Result<()> {
        let path = file(&self.folder, &name(&promise.terms));
        let beside = path.with_extension("tmp");
        let written = write_synced(&beside, &borsh::to_vec(promise)?).and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = written {
            // Best effort: what stays behind is removed on the next open.
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        fs::File::open(&self.folder)?.sync_all()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    const fn reserves(&self, now: TimeMs) -> bool {
        now.since(self.used) < RESERVED_MS
    }

    fn unbegun_bytes(&self) -> u64 {
        u64::from(self.terms.batches_max.saturating_sub(self.begun)) << self.terms.batch_log2
    }
}

const fn name(terms: &QuoteTerms) -> Name {
    (terms.owner, terms.request)
}

/// A file may have been edited; sizes are shifted by without a second look.
const fn is_sane(terms: &QuoteTerms) -> bool {
    terms.batch_log2 <= BATCH_LOG2_MAX
}

fn file(folder: &Path, (owner, request): &Name) -> PathBuf {
    folder.join(format!("{owner}-{request}"))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
