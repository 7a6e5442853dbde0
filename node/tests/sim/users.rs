//! People who use the network, and people who try it on.

use crate::app::SimApp;
use crate::batches;
use crate::scene::{HOLDERS, PEOPLE, PRICE, Scene, address, key, validator_key, validator_vrf};
use holdfast_consensus::sim::SimRng;
use holdfast_ledger::statement::{FootprintHop, QuoteTerms, Receipt, hop_payloads, path_digest, receipt_payload};
use holdfast_ledger::{NewBatch, NewSegment, Placement, Profile, Register, Standing, State, Tx, TxBody, TxEnvelope};
use holdfast_por::{ProofPart, openings_digest};
use holdfast_primitives::{Amount, Bounded, Height, Purpose, RequestId, SecretKey, sha256};
use std::sync::Arc;

/// More than any transaction here must pay.
const FEE: u64 = 20_000;

/// Everybody.
pub struct Users {
    rng: SimRng,
    /// Validators that bond and take back, with what they never take back.
    validators: Vec<(usize, Amount)>,
}

/// A node that somebody may talk to.
type Door<'a> = (usize, &'a Arc<SimApp>);

impl Users {
    pub fn new(rng: SimRng, scene: &Scene) -> Self {
        let validators = scene.may_bond().into_iter().map(|number| (number, scene.first_bond(number)));
        Self { rng, validators: validators.collect() }
    }

