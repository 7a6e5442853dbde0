//! Where rooms are joined: each file makes one room's trait out of another room's handle, or starts a service.

pub mod backend;
pub mod faucet;
pub mod heavy;
pub mod holder;
pub mod ledger_link;
pub mod logging;
pub mod outbox;
pub mod part;
pub mod peers;
pub mod seats;
