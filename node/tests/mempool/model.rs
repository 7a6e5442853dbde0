//! Any order of submissions and blocks, against a pool of plain lists that looks through everything each time.

use crate::chain::{Chain, FEE_PER_BYTE, PEOPLE, address};
use holdfast_ledger::{TxBody, TxEnvelope};
use holdfast_node::{DropReason, Mempool, MempoolLimits, SubmitError, Waiting};
use holdfast_primitives::limits::MEMO_BYTES_MAX;
use holdfast_primitives::{Amount, Bounded, TxId};
use proptest::prelude::*;

const LIMITS: MempoolLimits =
    MempoolLimits { per_sender: 4, bytes_per_sender: 850, count: 9, bytes: 1_700, remembered: 10_000 };
/// So little that some run out of it.
const STAKE: u64 = 30_000;

#[derive(Clone, Debug)]
enum Step {
    /// A payment that is `ahead` of the sender's next sequence number, and pays `tenths` tenths of the smallest fee.
    Pay { from: usize, to: usize, ahead: u64, tenths: u64, amount: u64, memo: usize, blocks: u64 },
    /// One that was handed in before, once more.
    Again(prop::sample::Index),
    /// A payment in the place of one that waits, for so many hundredths of what replacing it takes.
    Replace { which: prop::sample::Index, to: usize, hundredths: u64, amount: u64, memo: usize },
    /// A block of at most so many bytes of transactions.
    Block(usize),
    /// A proposer's verdict on one that waits: it may not be final.
    Skip(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let people = 0..PEOPLE.len();
    let ahead = prop_oneof![8 => Just(0u64), 1 => Just(1), 1 => Just(u64::MAX)];
    let pay = (people.clone(), people.clone(), ahead, 9..40u64, 0..4_000u64, 0..=MEMO_BYTES_MAX, 0..12u64);
    let hundredths = prop_oneof![2 => Just(100u64), 1 => Just(99), 2 => 90..140u64];
    let replace = (any::<prop::sample::Index>(), people, hundredths, 0..16_000u64, 0..=MEMO_BYTES_MAX)
        .prop_map(|(which, to, hundredths, amount, memo)| Step::Replace { which, to, hundredths, amount, memo });
    prop_oneof![
        12 => pay.prop_map(|(from, to, ahead, tenths, amount, memo, blocks)| {
            Step::Pay { from, to, ahead, tenths, amount, memo, blocks }
        }),
        4 => replace,
        2 => any::<prop::sample::Index>().prop_map(Step::Again),
        2 => (0..2_000usize).prop_map(Step::Block),
        1 => any::<prop::sample::Index>().prop_map(Step::Skip),
    ]
}

/// A payment as the model knows it.
#[derive(Clone, Debug)]
struct Paper {
    id: TxId,
    from: usize,
    sequence: u64,
    fee: u64,
    bytes: usize,
    cost: u64,
    expires: u64,
}

impl Paper {
    /// Whether it pays less per byte; of equals the larger id is worse.
    fn is_worse_than(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.fee as u128 * other.bytes as u128, other.fee as u128 * self.bytes as u128);
        mine < theirs || mine == theirs && self.id > other.id
    }

    /// The smallest fee for which one of `bytes` bytes pays a tenth more, in all and per byte.
    fn replaced_for(&self, bytes: usize) -> u64 {
        let pays_more = |fee: u64| {
            let (fee, before) = (u128::from(fee), u128::from(self.fee));
            fee * 10 >= before * 11 && fee * 10 * self.bytes as u128 >= before * 11 * bytes as u128
        };
        (self.fee..).find(|fee| pays_more(*fee)).unwrap()
    }

    fn pays_less_than(&self, other: &Self) -> bool {
        (self.fee as u128 * other.bytes as u128) < other.fee as u128 * self.bytes as u128
    }
}

/// What the pool must say, as words.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Taken,
    Refused(&'static str),
}

#[derive(Default)]
struct Model {
    /// In the order in which they came; of one sender that is the order of sequence.
    waiting: Vec<Paper>,
    dropped: Vec<(TxId, &'static str)>,
}

impl Model {
    fn of(&self, from: usize) -> impl Iterator<Item = &Paper> {
        self.waiting.iter().filter(move |paper| paper.from == from)
    }

