//! Nodes that lie about a round, each in its own way, and what gives them away.

use crate::archive::{Archive, STORY, certificate, served};
use crate::market::{HEAVY, PRICE, address, vrf};
use holdfast_ledger::{Block, Event, Header, Payment, State, Step};
use holdfast_primitives::{
    AccountNo, Amount, Bounded, Certificate, ChainId, ContractNo, Height, HolderNo, RoundNo, SegmentNo, StateRoot,
    Validator, ValidatorSet,
};
use holdfast_wallet::{Auditor, NodeSource, RoundVerdict, WalletError};
use std::sync::Arc;

/// Whether round 2 of the story asks for the batch that Dave lost in round 1.
const FAILS_AGAIN: bool = true;
/// The contract that villains are after: Carol's with Alice.
const CONTRACT: ContractNo = ContractNo::new(0);

/// Who runs the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Villain {
    /// Nobody: an honest node.
    Nobody,
    /// Shows a contract at half its price, with the path of its own state.
    Forger,
    /// The same, and rewrites the header so that it fits.
    Counterfeiter,
    /// The same, and signs the header itself, as strangers and in a validator's name too few times.
    Notary,
    /// Puts another address in the place of a heavy node's.
    Impersonator,
    /// Points to a sound batch in the place of a lost one.
    Healer,
    /// Leaves out a payment.
    Skimmer,
    /// Pays a contract twice its due.
    Inflator,
    /// Pays a contract for one batch too many, and another for one too few: every payment fits its contract, the sum fits
    /// the record.
    Shifter,
    /// Flips a bit in every proof.
    Smudger,
    /// Says that a failed proof was good, where nobody can verify it any more.
    Whitewasher,
    /// Leaves a transaction out of a block.
    Censor,
    /// All validators: sign a block whose state is not what the block leads to.
    Cartel,
    /// Says that the validators never changed.
    Hider,
    /// Leaves out the first change of validators.
    Forgetful,
    /// Puts itself in the place of the new validators.
    Usurper,
    /// The same, and rewrites and signs the header so that it fits.
    Putschist,
    /// Those who decided before the first change go on signing: another newest block, with their own set in its header.
    OldGuard,
}

/// Where the cartel strikes.
pub fn struck() -> Height {
    STORY.height_of(|event| matches!(event, Event::RoundSettled(record) if record.round == RoundNo::new(1)))
}

impl Villain {
    pub fn state(self, story: &Archive) -> Arc<State> {
        match self {
            Self::Forger | Self::Counterfeiter | Self::Notary => Arc::new(story.with_cheap_contract(CONTRACT)),
            Self::Impersonator => Arc::new(story.with_mallory_as(heavy_account(story))),
            Self::Healer => Arc::new(story.with_moved_piece(SegmentNo::new(2))),
            _ => Arc::clone(&story.tip),
        }
    }

    pub fn header(self, story: &Archive, header: Header) -> Header {
        match self {
            Self::Counterfeiter | Self::Notary if header.height == story.tip.chain().height => {
                Header { state_root: self.state(story).root(), ..header }
            }
            Self::OldGuard if header.height == story.tip.chain().height => {
                let first = story.header(Height::new(1)).unwrap().validators;
                Header { validators: first, next_validators: first, ..header }
            }
            Self::Cartel if header.height == struck() => Header { state_root: StateRoot::new([6; 32]), ..header },
            _ => header,
        }
    }

    pub fn block(self, story: &Archive, block: Block) -> Block {
        let mut txs = block.txs.into_inner();
        if self == Self::Censor && block.header.height == story.tip.chain().height {
            txs.clear();
        }
        Block { header: self.header(story, block.header), txs: Bounded::new(txs).unwrap() }
    }

    pub fn certificate(self, story: &Archive, header: Header) -> Certificate {
        match self {
            Self::Notary => certificate(&self.header(story, header), &["mallory", "trudy", HEAVY[0]]),
            Self::Cartel => certificate(&self.header(story, header.clone()), story.quorum(&header)),
            Self::OldGuard if header.height == story.tip.chain().height => {
                certificate(&self.header(story, header), &HEAVY)
            }
            _ => certificate(&header, story.quorum(&header)),
        }
    }

