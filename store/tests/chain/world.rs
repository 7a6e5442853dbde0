//! A chain of one validator to fill databases with: real blocks, real certificates, real rounds over a real vault.

use holdfast_ledger::statement::{FootprintHop, QuoteTerms, Receipt, hop_payloads, path_digest, receipt_payload};
use holdfast_ledger::{
    Applied, Event, Genesis, GenesisValidator, NewBatch, NewSegment, Params, Pending, Phase, Placement, Profile,
    Proposer, Register, State, Tx, TxBody, TxEnvelope, admit, build_block, slot_evidence,
};
use holdfast_por::{BatchMeta, ChallengeParams, HolderChallenge, ProofPart, RoundSeed, openings_digest, prove_part};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{
    Address, Amount, BlockHash, Bounded, Certificate, CommitSignature, Height, NetworkPrefix, Purpose, RequestId,
    SecretKey, TimeMs, VrfSecretKey, sha256, vote_payload,
};
use holdfast_store::{ChainDb, CommitInput, Committed, HolderEvidence, StoreError, Vault};
use std::collections::HashMap;

/// The validator, who is the only heavy node.
pub const WALTER: &str = "walter";
/// Who holds batches.
pub const HOLDERS: [&str; 3] = ["carol", "dave", "erin"];
const START_MS: u64 = 1_700_000_000_000;
const PRICE: Amount = Amount::grains(10_001);

/// The chain as a node has it in memory.
pub struct World {
    pub genesis: Genesis,
    pub state: State,
    pub parent: BlockHash,
    pub time: u64,
}

pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(sha256(name.as_bytes()))
}

pub fn address(name: &str) -> Address {
    key(name).address()
}

fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 60_000,
        proof_window_ms: 20_000,
        seed_delay_blocks: 2,
        challenge: ChallengeParams { k_min: 20, k_small: 10, target_rounds: 4 },
        proof_part_openings: 8,
        proof_retention_rounds: 10,
        batch_classes: Bounded::new(vec![20]).unwrap(),
        code_data: 2,
        code_parity: 1,
        contract_rounds_max: 100,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(3),
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

/// A genesis whose chain id follows from `name`.
pub fn genesis(name: &str) -> Genesis {
    let mut accounts: Vec<_> =
        ["alice", "bob", "carol", "dave", "erin"].iter().map(|name| (address(name), Amount::hold(1_000))).collect();
    accounts.sort();
    let vrf = VrfSecretKey::from_seed(sha256(b"vrf of walter"));
    let walter = GenesisValidator { address: address(WALTER), vrf: vrf.public(), bond: Amount::hold(1) };
    Genesis {
        name: Bounded::new(name.as_bytes().to_vec()).unwrap(),
        time: TimeMs::new(START_MS),
        params: params(),
        accounts: Bounded::new(accounts).unwrap(),
        validators: Bounded::new(vec![walter]).unwrap(),
        seed: [7; 32],
    }
}

impl World {
    pub fn new() -> Self {
        let genesis = genesis("store");
        let state = State::genesis(&genesis).unwrap();
        Self { genesis, state, parent: BlockHash::ZERO, time: START_MS }
    }

    /// Goes on from what a database holds.
    pub fn from_db(db: &ChainDb) -> Self {
        let genesis = genesis("store");
        let state = db.load_state(&genesis).unwrap();
        let time = state.chain().time.get();
        Self { genesis, state, parent: db.tip().hash, time }
    }

    pub fn next_height(&self) -> Height {
        self.state.chain().height.next()
    }

    // ---- blocks

    /// Builds the next block, a second after the last.
    pub fn build(&self, txs: Vec<TxEnvelope>) -> Applied {
        self.build_at(self.time + 1_000, txs)
    }

