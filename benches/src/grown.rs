//! A chain that grows as a real one does: signed registrations, admitted, built into blocks, executed and committed.
//!
//! 1,000 holders and 100 owners on the devnet's rules. A registration brings 1,000 segments of 4+2 batches to six holders,
//! so a contract covers 1,000 batches. All keys grow from numbers, so that another process knows the same genesis.

use anyhow::{Context as _, Result, ensure};
use holdfast_genesis::preset;
use holdfast_ledger::statement::{
    Footprint, FootprintHop, Quote, QuoteTerms, Receipt, hop_payload, path_digest, receipt_payload,
};
use holdfast_ledger::{
    Genesis, GenesisValidator, NewBatch, NewSegment, Pending, Placement, Profile, Proposer, Register, State, Tx,
    TxBody, TxEnvelope, admit, build_block,
};
use holdfast_primitives::{
    Address, Amount, BlockHash, Bounded, Certificate, CommitSignature, Height, NetworkPrefix, Purpose, RequestId,
    SecretKey, TimeMs, VrfSecretKey, vote_payload,
};
use holdfast_store::{ChainDb, CommitInput};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const HOLDERS: u32 = 1_000;
const OWNERS: u32 = 100;
const SEGMENTS: usize = 1_000;
const MEMBERS: u16 = 6;
/// Batches that one registration brings.
pub const BATCHES_AT_ONCE: u64 = SEGMENTS as u64 * MEMBERS as u64;
const PRICE: Amount = Amount::grains(1_000);
const ROUNDS: u32 = 100;
const NEVER: Height = Height::new(u64::MAX);
const START: TimeMs = TimeMs::new(1_790_000_000_000);

/// Which key: the kinds have different ones.
#[derive(Clone, Copy)]
enum Who {
    Validator,
    Owner(u32),
    Holder(u32),
}

/// A chain at some height.
pub struct Grown {
    genesis: Genesis,
    vrf: VrfSecretKey,
    state: State,
    parent: BlockHash,
    registrations: u32,
    roots: ChaCha8Rng,
}

/// The genesis from which it grows.
pub fn genesis() -> Result<Genesis> {
    let funded = (0..OWNERS).map(Who::Owner).chain((0..HOLDERS).map(Who::Holder));
    let mut accounts: Vec<_> = funded.map(|who| (address(who), Amount::hold(1_000_000))).collect();
    accounts.sort_by_key(|(address, _)| *address);
    let validator = GenesisValidator { address: address(Who::Validator), vrf: vrf().public(), bond: Amount::hold(100) };
    Ok(Genesis {
        name: Bounded::new(b"grown".to_vec())?,
        time: START,
        params: preset(NetworkPrefix::Devnet),
        accounts: Bounded::new(accounts)?,
        validators: Bounded::new(vec![validator])?,
        seed: [3; 32],
    })
}

impl Grown {
    /// A chain whose holders have joined and hold nothing yet.
    pub fn start(folder: &Path) -> Result<Self> {
        let genesis = genesis()?;
        let state = State::genesis(&genesis)?;
        let roots = ChaCha8Rng::seed_from_u64(41);
        let mut grown = Self { vrf: vrf(), state, parent: BlockHash::ZERO, registrations: 0, roots, genesis };
        let db = ChainDb::open(folder, &grown.genesis)?;
        let joins = (0..HOLDERS).map(|holder| grown.join(holder)).collect();
        grown.commit(&db, joins)?;
        Ok(grown)
    }

    /// Registers batches until there are `batches`, in blocks of one registration. The database is closed on return.
    pub fn grow_to(&mut self, folder: &Path, batches: u64) -> Result<()> {
        let db = ChainDb::open(folder, &self.genesis)?;
        while self.batches() < batches {
            let register = self.register()?;
            self.commit(&db, vec![register])?;
        }
        Ok(())
    }

    /// Batches that are stored.
    pub fn batches(&self) -> u64 {
        batches(&self.state)
    }

    /// The state.
    pub const fn state(&self) -> &State {
        &self.state
    }

    fn commit(&mut self, db: &ChainDb, txs: Vec<TxEnvelope>) -> Result<()> {
        let count = txs.len();
        let admit_one = |tx: TxEnvelope| {
            let waiting = Pending::none(&self.state, &tx.signed.tx.sender);
            admit(&self.state, tx, &waiting)
        };
        let admitted = txs.into_iter().map(admit_one).collect::<Result<Vec<_>, _>>()?;
        let proposer = Proposer { address: address(Who::Validator), vrf: &self.vrf };
        let time = self.state.chain().time.saturating_add(1);
        let built = build_block(&self.state, self.parent, admitted.into_iter(), proposer, time, usize::MAX);
        let applied = built.checked.apply();
        ensure!(built.skipped.is_empty(), "every transaction keeps the rules: {:?}", built.skipped);
        ensure!(applied.full.block.txs.len() == count, "a block has room for {count} transactions");
        let height = applied.state.chain().height;
        let certificate = certificate(height, applied.hash, &self.genesis)?;
        db.commit(CommitInput { applied: &applied, certificate: &certificate, evidence: &[] })?;
        self.parent = applied.hash;
        self.state = applied.state;
        Ok(())
    }

