//! Floor 4: JSON-RPC, the one door through which programs and people ask a heavy node.
//!
//! One folder per namespace. In each, `mod.rs` holds the trait from which server and client are generated, `json.rs`
//! the shapes that travel, and `serve.rs` the answers. [`serve`] opens the port (HTTP, WebSocket and the health
//! pages), [`RpcClient`] is the other end, [`Backend`] is what this room needs from a node, and [`error`] lists every
//! code that can come back.
//!
//! It must never know the chain database, the consensus engine or the transport between nodes: a node is whatever
//! implements [`Backend`]. It decides nothing: rules live in the ledger, and what it answers can be re-verified from
//! the `raw` bytes that stand beside every record.

// See `macro_paths`: the code that `#[rpc]` generates looks for its parts under the name `jsonrpsee`.
extern crate jsonrpsee as upstream;
extern crate self as jsonrpsee;

mod backend;
pub mod client;
pub mod discover;
pub mod error;
mod follow;
mod look;
mod macro_paths;
mod page;
pub mod text;

pub mod account;
pub mod audit;
pub mod chain;
pub mod dev;
pub mod market;
pub mod round;
pub mod stake;
pub mod tx;

mod server;

use macro_paths::*;

pub use backend::*;
pub use client::{Feed, Inclusion, RpcClient, RpcError};
pub use page::*;
pub use server::{Origins, RpcConfig, RpcServer, ServeError, method_names, serve};
pub use text::{AddressText, HexBytes, Raw, Time};
