//! A chain of one validator in memory, with people who pay each other and holders who prove.

use holdfast_ledger::statement::{FootprintHop, QuoteTerms, Receipt, hop_payloads, path_digest, receipt_payload};
use holdfast_ledger::{
    AdmittedTx, Genesis, GenesisValidator, NewBatch, NewSegment, Params, Pending, Phase, Placement, Profile, Proposer,
    Register, SoundTx, State, Tx, TxBody, TxEnvelope, TxError, admit, build_block, sound,
};
use holdfast_por::{BatchMeta, ChallengeParams, HolderChallenge, ProofPart, RoundSeed, openings_digest};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{
    Address, Amount, BlockHash, Bounded, ChainId, Height, NetworkPrefix, Purpose, RequestId, SecretKey, TimeMs, TxId,
    VrfSecretKey, sha256,
};

/// Who sends.
pub const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// The validator, who is the only heavy node.
const WALTER: &str = "walter";
pub const FEE_PER_BYTE: u64 = 3;
const START_MS: u64 = 1_700_000_000_000;
const PRICE: Amount = Amount::grains(10_000);

pub struct Chain {
    pub state: State,
    parent: BlockHash,
}

pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(sha256(name.as_bytes()))
}

pub fn address(name: &str) -> Address {
    key(name).address()
}

fn vrf() -> VrfSecretKey {
    VrfSecretKey::from_seed(sha256(b"vrf of walter"))
}

fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 60_000,
        proof_window_ms: 20_000,
        seed_delay_blocks: 1,
        challenge: ChallengeParams { k_min: 20, k_small: 10, target_rounds: 4 },
        proof_part_openings: 4,
        proof_retention_rounds: 10,
        batch_classes: Bounded::new(vec![20]).unwrap(),
        code_data: 1,
        code_parity: 0,
        contract_rounds_max: 100,
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

impl Chain {
    /// Everybody starts with `stake`.
    pub fn new(stake: Amount) -> Self {
        let mut accounts: Vec<_> = PEOPLE.iter().map(|name| (address(name), stake)).collect();
        accounts.sort();
        let walter = GenesisValidator { address: address(WALTER), vrf: vrf().public(), bond: Amount::hold(1) };
        let genesis = Genesis {
            name: Bounded::new(b"mempool".to_vec()).unwrap(),
            time: TimeMs::new(START_MS),
            params: params(),
            accounts: Bounded::new(accounts).unwrap(),
            validators: Bounded::new(vec![walter]).unwrap(),
            seed: [7; 32],
        };
        Self { state: State::genesis(&genesis).unwrap(), parent: BlockHash::ZERO }
    }

    pub fn id(&self) -> ChainId {
        self.state.chain().chain
    }

    pub fn sequence(&self, name: &str) -> u64 {
        self.state.account_by_address(&address(name)).unwrap().1.sequence
    }

    pub fn balance(&self, name: &str) -> u64 {
        self.state.account_by_address(&address(name)).unwrap().1.balance.get()
    }

    /// Builds and applies the next block at `time`; what it took, and what it skipped.
    fn block_at(&mut self, time: TimeMs, txs: Vec<AdmittedTx>, bytes_max: usize) -> (Vec<TxId>, Vec<(TxId, TxError)>) {
        let vrf = vrf();
        let walter = Proposer { address: address(WALTER), vrf: &vrf };
        let built = build_block(&self.state, self.parent, txs.into_iter(), walter, time, bytes_max);
        let applied = built.checked.apply();
        self.state = applied.state;
        self.parent = applied.hash;
        (applied.full.block.txs.iter().map(|signed| signed.id()).collect(), built.skipped)
    }

    pub fn block(&mut self, txs: Vec<AdmittedTx>, bytes_max: usize) -> (Vec<TxId>, Vec<(TxId, TxError)>) {
        self.block_at(self.state.chain().time.saturating_add(1_000), txs, bytes_max)
    }

    // ---- transactions

    /// Shape and signatures, as every node checks them first.
    pub fn sound(&self, envelope: TxEnvelope) -> Result<SoundTx, TxError> {
        sound(self.state.params(), &self.id(), vec![envelope]).pop().unwrap()
    }

    pub fn sign(&self, name: &str, sequence: u64, fee: u64, expires: u64, body: TxBody) -> TxEnvelope {
        let (fee, expires) = (Amount::grains(fee), Height::new(expires));
        TxEnvelope::bare(Tx { sender: address(name), sequence, fee, expires, body }.sign(&key(name), &self.id()))
    }

    /// A payment of one grain to Bob that pays `times` the smallest fee. The memo makes it long.
    pub fn payment(&self, name: &str, sequence: u64, times: u64) -> TxEnvelope {
        let body = TxBody::Transfer { to: address("bob"), amount: Amount::grains(1), memo: Bounded::empty() };
        let bytes = self.sign(name, sequence, 0, u64::MAX, body.clone()).signed.to_bytes().len() as u64;
        self.sign(name, sequence, times * FEE_PER_BYTE * bytes, u64::MAX, body)
    }

