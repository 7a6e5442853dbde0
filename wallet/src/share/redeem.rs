//! Reading by a grant: no wallet, no catalog, no account. Where the batches are is looked up on the ledger when they are
//! read, so that a grant outlives moves and repairs.

use super::grant::{Grant, GrantReader, Shared};
use crate::error::WalletError;
use crate::files::write_pieces;
use crate::link::Link;
use crate::reading::{LedgerSegments, ReadReport, ReadRight, Reader};
use holdfast_ledger::{Account, Genesis};
use holdfast_primitives::{NetworkPrefix, SecretKey};
use holdfast_rpc::{AddressText, RpcClient};
use std::io::Write;
use std::ops::Range;

/// Bytes of a raw batch that are in memory at once.
const BATCH_WINDOW: u64 = 8 * 1024 * 1024;

/// A grant that is being read by.
pub struct GrantReading {
    grant: Grant,
    rpc: RpcClient,
    prefix: NetworkPrefix,
    link: Link,
}

impl GrantReading {
    /// Connects to whichever heavy node `rpc` asks. `key` is the named reader's; a grant to whoever has it brings its own.
    ///
    /// # Errors
    /// [`WalletError::OtherChain`], [`WalletError::GrantForOther`], [`WalletError::GrantExpired`] and
    /// [`WalletError::GrantRevoked`] before any holder is asked; holders check all of it again.
    pub async fn open(rpc: RpcClient, grant: Grant, key: Option<SecretKey>) -> Result<Self, WalletError> {
        let genesis: Genesis = rpc.chain_genesis().await?.raw.decode().map_err(WalletError::unreadable)?;
        let (found, prefix) = (genesis.chain_id(), genesis.params.prefix);
        if found != grant.chain {
            return Err(WalletError::OtherChain { witness: "the node".to_owned(), expected: grant.chain, found });
        }
        rpc.follow(found);
        let key = match (&grant.reader, key) {
            (GrantReader::Bearer(secret), _) => secret.key(),
            (GrantReader::Named(reader), Some(key)) if key.address() == *reader => key,
            (GrantReader::Named(reader), _) => {
                return Err(WalletError::GrantForOther { reader: reader.to_text(prefix) });
            }
        };
        let right = ReadRight::Granted(grant.capabilities.to_vec());
        let link = Link::open(&rpc, found, key, right).await?;
        let reading = Self { grant, rpc, prefix, link };
        match reading.still_good().await {
            Ok(()) => Ok(reading),
            Err(error) => {
                reading.close().await;
                Err(error)
            }
        }
    }

    /// The grant.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Writes the bytes `range` to `out`, in order; `progress` is told how many have been written.
    pub async fn read(
        &self,
        range: Range<u64>,
        out: &mut (impl Write + Send),
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<ReadReport, WalletError> {
        let owner = AddressText::new(self.grant.owner, self.prefix);
        let source = LedgerSegments { rpc: self.rpc.clone(), owner };
        let reader = Reader::new(source, self.link.sessions(), self.prefix);
        match self.read_by(&reader, range, out, progress).await {
            Ok(()) => Ok(reader.report()),
            Err(error) => Err(self.explain(error, &reader.report())),
        }
    }

    /// Says goodbye to everyone.
    pub async fn close(&self) {
        self.link.close().await;
    }

    async fn read_by(
        &self,
        reader: &Reader<'_>,
        range: Range<u64>,
        out: &mut (impl Write + Send),
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), WalletError> {
        let (from, to, size) = (range.start, range.end, self.grant.size());
        if from > to || to > size {
            return Err(WalletError::OutOfFile { from, to, size });
        }
        match &self.grant.shared {
            Shared::File(file) => {
                let pieces = file.pieces(range).ok_or(WalletError::OutOfFile { from, to, size })?;
                write_pieces(reader, pieces, &|ordinal| file.shape(ordinal), out, progress).await
            }
            Shared::Batch(batch) => {
                let place = (batch.ordinal, batch.index);
                for at in (from..to).step_by(BATCH_WINDOW as usize) {
                    let length = BATCH_WINDOW.min(to - at);
                    let bytes = reader.batch(place, batch.meta.root, (at, length)).await?;
                    out.write_all(&bytes).map_err(|source| WalletError::Output { source })?;
                    progress(at + length - from);
                }
                Ok(())
            }
        }
    }

    /// Neither past its end by this machine's clock nor taken back by the ledger's word.
    async fn still_good(&self) -> Result<(), WalletError> {
        let (id, ended) = (self.grant.id, self.grant.expires);
        if ended <= self.link.now() {
            return Err(WalletError::GrantExpired { ended });
        }
        let owner = AddressText::new(self.grant.owner, self.prefix);
        let Some(view) = self.rpc.find_account(owner).await? else { return Ok(()) };
        let account: Account = view.raw.decode().map_err(WalletError::unreadable)?;
        let revoked = account.revoked.iter().any(|revoked| revoked.grant == id);
        if revoked { Err(WalletError::GrantRevoked { id }) } else { Ok(()) }
    }

    /// Holders' refusals of the grant itself are the reason why too few batches came.
    fn explain(&self, error: WalletError, report: &ReadReport) -> WalletError {
        let refused = |word: &str| report.dropped().any(|(_, dropped)| dropped.code == word);
        match error {
            WalletError::NotEnoughBatches { .. } if refused("refused-revoked") => {
                WalletError::GrantRevoked { id: self.grant.id }
            }
            WalletError::NotEnoughBatches { .. } if refused("refused-expired") => {
                WalletError::GrantExpired { ended: self.grant.expires }
            }
            other => other,
        }
    }
}
