//! What broke is declared: all of it, nothing else, and once.

use crate::batch::{Batch, edit, rot};
use crate::chain::PRICE;
use crate::keeper::{Keeper, market, tag};
use holdfast_holder::Sweep;
use holdfast_por::Tagger;
use holdfast_primitives::Amount;
use std::collections::BTreeSet;
use std::fs::{self, File};

/// Which of Carol's batches must be declared after [`break_carol`], of ten.
const BROKEN: [usize; 5] = [0, 1, 2, 6, 8];
const TOUCHED_BUT_WHOLE: [usize; 3] = [3, 4, 5];

/// One of everything that can happen to a batch's files while the holder is away.
fn break_carol(carol: &mut Keeper) {
    carol.stop();
    File::options().write(true).open(carol.file(0, "batch")).unwrap().set_len(1_000).unwrap();
    edit(&carol.file(1, "batch"), 77_777);
    fs::remove_file(carol.file(2, "batch")).unwrap();
    edit(&carol.file(3, "tree"), 100);
    fs::remove_file(carol.file(4, "tree")).unwrap();
    fs::write(carol.file(5, "batch"), &carol.batches[5].bytes).unwrap();
    forge(carol, 6);
    fs::remove_file(carol.file(8, "head")).unwrap();
    carol.start();
}

/// An edit whose author knows the format: the layers fit the new bytes.
fn forge(carol: &Keeper, number: usize) {
    edit(&carol.file(number, "batch"), 5);
    let tagged = Tagger::read(20, &mut File::open(carol.file(number, "batch")).unwrap()).unwrap();
    fs::write(carol.file(number, "tree"), tagged.layers.to_bytes()).unwrap();
}

fn names(keeper: &Keeper, numbers: &[usize]) -> BTreeSet<String> {
    numbers.iter().map(|number| keeper.batches[*number].name()).collect()
}

fn declared(sweep: &Sweep) -> BTreeSet<String> {
    sweep.declared.iter().map(|(root, _)| root.clone()).collect()
}

#[tokio::test]
async fn a_sweep_declares_exactly_what_broke() {
    let (chain, mut carol, mut dave) = market(10);
    let daves_files = dave.snapshot();
    break_carol(&mut carol);
    let before = carol.snapshot();

    let sweep = carol.sweep().await.unwrap();
    assert_eq!(declared(&sweep), names(&carol, &BROKEN), "{sweep:?}");
    assert_eq!(sweep.declared.len(), BROKEN.len(), "each once");
    assert_eq!(sweep.removed, Vec::<String>::new());
    assert_eq!(carol.faulty_slots(), BROKEN, "the ledger knows of these and no others");
    assert_eq!(chain.declared().concat().len(), BROKEN.len());

    assert_eq!(dave.sweep().await, Some(Sweep::default()));
    assert_eq!(dave.faulty_slots(), [0usize; 0]);
    assert_eq!(dave.snapshot(), daves_files);

    let mended = carol.snapshot();
    for number in TOUCHED_BUT_WHOLE {
        assert_eq!(carol.vault().layers(&carol.batches[number].root()).unwrap(), carol.batches[number].layers);
    }
    for (path, bytes) in &before {
        let is_mended = TOUCHED_BUT_WHOLE
            .iter()
            .any(|number| ["tree", "head"].iter().any(|extension| carol.file(*number, extension) == *path));
        assert!(is_mended || mended[path] == *bytes, "{} was touched", path.display());
    }
}

#[tokio::test]
async fn what_is_declared_is_not_declared_again() {
    let (chain, mut carol, mut dave) = market(10);
    break_carol(&mut carol);
    carol.sweep().await.unwrap();
    assert_eq!(carol.sweep().await, None, "once a round is enough");
    carol.stop();
    carol.start();
    assert_eq!(carol.sweep().await, Some(Sweep::default()), "after a restart it looks again");

    chain.freeze_and_seed();
    assert_eq!(carol.sweep().await, None, "lists are frozen");
    carol.prove().await;
    dave.prove().await;
    chain.settle();
    assert_eq!(carol.sweep().await, Some(Sweep::default()));
    assert_eq!(carol.faulty_slots(), BROKEN);
    assert_eq!(chain.declared().len(), 1, "one declaration in all");

    fs::remove_file(carol.file(9, "batch")).unwrap();
    chain.freeze_and_seed();
    carol.prove().await;
    chain.settle();
    let known: Vec<usize> = BROKEN.into_iter().chain([9]).collect();
    assert_eq!(carol.faulty_slots(), known, "80 openings over 10 batches find the one that is gone");
    assert_eq!(carol.sweep().await, Some(Sweep::default()), "what a round found out needs no declaration");
}