    pub fn build_at(&self, time: u64, txs: Vec<TxEnvelope>) -> Applied {
        let vrf = VrfSecretKey::from_seed(sha256(b"vrf of walter"));
        let proposer = Proposer { address: address(WALTER), vrf: &vrf };
        let mut waiting: HashMap<Address, Pending> = HashMap::new();
        let admitted: Vec<_> = txs
            .into_iter()
            .map(|envelope| {
                let sender = envelope.signed.tx.sender;
                let pending = waiting.entry(sender).or_insert_with(|| Pending::none(&self.state, &sender));
                let tx = admit(&self.state, envelope, pending).unwrap();
                *pending = tx.after(pending);
                tx
            })
            .collect();
        let built =
            build_block(&self.state, self.parent, admitted.into_iter(), proposer, TimeMs::new(time), BLOCK_BYTES_MAX);
        assert_eq!(built.skipped, []);
        built.checked.apply()
    }

    /// Walter's quorum of one.
    pub fn certificate(&self, applied: &Applied) -> Certificate {
        let height = applied.full.block.header.height;
        let payload = vote_payload(true, height, 0, Some(&applied.hash));
        let signature = key(WALTER).sign(Purpose::Vote, &self.state.chain().chain, &payload);
        let signature = CommitSignature { validator: address(WALTER), signature };
        Certificate { height, round: 0, block: applied.hash, signatures: Bounded::new(vec![signature]).unwrap() }
    }

    /// Commits a block with its certificate and, if it seeds a round, the evidence.
    pub fn try_commit(&self, db: &ChainDb, applied: &Applied) -> Result<Committed, StoreError> {
        let certificate = self.certificate(applied);
        let seeds = applied.events.iter().any(|event| matches!(event, Event::RoundSeeded { .. }));
        let round = applied.state.chain().running.round;
        let evidence: Vec<_> = applied
            .state
            .iter_holders()
            .filter(|_| seeds)
            .filter_map(|(holder, _)| {
                Some(HolderEvidence { round, holder, slots: slot_evidence(&applied.state, holder)? })
            })
            .collect();
        db.commit(CommitInput { applied, certificate: &certificate, evidence: &evidence })
    }

    /// Builds, commits, moves on.
    pub fn block(&mut self, db: &ChainDb, txs: Vec<TxEnvelope>) -> Applied {
        let applied = self.build(txs);
        self.commit(db, &applied);
        applied
    }

    pub fn commit(&mut self, db: &ChainDb, applied: &Applied) {
        assert_eq!(self.try_commit(db, applied).unwrap(), Committed::Now);
        self.advance(applied);
    }

    pub fn advance(&mut self, applied: &Applied) {
        self.time = applied.full.block.header.time.get();
        self.parent = applied.hash;
        self.state = applied.state.clone();
    }

    // ---- transactions

    pub fn tx(&self, sender: &str, body: TxBody) -> TxEnvelope {
        let sequence = self.state.account_by_address(&address(sender)).map_or(0, |(_, account)| account.sequence);
        self.tx_numbered(sender, sequence, body)
    }

    fn tx_numbered(&self, sender: &str, sequence: u64, body: TxBody) -> TxEnvelope {
        let is_proof = matches!(body, TxBody::Prove { .. });
        let mut tx = Tx { sender: address(sender), sequence, fee: Amount::ZERO, expires: Height::new(u64::MAX), body };
        if !is_proof {
            tx.fee = Amount::grains(3 * (tx.payload().len() as u64 + 64));
        }
        TxEnvelope::bare(tx.sign(&key(sender), &self.state.chain().chain))
    }

    /// `count` transfers of Alice's to Bob, one after the other.
    pub fn transfers(&self, count: u64) -> Vec<TxEnvelope> {
        let first = self.state.account_by_address(&address("alice")).unwrap().1.sequence;
        let transfer = |number: u64| {
            let body =
                TxBody::Transfer { to: address("bob"), amount: Amount::grains(1 + number), memo: Bounded::empty() };
            self.tx_numbered("alice", first + number, body)
        };
        (0..count).map(transfer).collect()
    }

    // ---- a market

