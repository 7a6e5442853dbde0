//! Everybody's signatures: transactions, registrations with all that belongs to them, proofs.

use crate::market::{HEAVY, Market, PRICE, address, key};
use holdfast_ledger::statement::{
    Footprint, FootprintHop, QuoteTerms, Receipt, hop_payloads, path_digest, receipt_payload,
};
use holdfast_ledger::{NewBatch, NewSegment, Phase, Placement, Profile, Register, SignedTx, Tx, TxBody, TxEnvelope};
use holdfast_por::{HolderChallenge, ProofPart, RoundSeed, openings_digest, prove_part};
use holdfast_primitives::{Amount, Bounded, Height, Purpose, RequestId, sha256};

/// A placement that is still to be signed: who holds, on what terms, by which path.
#[derive(Clone)]
pub struct Deal {
    pub holder: &'static str,
    pub price: Amount,
    pub rounds: u32,
    pub path: Vec<&'static str>,
    pub expires: Height,
}

impl Deal {
    /// Ten rounds at the usual price through Walter.
    pub fn with(holder: &'static str) -> Self {
        Self { holder, price: PRICE, rounds: 10, path: vec![HEAVY[0]], expires: Height::new(u64::MAX) }
    }
}

impl Market {
    /// Signs a body with the sender's next sequence number and a sufficient fee.
    pub fn tx(&self, sender: &str, body: TxBody) -> TxEnvelope {
        TxEnvelope::bare(self.sign(sender, self.bare(sender, body)))
    }

    /// The transaction before its signature.
    pub fn bare(&self, sender: &str, body: TxBody) -> Tx {
        let sequence = self.state.account_by_address(&address(sender)).map_or(0, |(_, account)| account.sequence);
        let mut tx = Tx { sender: address(sender), sequence, fee: Amount::ZERO, expires: Height::new(u64::MAX), body };
        let bytes = tx.payload().len() as u64 + 64;
        tx.fee = self.genesis.params.fee_per_byte.checked_mul(bytes).unwrap();
        tx
    }

    pub fn sign(&self, sender: &str, tx: Tx) -> SignedTx {
        tx.sign(&key(sender), &self.state.chain().chain)
    }

    pub fn transfer(&self, from: &str, to: &str, grains: u64) -> TxEnvelope {
        let memo = Bounded::empty();
        self.tx(from, TxBody::Transfer { to: address(to), amount: Amount::grains(grains), memo })
    }

    pub fn join(&self, name: &str) -> TxEnvelope {
        self.tx(
            name,
            TxBody::HolderJoin {
                quota_bytes: 1 << 30,
                price: PRICE,
                profile: Profile::default(),
                deposit: Amount::hold(10),
            },
        )
    }

    /// A whole registration, signed by everybody: segments of `data + parity` batches of 2^batch_log2 bytes, one batch
    /// per deal, over batches that exist.
    pub fn register(&mut self, owner: &str, batch_log2: u8, segments: usize, deals: &[Deal]) -> TxEnvelope {
        let register = self.registration(owner, batch_log2, segments, deals);
        self.tx(owner, TxBody::Register(register))
    }

    pub fn registration(&mut self, owner: &str, batch_log2: u8, segments: usize, deals: &[Deal]) -> Register {
        let parity = u8::try_from(deals.len() / 2).unwrap();
        let data = u8::try_from(deals.len()).unwrap() - parity;
        let mut segment = || {
            let batches = (0..deals.len() as u16)
                .map(|placement| NewBatch { root: self.vault.next(batch_log2).root, placement })
                .collect();
            NewSegment { batch_log2, data, parity, codec: 1, batches: Bounded::new(batches).unwrap() }
        };
        let segments: Vec<NewSegment> = (0..segments).map(|_| segment()).collect();
        self.arrange(owner, batch_log2, segments, deals)
    }

    /// Signs everything in a registration of given segments.
    pub fn arrange(&self, owner: &str, batch_log2: u8, segments: Vec<NewSegment>, deals: &[Deal]) -> Register {
        let first_ordinal = self.state.account_by_address(&address(owner)).map_or(0, |(_, account)| account.segments);
        let placements = deals.iter().map(|deal| self.placement(owner, batch_log2, deal)).collect();
        let mut register = Register {
            first_ordinal,
            segments: Bounded::new(segments).unwrap(),
            placements: Bounded::new(placements).unwrap(),
            catalog_head: None,
        };
        self.sign_receipts(owner, deals, &mut register);
        register
    }