    fn bytes(&self) -> usize {
        self.waiting.iter().map(|paper| paper.bytes).sum()
    }

    fn next_sequence(&self, chain: &Chain, from: usize) -> u64 {
        self.of(from).last().map_or(chain.sequence(PEOPLE[from]), |paper| paper.sequence + 1)
    }

    fn submit(&mut self, chain: &Chain, paper: Paper) -> Answer {
        if self.waiting.iter().any(|other| other.id == paper.id) {
            return Answer::Refused("known");
        }
        let before = self.waiting.iter().position(|other| (other.from, other.sequence) == (paper.from, paper.sequence));
        let mut left = self.waiting.clone();
        let replaced = before.map(|before| left.remove(before));
        match &replaced {
            Some(replaced) if paper.fee < replaced.replaced_for(paper.bytes) => return Answer::Refused("underpriced"),
            None if self.of(paper.from).count() >= LIMITS.per_sender => return Answer::Refused("sender full"),
            _ => {}
        }
        let own = left.iter().filter(|other| other.from == paper.from).map(|other| other.bytes);
        if own.sum::<usize>() + paper.bytes > LIMITS.bytes_per_sender {
            return Answer::Refused("sender bytes");
        }
        let below = self.waiting.iter().filter(|other| other.from == paper.from && other.sequence < paper.sequence);
        let below: Vec<Paper> = below.cloned().collect();
        let next = if before.is_some() { paper.sequence } else { self.next_sequence(chain, paper.from) };
        if let Some(rule) = broken_rule(chain, &paper, &below, next) {
            return Answer::Refused(rule);
        }
        let mut displaced = Vec::new();
        let fits = |left: &[Paper]| {
            left.len() < LIMITS.count
                && left.iter().map(|other| other.bytes).sum::<usize>() + paper.bytes <= LIMITS.bytes
        };
        while !fits(&left) {
            let lasts = |at: &usize| left[at + 1..].iter().all(|later| later.from != left[*at].from);
            let others = (0..left.len()).filter(|at| left[*at].from != paper.from).filter(lasts);
            let worst = others.reduce(|a, b| if left[a].is_worse_than(&left[b]) { a } else { b });
            match worst.filter(|at| left[*at].pays_less_than(&paper)) {
                Some(worst) => displaced.push(left.remove(worst).id),
                None => return Answer::Refused("pool full"),
            }
        }
        left.push(paper.clone());
        // Of one sender in order of sequence, wherever a replacement came in.
        left.sort_by_key(|paper| paper.sequence);
        self.waiting = left;
        displaced.into_iter().for_each(|id| self.remember(id, "tx_displaced"));
        self.dropped.retain(|(id, _)| *id != paper.id);
        if let Some(replaced) = replaced {
            self.remember(replaced.id, "tx_replaced");
            self.settle(chain, &[]);
        }
        Answer::Taken
    }

    fn remember(&mut self, id: TxId, why: &'static str) {
        self.dropped.push((id, why));
    }

    /// The best payer whose turn it is, again and again; who finds no room waits with all that follow.
    fn candidates(&self, mut left: usize) -> Vec<TxId> {
        let (mut waiting, mut chosen) = (self.waiting.clone(), Vec::new());
        while let Some(best) = (0..waiting.len())
            .filter(|at| waiting[..*at].iter().all(|earlier| earlier.from != waiting[*at].from))
            .reduce(|a, b| if waiting[a].is_worse_than(&waiting[b]) { b } else { a })
        {
            let paper = waiting.remove(best);
            if paper.bytes <= left {
                left -= paper.bytes;
                chosen.push(paper.id);
            } else {
                waiting.retain(|other| other.from != paper.from);
            }
        }
        chosen
    }

