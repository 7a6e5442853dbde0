//! Whether a disk is for some data: one rule for holders, heavy nodes, owners and estimates. Transactions are not judged
//! by it: what a holder quoted for, it takes.

use holdfast_primitives::Tag;

/// Whether a disk for the topics `disk` takes data of the topics `data`: one in common, or neither names any.
pub fn shares_topic(data: &[Tag], disk: &[Tag]) -> bool {
    if data.is_empty() { disk.is_empty() } else { data.iter().any(|topic| disk.contains(topic)) }
}

/// Whether a disk in `region` is where data may lie; anywhere will do when no region is named.
pub fn lies_in(region: Option<&Tag>, regions: &[Tag]) -> bool {
    regions.is_empty() || region.is_some_and(|region| regions.contains(region))
}
