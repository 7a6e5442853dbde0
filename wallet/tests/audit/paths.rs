//! Which way each contract came, and what every heavy node on it earned, as an auditor finds out for itself.

use crate::archive::{STORY, served};
use crate::market::{HEAVY, address};
use crate::villains::{Villain, audit};
use holdfast_primitives::RoundNo;
use holdfast_wallet::{Auditor, ContractVerdict, RoundVerdict};
use std::collections::BTreeMap;
use std::sync::Arc;

fn name(who: &str) -> String {
    address(who).to_text(STORY.genesis.params.prefix)
}

/// Contract, batches, paid, relay fee, and each hop with what it earned.
type Row = (u32, u32, u64, u64, Vec<(String, u64)>);

fn rows(verdict: &RoundVerdict) -> Vec<Row> {
    let row = |contract: &ContractVerdict| {
        let path = contract.path.iter().map(|hop| (hop.node.clone(), hop.earned.get())).collect();
        (contract.contract.get(), contract.batches, contract.paid.get(), contract.relay_fee.get(), path)
    };
    verdict.contracts.iter().map(row).collect()
}

fn path(earned: &[(&str, u64)]) -> Vec<(String, u64)> {
    earned.iter().map(|(who, grains)| (name(who), *grains)).collect()
}

#[tokio::test]
async fn an_audit_shows_the_path_of_each_contract_and_what_every_hop_earned() {
    let served = served(Villain::Nobody).await;
    // 1.5 % of two batches at 10,001 grains are 300 grains, of one 150.
    let direct = |contract| (contract, 2, 20_002, 300, path(&[(HEAVY[0], 300)]));
    let three = |contract, batches: u32, fee: u64| {
        let each = fee / 3;
        let hops = path(&[(HEAVY[0], each), (HEAVY[1], each), (HEAVY[2], each)]);
        (contract, batches, u64::from(batches) * 10_001, fee, hops)
    };
    let first = audit(served.node.clone(), 0).await.unwrap();
    assert_eq!(rows(&first), [direct(0), direct(1), direct(2), three(3, 2, 300), three(4, 2, 300)]);
    let third = audit(served.node.clone(), 2).await.unwrap();
    // A batch of Dave's, which is lost, is not paid for.
    assert_eq!(rows(&third), [direct(0), direct(1), direct(2), three(3, 2, 300), three(4, 1, 150)]);
    for verdict in [first, third] {
        let mut earned: BTreeMap<String, u64> = BTreeMap::new();
        for hop in verdict.contracts.iter().flat_map(|contract| &contract.path) {
            *earned.entry(hop.node.clone()).or_default() += hop.earned.get();
        }
        let told = verdict.heavy_nodes.iter().map(|(node, amount)| (node.clone(), amount.get())).collect();
        assert_eq!(earned, told, "hop by hop it comes to what each heavy node earned");
        assert_eq!(earned.values().sum::<u64>(), verdict.relay_fees.get());
        let paid: u64 = verdict.contracts.iter().map(|contract| contract.paid.get()).sum();
        assert_eq!(paid, verdict.paid.get());
    }
}

#[tokio::test]
async fn an_audit_of_one_holder_shows_its_own_contracts_only() {
    let served = served(Villain::Nobody).await;
    let mut auditor = Auditor::open(Arc::new(served.node), None).await.unwrap();
    let (dave, _) = STORY.tip.holder_by_address(&address("dave")).unwrap();
    let verdict = auditor.round(RoundNo::new(0), Some(dave)).await.unwrap();
    assert_eq!(verdict.contracts.iter().map(|contract| contract.contract.get()).collect::<Vec<_>>(), [1, 4]);
    assert!(verdict.contracts.iter().all(|contract| contract.holder == name("dave")));
}
