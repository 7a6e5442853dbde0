//! A chain of one validator behind the holder's own trait: every transaction that is handed in makes a block, and the
//! rule book says what it does.

use async_trait::async_trait;
use holdfast_holder::{AccountView, ChainView, Ledger, LedgerError, RoundPhase, RoundView};
use holdfast_ledger::statement::{FootprintHop, QuoteTerms, Receipt, hop_payloads, path_digest, receipt_payload};
use holdfast_ledger::{
    Event, Genesis, GenesisValidator, Holder, NewBatch, NewSegment, Params, Payment, Pending, Phase, Placement,
    Profile, Proposer, Register, Slot, State, Tx, TxBody, TxEnvelope, admit, build_block,
};
use holdfast_network::parents::HeavyNode;
use holdfast_por::{BatchMeta, ChallengeParams};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{
    Address, Amount, BlockHash, Bounded, Height, HolderNo, NetworkPrefix, Purpose, RequestId, SecretKey, TimeMs, TxId,
    VrfSecretKey, sha256,
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch;

/// The validator, who is the only heavy node.
pub const WALTER: &str = "walter";
/// Who owns every batch.
pub const ALICE: &str = "alice";
/// Price of a batch per round.
pub const PRICE: Amount = Amount::grains(10_000);
const START_MS: u64 = 1_700_000_000_000;
const FEE_PER_BYTE: u64 = 3;

/// The chain, and everything that happened on it.
pub struct SmallChain {
    genesis: Genesis,
    tip: Mutex<Tip>,
    heights: watch::Sender<Height>,
}

struct Tip {
    state: State,
    parent: BlockHash,
    events: Vec<Event>,
    declared: Vec<Vec<(u8, u32)>>,
    finals: HashMap<TxId, Height>,
}

pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(sha256(name.as_bytes()))
}

pub fn address(name: &str) -> Address {
    key(name).address()
}

/// Each pair of owner and holder has one request.
pub fn request(holder: &str) -> RequestId {
    RequestId::new(*sha256(holder.as_bytes()).first_chunk().unwrap())
}

fn vrf() -> VrfSecretKey {
    VrfSecretKey::from_seed(sha256(b"vrf of walter"))
}

pub fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 60_000,
        proof_window_ms: 20_000,
        seed_delay_blocks: 1,
        challenge: ChallengeParams { k_min: 80, k_small: 80, target_rounds: 4 },
        proof_part_openings: 32,
        proof_retention_rounds: 10,
        batch_classes: Bounded::new(vec![20]).unwrap(),
        code_data: 1,
        code_parity: 1,
        contract_rounds_max: 1_000,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(FEE_PER_BYTE),
        proof_fee: Amount::grains(7),
        holder_bond: Amount::hold(1),
        collateral_rounds: 10,
        opening_fine_multiple: 10,
        missed_round_fine_percent: 20,
        declare_fine_percent: 10,
        validator_bond_min: Amount::hold(1),
        validators_max: 100,
        unbond_rounds: 3,
        missed_turns_max: 1_000_000,
        jail_rounds: 2,
        slash_bps: 500,
        block_interval_ms: 1_000,
        heartbeat_ms: 5_000,
        clock_drift_ms: 2_000,
        block_bytes_max: BLOCK_BYTES_MAX as u32,
        grid: Bounded::empty(),
    }
}

fn genesis() -> Genesis {
    let mut accounts: Vec<_> =
        [ALICE, "carol", "dave"].iter().map(|name| (address(name), Amount::hold(1_000))).collect();
    accounts.sort();
    let walter = GenesisValidator { address: address(WALTER), vrf: vrf().public(), bond: Amount::hold(1) };
    Genesis {
        name: Bounded::new(b"holder".to_vec()).unwrap(),
        time: TimeMs::new(START_MS),
        params: params(),
        accounts: Bounded::new(accounts).unwrap(),
        validators: Bounded::new(vec![walter]).unwrap(),
        seed: [7; 32],
    }
}

impl SmallChain {
    pub fn new() -> Self {
        let genesis = genesis();
        let tip = Tip {
            state: State::genesis(&genesis).unwrap(),
            parent: BlockHash::ZERO,
            events: Vec::new(),
            declared: Vec::new(),
            finals: HashMap::new(),
        };
        Self { genesis, tip: Mutex::new(tip), heights: watch::Sender::new(Height::GENESIS) }
    }

    pub fn state(&self) -> State {
        self.tip().state.clone()
    }

    pub fn chain_id(&self) -> holdfast_primitives::ChainId {
        self.genesis.chain_id()
    }