    /// All holders join, and hold one segment of Alice's: one batch each, in the order of [`HOLDERS`].
    pub fn store(&mut self, db: &ChainDb, metas: &[BatchMeta; 3]) {
        let join = |name: &&str| {
            let body = TxBody::HolderJoin {
                quota_bytes: 1 << 30,
                price: PRICE,
                profile: Profile::default(),
                deposit: Amount::hold(10),
            };
            self.tx(name, body)
        };
        let joins = HOLDERS.iter().map(join).collect();
        self.block(db, joins);
        let batches = (0..).zip(metas).map(|(placement, meta)| NewBatch { root: meta.root, placement }).collect();
        let segment =
            NewSegment { batch_log2: 20, data: 2, parity: 1, codec: 1, batches: Bounded::new(batches).unwrap() };
        let placements = HOLDERS.iter().zip(metas).map(|(holder, meta)| self.placement(holder, meta)).collect();
        let register = Register {
            first_ordinal: 0,
            segments: Bounded::new(vec![segment]).unwrap(),
            placements: Bounded::new(placements).unwrap(),
            catalog_head: None,
        };
        let register = self.tx("alice", TxBody::Register(register));
        self.block(db, vec![register]);
    }

    fn placement(&self, holder: &str, meta: &BatchMeta) -> Placement {
        let chain = &self.state.chain().chain;
        let expires = Height::new(u64::MAX);
        let request = RequestId::new(*sha256(holder.as_bytes()).first_chunk().unwrap());
        let (owner, last_hop) = (address("alice"), address(WALTER));
        let terms = QuoteTerms {
            request,
            owner,
            holder: address(holder),
            batch_log2: 20,
            batches_max: 10,
            price: PRICE,
            rounds_max: 100,
            path: path_digest([&last_hop]),
            expires,
        };
        let unsigned = FootprintHop { node: last_hop, signature: key(WALTER).sign(Purpose::FootprintHop, chain, b"") };
        let path = Bounded::new(vec![unsigned]).unwrap();
        let (_, payload) = hop_payloads(&request, &owner, &terms.holder, &path).remove(0);
        let hop = FootprintHop { node: last_hop, signature: key(WALTER).sign(Purpose::FootprintHop, chain, &payload) };
        let receipt = receipt_payload(&request, &owner, expires, &[*meta]);
        Placement {
            quote: terms.sign(&key(holder), chain),
            rounds: 10,
            footprint: Bounded::new(vec![hop]).unwrap(),
            receipt: Receipt { expires, signature: key(holder).sign(Purpose::Receipt, chain, &receipt) },
        }
    }

    // ---- a round

    /// Blocks up to the one that seeds the next round.
    pub fn freeze_and_seed(&mut self, db: &ChainDb) {
        let freeze = self.build_at(self.state.chain().running.due.get(), Vec::new());
        self.commit(db, &freeze);
        while self.state.chain().running.phase == Phase::AwaitingSeed {
            self.block(db, Vec::new());
        }
    }

    /// Every part of one holder's proof, read from its vault.
    pub fn proof(&self, holder: &str, vault: &Vault) -> Vec<TxEnvelope> {
        let chain = self.state.chain();
        let (number, record) = self.state.holder_by_address(&address(holder)).unwrap();
        let (frozen, Phase::Proving { seed, .. }) = (record.frozen.as_ref().unwrap(), &chain.running.phase) else {
            panic!("no proofs are taken now")
        };
        let (round, set_root) = (frozen.round, frozen.set_root);
        let of = RoundSeed { chain: chain.chain, round, seed: *seed, holder: address(holder), set_root };
        let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
        let challenge = HolderChallenge::new(of, &classes, frozen.challenges).unwrap();
        let root_of = |log2: u8, slot: u64| Some(self.state.slot(number, log2, u32::try_from(slot).ok()?)?.meta.root);
        let parts = challenge.parts(self.genesis.params.proof_part_openings);
        parts
            .map(|(first_j, count)| {
                let proved = prove_part(&challenge, first_j, count, &mut vault.source(root_of)).unwrap();
                let part = ProofPart::new(&challenge, first_j, count);
                let body = TxBody::Prove { part, openings_digest: openings_digest(&proved.openings) };
                let bare = self.tx_numbered(holder, 0, body);
                TxEnvelope { openings: Bounded::new(proved.openings).unwrap(), ..bare }
            })
            .collect()
    }

    /// Blocks until the running round is settled.
    pub fn settle(&mut self, db: &ChainDb) -> Applied {
        let round = self.state.chain().running.round;
        loop {
            let applied = self.block(db, Vec::new());
            if self.state.chain().running.round != round {
                return applied;
            }
        }
    }
}