    /// After a block, or a proposer's verdict: who no longer holds goes, and those that came after it.
    fn settle(&mut self, chain: &Chain, gone: &[TxId]) {
        self.waiting.retain(|paper| !gone.contains(&paper.id));
        let waiting = std::mem::take(&mut self.waiting);
        for paper in waiting {
            let below: Vec<Paper> = self.of(paper.from).cloned().collect();
            match broken_rule(chain, &paper, &below, self.next_sequence(chain, paper.from)) {
                None => self.waiting.push(paper),
                Some(rule) => self.remember(paper.id, rule),
            }
        }
    }
}

/// What the ledger says of a payment that comes after `below` of the same sender.
fn broken_rule(chain: &Chain, paper: &Paper, below: &[Paper], next: u64) -> Option<&'static str> {
    let reserved: u64 = below.iter().map(|other| other.cost).sum();
    if chain.state.chain().height.get() + 1 > paper.expires {
        return Some("expired");
    }
    if paper.sequence != next {
        return Some("wrong_sequence");
    }
    (paper.cost > chain.balance(PEOPLE[paper.from]) - reserved).then_some("balance_too_low")
}

struct Run {
    chain: Chain,
    pool: Mempool,
    model: Model,
    sent: Vec<(TxEnvelope, Paper)>,
}

impl Run {
    fn submit(&mut self, envelope: TxEnvelope, paper: Paper) -> Result<(), TestCaseError> {
        let smallest = FEE_PER_BYTE * paper.bytes as u64;
        let expected = if paper.fee < smallest {
            Answer::Refused("fee_too_low")
        } else if paper.cost == paper.fee {
            Answer::Refused("transfer_nothing")
        } else {
            self.model.submit(&self.chain, paper)
        };
        let answer = match self.chain.sound(envelope).map_err(SubmitError::from) {
            Ok(sound) => self.pool.insert(&self.chain.state, sound),
            Err(error) => Err(error),
        };
        let answer = match answer {
            Ok(_) => Answer::Taken,
            Err(SubmitError::Rule(rule)) => Answer::Refused(rule.code()),
            Err(SubmitError::Known { .. }) => Answer::Refused("known"),
            Err(SubmitError::SenderFull { .. }) => Answer::Refused("sender full"),
            Err(SubmitError::PoolFull { .. }) => Answer::Refused("pool full"),
            Err(SubmitError::SenderBytes { .. }) => Answer::Refused("sender bytes"),
            Err(SubmitError::Underpriced { .. }) => Answer::Refused("underpriced"),
            Err(error @ (SubmitError::Unsound(_) | SubmitError::Unfinished)) => panic!("the pool itself says {error}"),
        };
        prop_assert_eq!(answer, expected);
        Ok(())
    }

