//! What one node saw of misbehaviour.

use holdfast_primitives::Misbehaviour;

/// What was seen of misbehaviour since the commit before. Every node may have seen something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Each by itself a proof.
    pub items: Vec<Misbehaviour>,
}
