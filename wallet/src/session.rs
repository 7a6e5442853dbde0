//! A wallet at work: an account that signs, and the keys of what it stored.

use crate::error::WalletError;
use crate::heavies::RememberedHeavies;
use crate::signer::Signer;
use crate::turn::Turn;
use crate::words::Words;
use holdfast_parcel::OwnerKeys;
use holdfast_rpc::RpcClient;
use std::ops::Deref;

/// One owner on one network, through one node. What any account can do it does as its [`Signer`]. While it
/// lives, no other command acts for the wallet.
pub struct Session {
    signer: Signer,
    keys: OwnerKeys,
    remembered: RememberedHeavies,
    _turn: Turn,
}

impl Session {
    /// Learns the network's rules from whichever node `rpc` asks; the heavy nodes that become known are written to
    /// `remembered`.
    pub async fn connect(
        rpc: RpcClient,
        remembered: RememberedHeavies,
        words: &Words,
        turn: Turn,
    ) -> Result<Self, WalletError> {
        let signer = Signer::connect_over(rpc, words.signing_key(0)).await?;
        Ok(Self { signer, keys: OwnerKeys::derive(&words.data_master(0)), remembered, _turn: turn })
    }

    /// Where the known heavy nodes are written down.
    pub const fn remembered(&self) -> &RememberedHeavies {
        &self.remembered
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
