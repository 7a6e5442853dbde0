//! A light client: asks one node, believes it nothing, and needs no blocks.
//!
//! From something trusted it follows the changes of validators, then the newest header, each by the signatures of those who
//! decided it; then any record of the state by its path to that header's root. A node that lies is named in
//! [`WalletError::Refuted`]. What it cannot tell is whether there is a newer block that the node keeps to itself: look at
//! the header's time.

use crate::audit::{EvidenceSource, NodeSource, unproven};
use crate::error::WalletError;
use crate::followed::Followed;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::{FollowError, Genesis, Header, PROVABLE_RECORD_BYTES_MAX, RecordKey, Step, Trusted};
use holdfast_primitives::{BlockHash, ChainId, Height, ValidatorSet, decode_exact};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// How often the newest block is asked for again when the validators changed between two answers.
const TRIES: usize = 5;
/// Bytes of the file in which what is trusted is kept, at most.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A block that is certain, with what was asked to make it so.
pub struct LightClient {
    source: NodeSource,
    followed: Followed,
    tip: Option<Header>,
    asked: Asked,
}

/// What following cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Certificates that were verified.
    pub certificates: u64,
    /// Bytes of headers, certificates, sets and records with their paths.
    pub bytes: u64,
}

/// What is trusted, as it is kept from run to run.
#[derive(BorshSerialize, BorshDeserialize)]
struct Kept {
    chain: ChainId,
    height: Height,
    hash: BlockHash,
    validators: ValidatorSet,
}

impl LightClient {
    /// Trusts a genesis and nothing after it.
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn from_genesis(source: NodeSource, genesis: &Genesis) -> Result<Self, WalletError> {
        let trusted = Trusted::genesis(genesis).map_err(WalletError::unreadable)?;
        Ok(Self::begin(source, trusted))
    }

    /// Trusts a block by its height and hash, had from somebody trusted.
    ///
    /// # Errors
    /// [`WalletError::Refuted`] when the node's header is not that block.
    pub async fn from_checkpoint(source: NodeSource, height: Height, hash: BlockHash) -> Result<Self, WalletError> {
        let claim = |error: FollowError| unproven(format!("the checkpoint at height {height}"), error);
        let step = source.step(height).await?;
        let next = step.next.as_ref().ok_or(FollowError::NextSetMissing { height });
        let trusted = next.and_then(|next| Trusted::checkpoint(step.header.chain, (height, hash), &step.header, next));
        let trusted = trusted.map_err(|error| claim(error).told_by(&source.name()))?;
        Ok(Self { tip: Some(step.header), ..Self::begin(source, trusted) })
    }