    pub fn params(&self) -> &Params {
        &self.genesis.params
    }

    /// What happened since this was last asked.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.tip().events)
    }

    /// The batches of every declaration so far, in order.
    pub fn declared(&self) -> Vec<Vec<(u8, u32)>> {
        self.tip().declared.clone()
    }

    fn tip(&self) -> MutexGuard<'_, Tip> {
        self.tip.lock().unwrap()
    }

    // ---- blocks

    /// One block a second after the last one.
    fn block(&self, txs: Vec<TxEnvelope>) -> Result<Height, LedgerError> {
        let time = self.tip().state.chain().time.saturating_add(1_000);
        self.block_at(time, txs)
    }

    fn block_at(&self, time: TimeMs, txs: Vec<TxEnvelope>) -> Result<Height, LedgerError> {
        let mut tip = self.tip();
        let mut admitted = Vec::new();
        for envelope in txs {
            let pending = Pending::none(&tip.state, &envelope.signed.tx.sender);
            admitted.push(
                admit(&tip.state, envelope, &pending)
                    .map_err(|rule| LedgerError::Refused { code: rule.code().to_owned(), message: rule.to_string() })?,
            );
        }
        let vrf = vrf();
        let walter = Proposer { address: address(WALTER), vrf: &vrf };
        let built = build_block(&tip.state, tip.parent, admitted.into_iter(), walter, time, BLOCK_BYTES_MAX);
        assert_eq!(built.skipped, []);
        let applied = built.checked.apply();
        let height = applied.full.block.header.height;
        for signed in applied.full.block.txs.iter() {
            tip.finals.insert(signed.id(), height);
            if let TxBody::DeclareFaulty { batches } = &signed.tx.body {
                tip.declared.push(batches.to_vec());
            }
        }
        tip.events.extend(applied.events);
        tip.parent = applied.hash;
        tip.state = applied.state;
        drop(tip);
        self.heights.send_replace(height);
        Ok(height)
    }

    /// Blocks up to the freeze of the running round and on to its seed.
    pub fn freeze_and_seed(&self) {
        let due = self.state().chain().running.due;
        self.block_at(due, Vec::new()).unwrap();
        while self.state().chain().running.phase == Phase::AwaitingSeed {
            self.block(Vec::new()).unwrap();
        }
    }

    /// Blocks up to the one that settles the running round; what that did.
    pub fn settle(&self) -> Settled {
        self.take_events();
        let running = self.state().chain().running.clone();
        self.block_at(running.due, Vec::new()).unwrap();
        while self.state().chain().running.round == running.round {
            self.block(Vec::new()).unwrap();
        }
        let mut settled = Settled::default();
        for event in self.take_events() {
            match event {
                Event::Paid(payments) => settled.payments.extend(payments.into_inner()),
                Event::Fined { holder, amount } => settled.fines.push((holder, amount)),
                Event::BatchFaulty { holder, slot, .. } => settled.newly_faulty.push((holder, slot)),
                _ => {}
            }
        }
        settled
    }

    // ---- transactions

    pub fn send(&self, name: &str, body: TxBody) {
        let sequence = self.state().account_by_address(&address(name)).unwrap().1.sequence;
        let mut tx = Tx { sender: address(name), sequence, fee: Amount::ZERO, expires: Height::new(u64::MAX), body };
        tx.fee = Amount::grains(FEE_PER_BYTE * (tx.payload().len() as u64 + 64));
        self.block(vec![TxEnvelope::bare(tx.sign(&key(name), &self.chain_id()))]).unwrap();
    }

    /// A holder joins.
    pub fn join(&self, name: &str) -> HolderNo {
        self.send(
            name,
            TxBody::HolderJoin {
                quota_bytes: 1 << 30,
                price: PRICE,
                profile: Profile::default(),
                deposit: Amount::hold(10),
            },
        );
        self.state().holder_by_address(&address(name)).unwrap().0
    }

    /// Alice registers segments of one batch at Carol's and one at Dave's.
    pub fn register(&self, carol: &[BatchMeta], dave: &[BatchMeta]) {
        let batch = |(placement, meta): (u16, &BatchMeta)| NewBatch { root: meta.root, placement };
        let segment = |(carol, dave): (&BatchMeta, &BatchMeta)| NewSegment {
            batch_log2: 20,
            data: 1,
            parity: 1,
            codec: 1,
            batches: Bounded::new([(0, carol), (1, dave)].map(batch).to_vec()).unwrap(),
        };
        let first_ordinal = self.state().account_by_address(&address(ALICE)).unwrap().1.segments;
        let register = Register {
            first_ordinal,
            segments: Bounded::new(carol.iter().zip(dave).map(segment).collect()).unwrap(),
            placements: Bounded::new(vec![self.placement("carol", carol), self.placement("dave", dave)]).unwrap(),
            catalog_head: None,
        };
        self.send(ALICE, TxBody::Register(register));
    }

    fn placement(&self, holder: &str, metas: &[BatchMeta]) -> Placement {
        let (chain, expires) = (self.chain_id(), Height::new(u64::MAX));
        let (request, owner, walter) = (request(holder), address(ALICE), address(WALTER));
        let terms = QuoteTerms {
            request,
            owner,
            holder: address(holder),
            batch_log2: 20,
            batches_max: 100,
            price: PRICE,
            rounds_max: 1_000,
            path: path_digest([&walter]),
            expires,
        };
        let hop = |payload: &[u8]| FootprintHop {
            node: walter,
            signature: key(WALTER).sign(Purpose::FootprintHop, &chain, payload),
        };
        let unsigned = Bounded::new(vec![hop(b"")]).unwrap();
        let (_, payload) = hop_payloads(&request, &owner, &terms.holder, &unsigned).remove(0);
        let receipt = receipt_payload(&request, &owner, expires, metas);
        Placement {
            quote: terms.sign(&key(holder), &chain),
            rounds: 500,
            footprint: Bounded::new(vec![hop(&payload)]).unwrap(),
            receipt: Receipt { expires, signature: key(holder).sign(Purpose::Receipt, &chain, &receipt) },
        }
    }
}