    /// Signs a payment for a fee that depends on its size, and hands it in.
    fn pay(
        &mut self,
        (from, to): (usize, usize),
        sequence: u64,
        expires: u64,
        amount: u64,
        memo: usize,
        fee: impl FnOnce(usize) -> u64,
    ) -> Result<(), TestCaseError> {
        let body = TxBody::Transfer {
            to: address(PEOPLE[to]),
            amount: Amount::grains(amount),
            memo: Bounded::new(vec![1; memo]).unwrap(),
        };
        let bytes = self.chain.sign(PEOPLE[from], sequence, 0, expires, body.clone()).signed.to_bytes().len();
        let fee = fee(bytes);
        let envelope = self.chain.sign(PEOPLE[from], sequence, fee, expires, body);
        let paper = Paper { id: envelope.signed.id(), from, sequence, fee, bytes, cost: fee + amount, expires };
        self.sent.push((envelope.clone(), paper.clone()));
        self.submit(envelope, paper)
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pay { from, to, ahead, tenths, amount, memo, blocks } => {
                let sequence = self.model.next_sequence(&self.chain, from).wrapping_add(ahead);
                let expires = self.chain.state.chain().height.get() + blocks;
                self.pay((from, to), sequence, expires, amount, memo, |bytes| tenths * FEE_PER_BYTE * bytes as u64 / 10)
            }
            Step::Replace { which, to, hundredths, amount, memo } if !self.model.waiting.is_empty() => {
                let before = self.model.waiting[which.index(self.model.waiting.len())].clone();
                let fee = |bytes| before.replaced_for(bytes) * hundredths / 100;
                self.pay((before.from, to), before.sequence, before.expires, amount, memo, fee)
            }
            Step::Again(which) if !self.sent.is_empty() => {
                let (envelope, paper) = self.sent[which.index(self.sent.len())].clone();
                self.submit(envelope, paper)
            }
            Step::Block(room) => {
                let candidates = self.pool.candidates(room);
                let chosen: Vec<TxId> = candidates.iter().map(|tx| tx.sound().id()).collect();
                prop_assert_eq!(&chosen, &self.model.candidates(room));
                let (included, skipped) = self.chain.block(candidates, 1 << 20);
                prop_assert_eq!(skipped, vec![], "what was admitted breaks no rule in the block");
                prop_assert_eq!(&included, &chosen);
                self.pool.committed(&self.chain.state, included.clone(), &[]);
                self.model.settle(&self.chain, &included);
                Ok(())
            }
            Step::Skip(which) if !self.model.waiting.is_empty() => {
                let tx = self.model.waiting[which.index(self.model.waiting.len())].id;
                let reason = holdfast_ledger::TxError::CostOverflow;
                self.pool.committed(&self.chain.state, [], &[(tx, reason)]);
                self.model.remember(tx, "cost_overflow");
                self.model.settle(&self.chain, &[tx]);
                Ok(())
            }
            Step::Again(_) | Step::Skip(_) | Step::Replace { .. } => Ok(()),
        }
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!((self.pool.len(), self.pool.bytes()), (self.model.waiting.len(), self.model.bytes()));
        prop_assert!(self.pool.len() <= LIMITS.count && self.pool.bytes() <= LIMITS.bytes);
        let of_one = |from| self.model.of(from).map(|paper| paper.bytes).sum::<usize>();
        prop_assert!((0..PEOPLE.len()).all(|from| of_one(from) <= LIMITS.bytes_per_sender));
        prop_assert_eq!(self.pool.is_empty(), self.model.waiting.is_empty());
        for (number, name) in PEOPLE.iter().enumerate() {
            prop_assert!(self.model.of(number).count() <= LIMITS.per_sender);
            let next = self.pool.next_sequence(&self.chain.state, &address(name));
            prop_assert_eq!(next, self.model.next_sequence(&self.chain, number));
        }
        for (_, paper) in &self.sent {
            let told = match self.pool.status(&paper.id) {
                Some(Waiting::Pending) => Some("waits"),
                Some(Waiting::Dropped(reason)) => Some(DropReason::code(&reason)),
                None => None,
            };
            let waits = self.model.waiting.iter().any(|other| other.id == paper.id).then_some("waits");
            let dropped = self.model.dropped.iter().find(|(id, _)| *id == paper.id).map(|(_, why)| *why);
            prop_assert_eq!(told, waits.or(dropped));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_pool_is_what_plain_lists_say(steps in prop::collection::vec(step(), 1..70)) {
        let chain = Chain::new(Amount::grains(STAKE));
        let mut run = Run { chain, pool: Mempool::new(LIMITS), model: Model::default(), sent: Vec::new() };
        for step in steps {
            run.take(step)?;
            run.compare()?;
        }
    }
}

#[test]
fn only_the_newest_reasons_are_remembered() {
    let chain = Chain::new(Amount::hold(1));
    let mut pool = Mempool::new(MempoolLimits { remembered: 2, ..MempoolLimits::default() });
    let mut ids = Vec::new();
    for name in PEOPLE {
        ids.push(pool.insert(&chain.state, chain.sound(chain.payment(name, 0, 1)).unwrap()).unwrap());
    }
    for id in &ids {
        pool.committed(&chain.state, [], &[(*id, holdfast_ledger::TxError::CostOverflow)]);
    }
    let told: Vec<bool> = ids.iter().map(|id| pool.status(id).is_some()).collect();
    assert_eq!(told, [false, false, false, true, true]);
    assert!(pool.is_empty());
    let again = chain.sound(chain.payment(PEOPLE[4], 0, 1)).unwrap();
    pool.insert(&chain.state, again).unwrap();
    assert_eq!(pool.status(&ids[4]), Some(Waiting::Pending), "what waits again is no longer dropped");
}