    /// Lets every holder sign for the batches that the registration lists with it.
    pub fn sign_receipts(&self, owner: &str, deals: &[Deal], register: &mut Register) {
        let metas = register.metas_by_placement();
        let mut placements = std::mem::take(&mut register.placements).into_inner();
        for ((placement, metas), deal) in placements.iter_mut().zip(metas).zip(deals) {
            let request = &placement.quote.terms.request;
            let payload = receipt_payload(request, &address(owner), placement.receipt.expires, &metas);
            placement.receipt.signature = key(deal.holder).sign(Purpose::Receipt, &self.state.chain().chain, &payload);
        }
        register.placements = Bounded::new(placements).unwrap();
    }

    pub fn placement(&self, owner: &str, batch_log2: u8, deal: &Deal) -> Placement {
        let chain = &self.state.chain().chain;
        let terms = QuoteTerms {
            request: RequestId::new(*sha256(format!("{owner} {}", deal.holder).as_bytes()).first_chunk().unwrap()),
            owner: address(owner),
            holder: address(deal.holder),
            batch_log2,
            batches_max: 1_000,
            price: deal.price,
            rounds_max: 1_000,
            path: path_digest(&deal.path.iter().map(|name| address(name)).collect::<Vec<_>>()),
            expires: deal.expires,
        };
        let footprint = self.footprint(&terms, &deal.path);
        let quote = terms.sign(&key(deal.holder), chain);
        let signature = key(deal.holder).sign(Purpose::Receipt, chain, b"to be replaced");
        Placement { quote, rounds: deal.rounds, footprint, receipt: Receipt { expires: deal.expires, signature } }
    }

    /// Lets every heavy node of a path sign its hop.
    pub fn footprint(&self, terms: &QuoteTerms, path: &[&str]) -> Footprint {
        let unsigned = path.iter().map(|name| {
            let signature = key(name).sign(Purpose::FootprintHop, &self.state.chain().chain, b"to be replaced");
            FootprintHop { node: address(name), signature }
        });
        let mut hops: Vec<FootprintHop> = unsigned.collect();
        let payloads = hop_payloads(&terms.request, &terms.owner, &terms.holder, &Bounded::new(hops.clone()).unwrap());
        for ((hop, name), (_, payload)) in hops.iter_mut().zip(path).zip(payloads) {
            hop.signature = key(name).sign(Purpose::FootprintHop, &self.state.chain().chain, &payload);
        }
        Bounded::new(hops).unwrap()
    }

    // ---- proofs

    /// The challenge of a holder that is frozen in a round whose seed is known.
    pub fn challenge(&self, holder: &str) -> Option<HolderChallenge> {
        let chain = self.state.chain();
        let (_, record) = self.state.holder_by_address(&address(holder))?;
        let (frozen, Phase::Proving { seed, .. }) = (record.frozen.as_ref()?, &chain.running.phase) else {
            return None;
        };
        let (round, set_root) = (frozen.round, frozen.set_root);
        let of = RoundSeed { chain: chain.chain, round, seed: *seed, holder: address(holder), set_root };
        let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
        Some(HolderChallenge::new(of, &classes, frozen.challenges).unwrap())
    }

    /// The holder's whole proof, from what its vault still has.
    pub fn proof(&self, holder: &'static str) -> Vec<TxEnvelope> {
        let Some(challenge) = self.challenge(holder) else { return Vec::new() };
        let parts = challenge.parts(self.genesis.params.proof_part_openings);
        parts.map(|(first_j, count)| self.proof_part(holder, &challenge, first_j, count)).collect()
    }

    pub fn proof_part(
        &self,
        holder: &'static str,
        challenge: &HolderChallenge,
        first_j: u32,
        count: u32,
    ) -> TxEnvelope {
        let mut shelf = self.vault.shelf(&self.state, holder);
        let proved = prove_part(challenge, first_j, count, &mut shelf).unwrap();
        self.prove_tx(holder, ProofPart::new(challenge, first_j, count), proved.openings)
    }

    pub fn prove_tx(&self, sender: &str, part: ProofPart, openings: Vec<u8>) -> TxEnvelope {
        let openings_digest = openings_digest(&openings);
        let body = TxBody::Prove { part, openings_digest };
        let tx = Tx { sequence: 0, fee: Amount::ZERO, ..self.bare(sender, body) };
        TxEnvelope { signed: self.sign(sender, tx), openings: Bounded::new(openings).unwrap() }
    }
}