    /// What it takes to follow the validators, as this node tells it.
    pub fn steps(self, story: &Archive, after: Height) -> Vec<Step> {
        let mut steps = story.steps(after);
        match self {
            Self::Hider => steps.clear(),
            Self::Forgetful if !steps.is_empty() => {
                steps.remove(0);
            }
            Self::Usurper => {
                for step in &mut steps {
                    let set = vec![Validator { address: address("mallory"), vrf: vrf("mallory").public(), power: 100 }];
                    step.next = ValidatorSet::new(set);
                }
            }
            Self::Putschist => {
                for step in &mut steps {
                    let set = vec![Validator { address: address("mallory"), vrf: vrf("mallory").public(), power: 100 }];
                    let set = ValidatorSet::new(set).unwrap();
                    step.header.next_validators = set.digest();
                    step.certificate = certificate(&step.header, &["mallory"]);
                    step.next = Some(set);
                }
            }
            _ => {}
        }
        steps
    }

    pub fn events(self, events: Vec<Event>) -> Vec<Event> {
        events.into_iter().map(|event| self.event(event)).collect()
    }

    fn event(self, event: Event) -> Event {
        match event {
            Event::Paid(payments) => Event::Paid(Bounded::new(self.payments(payments.into_inner())).unwrap()),
            Event::ProofVerified { holder, tx, first_j, count, .. } if self == Self::Whitewasher => {
                Event::ProofVerified { holder, tx, first_j, count, failed: Vec::new() }
            }
            other => other,
        }
    }

    fn payments(self, mut payments: Vec<Payment>) -> Vec<Payment> {
        let first = payments[0];
        match self {
            Self::Skimmer => {
                payments.remove(0);
            }
            Self::Inflator => payments[0].paid = Amount::grains(first.paid.get() * 2),
            Self::Shifter => {
                // Contracts of different holders at the same price.
                payments[0] = for_batches(first.contract, first.batches + 1);
                payments[1] = for_batches(payments[1].contract, payments[1].batches - 1);
            }
            _ => {}
        }
        payments
    }

    pub fn openings(self, mut openings: Vec<u8>) -> Vec<u8> {
        if self == Self::Smudger {
            openings[77] ^= 1;
        }
        openings
    }
}

fn for_batches(contract: ContractNo, batches: u32) -> Payment {
    let paid = PRICE.checked_mul(u64::from(batches)).unwrap();
    Payment { contract, batches, paid, relay_fee: paid.share(150, 10_000) }
}

/// The first heavy node on the contract's footprint.
fn heavy_account(story: &Archive) -> AccountNo {
    story.tip.contract(CONTRACT).unwrap().footprint[0]
}

pub async fn audit(node: NodeSource, round: u64) -> Result<RoundVerdict, WalletError> {
    let mut auditor = Auditor::open(Arc::new(node), Some(STORY.genesis.chain_id())).await?;
    auditor.round(RoundNo::new(round), None).await
}

#[tokio::test]
async fn an_honest_node_passes_in_every_round() {
    let served = served(Villain::Nobody).await;
    for round in 0..3 {
        let verdict = audit(served.node.clone(), round).await.unwrap();
        let failed: Vec<bool> = verdict.holders.iter().map(|holder| holder.missing > 0).collect();
        let missed: Vec<bool> = verdict.holders.iter().map(|holder| holder.missed).collect();
        // Dave's batch is lost in round 1; whether round 2 asks for it again is up to its seed, which never changes here.
        let expected = [[false, false, false], [false, true, true], [false, FAILS_AGAIN, false]];
        assert_eq!(failed, expected[round as usize], "round {round}");
        assert_eq!(missed, [false, false, round == 1]);
        assert_eq!(verdict.holders[1].lost.len(), usize::from(round == 1));
        let heavy: u64 = verdict.heavy_nodes.values().map(|amount| amount.get()).sum();
        assert_eq!(heavy, verdict.relay_fees.get());
        let net: u64 = verdict.holders.iter().map(|holder| holder.paid.get()).sum();
        assert_eq!(net + heavy, verdict.paid.get());
    }
    let mut auditor = Auditor::open(Arc::new(served.node), None).await.unwrap();
    let one = auditor.round(RoundNo::new(1), Some(HolderNo::new(1))).await.unwrap();
    assert_eq!(one.holders.len(), 1);
}