    fn run(&mut self, name: &str, body: TxBody) {
        let envelope = self.sign(name, self.sequence(name), 1_000_000, u64::MAX, body);
        let admitted = admit(&self.state, envelope, &Pending::none(&self.state, &address(name))).unwrap();
        assert_eq!(self.block(vec![admitted], BLOCK_BYTES_MAX).1, []);
    }

    // ---- a round

    /// Each of `holders` keeps a batch of Alice's, and the round wants its proof.
    pub fn proving(holders: &[&str]) -> Self {
        let mut chain = Self::new(Amount::hold(1_000));
        for holder in holders {
            chain.run(
                holder,
                TxBody::HolderJoin {
                    quota_bytes: 1 << 30,
                    price: PRICE,
                    profile: Profile::default(),
                    deposit: Amount::hold(10),
                },
            );
        }
        for (ordinal, holder) in (0..).zip(holders) {
            let register = chain.registration(ordinal, holder);
            chain.run("alice", TxBody::Register(register));
        }
        let due = chain.state.chain().running.due;
        chain.block_at(due, Vec::new(), BLOCK_BYTES_MAX);
        while !matches!(chain.state.chain().running.phase, Phase::Proving { .. }) {
            chain.block(Vec::new(), BLOCK_BYTES_MAX);
        }
        chain
    }

    /// Empty blocks until the round is settled.
    pub fn settle(&mut self) {
        while matches!(self.state.chain().running.phase, Phase::Proving { .. }) {
            self.block(Vec::new(), BLOCK_BYTES_MAX);
        }
    }

    fn registration(&self, ordinal: u32, holder: &str) -> Register {
        let (chain, expires, owner, walter) = (self.id(), Height::new(u64::MAX), address("alice"), address(WALTER));
        let request = RequestId::new(*sha256(holder.as_bytes()).first_chunk().unwrap());
        let meta =
            BatchMeta { scheme: 1, batch_log2: 20, leaf_log2: 10, inner_code: 0, root: sha256(holder.as_bytes()) };
        let batch = NewBatch { root: meta.root, placement: 0 };
        let segment =
            NewSegment { batch_log2: 20, data: 1, parity: 0, codec: 1, batches: Bounded::new(vec![batch]).unwrap() };
        let terms = QuoteTerms {
            request,
            owner,
            holder: address(holder),
            batch_log2: 20,
            batches_max: 1,
            price: PRICE,
            rounds_max: 100,
            path: path_digest([&walter]),
            expires,
        };
        let hop = |payload: &[u8]| FootprintHop {
            node: walter,
            signature: key(WALTER).sign(Purpose::FootprintHop, &chain, payload),
        };
        let unsigned = Bounded::new(vec![hop(b"")]).unwrap();
        let (_, payload) = hop_payloads(&request, &owner, &terms.holder, &unsigned).remove(0);
        let receipt = receipt_payload(&request, &owner, expires, &[meta]);
        let placement = Placement {
            quote: terms.sign(&key(holder), &chain),
            rounds: 10,
            footprint: Bounded::new(vec![hop(&payload)]).unwrap(),
            receipt: Receipt { expires, signature: key(holder).sign(Purpose::Receipt, &chain, &receipt) },
        };
        Register {
            first_ordinal: ordinal,
            segments: Bounded::new(vec![segment]).unwrap(),
            placements: Bounded::new(vec![placement]).unwrap(),
            catalog_head: None,
        }
    }

    /// Every part of a holder's proof, as long as it must be and filled with `filling`: what is in it only the block's
    /// execution judges.
    pub fn proof(&self, holder: &str, filling: u8) -> Vec<TxEnvelope> {
        let (_, record) = self.state.holder_by_address(&address(holder)).unwrap();
        let (frozen, Phase::Proving { seed, .. }) =
            (record.frozen.as_ref().unwrap(), &self.state.chain().running.phase)
        else {
            panic!("no proofs are taken now")
        };
        let (round, set_root, holder_id) = (frozen.round, frozen.set_root, address(holder));
        let of = RoundSeed { chain: self.id(), round, seed: *seed, holder: holder_id, set_root };
        let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
        let challenge = HolderChallenge::new(of, &classes, frozen.challenges).unwrap();
        let part = |(first_j, count): (u32, u32)| {
            let openings = vec![filling; challenge.openings_bytes(first_j, count).unwrap()];
            let part = ProofPart::new(&challenge, first_j, count);
            let body = TxBody::Prove { part, openings_digest: openings_digest(&openings) };
            let bare = self.sign(holder, 0, 0, u64::MAX, body);
            TxEnvelope { openings: Bounded::new(openings).unwrap(), ..bare }
        };
        challenge.parts(self.state.params().proof_part_openings).map(part).collect()
    }
}
