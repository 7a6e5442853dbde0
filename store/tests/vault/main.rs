//! The vault from outside: uploads that survive anything, damage that is always named.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod sample;

mod damage;
mod formats;
mod kill;
mod model;
mod room;
mod upload;