/// What a settlement did.
#[derive(Debug, Default)]
pub struct Settled {
    pub payments: Vec<Payment>,
    pub fines: Vec<(HolderNo, Amount)>,
    pub newly_faulty: Vec<(HolderNo, u32)>,
}

impl Settled {
    /// For how many batches this holder was paid, and how much in all.
    pub fn paid(&self, state: &State, holder: HolderNo) -> (u32, Amount) {
        let of_holder = |payment: &&Payment| state.contract(payment.contract).unwrap().holder == holder;
        let payments: Vec<_> = self.payments.iter().filter(of_holder).collect();
        let batches = payments.iter().map(|payment| payment.batches).sum();
        (batches, Amount::checked_sum(payments.iter().map(|payment| payment.paid)).unwrap())
    }
}

#[async_trait]
impl Ledger for SmallChain {
    async fn genesis(&self) -> Result<Genesis, LedgerError> {
        Ok(self.genesis.clone())
    }

    async fn chain(&self) -> Result<ChainView, LedgerError> {
        let state = self.state();
        let running = &state.chain().running;
        let phase = match running.phase {
            Phase::Open => RoundPhase::Open,
            Phase::AwaitingSeed => RoundPhase::AwaitingSeed,
            Phase::Proving { seed, .. } => RoundPhase::Proving { seed },
        };
        let running = RoundView { round: running.round, phase, due: running.due };
        Ok(ChainView { height: state.chain().height, time: state.chain().time, running })
    }

    async fn chain_after(&self, height: Height) -> Result<ChainView, LedgerError> {
        let higher = self.heights.subscribe().wait_for(|newest| *newest > height).await.map(|_| ());
        higher.map_err(|error| LedgerError::Unavailable { reason: error.to_string() })?;
        self.chain().await
    }

    async fn account(&self, address: &Address) -> Result<Option<AccountView>, LedgerError> {
        let state = self.state();
        let view = |account: &holdfast_ledger::Account| AccountView {
            balance: account.balance,
            sequence: account.sequence,
            holder: account.holder,
            revoked: account.revoked.to_vec(),
        };
        Ok(state.account_by_address(address).map(|(_, account)| view(account)))
    }

    async fn holder(&self, number: HolderNo) -> Result<Holder, LedgerError> {
        Ok(self.state().holder(number).unwrap().clone())
    }

    async fn slots(&self, number: HolderNo, batch_log2: u8) -> Result<Vec<Slot>, LedgerError> {
        Ok(self.state().slots(number, batch_log2).cloned().collect())
    }

    async fn heavies(&self) -> Result<Vec<HeavyNode>, LedgerError> {
        Ok(Vec::new())
    }

    async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, LedgerError> {
        let id = envelope.signed.id();
        self.block(vec![envelope])?;
        Ok(id)
    }

    async fn wait_final(&self, envelope: &TxEnvelope) -> Result<Height, LedgerError> {
        let id = envelope.signed.id();
        let height = self.tip().finals.get(&id).copied();
        height.ok_or_else(|| LedgerError::Unavailable { reason: format!("nobody handed in {id}") })
    }
}
