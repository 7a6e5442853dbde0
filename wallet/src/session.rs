//! A wallet at work: an account that signs, and the keys of what it stored.

use crate::error::WalletError;
use crate::signer::Signer;
use crate::turn::Turn;
use crate::words::Words;
use holdfast_parcel::OwnerKeys;
use std::ops::Deref;

/// One owner on one network, through one node. What any account can do it does as its [`Signer`]. While it
/// lives, no other command acts for the wallet.
pub struct Session {
    signer: Signer,
    keys: OwnerKeys,
    _turn: Turn,
}

impl Session {
    /// Connects to the node at `url` and learns the network's rules.
    pub async fn connect(url: &str, words: &Words, turn: Turn) -> Result<Self, WalletError> {
        let signer = Signer::connect(url, words.signing_key(0)).await?;
        Ok(Self { signer, keys: OwnerKeys::derive(&words.data_master(0)), _turn: turn })
    }

    /// The owner's data keys.
    pub const fn keys(&self) -> &OwnerKeys {
        &self.keys
    }
}

impl Deref for Session {
    type Target = Signer;

    fn deref(&self) -> &Signer {
        &self.signer
    }
}
