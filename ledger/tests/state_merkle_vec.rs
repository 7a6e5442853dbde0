//! The Merkle vector against two oracles: a naive rebuild from scratch, and `rs_merkle`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_ledger::{Hash, MerkleVec, verify_record};
use holdfast_primitives::{sha256, sha256_parts};
use proptest::prelude::*;
use rs_merkle::{Hasher, MerkleTree};

const EMPTY: Hash = [0; 32];

/// Hashes as the module's head draws them, from raw SHA-256.
fn leaf(record: u64) -> Hash {
    sha256(&[&[0x00][..], &record.to_le_bytes()].concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    if (left, right) == (&EMPTY, &EMPTY) { EMPTY } else { sha256_parts(&[&[0x01], left, right]) }
}

/// The oracle: pads to a power of two and folds.
fn naive_root(records: &[u64]) -> Hash {
    let mut level: Vec<Hash> = records.iter().map(|record| leaf(*record)).collect();
    level.resize(records.len().next_power_of_two(), EMPTY);
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| node(&pair[0], &pair[1])).collect();
    }
    sha256_parts(&[&[0x02], &(records.len() as u64).to_le_bytes(), &level[0]])
}

/// `rs_merkle`'s view: leaves come hashed, nodes know EMPTY.
#[derive(Clone)]
struct StateHasher;

impl Hasher for StateHasher {
    type Hash = Hash;

    fn hash(data: &[u8]) -> Hash {
        sha256(data)
    }

    fn concat_and_hash(left: &Hash, right: Option<&Hash>) -> Hash {
        right.map_or(*left, |right| node(left, right))
    }
}

fn rs_tree(records: &[u64]) -> MerkleTree<StateHasher> {
    let mut leaves: Vec<Hash> = records.iter().map(|record| leaf(*record)).collect();
    leaves.resize(records.len().next_power_of_two(), EMPTY);
    MerkleTree::from_leaves(&leaves)
}

#[test]
fn roots_are_the_naive_ones_around_every_page_boundary() {
    let mut vector = MerkleVec::new();
    let mut records = Vec::new();
    for len in 0..=4_200u64 {
        let page = len.is_multiple_of(64) || (len + 1).is_multiple_of(64) || len % 64 == 1;
        if len <= 130 || page && len % 640 < 130 || len > 4_094 && len < 4_099 {
            assert_eq!(vector.seal(), naive_root(&records), "{len} records");
            assert_eq!(vector.len(), records.len());
        }
        vector.push(len * 3);
        records.push(len * 3);
    }
}

#[test]
fn a_vector_of_several_levels_shrinks_and_grows_back() {
    let mut vector = MerkleVec::load(0..4_200u64);
    let full = vector.root();
    for len in [4_160, 4_097, 4_096, 4_095, 129, 65, 64, 63, 2, 1, 0] {
        vector.truncate(len);
        assert_eq!(vector.seal(), naive_root(&(0..len as u64).collect::<Vec<_>>()), "cut to {len}");
    }
    (0..4_200).for_each(|record| vector.push(record));
    assert_eq!(vector.seal(), full);
}

#[test]
fn a_large_change_is_sealed_on_several_threads_to_the_same_root() {
    let mut vector = MerkleVec::load(0..10_000u64);
    vector.for_each_mut(|index, record| {
        *record += u64::from(index % 3 == 0);
        index % 3 == 0
    });
    let expected: Vec<u64> = (0..10_000).map(|record| record + u64::from(record % 3 == 0)).collect();
    assert_eq!(vector.seal(), naive_root(&expected));
    assert!(vector.iter().eq(&expected));
}

#[test]
fn every_index_proves_and_no_other_claim_does() {
    for len in [1usize, 2, 3, 5, 64, 65, 100] {
        let vector = MerkleVec::load((0..len as u64).map(|record| record * 7));
        let (root, len) = (vector.root(), len as u64);
        for index in 0..len {
            let record = (index * 7).to_le_bytes();
            let proof = vector.proof(index as usize).unwrap();
            assert!(verify_record(&root, len, index, &record, &proof));
            assert!(!verify_record(&root, len, index, &(index * 7 + 1).to_le_bytes(), &proof), "another record");
            assert!((0..len + 2).all(|other| other == index || !verify_record(&root, len, other, &record, &proof)));
            let lens = [0, len - 1, len + 1, 2 * len, u64::MAX];
            assert!(lens.iter().all(|other| !verify_record(&root, *other, index, &record, &proof)), "another length");
        }
        assert_eq!(vector.proof(len as usize), None);
    }
}

#[test]
fn proofs_are_those_of_rs_merkle() {
    for len in [1u64, 2, 3, 64, 65, 200] {
        let records: Vec<u64> = (0..len).collect();
        let (vector, tree) = (MerkleVec::load(records.iter().copied()), rs_tree(&records));
        assert_eq!(vector.root(), sha256_parts(&[&[0x02], &len.to_le_bytes(), &tree.root().unwrap()]));
        for index in 0..len as usize {
            assert_eq!(vector.proof(index).unwrap(), tree.proof(&[index]).proof_hashes(), "{index} of {len}");
        }
    }
}