#[tokio::test]
async fn the_next_round_pays_for_what_is_whole_and_for_nothing_else() {
    let (chain, mut carol, mut dave) = market(10);
    break_carol(&mut carol);
    carol.sweep().await.unwrap();

    chain.freeze_and_seed();
    let proven = carol.prove().await;
    dave.prove().await;
    assert!(!proven.lost.is_empty(), "80 openings over 10 batches hit a file that is gone");
    let gone = names(&carol, &[0, 2, 8]);
    assert!(proven.lost.iter().all(|root| gone.contains(root)), "{proven:?}");
    let settled = chain.settle();
    let state = chain.state();
    assert_eq!(settled.paid(&state, carol.number), (5, PRICE.checked_mul(5).unwrap()));
    assert_eq!(settled.paid(&state, dave.number), (10, PRICE.checked_mul(10).unwrap()));
    assert_eq!((settled.newly_faulty, settled.fines), (Vec::new(), Vec::new()), "declared in time costs nothing more");
}

/// The same damage without the sweep: the round finds it out, and that is dearer. (So it pays to sweep.)
#[tokio::test]
async fn a_holder_that_hides_its_damage_is_found_out_and_fined_more() {
    let (chain, mut carol, mut dave) = market(10);
    break_carol(&mut carol);
    let honest = {
        let (chain, mut carol, _dave) = market(10);
        break_carol(&mut carol);
        carol.sweep().await.unwrap();
        chain.state().holder(carol.number).unwrap().fined
    };
    chain.freeze_and_seed();
    carol.prove().await;
    dave.prove().await;
    let settled = chain.settle();
    let found: BTreeSet<u32> = settled.newly_faulty.iter().map(|(_, slot)| *slot).collect();
    let unprovable: BTreeSet<u32> = [0, 1, 2, 3, 4, 6, 8].into();
    assert!(found.is_subset(&unprovable) && found.len() >= 3, "{found:?}");
    assert!(settled.newly_faulty.iter().all(|(holder, _)| *holder == carol.number));
    let hidden = Amount::checked_sum(settled.fines.iter().map(|(_, fine)| *fine)).unwrap();
    assert!(hidden > honest, "hiding costs {hidden}, declaring {honest}");
    assert_eq!(settled.paid(&chain.state(), dave.number).0, 10);
}

/// A disk that rots changes neither lengths nor dates. Every batch is read in full in its turn.
#[tokio::test]
async fn silent_rot_is_found_when_the_batch_has_its_turn() {
    let (chain, mut carol, _dave) = market(3);
    rot(&carol.file(1, "batch"), 123_456);
    assert!(carol.vault().check().is_empty(), "a quick look sees nothing");
    let mut sweeps = 0;
    while carol.faulty_slots().is_empty() {
        assert!(sweeps < 120, "every batch has its turn within 120 rounds");
        let sweep = carol.sweep().await.unwrap();
        assert_eq!(declared(&sweep).is_empty(), carol.faulty_slots().is_empty());
        if carol.faulty_slots().is_empty() {
            chain.freeze_and_seed();
            chain.settle();
        }
        sweeps += 1;
    }
    assert_eq!(carol.faulty_slots(), [1]);
}

/// An owner may pay for one batch twice; both promises are broken when it is lost.
#[tokio::test]
async fn a_batch_in_two_slots_is_declared_in_both() {
    let (chain, mut carol, dave) = market(2);
    let again = Batch::new(500);
    again.store(dave.vault(), tag("dave", 1));
    chain.register(&[carol.batches[0].meta], &[again.meta]);
    fs::remove_file(carol.file(0, "batch")).unwrap();
    let sweep = carol.sweep().await.unwrap();
    assert_eq!(declared(&sweep), names(&carol, &[0]));
    assert_eq!(carol.faulty_slots(), [0, 2]);
}

/// The bytes are whole and only the head cannot be written anew: that is the disk's trouble and no fault of the batch.
#[tokio::test]
async fn a_whole_batch_that_cannot_be_mended_is_not_declared() {
    let (_chain, mut carol, _dave) = market(2);
    fs::write(carol.file(0, "batch"), &carol.batches[0].bytes).unwrap();
    edit(&carol.file(1, "tree"), 9);
    for number in [0, 1] {
        // Where the new head would be written stands a folder.
        fs::create_dir(carol.file(number, "head.tmp")).unwrap();
    }
    fs::create_dir(carol.file(1, "tree.tmp")).unwrap();
    let sweep = carol.sweep().await.unwrap();
    assert_eq!(declared(&sweep), names(&carol, &[1]), "without its layers batch 1 cannot be proved");
}

#[tokio::test]
async fn only_what_can_no_longer_be_registered_is_removed() {
    let (chain, mut carol, _dave) = market(2);
    let (over, waiting) = (Batch::new(600), Batch::new(601));
    over.store(carol.vault(), tag("carol", 1));
    waiting.store(carol.vault(), tag("carol", 1_000_000));
    assert!(chain.state().chain().height.get() > 1, "the first one's time is over");
    let sweep = carol.sweep().await.unwrap();
    assert_eq!(sweep, Sweep { removed: vec![over.name()], declared: Vec::new() });
    assert!(!carol.vault().contains(&over.root()) && carol.vault().contains(&waiting.root()));
    for number in [0, 1] {
        assert!(carol.vault().contains(&carol.batches[number].root()), "what is listed stays, however old its tag");
    }
}
