//! A wallet at work: an account that signs, and the keys of what it stored.

use crate::error::WalletError;
use crate::signer::Signer;
use crate::words::Words;
use holdfast_parcel::OwnerKeys;
use std::ops::Deref;

/// One owner on one network, through one node. What any account can do it does as its [`Signer`].
pub struct Session {
    signer: Signer,
    keys: OwnerKeys,
}

impl Session {
    /// Connects to the node at `url` and learns the network's rules.
    pub async fn connect(url: &str, words: &Words) -> Result<Self, WalletError> {
        let signer = Signer::connect(url, words.signing_key(0)).await?;
        Ok(Self { signer, keys: OwnerKeys::derive(&words.data_master(0)) })
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
