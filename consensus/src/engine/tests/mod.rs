//! Tests of what the engine's room keeps to itself. Whole engines are tested in the crate's `tests` folder.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod assembly;
mod codec;
#[path = "../../../tests/common/mod.rs"]
mod common;
mod statements;
mod villain;
mod villains;

use holdfast_primitives::{ChainId, SecretKey, Validator, ValidatorSet, VrfSecretKey};

const CHAIN: ChainId = ChainId::new([7; 32]);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Validators with the seeds 1, 2, ... and these powers.
fn validators(powers: &[u64]) -> ValidatorSet {
    let validator = |(index, &power): (usize, &u64)| {
        let key = key(index as u8 + 1);
        Validator { address: key.address(), vrf: VrfSecretKey::from_seed(key.to_seed()).public(), power }
    };
    ValidatorSet::new(powers.iter().enumerate().map(validator).collect()).unwrap()
}