    fn join(&self, holder: u32) -> TxEnvelope {
        let body = TxBody::HolderJoin {
            quota_bytes: 1 << 50,
            price: PRICE,
            profile: Profile::default(),
            deposit: Amount::hold(1_000),
        };
        self.sign(Who::Holder(holder), body)
    }

    fn register(&mut self) -> Result<TxEnvelope> {
        let number = self.registrations;
        self.registrations += 1;
        let owner = number % OWNERS;
        let (_, account) = self.state.account_by_address(&address(Who::Owner(owner))).context("owners are funded")?;
        let first_ordinal = account.segments;
        let segments = (0..SEGMENTS).map(|_| self.segment()).collect::<Result<_>>()?;
        let mut register = Register {
            first_ordinal,
            segments: Bounded::new(segments)?,
            placements: Bounded::empty(),
            catalog_head: None,
        };
        let mut placements = Vec::new();
        for place in 0..MEMBERS {
            let metas: Vec<_> =
                register.segments.iter().map(|segment| segment.meta(&segment.batches[usize::from(place)])).collect();
            let holder = (number * u32::from(MEMBERS) + u32::from(place)) % HOLDERS;
            placements.push(self.placement(number, owner, holder, &metas)?);
        }
        register.placements = Bounded::new(placements)?;
        Ok(self.sign(Who::Owner(owner), TxBody::Register(register)))
    }

    fn segment(&mut self) -> Result<NewSegment> {
        let mut batch = |placement| {
            let mut root = [0; 32];
            self.roots.fill_bytes(&mut root);
            NewBatch { root, placement }
        };
        let batches = Bounded::new((0..MEMBERS).map(&mut batch).collect())?;
        Ok(NewSegment { batch_log2: 20, data: 4, parity: 2, codec: 1, batches })
    }

    fn placement(&self, number: u32, owner: u32, holder: u32, metas: &[holdfast_por::BatchMeta]) -> Result<Placement> {
        let chain = self.genesis.chain_id();
        let (owner, holder_key, relay) = (address(Who::Owner(owner)), key(Who::Holder(holder)), key(Who::Validator));
        let mut request = [0; 16];
        request[..4].copy_from_slice(&number.to_le_bytes());
        request[4..8].copy_from_slice(&holder.to_le_bytes());
        let terms = QuoteTerms {
            request: RequestId::new(request),
            owner,
            holder: holder_key.address(),
            batch_log2: 20,
            batches_max: SEGMENTS as u32,
            price: PRICE,
            rounds_max: ROUNDS,
            path: path_digest([&relay.address()]),
            expires: NEVER,
        };
        let hop = hop_payload(&terms.request, &owner, 0, &owner, &terms.holder);
        let hop = FootprintHop { node: relay.address(), signature: relay.sign(Purpose::FootprintHop, &chain, &hop) };
        let receipt = receipt_payload(&terms.request, &owner, NEVER, metas);
        let receipt = Receipt { expires: NEVER, signature: holder_key.sign(Purpose::Receipt, &chain, &receipt) };
        let quote: Quote = terms.sign(&holder_key, &chain);
        let footprint: Footprint = Bounded::new(vec![hop])?;
        Ok(Placement { quote, rounds: ROUNDS, footprint, receipt })
    }

    fn sign(&self, who: Who, body: TxBody) -> TxEnvelope {
        let key = key(who);
        let sequence = self.state.account_by_address(&key.address()).map_or(0, |(_, account)| account.sequence);
        let mut tx = Tx { sender: key.address(), sequence, fee: Amount::ZERO, expires: NEVER, body };
        let bytes = tx.payload().len() as u64 + 64;
        tx.fee = self.genesis.params.fee_per_byte.checked_mul(bytes).expect("a transaction's fee is small");
        TxEnvelope::bare(tx.sign(&key, &self.genesis.chain_id()))
    }
}

/// The only validator's quorum.
fn certificate(height: Height, block: BlockHash, genesis: &Genesis) -> Result<Certificate> {
    let key = key(Who::Validator);
    let signature = key.sign(Purpose::Vote, &genesis.chain_id(), &vote_payload(true, height, 0, Some(&block)));
    let signatures = Bounded::new(vec![CommitSignature { validator: key.address(), signature }])?;
    Ok(Certificate { height, round: 0, block, signatures })
}

/// Batches in the lists of all holders.
pub fn batches(state: &State) -> u64 {
    state.iter_holders().flat_map(|(_, holder)| holder.lists.iter()).map(|class| class.batches).sum()
}

fn key(who: Who) -> SecretKey {
    let (kind, number) = match who {
        Who::Validator => (1, 0),
        Who::Owner(number) => (2, number),
        Who::Holder(number) => (3, number),
    };
    let mut seed = [kind; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(seed)
}

fn address(who: Who) -> Address {
    key(who).address()
}

fn vrf() -> VrfSecretKey {
    VrfSecretKey::from_seed([2; 32])
}
