//! The chain database from outside: what was committed is there, whole, whatever happens to the process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

mod commit;
mod damage;
mod formats;
mod joining;
mod kill;
mod open;
mod restarts;
mod rounds;
mod undecided;