/// A villain, and what the auditor says of it.
const CAUGHT: &[(Villain, &str)] = &[
    (Villain::Forger, "the record Round(RoundNo(1)) does not hold: the proof is for state"),
    (Villain::Counterfeiter, "the certificate is of block"),
    (Villain::Notary, "is not a validator"),
    (Villain::Impersonator, "does not hold: the proof is for state"),
    (Villain::Skimmer, "paid: the record says"),
    (Villain::Inflator, "contract 0 should pay"),
    (Villain::Shifter, "should pay"),
    (Villain::Smudger, "the parts have digest"),
];

#[tokio::test]
async fn every_villain_is_caught_and_named() {
    for (villain, expected) in CAUGHT {
        let served = served(*villain).await;
        let error = audit(served.node, 1).await.expect_err("the villain gets away with it");
        let WalletError::Refuted { witness, cause } = &error else { panic!("{villain:?}: {error}") };
        assert!(witness.contains(&served.url), "{villain:?}: {witness}");
        assert!(cause.to_string().contains(expected), "{villain:?}: {cause}");
        assert_eq!(error.code(), "unverifiable");
    }
}

#[tokio::test]
async fn who_moves_a_payment_from_one_holder_to_another_is_given_away_by_the_frozen_rows() {
    let served = served(Villain::Shifter).await;
    let error = audit(served.node, 0).await.unwrap_err().to_string();
    assert!(error.contains("together and pay"), "{error}");
}

#[tokio::test]
async fn the_pieces_of_a_segment_are_proven_one_by_one() {
    let alice = address("alice");
    let open = async |villain| {
        let served = served(villain).await;
        (Auditor::open(Arc::new(served.node.clone()), None).await.unwrap(), served)
    };
    let (mut auditor, _served) = open(Villain::Nobody).await;
    let (whole, hurt) = (SegmentNo::new(0), SegmentNo::new(2));
    let verdict = auditor.segment(&alice, 0, whole).await.unwrap();
    assert_eq!((verdict.pieces, verdict.sound, verdict.needed), (3, 3, 2));
    let verdict = auditor.segment(&address("bob"), 0, hurt).await.unwrap();
    assert_eq!((verdict.pieces, verdict.sound, verdict.needed), (2, 1, 1), "Dave lost one");
    let way: Vec<String> = HEAVY[..3].iter().map(|name| address(name).to_text(STORY.genesis.params.prefix)).collect();
    let places: Vec<_> = verdict.places.iter().map(|place| (place.contract.get(), place.sound, &place.path)).collect();
    assert_eq!(places, [(3, true, &way), (4, false, &way)]);
    let passed_off = auditor.segment(&alice, 0, SegmentNo::new(1)).await.unwrap_err().to_string();
    assert!(passed_off.contains("it is not"), "{passed_off}");
    let (mut auditor, _served) = open(Villain::Healer).await;
    let error = auditor.segment(&address("bob"), 0, hurt).await.unwrap_err();
    assert!(matches!(error, WalletError::Refuted { .. }), "{error}");
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused() {
    let served = served(Villain::Nobody).await;
    let other = ChainId::new([9; 32]);
    let refused = Auditor::open(Arc::new(served.node), Some(other)).await;
    let Err(WalletError::OtherChain { witness, expected, found }) = refused else { panic!("taken") };
    assert!(witness.contains(&served.url));
    assert_eq!((expected, found), (other, STORY.genesis.chain_id()));
}
