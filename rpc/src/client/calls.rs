//! Every call under its own name: `client.chain_status()` is `chain_status`.
//!
//! # Errors
//! All of them: [`RpcError::Answered`] when the node says no, the other variants when nothing understandable came.

use super::{Feed, RpcClient, RpcError};
use crate::account::{AccountApiClient as Account, AccountView, SegmentView};
use crate::audit::{AuditApiClient as Audit, BundleView, PartView, RecordProofView, RecordRef, SlotsView};
use crate::chain::{
    BlockNotice, BlockRef, BlockView, CertificateView, ChainApiClient as Chain, ChainStatus, EventView, GenesisView,
    HeaderView, ParamsView, RawBlock,
};
use crate::dev::{DevApiClient as Dev, FaucetLimit};
use crate::market::{
    ContractView, HeavyView, HolderRef, HolderView, MarketApiClient as Market, NodeView, OffersAsk, PricingView,
    QuoteAsk, QuoteView, SlotView,
};
use crate::round::{
    FrozenRow, HolderRoundView, PaymentView, RecordView, ResultView, RoundApiClient as Round, RoundNotice, RunningView,
};
use crate::stake::{SetView, StakeApiClient as Stake, StakeView};
use crate::text::{AddressText, HexBytes};
use crate::tx::{TxApiClient as Tx, TxStatus, TxView};
use crate::{Page, PageAsk, Raw};
use holdfast_ledger::{Step, TxEnvelope};
use holdfast_primitives::{Amount, ContractNo, Height, RoundNo, SegmentNo, TxId};
use std::time::Duration;
use upstream::core::ClientError;
use upstream::core::client::{ClientT, Subscription};
use upstream::rpc_params;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $api:ident::$method:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        impl RpcClient {$(
            $(#[$doc])*
            pub async fn $name(&self, $($arg: $ty),*) -> Result<$out, RpcError> {
                self.answer($api::$method(self, $($arg),*).await)
            }
        )*}
    };
}

