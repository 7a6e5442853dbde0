//! An evidence bundle: everything by which one round was verified, in one file. Whoever has the file verifies the round
//! again with no node at hand, by the same code; a bundle is a witness like any other and is believed as little.
//!
//! ```text
//! "holdfast evidence\n" | version u16 LE = 2 | Bundle (borsh)
//! ```

use crate::audit::source::{EvidenceSource, SentPart};
use crate::error::WalletError;
use async_trait::async_trait;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::{FrozenHolder, Genesis, Header, Payment, RecordKey, RoundResult, SlotEvidence, StateProof, Step};
use holdfast_por::ProofPart;
use holdfast_primitives::limits::{EVIDENCE_BUNDLE_BYTES_MAX, PROOF_PART_BYTES_MAX};
use holdfast_primitives::{Bounded, Certificate, Height, HolderNo, RoundNo, decode_exact};
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const MAGIC: &[u8] = b"holdfast evidence\n";
const VERSION: u16 = 2;
const HEAD_BYTES: usize = MAGIC.len() + 2;

/// The evidence of one round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bundle {
    /// The round.
    pub round: RoundNo,
    /// The first state and the rules.
    pub genesis: Genesis,
    /// Headers that something hangs from.
    pub headers: Vec<Header>,
    /// Their certificates.
    pub certificates: Vec<Certificate>,
    /// The round's record, contracts and heavy nodes, each under the header of a height.
    pub records: Vec<(Height, StateProof)>,
    /// Every change of validators up to then.
    pub steps: Vec<Step>,
    /// What every holder was bound to.
    pub frozen: Vec<FrozenHolder>,
    /// What became of every holder.
    pub results: Vec<RoundResult>,
    /// What every contract paid.
    pub payments: Vec<Payment>,
    /// Challenged batches of the frozen lists.
    pub slots: Vec<(HolderNo, SlotEvidence)>,
    /// Parts of proofs with their openings.
    pub parts: Vec<BundledPart>,
}

/// One part of a holder's proof.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BundledPart {
    /// Whose.
    pub holder: HolderNo,
    /// Which part.
    pub part: ProofPart,
    /// Its openings.
    pub openings: Bounded<u8, PROOF_PART_BYTES_MAX>,
}

impl Bundle {
    /// Reads what [`Bundle::encode`] wrote. Total: any bytes get an answer.
    ///
    /// # Errors
    /// [`WalletError::BadBundle`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WalletError> {
        let bad = |reason: String| WalletError::BadBundle { reason };
        let head = bytes.strip_prefix(MAGIC).and_then(<[u8]>::split_first_chunk::<2>);
        let (version, body) = head.ok_or_else(|| bad("it does not begin like one".to_owned()))?;
        match u16::from_le_bytes(*version) {
            VERSION => {
                decode_exact(body, EVIDENCE_BUNDLE_BYTES_MAX - HEAD_BYTES).map_err(|error| bad(error.to_string()))
            }
            other => Err(bad(format!("it is of version {other}, this program knows {VERSION}"))),
        }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`WalletError::BadBundle`] when the evidence is more than a bundle may hold.
    pub fn encode(&self) -> Result<Vec<u8>, WalletError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        self.serialize(&mut bytes).expect("a bundle encodes into memory");
        if bytes.len() > EVIDENCE_BUNDLE_BYTES_MAX {
            let reason = format!("{} bytes of evidence, a bundle holds {EVIDENCE_BUNDLE_BYTES_MAX}", bytes.len());
            return Err(WalletError::BadBundle { reason });
        }
        Ok(bytes)
    }

    /// Reads a bundle's file; refuses one that is too large before it is read.
    ///
    /// # Errors
    /// [`WalletError::BadBundle`], [`WalletError::File`].
    pub fn load(path: &Path) -> Result<Self, WalletError> {
        let io = |source: io::Error| WalletError::File { path: path.to_owned(), source };
        let limit = EVIDENCE_BUNDLE_BYTES_MAX as u64;
        let too_large =
            |found: u64| WalletError::BadBundle { reason: format!("{found} bytes, a bundle has {limit} at most") };
        let file = File::open(path).map_err(io)?;
        let stated = file.metadata().map_err(io)?.len();
        if stated > limit {
            return Err(too_large(stated));
        }
        // A pipe states no length; it is cut off all the same.
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Self::decode(&bytes) }
    }

    /// Writes the file: whole or not at all, in place of one that is there. Returns its bytes.
    ///
    /// # Errors
    /// [`WalletError::BadBundle`] when it would be too large, [`WalletError::File`].
    pub fn save(&self, path: &Path) -> Result<usize, WalletError> {
        let bytes = self.encode()?;
        let io = |source: io::Error| WalletError::File { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let readable = Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(io)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        // The name is as durable as the bytes once its folder is.
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(bytes.len())
    }

    fn missing(&self, what: impl ToString) -> WalletError {
        WalletError::BadBundle { reason: format!("{} is not in it", what.to_string()) }
    }

    fn check_round(&self, round: RoundNo) -> Result<(), WalletError> {
        if round == self.round { Ok(()) } else { Err(self.missing(format!("round {round}"))) }
    }
}

