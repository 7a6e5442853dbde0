//! Broken machines: clocks that are wrong, disks that are full, processes that die at any moment, nodes that forget. Four
//! validators run as processes of their own; whatever happens to some, all of them end with the same chain.

mod clocks;
mod disk;
mod forgotten;
mod kills;
pub mod validators;
