//! A witness in front of another: passes every question on and keeps the answers, so that they can be bundled.

use crate::audit::bundle::{Bundle, BundledPart};
use crate::audit::source::{EvidenceSource, SentPart};
use crate::error::WalletError;
use async_trait::async_trait;
use holdfast_ledger::{FrozenHolder, Genesis, Header, Payment, RecordKey, RoundResult, SlotEvidence, StateProof, Step};
use holdfast_primitives::{Bounded, Certificate, Height, HolderNo, RoundNo};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps what is told about one round.
pub struct Recorder {
    inner: Arc<dyn EvidenceSource>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    genesis: Option<Genesis>,
    headers: BTreeMap<Height, Header>,
    certificates: BTreeMap<Height, Certificate>,
    records: Vec<(Height, StateProof)>,
    steps: Vec<Step>,
    frozen: Vec<FrozenHolder>,
    results: Vec<RoundResult>,
    payments: Vec<Payment>,
    slots: Vec<(HolderNo, SlotEvidence)>,
    parts: Vec<BundledPart>,
}

impl Recorder {
    /// Listens to `inner`.
    pub fn of(inner: Arc<dyn EvidenceSource>) -> Self {
        Self { inner, kept: Mutex::default() }
    }

    /// Everything that was told, once one auditor has verified `round` through this recorder and nothing else.
    ///
    /// # Errors
    /// [`WalletError::BadBundle`] when not even the genesis was asked for.
    pub fn bundle(&self, round: RoundNo) -> Result<Bundle, WalletError> {
        let kept = std::mem::take(&mut *self.kept());
        let nothing = || WalletError::BadBundle { reason: "nothing was recorded".to_owned() };
        Ok(Bundle {
            round,
            genesis: kept.genesis.ok_or_else(nothing)?,
            headers: kept.headers.into_values().collect(),
            certificates: kept.certificates.into_values().collect(),
            records: kept.records,
            steps: kept.steps,
            frozen: kept.frozen,
            results: kept.results,
            payments: kept.payments,
            slots: kept.slots,
            parts: kept.parts,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EvidenceSource for Recorder {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn genesis(&self) -> Result<Genesis, WalletError> {
        let genesis = self.inner.genesis().await?;
        self.kept().genesis = Some(genesis.clone());
        Ok(genesis)
    }

    async fn latest(&self) -> Result<Option<RoundNo>, WalletError> {
        self.inner.latest().await
    }

    async fn record(&self, key: RecordKey) -> Result<(StateProof, Header), WalletError> {
        let (proof, header) = self.inner.record(key).await?;
        let mut kept = self.kept();
        kept.records.push((header.height, proof.clone()));
        kept.headers.insert(header.height, header.clone());
        Ok((proof, header))
    }

    async fn header(&self, height: Height) -> Result<Header, WalletError> {
        let header = self.inner.header(height).await?;
        self.kept().headers.insert(header.height, header.clone());
        Ok(header)
    }

    async fn certificate(&self, height: Height) -> Result<Certificate, WalletError> {
        let certificate = self.inner.certificate(height).await?;
        self.kept().certificates.insert(certificate.height, certificate.clone());
        Ok(certificate)
    }

    async fn steps(&self, after: Height) -> Result<Vec<Step>, WalletError> {
        let steps = self.inner.steps(after).await?;
        self.kept().steps.extend(steps.iter().cloned());
        Ok(steps)
    }

    async fn frozen(&self, round: RoundNo) -> Result<Vec<FrozenHolder>, WalletError> {
        let rows = self.inner.frozen(round).await?;
        self.kept().frozen.clone_from(&rows);
        Ok(rows)
    }

    async fn results(&self, round: RoundNo) -> Result<Vec<RoundResult>, WalletError> {
        let rows = self.inner.results(round).await?;
        self.kept().results.clone_from(&rows);
        Ok(rows)
    }

    async fn payments(&self, round: RoundNo) -> Result<Vec<Payment>, WalletError> {
        let payments = self.inner.payments(round).await?;
        self.kept().payments.clone_from(&payments);
        Ok(payments)
    }

    async fn parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SentPart>, WalletError> {
        let parts = self.inner.parts(round, holder).await?;
        let bundled = parts.iter().map(|(part, openings)| {
            let openings = Bounded::new(openings.clone()).map_err(WalletError::unreadable)?;
            Ok(BundledPart { holder, part: *part, openings })
        });
        let bundled = bundled.collect::<Result<Vec<_>, WalletError>>()?;
        self.kept().parts.extend(bundled);
        Ok(parts)
    }

    async fn slots(
        &self,
        round: RoundNo,
        holder: HolderNo,
        batch_log2: u8,
        slots: &[u32],
    ) -> Result<Vec<SlotEvidence>, WalletError> {
        let evidence = self.inner.slots(round, holder, batch_log2, slots).await?;
        self.kept().slots.extend(evidence.iter().map(|entry| (holder, entry.clone())));
        Ok(evidence)
    }
}
