//! How many signatures one processor verifies in batches.

use crate::harness::measure;
use anyhow::{Result, ensure};
use holdfast_primitives::{BatchVerifier, ChainId, Purpose, SecretKey};

/// Signatures of one batch of the yardstick, each by another key.
const BATCH: u32 = 256;
/// Bytes that each signs: as many as a payment's.
const MESSAGE: [u8; 130] = [5; 130];
/// Signatures verified in one measurement.
const SIGNATURES: u32 = 25_600;

/// Signatures verified per CPU second.
pub fn batch_verify_per_second() -> Result<f64> {
    in_batches_of(BATCH)
}

/// The same in batches of another size.
pub fn in_batches_of(batch_size: u32) -> Result<f64> {
    let (chain, batches) = (ChainId::new([1; 32]), SIGNATURES / batch_size);
    let signed: Vec<_> = (0..batch_size)
        .map(|number| {
            let mut seed = [3; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            let key = SecretKey::from_seed(seed);
            (key.address(), key.sign(Purpose::Transaction, &chain, &MESSAGE))
        })
        .collect();
    let (cpu, hold) = measure(|| {
        Ok((0..batches).all(|_| {
            let mut batch = BatchVerifier::new();
            for (signer, signature) in &signed {
                batch.push(signer, Purpose::Transaction, &chain, &MESSAGE, signature);
            }
            batch.verify().is_ok()
        }))
    })?;
    ensure!(hold, "what was signed holds");
    Ok(f64::from(batch_size * batches) / cpu)
}
