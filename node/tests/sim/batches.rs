//! Batches that really exist, in memory, and holders that prove them.

use crate::scene::HOLDERS;
use holdfast_ledger::{Phase, State};
use holdfast_por::{BatchMeta, BatchSource, GROUP_BYTES, HolderChallenge, RoundSeed, Tagged, Tagger, prove_part};
use holdfast_primitives::Address;
use std::io;
use std::sync::LazyLock;

const BATCH_LOG2: u8 = 20;

/// Each holder's only batch, by its place among the holders; all its slots are copies.
static BATCHES: LazyLock<Vec<Tagged>> = LazyLock::new(|| {
    let tag = |fill: usize| Tagger::read(BATCH_LOG2, &mut vec![fill as u8; 1 << BATCH_LOG2].as_slice()).unwrap();
    (0..HOLDERS.len()).map(tag).collect()
});

/// What the holder keeps.
pub fn meta(holder: usize) -> BatchMeta {
    BATCHES[holder].meta
}

/// The challenge of a holder, while one runs.
pub fn challenge(state: &State, holder: &Address) -> Option<HolderChallenge> {
    let chain = state.chain();
    let (_, record) = state.holder_by_address(holder)?;
    let (frozen, Phase::Proving { seed, .. }) = (record.frozen.as_ref()?, &chain.running.phase) else { return None };
    let of =
        RoundSeed { chain: chain.chain, round: frozen.round, seed: *seed, holder: *holder, set_root: frozen.set_root };
    let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
    Some(HolderChallenge::new(of, &classes, frozen.challenges).unwrap())
}

/// The openings of a part.
pub fn openings(holder: usize, challenge: &HolderChallenge, first_j: u32, count: u32) -> Vec<u8> {
    prove_part(challenge, first_j, count, &mut Shelf(holder)).unwrap().openings
}

struct Shelf(usize);

impl BatchSource for Shelf {
    fn read_group(&mut self, _: u8, _: u64, _: u32, out: &mut [u8]) -> io::Result<()> {
        assert_eq!(out.len(), GROUP_BYTES);
        out.fill(self.0 as u8);
        Ok(())
    }

    fn read_path(&mut self, _: u8, _: u64, group: u32, out: &mut [[u8; 32]]) -> io::Result<()> {
        out.copy_from_slice(&BATCHES[self.0].layers.path(group));
        Ok(())
    }
}
