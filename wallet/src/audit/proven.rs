//! What is known for certain: headers that a quorum of their height's validators signed, records that hang from them, and
//! seeds that nobody chose.

use crate::audit::{Auditor, unproven};
use crate::error::WalletError;
use borsh::BorshDeserialize;
use holdfast_ledger::{
    Account, Contract, FollowError, Header, PROVABLE_RECORD_BYTES_MAX, RecordKey, RoundRecord, next_beacon,
};
use holdfast_primitives::{AccountNo, Address, ContractNo, Height, RoundNo, decode_exact};

/// Certified headers that are remembered, so that records of one block cost one certificate.
const HEADERS_KEPT: usize = 1_024;

impl Auditor {
    /// A record of the state, proven against a certified header; the header's height beside it.
    pub(super) async fn proven<T: BorshDeserialize>(&mut self, key: RecordKey) -> Result<(T, Height), WalletError> {
        let claim = || format!("the record {key:?}");
        let (proof, header) = self.source.record(key).await?;
        if proof.key != key {
            return Err(unproven(claim(), format!("the proof is of {:?}", proof.key)));
        }
        self.check_certified(&header).await?;
        proof.verify(&header.state_root).map_err(|error| unproven(claim(), error))?;
        let record = decode_exact(&proof.record, PROVABLE_RECORD_BYTES_MAX);
        Ok((record.map_err(|error| unproven(claim(), error))?, header.height))
    }

    /// The record of a settled round.
    pub(super) async fn round_record(&mut self, round: RoundNo) -> Result<(RoundRecord, Height), WalletError> {
        let (record, proven_at) = self.proven::<RoundRecord>(RecordKey::Round(round)).await?;
        if record.round != round {
            return Err(unproven(format!("the record of round {round}"), format!("it is of round {}", record.round)));
        }
        Ok((record, proven_at))
    }

    /// A contract. Its terms never change, so the newest state tells those of every round; its counters it does not.
    pub(super) async fn contract(&mut self, number: ContractNo) -> Result<Contract, WalletError> {
        if let Some(known) = self.contracts.get(&number) {
            return Ok(known.clone());
        }
        let (contract, _) = self.proven::<Contract>(RecordKey::Contract(number)).await?;
        if contract.footprint.is_empty() {
            return Err(unproven(format!("contract {number}"), "nobody is on its footprint"));
        }
        self.contracts.insert(number, contract.clone());
        Ok(contract)
    }

    /// The address of an account, which never changes.
    pub(super) async fn address(&mut self, number: AccountNo) -> Result<Address, WalletError> {
        if let Some(known) = self.addresses.get(&number) {
            return Ok(*known);
        }
        let (account, _) = self.proven::<Account>(RecordKey::Account(number)).await?;
        self.addresses.insert(number, account.address);
        Ok(account.address)
    }

    /// Whether the seed is the beacon of its block, and that block's proposer had no choice in it.
    pub(super) async fn check_seed(&mut self, record: &RoundRecord) -> Result<(), WalletError> {
        let claim = || format!("the seed of round {}", record.round);
        let header = self.certified(record.seed_height).await?;
        if header.beacon != record.seed {
            return Err(unproven(claim(), format!("the beacon of block {} is another", record.seed_height)));
        }
        let Some(before) = record.seed_height.previous().filter(|height| *height > Height::GENESIS) else {
            return Ok(());
        };
        let before = self.certified(before).await?;
        let proposer = self.followed.set_at(header.height).and_then(|set| set.get(&header.proposer));
        let proposer = proposer.ok_or_else(|| unproven(claim(), "its proposer is no validator"))?;
        let output = proposer.vrf.verify(&self.chain, &before.beacon, &header.vrf);
        let output = output.map_err(|error| unproven(claim(), error))?;
        if next_beacon(&before.beacon, &output) != header.beacon {
            return Err(unproven(claim(), "the beacon does not follow from the one before"));
        }
        Ok(())
    }

    async fn certified(&mut self, height: Height) -> Result<Header, WalletError> {
        if let Some(known) = self.headers.get(&height) {
            return Ok(known.clone());
        }
        let header = self.source.header(height).await?;
        if header.height != height {
            return Err(unproven(format!("block {height}"), format!("what was sent is block {}", header.height)));
        }
        self.check_certified(&header).await?;
        Ok(header)
    }

    /// Learns every change of validators that the source tells of.
    pub(super) async fn follow(&mut self) -> Result<(), WalletError> {
        loop {
            let steps = self.source.steps(self.followed.trusted().height).await?;
            if steps.is_empty() {
                return Ok(());
            }
            for step in &steps {
                let claim = || format!("the change of validators at height {}", step.header.height);
                self.followed.follow(step).map_err(|error| unproven(claim(), error))?;
            }
        }
    }

    /// Whether those who decided this height signed this header.
    async fn check_certified(&mut self, header: &Header) -> Result<(), WalletError> {
        if self.headers.get(&header.height) == Some(header) {
            return Ok(());
        }
        let claim = || format!("block {}", header.height);
        let certificate = self.source.certificate(header.height).await?;
        let mut certified = self.followed.certify(header, &certificate);
        if let Err(FollowError::OtherSet { .. }) = certified {
            // The validators may have changed since they were asked for.
            self.follow().await?;
            certified = self.followed.certify(header, &certificate);
        }
        certified.map_err(|error| unproven(claim(), error))?;
        if self.headers.len() >= HEADERS_KEPT {
            self.headers.clear();
        }
        self.headers.insert(header.height, header.clone());
        Ok(())
    }
}