/// The truncator shows a short vector's proof for a long one; the splicer shows an inner node as a record.
#[test]
fn the_truncator_and_the_splicer_are_refused() {
    let vector = MerkleVec::load(0..8u64);
    let short = MerkleVec::load(0..4u64);
    let record = 1u64.to_le_bytes();
    assert!(!verify_record(&vector.root(), 8, 1, &record, &short.proof(1).unwrap()));
    assert!(!verify_record(&vector.root(), 4, 1, &record, &short.proof(1).unwrap()));

    let proof = vector.proof(0).unwrap();
    let inner = [leaf(0), leaf(1)].concat();
    assert!(!verify_record(&vector.root(), 4, 0, &inner, &proof[1..]));
    assert!(!verify_record(&vector.root(), 8, 0, &inner, &proof[1..]));
}

#[test]
fn a_prefix_keeps_its_root_and_proofs_while_the_vector_grows() {
    let mut vector = MerkleVec::new();
    let mut frozen = vec![(0, vector.root())];
    for record in 0..300u64 {
        vector.push(record);
        frozen.push((record as usize + 1, vector.seal()));
    }
    vector.push(300); // not sealed: an append in the running block
    for (len, root) in frozen {
        assert_eq!(vector.root_of_prefix(len), Some(root), "{len} records");
        for index in (0..len).step_by(13) {
            let proof = vector.proof_in_prefix(len, index).unwrap();
            assert!(verify_record(&root, len as u64, index as u64, &(index as u64).to_le_bytes(), &proof));
        }
        assert_eq!(vector.proof_in_prefix(len, len), None);
    }
    assert_eq!(vector.root_of_prefix(301), None, "record 300 is not sealed yet");
    assert_eq!(vector.proof_in_prefix(301, 7), None);

    vector.truncate(77); // not sealed either: what is left is a prefix like any other
    assert_eq!(vector.root_of_prefix(77), Some(naive_root(&(0..77).collect::<Vec<_>>())));
    assert_eq!(vector.root_of_prefix(78), None);
}

#[derive(Clone, Debug)]
enum Op {
    Push(u64),
    Set(usize, u64),
    Pop,
    Truncate(usize),
    ForEach(u64),
    Seal,
    Fork,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => any::<u64>().prop_map(Op::Push),
        4 => (any::<usize>(), any::<u64>()).prop_map(|(index, record)| Op::Set(index, record)),
        2 => Just(Op::Pop),
        1 => any::<usize>().prop_map(Op::Truncate),
        1 => (1u64..9).prop_map(Op::ForEach),
        2 => Just(Op::Seal),
        2 => Just(Op::Fork),
    ]
}

fn play(op: &Op, vector: &mut MerkleVec<u64>, model: &mut Vec<u64>) {
    match *op {
        Op::Push(record) => (0..1 + record % 200).for_each(|copy| {
            vector.push(record.wrapping_add(copy));
            model.push(record.wrapping_add(copy));
        }),
        Op::Set(index, record) => {
            let index = index % (model.len() + 1);
            assert_eq!(vector.get_mut(index).is_some(), index < model.len());
            if index < model.len() {
                *vector.get_mut(index).unwrap() = record;
                model[index] = record;
            }
        }
        Op::Pop => assert_eq!(vector.pop(), model.pop()),
        Op::Truncate(len) => {
            let len = len % (model.len() + 20);
            vector.truncate(len);
            model.truncate(len);
        }
        Op::ForEach(step) => {
            vector.for_each_mut(|index, record| {
                let hit = (index as u64).is_multiple_of(step);
                *record = if hit { record.wrapping_mul(3) } else { *record };
                hit
            });
            model.iter_mut().step_by(step as usize).for_each(|record| *record = record.wrapping_mul(3));
        }
        Op::Seal => assert_eq!(vector.seal(), naive_root(model)),
        Op::Fork => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is done to a vector, it is the model; whatever is done to its clones, they never see each other.
    #[test]
    fn any_history_is_the_models_and_clones_never_meet(ops in prop::collection::vec((any::<usize>(), op()), 1..60)) {
        let mut forks = vec![(MerkleVec::new(), Vec::new())];
        for (pick, op) in ops {
            let pick = pick % forks.len();
            if matches!(op, Op::Fork) && forks.len() < 5 {
                forks.push(forks[pick].clone());
            }
            let (vector, model) = &mut forks[pick];
            play(&op, vector, model);
        }
        for (mut vector, model) in forks {
            prop_assert!(vector.iter().eq(&model));
            prop_assert!((0..model.len() + 2).all(|index| vector.get(index) == model.get(index)));
            prop_assert_eq!(vector.seal(), naive_root(&model));
            let rebuilt = MerkleVec::load(model.iter().copied());
            prop_assert_eq!(rebuilt.root(), vector.root());
        }
    }

    #[test]
    fn a_flipped_bit_breaks_a_proof(len in 2u64..300, index: usize, sibling: usize, bit in 0usize..256, in_root: bool) {
        let vector = MerkleVec::load(0..len);
        let index = index % len as usize;
        let record = (index as u64).to_le_bytes();
        let (mut root, mut proof) = (vector.root(), vector.proof(index).unwrap());
        let sibling = sibling % proof.len();
        let hash = if in_root { &mut root } else { &mut proof[sibling] };
        hash[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify_record(&root, len, index as u64, &record, &proof));
    }

    #[test]
    fn verification_takes_any_bytes(
        (root, len, index, record) in any::<(Hash, u64, u64, Vec<u8>)>(),
        proof in prop::collection::vec(any::<Hash>(), 0..70),
    ) {
        prop_assert!(!verify_record(&root, len, index, &record, &proof));
    }
}
