//! One file per command.

pub mod audit;
pub mod config;
pub mod demo;
pub mod devnet;
pub mod doctor;
pub mod genesis;
pub mod get;
pub mod heavy;
pub mod hold;
pub mod ls;
pub mod offers;
pub mod put;
pub mod quote;
pub mod renew;
pub mod restore;
pub mod rm;
pub mod share;
pub mod status;
pub mod tx;
pub mod validator;
pub mod wallet;
