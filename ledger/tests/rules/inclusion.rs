//! The small trees against an oracle that knows them by their definition only.

use holdfast_ledger::{InclusionProof, inclusion_proof, leaves_root, verify_inclusion};
use holdfast_primitives::{Bounded, Digest, merkle};
use proptest::prelude::*;

/// Level by level, a node without a right neighbour moves up as it is.
fn root_by_definition(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    if level.is_empty() {
        return [0; 32];
    }
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| if pair.len() == 2 { merkle::node(&pair[0], &pair[1]) } else { pair[0] })
            .collect();
    }
    level[0]
}

fn rows(count: usize) -> (Vec<Vec<u8>>, Vec<[u8; 32]>) {
    let rows: Vec<Vec<u8>> = (0..count).map(|row| row.to_le_bytes().to_vec()).collect();
    let leaves = rows.iter().map(|row| merkle::leaf(row)).collect();
    (rows, leaves)
}

#[test]
fn no_rows_have_the_zero_root() {
    assert_eq!(leaves_root(&[]), Digest::ZERO);
    assert_eq!(inclusion_proof(&[], 0), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_provable_and_nothing_else_is(count in 1usize..200, index in 0usize..200, bit in 0usize..256) {
        let (rows, leaves) = rows(count);
        let root = leaves_root(&leaves);
        prop_assert_eq!(*root.as_bytes(), root_by_definition(leaves.clone()));
        let index = index % count;
        let proof = inclusion_proof(&leaves, index).unwrap();
        prop_assert!(verify_inclusion(&root, &rows[index], &proof));
        prop_assert!(!verify_inclusion(&root, b"another row", &proof));
        for other in [proof.index.wrapping_add(1), proof.index ^ 2] {
            let elsewhere = InclusionProof { index: other, ..proof.clone() };
            prop_assert!(!verify_inclusion(&root, &rows[index], &elsewhere));
        }
        let mut siblings = proof.siblings.to_vec();
        if let Some(sibling) = siblings.first_mut() {
            sibling[bit / 8] ^= 1 << (bit % 8);
            let bent = InclusionProof { siblings: Bounded::new(siblings.clone()).unwrap(), ..proof.clone() };
            prop_assert!(!verify_inclusion(&root, &rows[index], &bent));
        }
        siblings = proof.siblings.to_vec();
        siblings.push([0; 32]);
        let long = InclusionProof { siblings: Bounded::new(siblings).unwrap(), ..proof };
        prop_assert!(!verify_inclusion(&root, &rows[index], &long));
    }

    #[test]
    fn any_proof_gets_an_answer(index: u32, leaves: u32, siblings in prop::collection::vec(any::<[u8; 32]>(), 0..33), row: Vec<u8>) {
        prop_assume!(siblings.len() <= 32);
        let proof = InclusionProof { index, leaves, siblings: Bounded::new(siblings).unwrap() };
        let alone = leaves == 1 && index == 0 && proof.siblings.is_empty();
        prop_assert!(!verify_inclusion(&Digest::ZERO, &row, &proof) || alone);
    }
}
