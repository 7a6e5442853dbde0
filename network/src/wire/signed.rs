//! Statements with a signature. The purpose and the chain id come before the signed bytes, as everywhere.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Address, ChainId, KeyError, Purpose, SecretKey, Signature};

/// Something that one node states and signs.
pub trait Statement: BorshSerialize + BorshDeserialize {
    /// What the signature is for.
    const PURPOSE: Purpose;

    /// Who must have signed.
    fn signer(&self) -> &Address;
}

/// A statement and its signature; not checked yet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Signed<T> {
    /// The statement.
    pub statement: T,
    /// By [`Statement::signer`], over the borsh of the statement.
    pub signature: Signature,
}

impl<T: Statement> Signed<T> {
    /// Signs; `key` must be the signer's.
    pub fn new(statement: T, key: &SecretKey, chain: &ChainId) -> Self {
        let signature = key.sign(T::PURPOSE, chain, &payload(&statement));
        Self { statement, signature }
    }

    /// Whether the one whom the statement names signed it on `chain`.
    pub fn verify(&self, chain: &ChainId) -> Result<(), KeyError> {
        self.signature.verify(self.statement.signer(), T::PURPOSE, chain, &payload(&self.statement))
    }
}

fn payload<T: Statement>(statement: &T) -> Vec<u8> {
    borsh::to_vec(statement).expect("a statement encodes into memory")
}