    /// What people do in one beat: what a node took, and which.
    pub fn act(&mut self, doors: &[Door<'_>]) -> Vec<(usize, TxEnvelope)> {
        let mut taken = Vec::new();
        for holder in 0..HOLDERS.len() {
            if self.rng.percent(25)
                && let Some(&(node, app)) = self.rng.pick(doors)
            {
                let parts = self.proof(app, holder);
                taken
                    .extend(parts.into_iter().filter(|part| app.submit(part.clone()).is_ok()).map(|part| (node, part)));
            }
        }
        if self.rng.percent(45)
            && let Some(&(node, app)) = self.rng.pick(doors)
        {
            let envelope = self.request(app);
            if app.submit(envelope.clone()).is_ok() {
                taken.push((node, envelope));
            }
        }
        taken
    }

    fn request(&mut self, app: &SimApp) -> TxEnvelope {
        let state = app.state();
        match self.rng.below(10) {
            0 => self.join(app, &state),
            1 => self.update(app, &state),
            2 | 3 => self.register(app, &state),
            4 => self.stake(app, &state),
            _ => self.transfer(app, &state),
        }
    }

    /// Mostly right; now and then with a wrong number, too small a fee, an expiry in the past or somebody else's signature.
    fn finish(&mut self, app: &SimApp, state: &State, who: &str, body: TxBody) -> TxEnvelope {
        self.sign(app, state, key(who), body)
    }

    fn sign(&mut self, app: &SimApp, state: &State, mut signer: SecretKey, body: TxBody) -> TxEnvelope {
        let sender = signer.address();
        let fee = Amount::grains(FEE + self.rng.below(8) * FEE);
        let expires = state.chain().height.get() + 2 + self.rng.below(6);
        let mut tx = Tx { sender, sequence: app.next_sequence(&sender), fee, expires: Height::new(expires), body };
        match self.rng.below(24) {
            0 => tx.sequence += 1,
            1 => tx.sequence = tx.sequence.saturating_sub(1),
            2 => tx.fee = Amount::grains(1),
            3 => tx.expires = state.chain().height,
            4 => signer = key("mallory"),
            _ => {}
        }
        TxEnvelope::bare(tx.sign(&signer, &state.chain().chain))
    }

    fn transfer(&mut self, app: &SimApp, state: &State) -> TxEnvelope {
        let (from, to) = (*self.rng.pick(&PEOPLE).unwrap(), *self.rng.pick(&PEOPLE).unwrap());
        // Now and then more than anybody has.
        let amount = if self.rng.percent(5) { Amount::hold(5_000) } else { Amount::grains(1 + self.rng.below(1_000)) };
        self.finish(app, state, from, TxBody::Transfer { to: address(to), amount, memo: Bounded::empty() })
    }

    /// A validator bonds more, takes back what it added, or asks to be let in again.
    fn stake(&mut self, app: &SimApp, state: &State) -> TxEnvelope {
        let (number, first) = *self.rng.pick(&self.validators).unwrap();
        let signer = validator_key(number);
        let record = state.validator_by_address(&signer.address()).map(|(_, record)| record);
        let added = record.map_or(0, |record| record.bonded.get().saturating_sub(first.get()));
        let body = match record {
            Some(record) if matches!(record.standing, Standing::Jailed { .. }) => TxBody::Unjail,
            Some(_) if added > 0 && self.rng.percent(50) => TxBody::Unbond { amount: Amount::grains(added) },
            _ => TxBody::Bond { amount: Amount::hold(1 + self.rng.below(3)), vrf: validator_vrf(number).public() },
        };
        self.sign(app, state, signer, body)
    }

    fn join(&mut self, app: &SimApp, state: &State) -> TxEnvelope {
        let who = *self.rng.pick(&HOLDERS).unwrap();
        let body = TxBody::HolderJoin {
            quota_bytes: 1 << 30,
            price: PRICE,
            profile: Profile::default(),
            deposit: Amount::hold(10),
        };
        self.finish(app, state, who, body)
    }

    fn update(&mut self, app: &SimApp, state: &State) -> TxEnvelope {
        let who = *self.rng.pick(&HOLDERS).unwrap();
        let body = TxBody::HolderUpdate {
            quota_bytes: 1 << 30,
            price: PRICE,
            accepting: self.rng.percent(90),
            profile: Profile::default(),
            deposit_add: Amount::grains(self.rng.below(1_000)),
            deposit_take: Amount::grains(self.rng.below(1_000)),
        };
        self.finish(app, state, who, body)
    }

    /// Alice lets a holder keep a batch; until there is one, it joins instead.
    fn register(&mut self, app: &SimApp, state: &State) -> TxEnvelope {
        let holder = self.rng.below(HOLDERS.len() as u64) as usize;
        if state.holder_by_address(&address(HOLDERS[holder])).is_none() {
            return self.join(app, state);
        }
        let register = registration(state, holder);
        self.finish(app, state, "alice", TxBody::Register(register))
    }

    /// Some parts of a holder's proof, mostly good.
    fn proof(&mut self, app: &SimApp, holder: usize) -> Vec<TxEnvelope> {
        let state = app.state();
        let sender = address(HOLDERS[holder]);
        let Some(challenge) = batches::challenge(&state, &sender) else { return Vec::new() };
        let mut parts = Vec::new();
        for (first_j, count) in challenge.parts(state.params().proof_part_openings) {
            let mut openings = batches::openings(holder, &challenge, first_j, count);
            if self.rng.percent(15) {
                openings[0] ^= 1;
            }
            let part = ProofPart::new(&challenge, first_j, count);
            let body = TxBody::Prove { part, openings_digest: openings_digest(&openings) };
            let tx = Tx { sender, sequence: 0, fee: Amount::ZERO, expires: Height::new(u64::MAX), body };
            let signed = tx.sign(&key(HOLDERS[holder]), &state.chain().chain);
            parts.push(TxEnvelope { signed, openings: Bounded::new(openings).unwrap() });
        }
        parts
    }
}

/// Everything about one batch that owner, holder and the first heavy node sign.
fn registration(state: &State, holder: usize) -> Register {
    let (chain, owner, name) = (&state.chain().chain, address("alice"), HOLDERS[holder]);
    let first_ordinal = state.account_by_address(&owner).map_or(0, |(_, account)| account.segments);
    let expires = Height::new(state.chain().height.get() + 20);
    let request = RequestId::new(*sha256(format!("{name} {first_ordinal}").as_bytes()).first_chunk().unwrap());
    let meta = batches::meta(holder);
    let batch = NewBatch { root: meta.root, placement: 0 };
    let batches = Bounded::new(vec![batch]).unwrap();
    let segment = NewSegment { batch_log2: meta.batch_log2, data: 1, parity: 0, codec: 1, batches };
    let heavy = validator_key(0);
    let terms = QuoteTerms {
        request,
        owner,
        holder: address(name),
        batch_log2: meta.batch_log2,
        batches_max: 1,
        price: PRICE,
        rounds_max: 100,
        path: path_digest([&heavy.address()]),
        expires,
    };
    let hop = |payload: &[u8]| FootprintHop {
        node: heavy.address(),
        signature: heavy.sign(Purpose::FootprintHop, chain, payload),
    };
    let unsigned = Bounded::new(vec![hop(b"")]).unwrap();
    let (_, payload) = hop_payloads(&request, &owner, &terms.holder, &unsigned).remove(0);
    let receipt = receipt_payload(&request, &owner, expires, &[meta]);
    let placement = Placement {
        quote: terms.sign(&key(name), chain),
        rounds: 10,
        footprint: Bounded::new(vec![hop(&payload)]).unwrap(),
        receipt: Receipt { expires, signature: key(name).sign(Purpose::Receipt, chain, &receipt) },
    };
    Register {
        first_ordinal,
        segments: Bounded::new(vec![segment]).unwrap(),
        placements: Bounded::new(vec![placement]).unwrap(),
        catalog_head: None,
    }
}