    /// Trusts what an earlier run verified and kept in `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or is not one of these.
    pub fn from_kept(source: NodeSource, path: &Path) -> Result<Option<Self>, WalletError> {
        let io = |source: io::Error| WalletError::File { path: path.to_owned(), source };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let kept: Kept = decode_exact(&bytes, KEPT_BYTES_MAX)
            .map_err(|error| io(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let Kept { chain, height, hash, validators } = kept;
        Ok(Some(Self::begin(source, Trusted { chain, height, hash, validators })))
    }

    fn begin(source: NodeSource, trusted: Trusted) -> Self {
        Self { source, followed: Followed::from(trusted), tip: None, asked: Asked::default() }
    }

    /// Keeps what is trusted in `path`, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, path: &Path) -> Result<(), WalletError> {
        let io = |source: io::Error| WalletError::File { path: path.to_owned(), source };
        let Trusted { chain, height, hash, validators } = self.trusted().clone();
        let bytes = borsh::to_vec(&Kept { chain, height, hash, validators });
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(io)?;
        let mut file = tempfile::Builder::new().tempfile_in(folder).map_err(io)?;
        let bytes = bytes.expect("what is trusted encodes into memory");
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// The newest block that is certain, and who decides the next.
    pub const fn trusted(&self) -> &Trusted {
        self.followed.trusted()
    }

    /// Its header; `None` until [`LightClient::sync`] has brought one.
    pub const fn tip(&self) -> Option<&Header> {
        self.tip.as_ref()
    }

    /// How often the validators changed on the way.
    pub fn changes(&self) -> usize {
        self.followed.changes()
    }

    /// What it cost so far.
    pub const fn asked(&self) -> Asked {
        self.asked
    }

    /// Follows to the node's newest block. A node that is behind what is certain already changes nothing.
    ///
    /// # Errors
    /// [`WalletError::Refuted`] with what does not hold; what the node could not tell.
    pub async fn sync(&mut self) -> Result<(), WalletError> {
        let synced = self.try_sync().await;
        synced.map_err(|error| error.told_by(&self.source.name()))
    }

    async fn try_sync(&mut self) -> Result<(), WalletError> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.follow_changes().await?;
            let height = self.source.height().await?;
            if height < self.trusted().height || (height == self.trusted().height && self.tip.is_some()) {
                return Ok(());
            }
            let header = self.source.header(height).await?;
            if header.height != height {
                return Err(unproven(format!("block {height}"), format!("what was sent is block {}", header.height)));
            }
            match self.reach(&header).await {
                // The validators changed between two answers: ask for the change.
                Err(Reached::Changed(_)) if tries < TRIES => {}
                Err(Reached::Changed(error)) => return Err(unproven(format!("block {height}"), error)),
                Err(Reached::Failed(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// A record of the state after the newest block, proven; the height it is proven at beside it.
    ///
    /// # Errors
    /// [`WalletError::Refuted`] with what does not hold; what the node could not tell.
    pub async fn record<T: BorshDeserialize>(&mut self, key: RecordKey) -> Result<(T, Height), WalletError> {
        let record = self.try_record(key).await;
        record.map_err(|error| error.told_by(&self.source.name()))
    }

    async fn try_record<T: BorshDeserialize>(&mut self, key: RecordKey) -> Result<(T, Height), WalletError> {
        let claim = || format!("the record {key:?}");
        let mut tries = 0;
        let (proof, header) = loop {
            tries += 1;
            let (proof, header) = self.source.record(key).await?;
            match self.reach(&header).await {
                Err(Reached::Changed(_)) if tries < TRIES => self.follow_changes().await?,
                Err(Reached::Changed(error)) => return Err(unproven(claim(), error)),
                Err(Reached::Failed(error)) => return Err(error),
                Ok(()) => break (proof, header),
            }
        };
        self.asked.bytes += size(&proof);
        if proof.key != key {
            return Err(unproven(claim(), format!("the proof is of {:?}", proof.key)));
        }
        proof.verify(&header.state_root).map_err(|error| unproven(claim(), error))?;
        let record = decode_exact(&proof.record, PROVABLE_RECORD_BYTES_MAX);
        Ok((record.map_err(|error| unproven(claim(), error))?, header.height))
    }

    async fn follow_changes(&mut self) -> Result<(), WalletError> {
        loop {
            let steps = self.source.steps(self.trusted().height).await?;
            if steps.is_empty() {
                return Ok(());
            }
            for step in &steps {
                let height = step.header.height;
                let followed = self.followed.follow(step);
                followed.map_err(|error| unproven(format!("the change of validators at height {height}"), error))?;
                self.count(step);
                self.tip = Some(step.header.clone());
            }
        }
    }

    /// Makes a header certain: the newest, or one that is known or was decided by a known set.
    async fn reach(&mut self, header: &Header) -> Result<(), Reached> {
        if self.tip.as_ref() == Some(header) {
            return Ok(());
        }
        let (height, trusted) = (header.height, self.trusted());
        if height == trusted.height && header.hash() == trusted.hash {
            self.tip = Some(header.clone());
            return Ok(());
        }
        let certificate = self.source.certificate(height).await.map_err(Reached::Failed)?;
        let is_older = height <= trusted.height;
        let step = Step { header: header.clone(), certificate, next: None };
        let reached = match is_older {
            true => self.followed.certify(header, &step.certificate),
            false => self.followed.follow(&step),
        };
        self.count(&step);
        match reached {
            Ok(()) if !is_older => self.tip = Some(header.clone()),
            Ok(()) => {}
            Err(error @ (FollowError::OtherSet { .. } | FollowError::NextSetMissing { .. })) => {
                return Err(Reached::Changed(error));
            }
            Err(error) => return Err(Reached::Failed(unproven(format!("block {height}"), error))),
        }
        Ok(())
    }

    fn count(&mut self, step: &Step) {
        self.asked.certificates += 1;
        self.asked.bytes += size(step);
    }
}

/// Why a header is not certain yet.
enum Reached {
    /// Other validators decided it, or decide after it, than are known: perhaps they changed just now.
    Changed(FollowError),
    /// It does not hold, or could not be had.
    Failed(WalletError),
}

fn size(value: &impl BorshSerialize) -> u64 {
    borsh::object_length(value).map_or(0, |bytes| bytes as u64)
}
