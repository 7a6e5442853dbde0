//! A chain of one validator without the engine: it makes a block when told to. For tests of the rooms above; the
//! certificates are real, so what it commits verifies like any other block.

use crate::app::{AppError, BuildRequest, HeightConfig, LedgerApp, Undecided, Verdict};
use crate::evidence::Evidence;
use bytes::Bytes;
use holdfast_primitives::{
    BlockHash, Bounded, Certificate, CertificateError, ChainId, CommitSignature, Height, Purpose, SecretKey,
    vote_payload,
};
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;

/// Makes blocks for `app`, signed by the one key.
pub struct Solo<A> {
    app: Arc<A>,
    key: SecretKey,
    chain: ChainId,
    block_bytes_max: usize,
}

/// Why no block was made.
#[derive(Debug, Error)]
pub enum SoloError {
    /// The application failed.
    #[error("the ledger failed to {action} at height {height}: {source}")]
    App {
        /// What it was asked for.
        action: &'static str,
        /// The height.
        height: Height,
        /// Its reason.
        source: AppError,
    },
    /// The application calls its own block invalid.
    #[error("own block at height {height} was refused: {verdict:?}")]
    OwnBlockRefused {
        /// The height.
        height: Height,
        /// What it said.
        verdict: Verdict,
    },
    /// The block exceeds the limit.
    #[error("own block at height {height} has {found} bytes, the limit is {limit}")]
    BlockTooLarge {
        /// The height.
        height: Height,
        /// Its bytes.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// One signature is no quorum of this height's validators.
    #[error("the key alone cannot certify height {height}: {source}")]
    NotAlone {
        /// The height.
        height: Height,
        /// Why not.
        source: CertificateError,
    },
}

impl<A: LedgerApp> Solo<A> {
    /// Drives `app` with `key`, which must hold more than two thirds of the power at every height.
    pub const fn new(app: Arc<A>, key: SecretKey, chain: ChainId, block_bytes_max: usize) -> Self {
        Self { app, key, chain, block_bytes_max }
    }

    /// The application.
    pub const fn app(&self) -> &Arc<A> {
        &self.app
    }

    /// Makes one block, empty if there is no work, and returns its certificate once it is committed.
    ///
    /// # Errors
    /// Nothing is committed when one is returned.
    pub async fn step(&self) -> Result<Certificate, SoloError> {
        let height = self.app.tip().0.next();
        let (block, hash) = match self.kept(height)? {
            Some(kept) => kept,
            None => self.propose(height).await?,
        };
        let certificate = self.certify(height, hash)?;
        let done = self.app.commit(block, certificate.clone(), Evidence::default()).await;
        done.map_err(|source| SoloError::App { action: "commit", height, source })?;
        Ok(certificate)
    }

    /// Makes blocks whenever there is work, at least one per heartbeat, until one fails.
    pub async fn run(&self) -> SoloError {
        loop {
            if let Err(error) = self.step().await {
                return error;
            }
            let config = match self.config(self.app.tip().0.next()) {
                Ok(config) => config,
                Err(error) => return error,
            };
            let target = config.target.unwrap_or_default();
            tokio::join!(self.app.until_work(config.heartbeat), tokio::time::sleep(target));
        }
    }

    fn config(&self, height: Height) -> Result<HeightConfig, SoloError> {
        self.app.config_for(height).map_err(|source| SoloError::App { action: "go on", height, source })
    }

    fn kept(&self, height: Height) -> Result<Option<(Bytes, BlockHash)>, SoloError> {
        let kept = self.app.undecided(height).map_err(|source| SoloError::App { action: "recall", height, source })?;
        let own = self.key.address();
        Ok(kept.into_iter().find(|block| block.valid && block.proposer == own).map(|block| (block.block, block.hash)))
    }

    async fn propose(&self, height: Height) -> Result<(Bytes, BlockHash), SoloError> {
        let failed = |action| move |source| SoloError::App { action, height, source };
        let deadline = Instant::now() + self.config(height)?.timeouts.propose;
        let proposer = self.key.address();
        let request = BuildRequest { height, round: 0, proposer, deadline, bytes_max: self.block_bytes_max };
        let block = self.app.build(request).await.map_err(failed("build"))?;
        if block.len() > self.block_bytes_max {
            return Err(SoloError::BlockTooLarge { height, found: block.len(), limit: self.block_bytes_max });
        }
        let identity = self.app.identify(&block).map_err(failed("identify"))?;
        match self.app.validate(&identity, &block).await {
            Verdict::Valid => {}
            verdict => return Err(SoloError::OwnBlockRefused { height, verdict }),
        }
        let hash = identity.hash;
        let kept = Undecided { height, round: 0, valid_round: None, proposer, block: block.clone(), hash, valid: true };
        self.app.save_undecided(&kept).map_err(failed("keep"))?;
        Ok((block, hash))
    }

    fn certify(&self, height: Height, block: BlockHash) -> Result<Certificate, SoloError> {
        let payload = vote_payload(true, height, 0, Some(&block));
        let signature = self.key.sign(Purpose::Vote, &self.chain, &payload);
        let commit = CommitSignature { validator: self.key.address(), signature };
        let signatures = Bounded::new(vec![commit]).expect("one signature is within any limit");
        let certificate = Certificate { height, round: 0, block, signatures };
        let validators = self.config(height)?.validators;
        certificate.verify(&self.chain, &validators).map_err(|source| SoloError::NotAlone { height, source })?;
        Ok(certificate)
    }
}