macro_rules! feeds {
    ($($(#[$doc:meta])* $name:ident = $api:ident::$method:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        impl RpcClient {$(
            $(#[$doc])*
            pub async fn $name(&self, $($arg: $ty),*) -> Result<Feed<$out>, RpcError> {
                self.feed($api::$method(self, $($arg),*).await)
            }
        )*}
    };
}

calls! {
    /// The first state and the rules.
    chain_genesis = Chain::genesis() -> GenesisView;
    /// The rules alone.
    chain_params = Chain::params() -> ParamsView;
    /// One header.
    chain_header = Chain::header(at: BlockRef) -> HeaderView;
    /// One block with its transactions in short.
    chain_block = Chain::block(at: BlockRef) -> BlockView;
    /// One block as bytes.
    chain_block_raw = Chain::block_raw(at: BlockRef) -> RawBlock;
    /// The signatures that made one block final.
    chain_certificate = Chain::certificate(at: BlockRef) -> CertificateView;
    /// What it takes to follow the validators from a height on.
    chain_steps = Chain::steps(after: Height) -> Vec<Raw<Step>>;
    /// One block's header, a certificate, and the set that decides the next block.
    chain_step = Chain::step(at: BlockRef) -> Raw<Step>;
    /// What one block caused.
    chain_events = Chain::events(at: BlockRef, page: Option<PageAsk>) -> Page<EventView>;

    /// What became of a transaction.
    tx_status = Tx::status(id: TxId) -> TxStatus;
    /// Final transactions whose id begins with these hex digits.
    tx_find = Tx::find(prefix: String) -> Vec<TxId>;
    /// A final transaction.
    tx_get = Tx::get(id: TxId) -> TxView;

    /// The account of an address.
    account_get = Account::get(address: AddressText) -> AccountView;
    /// The account's segments by ordinal.
    account_segments = Account::segments(address: AddressText, page: Option<PageAsk>) -> Page<SegmentView>;
    /// The contracts that the account pays for.
    account_contracts = Account::contracts(address: AddressText, page: Option<PageAsk>) -> Page<ContractView>;

    /// What a price is made of, besides what holders ask.
    market_params = Market::params() -> PricingView;
    /// All holders with their offers.
    market_holders = Market::holders(page: Option<PageAsk>) -> Page<HolderView>;
    /// Holders that take batches and are what is asked for, the cheapest first.
    market_offers = Market::offers(ask: Option<OffersAsk>, page: Option<PageAsk>) -> Page<HolderView>;
    /// One holder.
    market_holder = Market::holder(holder: HolderRef) -> HolderView;
    /// One list of a holder.
    market_batches = Market::batches(holder: HolderRef, batch_log2: u8, page: Option<PageAsk>) -> Page<SlotView>;
    /// One contract.
    market_contract = Market::contract(number: ContractNo) -> ContractView;
    /// The contracts by which a holder keeps batches now.
    market_contracts = Market::contracts(holder: HolderRef, page: Option<PageAsk>) -> Page<ContractView>;
    /// One segment.
    market_segment = Market::segment(number: SegmentNo) -> SegmentView;
    /// How light nodes reach this heavy node.
    market_node = Market::node() -> NodeView;
    /// The heavy nodes that this one knows.
    market_heavies = Market::heavies(page: Option<PageAsk>) -> Page<HeavyView>;
    /// What storing would cost.
    market_quote = Market::quote(ask: QuoteAsk) -> QuoteView;

    /// Who decides the next block, and by which rule book.
    stake_set = Stake::set() -> SetView;
    /// All who ever bonded.
    stake_validators = Stake::validators(page: Option<PageAsk>) -> Page<StakeView>;
    /// One of them.
    stake_validator = Stake::validator(address: AddressText) -> StakeView;

    /// Where the running round stands.
    round_running = Round::running() -> RunningView;
    /// The record of a settled round.
    round_record = Round::record(round: RoundNo) -> RecordView;
    /// The record of the newest settled round.
    round_latest = Round::latest() -> Option<RecordView>;
    /// How each holder did.
    round_results = Round::results(round: RoundNo, page: Option<PageAsk>) -> Page<ResultView>;
    /// What each holder was bound to.
    round_frozen = Round::frozen(round: RoundNo, page: Option<PageAsk>) -> Page<FrozenRow>;
    /// What each contract paid.
    round_payments = Round::payments(round: RoundNo, page: Option<PageAsk>) -> Page<PaymentView>;

    /// How one holder did, newest round first.
    round_of_holder = Round::of_holder(holder: HolderRef, page: Option<PageAsk>) -> Page<HolderRoundView>;

    /// One holder's part in one round.
    audit_bundle = Audit::bundle(round: RoundNo, holder: HolderRef) -> BundleView;
    /// The openings of one part of a proof.
    audit_part = Audit::part(round: RoundNo, holder: HolderRef, part: u32) -> PartView;
    /// Entries of a frozen list with their paths.
    audit_slots = Audit::slots(round: RoundNo, holder: HolderRef, batch_log2: u8, slots: Vec<u32>) -> SlotsView;
    /// The openings that a proof transaction brought.
    audit_openings = Audit::openings(id: TxId) -> HexBytes;
    /// Any record of the state with its path.
    audit_record = Audit::record(record: RecordRef) -> RecordProofView;

    /// Sends free money to an address.
    dev_faucet = Dev::faucet(address: AddressText, amount: Amount) -> TxId;
    /// What the faucet gives in one call.
    dev_faucet_limit = Dev::faucet_limit() -> FaucetLimit;
}

feeds! {
    /// Every block from now on.
    subscribe_blocks = Chain::subscribe_blocks() -> BlockNotice;
    /// Every freeze, seed and settlement from now on.
    subscribe_rounds = Round::subscribe_rounds() -> RoundNotice;
    /// Every change of a transaction's status.
    subscribe_tx = Tx::subscribe_status(id: TxId) -> TxStatus;
}

impl RpcClient {
    /// Where the chain stands.
    ///
    /// # Errors
    /// As all calls.
    pub async fn chain_status(&self) -> Result<ChainStatus, RpcError> {
        let status = self.answer(Chain::status(self).await)?;
        self.nodes.saw(status.height);
        self.nodes.follow(status.chain);
        Ok(status)
    }

    /// Hands in a transaction. Where a node died over it, another may know the transaction already: that is no error.
    ///
    /// # Errors
    /// As all calls; [`RpcError::Answered`] with the rule that it breaks.
    pub async fn tx_submit(&self, envelope: &TxEnvelope) -> Result<TxId, RpcError> {
        let bytes = borsh::to_vec(envelope).expect("an envelope encodes into memory");
        let moves = self.nodes.moves();
        let submitted = self.answer(Tx::submit(self, HexBytes(bytes)).await);
        if matches!(submitted, Err(RpcError::Answered { .. })) && self.nodes.moves() != moves {
            let id = envelope.signed.id();
            if matches!(self.tx_status(id).await?, TxStatus::Pending | TxStatus::Final { .. }) {
                return Ok(id);
            }
        }
        submitted
    }

    /// What became of a transaction, once it is settled or after `timeout` (at most a minute) as it stands.
    pub async fn tx_wait(&self, id: TxId, timeout: Duration) -> Result<TxStatus, RpcError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.answer(Tx::wait(self, id, timeout_ms).await)
    }

    /// The account of an address; `None` when nobody ever sent it money.
    pub async fn find_account(&self, address: AddressText) -> Result<Option<AccountView>, RpcError> {
        match self.account_get(address).await {
            Err(error) if error.is_reason(crate::error::ACCOUNT_UNKNOWN.reason) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The interface described by itself, in OpenRPC.
    pub async fn discover(&self) -> Result<serde_json::Value, RpcError> {
        self.answer(self.request(crate::discover::DISCOVER, rpc_params![]).await)
    }

    fn answer<T>(&self, answer: Result<T, ClientError>) -> Result<T, RpcError> {
        answer.map_err(|error| RpcError::of(error, &self.url()))
    }

    fn feed<T>(&self, subscription: Result<Subscription<T>, ClientError>) -> Result<Feed<T>, RpcError> {
        let subscription = self.answer(subscription)?;
        Ok(Feed { url: self.url(), subscription })
    }
}
