//! Who pays whom, signed beforehand.

use anyhow::Result;
use holdfast_ledger::{Genesis, Tx, TxBody, TxEnvelope};
use holdfast_primitives::{Address, Amount, Bounded, Height, SecretKey};
use rayon::prelude::*;
use std::ops::Range;

/// Grain that every payment moves.
const PAID: Amount = Amount::grains(1_000);

/// Funded accounts with their keys.
pub struct People {
    keys: Vec<SecretKey>,
}

impl People {
    /// Those with these numbers.
    pub fn new(numbers: Range<u32>) -> Self {
        let key = |number: u32| {
            let mut seed = [9; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            SecretKey::from_seed(seed)
        };
        Self { keys: numbers.into_par_iter().map(key).collect() }
    }

    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.keys.iter().map(SecretKey::address)
    }

    /// Everybody's payments number `from..to`, each to the next person; in rounds, so that neighbours in the list are of
    /// different senders.
    pub fn payments(&self, genesis: &Genesis, from: u64, to: u64) -> Result<Vec<TxEnvelope>> {
        let turns: Vec<(u64, usize)> =
            (from..to).flat_map(|sequence| (0..self.len()).map(move |person| (sequence, person))).collect();
        turns.into_par_iter().map(|(sequence, person)| self.payment(genesis, sequence, person)).collect()
    }

    fn payment(&self, genesis: &Genesis, sequence: u64, person: usize) -> Result<TxEnvelope> {
        let key = &self.keys[person];
        let to = self.keys[(person + 1) % self.len()].address();
        let body = TxBody::Transfer { to, amount: PAID, memo: Bounded::empty() };
        let mut tx = Tx { sender: key.address(), sequence, fee: Amount::ZERO, expires: Height::new(u64::MAX), body };
        tx.fee = genesis.params.fee_per_byte.checked_mul(tx.payload().len() as u64 + 64)?;
        Ok(TxEnvelope::bare(tx.sign(key, &genesis.chain_id())))
    }
}

/// What everybody must have left after `each` payments: what came is what went, so only the fees are missing.
pub fn left_over(funded: Amount, payment: &TxEnvelope, each: u64) -> Result<Amount> {
    Ok(funded.checked_sub(payment.signed.tx.fee.checked_mul(each)?)?)
}
