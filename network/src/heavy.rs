//! The graph of heavy nodes: who neighbours whom, and what they ask each other for owners and readers.
//!
//! ```text
//! owner -> parent: own subtree, then --Seek--> neighbour: own subtree, then --Seek--> its neighbours ...
//!                  <- offers as they come -    <- Found as they come -
//! ```
//!
//! Every heavy node on the way signs its hop towards the next, looks into its own subtree once for each request, and
//! checks what comes back before it passes it on: a lie costs the liar its neighbours, and nobody else anything. What
//! came here before on a path as short is answered with nothing, so cycles die where they close.

mod config;
mod graph;
mod online;
mod seek;
mod seen;
mod server;
pub(crate) mod whereis;

pub use config::GraphConfig;
pub(crate) use graph::Graph;
pub use graph::GraphFigures;
pub use seen::{Seen, SeenFull, Sight};
pub use server::HeavyServer;
