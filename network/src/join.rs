//! Joining: a node that has no chain yet fetches a snapshot of the state from heavy nodes, from several at once.
//!
//! ```text
//! JoinServer -- asks --> JoinSource         on the node that has it: whatever the ledger and the database answer
//! JoinClient            one connection to one such node: a question, an answer, both bounded and in time
//! fetch(peers, JoinSink)  many questions to many nodes; the sink verifies every answer as it comes
//! ```
//! This room does not know what an answer means. The sink says that one is a lie; then its sender is named and asked no
//! more, and somebody else is asked the same.

mod client;
mod fetch;
mod server;

pub use client::{JoinClient, JoinError};
pub use fetch::{Fetched, JoinSink, Liar, Peer, TakeError, fetch};
pub use server::{JoinLimits, JoinServer, JoinSource};