#[async_trait]
impl EvidenceSource for Bundle {
    fn name(&self) -> String {
        format!("the bundle of round {}", self.round)
    }

    async fn genesis(&self) -> Result<Genesis, WalletError> {
        Ok(self.genesis.clone())
    }

    async fn latest(&self) -> Result<Option<RoundNo>, WalletError> {
        Ok(Some(self.round))
    }

    async fn record(&self, key: RecordKey) -> Result<(StateProof, Header), WalletError> {
        let record = self.records.iter().find(|(_, proof)| proof.key == key);
        let (height, proof) = record.ok_or_else(|| self.missing(format!("{key:?}")))?;
        Ok((proof.clone(), self.header(*height).await?))
    }

    async fn header(&self, height: Height) -> Result<Header, WalletError> {
        let header = self.headers.iter().find(|header| header.height == height);
        header.cloned().ok_or_else(|| self.missing(format!("the header of block {height}")))
    }

    async fn certificate(&self, height: Height) -> Result<Certificate, WalletError> {
        let certificate = self.certificates.iter().find(|certificate| certificate.height == height);
        certificate.cloned().ok_or_else(|| self.missing(format!("the certificate of block {height}")))
    }

    async fn steps(&self, after: Height) -> Result<Vec<Step>, WalletError> {
        Ok(self.steps.iter().filter(|step| step.header.height > after).cloned().collect())
    }

    async fn frozen(&self, round: RoundNo) -> Result<Vec<FrozenHolder>, WalletError> {
        self.check_round(round)?;
        Ok(self.frozen.clone())
    }

    async fn results(&self, round: RoundNo) -> Result<Vec<RoundResult>, WalletError> {
        self.check_round(round)?;
        Ok(self.results.clone())
    }

    async fn payments(&self, round: RoundNo) -> Result<Vec<Payment>, WalletError> {
        self.check_round(round)?;
        Ok(self.payments.clone())
    }

    async fn parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SentPart>, WalletError> {
        self.check_round(round)?;
        let of_holder = self.parts.iter().filter(|part| part.holder == holder);
        Ok(of_holder.map(|part| (part.part, part.openings.to_vec())).collect())
    }

    async fn slots(
        &self,
        round: RoundNo,
        holder: HolderNo,
        batch_log2: u8,
        slots: &[u32],
    ) -> Result<Vec<SlotEvidence>, WalletError> {
        self.check_round(round)?;
        let of_list = |(of, entry): &&(HolderNo, SlotEvidence)| *of == holder && entry.batch_log2 == batch_log2;
        let of_list = self.slots.iter().filter(of_list).map(|(_, entry)| entry);
        Ok(of_list.filter(|entry| slots.binary_search(&entry.slot).is_ok()).cloned().collect())
    }
}
