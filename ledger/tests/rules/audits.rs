//! Anyone re-verifies a settled round from public data, and finds every lie told about it.

use crate::market::{Market, address};
use crate::signing::Deal;
use holdfast_ledger::{
    AuditError, Event, FrozenHolder, HolderAudit, HolderClaim, LostBatch, Payment, PaymentClaim, RoundRecord,
    RoundResult, SlotEvidence, State, TxBody, TxEnvelope, audit_holder, audit_payments, audit_revenue,
    audit_round_rows, slot_evidence,
};
use holdfast_por::ProofPart;
use holdfast_primitives::{Amount, ContractNo, Digest, HolderNo, RoundNo};
use std::collections::{BTreeMap, BTreeSet};

/// What a node publishes about a round.
struct Published {
    before: State,
    record: RoundRecord,
    frozen: Vec<FrozenHolder>,
    results: Vec<RoundResult>,
    payments: Vec<Payment>,
    parts: BTreeMap<HolderNo, Vec<(ProofPart, Vec<u8>)>>,
    evidence: BTreeMap<HolderNo, Vec<SlotEvidence>>,
}

/// A round in which Carol proves all, Dave has lost a batch and leaves out a part, and Erin sends nothing.
fn published() -> Published {
    let mut market = Market::stored();
    let register = market.register("bob", 21, 2, &["carol", "dave"].map(Deal::with));
    market.block(vec![register]);
    let state = market.state.clone();
    market.vault.lose(&state, "dave", 20, 0);
    let frozen = market.freeze();
    while market.challenge("carol").is_none() {
        market.block(Vec::new());
    }
    // A list that grows meanwhile must not spoil the evidence.
    let register = market.register("alice", 20, 2, &["carol", "dave"].map(Deal::with));
    market.block(vec![register]);
    let mut parts = BTreeMap::new();
    for (holder, skip) in [("carol", 0), ("dave", 1)] {
        let proof = market.proof(holder).split_off(skip);
        let (number, _) = market.state.holder_by_address(&address(holder)).unwrap();
        parts.insert(number, proof.iter().map(sent).collect());
        market.block(proof);
    }
    let evidence = (0..3).map(HolderNo::new).map(|number| (number, slot_evidence(&market.state, number).unwrap()));
    let evidence = evidence.collect();
    let round = market.state.chain().running.round;
    let (mut before, mut events) = (market.state.clone(), Vec::new());
    while market.state.chain().running.round == round {
        before = market.state.clone();
        events = market.block(Vec::new());
    }
    Published {
        before,
        record: crate::villains::record(&events),
        frozen: frozen.iter().filter_map(frozen_row).collect(),
        results: events.iter().filter_map(result_row).collect(),
        payments: events.iter().flat_map(payments).collect(),
        parts,
        evidence,
    }
}

fn sent(part: &TxEnvelope) -> (ProofPart, Vec<u8>) {
    let TxBody::Prove { part: header, .. } = part.signed.tx.body else { panic!("not a proof") };
    (header, part.openings.to_vec())
}

fn frozen_row(event: &Event) -> Option<FrozenHolder> {
    if let Event::HolderFrozen(row) = event { Some(row.clone()) } else { None }
}

fn result_row(event: &Event) -> Option<RoundResult> {
    if let Event::HolderResult(row) = event { Some(row.clone()) } else { None }
}

fn payments(event: &Event) -> Vec<Payment> {
    if let Event::Paid(payments) = event { payments.to_vec() } else { Vec::new() }
}

impl Published {
    fn audit(&self, holder: u32) -> Result<HolderAudit, AuditError> {
        let number = HolderNo::new(holder);
        let claim = HolderClaim {
            record: &self.record,
            frozen: &self.frozen[holder as usize],
            result: &self.results[holder as usize],
            parts: self.parts.get(&number).map_or(&[], Vec::as_slice),
            evidence: &self.evidence[&number],
        };
        audit_holder(self.before.params(), &self.before.chain().chain, &claim)
    }

    fn audit_all(&self) -> Result<(), AuditError> {
        audit_round_rows(&self.record, &self.frozen, &self.results)?;
        let (mut proved, mut lost) = (BTreeSet::new(), BTreeMap::new());
        for (index, row) in (0..).zip(&self.frozen) {
            let audit = self.audit(index)?;
            if !audit.missed {
                proved.insert(row.number);
            }
            for batch in audit.lost {
                *lost.entry(batch.contract).or_insert(0) += 1;
            }
        }
        let claim = PaymentClaim { record: &self.record, payments: &self.payments, proved: &proved, lost: &lost };
        audit_payments(self.before.params(), &claim, self.before.iter_contracts())
    }
}

#[test]
fn an_honest_round_passes_the_audit() {
    let round = published();
    round.audit_all().unwrap();
    let [carol, dave, erin] = [0, 1, 2].map(|holder| round.audit(holder).unwrap());
    assert_eq!((carol.missing.len(), carol.lost.len(), carol.missed), (0, 0, false));
    assert!(!dave.missing.is_empty() && !dave.lost.is_empty(), "a lost batch and a part that never came");
    assert_eq!(dave.lost.len() as u32, round.record.newly_faulty);
    assert_eq!(dave.verified, dave.challenges - 8);
    assert!(erin.missed);
    assert_eq!(erin.missing.len() as u32, erin.challenges);
}

