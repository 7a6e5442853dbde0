//! An account that signs: its key, the node it asks, and the network both are on. An owner's account does more
//! ([`crate::Session`]); a holder's account needs no more than this.

use crate::error::WalletError;
use holdfast_ledger::{Genesis, Params, Tx, TxBody, TxEnvelope};
use holdfast_primitives::limits::MEMO_BYTES_MAX;
use holdfast_primitives::{Address, Amount, Bounded, ChainId, Height, HeightDelta, SecretKey, TxId};
use holdfast_rpc::account::AccountView;
use holdfast_rpc::{AddressText, RpcClient};
use std::time::Duration;

/// Blocks after which a transaction that found no block is void.
const EXPIRY_BLOCKS: HeightDelta = HeightDelta::new(1_000);
/// How long to wait for a transaction to become final.
const FINAL_WITHIN: Duration = Duration::from_secs(120);

/// One account on one network, through one node.
pub struct Signer {
    rpc: RpcClient,
    key: SecretKey,
    genesis: Genesis,
    chain: ChainId,
}

/// A signed transaction that has not been handed in, so that its fee can be shown first.
#[derive(Clone, Debug)]
pub struct Prepared {
    envelope: TxEnvelope,
}

/// What is chosen of a transaction's terms instead of being worked out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen {
    /// The sequence number; that of a transaction that waits, to take its place.
    pub sequence: Option<u64>,
    /// The fee.
    pub fee: Option<Amount>,
}

impl Prepared {
    /// What the proposer gets.
    pub const fn fee(&self) -> Amount {
        self.envelope.signed.tx.fee
    }

    /// Its id.
    pub fn id(&self) -> TxId {
        self.envelope.signed.id()
    }

    /// The transaction as it travels.
    pub const fn envelope(&self) -> &TxEnvelope {
        &self.envelope
    }
}

impl Signer {
    /// Connects to the node at `url` and learns the network's rules. The chain id is computed from the genesis itself, so
    /// a node that lies about one cannot make the key sign for another.
    pub async fn connect(url: &str, key: SecretKey) -> Result<Self, WalletError> {
        Self::connect_over(RpcClient::connect(url)?, key).await
    }

    /// As [`Signer::connect`], over a client that may know several nodes: none of another chain is asked from then on.
    pub async fn connect_over(rpc: RpcClient, key: SecretKey) -> Result<Self, WalletError> {
        let genesis: Genesis = rpc.chain_genesis().await?.raw.decode().map_err(WalletError::unreadable)?;
        let chain = genesis.chain_id();
        rpc.follow(chain);
        Ok(Self { rpc, key, genesis, chain })
    }

    /// The node.
    pub const fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    /// The network's rules.
    pub const fn params(&self) -> &Params {
        &self.genesis.params
    }

    /// The chain.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The account's key.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// The account as people see it.
    pub fn address_text(&self) -> AddressText {
        AddressText::new(self.address(), self.genesis.params.prefix)
    }

    /// The account's record, once it has one.
    pub async fn account(&self) -> Result<Option<AccountView>, WalletError> {
        Ok(self.rpc.find_account(self.address_text()).await?)
    }

    /// What the account may spend.
    pub async fn balance(&self) -> Result<Amount, WalletError> {
        Ok(self.account().await?.map_or(Amount::ZERO, |account| account.balance))
    }

    /// A transfer to `to`, signed.
    pub async fn transfer(&self, to: Address, amount: Amount, memo: &[u8]) -> Result<Prepared, WalletError> {
        self.transfer_as(to, amount, memo, Chosen::default()).await
    }

    /// A transfer with this sequence number and fee, signed: for taking the place of one that waits.
    pub async fn transfer_as(
        &self,
        to: Address,
        amount: Amount,
        memo: &[u8],
        chosen: Chosen,
    ) -> Result<Prepared, WalletError> {
        let memo = Bounded::new(memo.to_vec())
            .map_err(|_| WalletError::MemoTooLong { bytes: memo.len(), limit: MEMO_BYTES_MAX })?;
        self.prepare_as(TxBody::Transfer { to, amount, memo }, chosen).await
    }

    /// Signs `body` with the account's next sequence number and the smallest fee.
    pub async fn prepare(&self, body: TxBody) -> Result<Prepared, WalletError> {
        self.prepare_as(body, Chosen::default()).await
    }

    /// Signs `body` with what is chosen; what is not is as in [`Signer::prepare`].
    pub async fn prepare_as(&self, body: TxBody, chosen: Chosen) -> Result<Prepared, WalletError> {
        let height = self.rpc.chain_status().await?.height;
        let sequence = match chosen.sequence {
            Some(sequence) => sequence,
            None => self.account().await?.map_or(0, |account| account.sequence),
        };
        let mut tx = Tx {
            sender: self.address(),
            sequence,
            fee: Amount::ZERO,
            expires: height.saturating_add(EXPIRY_BLOCKS),
            body,
        };
        let bytes = tx.clone().sign(&self.key, &self.chain).to_bytes().len() as u64;
        tx.fee = match chosen.fee {
            Some(fee) => fee,
            None => self.params().fee_per_byte.checked_mul(bytes)?,
        };
        Ok(Prepared { envelope: TxEnvelope::bare(tx.sign(&self.key, &self.chain)) })
    }

    /// Hands a transaction in and returns at once.
    pub async fn submit(&self, prepared: &Prepared) -> Result<TxId, WalletError> {
        Ok(self.rpc.tx_submit(&prepared.envelope).await?)
    }

    /// Hands a transaction in and waits until it is final; the height of its block.
    pub async fn submit_and_wait(&self, prepared: &Prepared) -> Result<Height, WalletError> {
        Ok(self.rpc.submit_and_wait(&prepared.envelope, FINAL_WITHIN).await?.height)
    }
}
