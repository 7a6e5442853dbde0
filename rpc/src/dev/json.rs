//! The shapes of the `dev` namespace.

use crate::text::GrainText;
use holdfast_primitives::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the faucet gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaucetLimit {
    /// In one call, at most.
    #[schemars(with = "GrainText")]
    pub per_call: Amount,
}