/// A lie about a round, and what the audit calls it.
type Lie = (&'static str, fn(&mut Published));

const LIES: &[Lie] = &[
    ("FrozenRoot", |round| round.frozen[0].frozen.revenue = Amount::ZERO),
    ("ResultsRoot", |round| round.results[0].missing += 1),
    ("ResultsRoot", |round| round.results.truncate(2)),
    ("Count", |round| round.record.holders += 1),
    ("Count", |round| round.record.missed += 1),
    ("Count", |round| round.record.batches += 1),
    ("RowRound", |round| {
        round.record.round = RoundNo::new(1);
    }),
    ("RowHolder", |round| {
        round.results.swap(0, 1);
        round.record.results_root = holdfast_ledger::rows_root(&round.results);
    }),
    ("SetRoot", |round| {
        let mut classes = round.frozen[0].frozen.classes.to_vec();
        classes[0].list_root[0] ^= 1;
        round.frozen[0].frozen.classes = holdfast_primitives::Bounded::new(classes).unwrap();
        round.record.frozen_root = holdfast_ledger::rows_root(&round.frozen);
    }),
    ("Challenges", |round| {
        round.frozen[0].frozen.challenges -= 1;
        round.results[0].challenges -= 1;
        reroot(round);
    }),
    ("EvidenceMissing", |round| evidence(round).truncate(1)),
    ("Evidence", |round| evidence(round)[0].record.meta.root[0] ^= 1),
    ("Evidence", |round| evidence(round)[0].slot += 1),
    ("Part", |round| {
        let twice = parts(round)[0].clone();
        parts(round).push(twice);
    }),
    ("Proof", |round| parts(round)[0].0.round = RoundNo::new(1)),
    ("Proof", |round| parts(round)[0].1.push(0)),
    ("ProofDigest", |round| parts(round).truncate(1)),
    ("ProofDigest", |round| parts(round)[0].1[0] ^= 1),
    ("Missing", |round| {
        round.results[1].missing -= 1;
        reroot(round);
    }),
    ("Payment", |round| round.payments[0].paid = Amount::grains(1)),
    ("Payment", |round| {
        round.payments.remove(0);
    }),
    ("PaymentUnowed", |round| {
        let invented = Payment { contract: ContractNo::new(99), ..round.payments[0] };
        round.payments.push(invented);
    }),
    ("Sum", |round| round.record.paid = Amount::ZERO),
    ("Sum", |round| round.record.relay_fees = Amount::ZERO),
];

#[test]
fn every_lie_is_found() {
    for (number, (name, tell)) in LIES.iter().enumerate() {
        let mut round = published();
        tell(&mut round);
        let found = round.audit_all().expect_err(name);
        assert_eq!(format!("{found:?}").split([' ', '(']).next().unwrap(), *name, "lie {number}: {found}");
    }
}

#[test]
fn a_changed_seed_changes_every_challenge() {
    let mut round = published();
    round.record.seed[0] ^= 1;
    assert!(matches!(
        round.audit(0),
        Err(AuditError::Missing { .. } | AuditError::EvidenceMissing { .. } | AuditError::Proof(_))
    ));
}

#[test]
fn a_holder_is_paid_in_all_what_its_frozen_row_promised_less_what_it_lost() {
    let round = published();
    let prices = |lost: &[LostBatch]| {
        let price = |batch: &LostBatch| round.before.contract(batch.contract).unwrap().price.get();
        Amount::grains(lost.iter().map(price).sum())
    };
    for (index, row) in (0..).zip(&round.frozen) {
        let audit = round.audit(index).unwrap();
        if audit.missed {
            continue;
        }
        let of_holder = |payment: &&Payment| round.before.contract(payment.contract).unwrap().holder == row.number;
        let paid: u64 = round.payments.iter().filter(of_holder).map(|payment| payment.paid.get()).sum();
        audit_revenue(row, prices(&audit.lost), Amount::grains(paid)).unwrap();
        let too_little = paid.checked_sub(1).into_iter();
        for wrong in too_little.chain([paid + 1]) {
            let found = audit_revenue(row, prices(&audit.lost), Amount::grains(wrong));
            assert!(matches!(found, Err(AuditError::Revenue { .. })));
        }
        assert!(audit_revenue(row, Amount::grains(u64::MAX), Amount::ZERO).is_err());
    }
}

#[test]
fn there_is_no_evidence_outside_a_round() {
    let mut market = Market::stored();
    assert_eq!(slot_evidence(&market.state, HolderNo::new(0)), None);
    market.freeze();
    assert_eq!(slot_evidence(&market.state, HolderNo::new(0)), None, "the seed is not known");
    assert_ne!(Digest::ZERO, market.state.chain().running.frozen_root);
}

fn evidence(round: &mut Published) -> &mut Vec<SlotEvidence> {
    round.evidence.get_mut(&HolderNo::new(0)).unwrap()
}

fn parts(round: &mut Published) -> &mut Vec<(ProofPart, Vec<u8>)> {
    round.parts.get_mut(&HolderNo::new(0)).unwrap()
}

fn reroot(round: &mut Published) {
    round.record.frozen_root = holdfast_ledger::rows_root(&round.frozen);
    round.record.results_root = holdfast_ledger::rows_root(&round.results);
}
