//! Handing a file on: a grant is a signed, expiring permission to read the batches of one file, with the file's own keys.
//!
//! | step | file |
//! |---|---|
//! | the owner makes one | [`share_file`], [`share_batch`] |
//! | it travels as a file | [`Grant`] |
//! | the owner remembers what it handed out, and takes it back | [`GrantBook`] |
//! | somebody reads by it, without a wallet | [`GrantReading`] |
//!
//! What a grant discloses, and what taking it back can and cannot do, stands in `docs/sharing.md`.

mod book;
mod grant;
mod make;
mod redeem;

pub use book::{GrantBook, GrantNote};
pub use grant::{BearerSecret, Grant, GrantError, GrantReader, Shared, SharedBatch};
pub use make::{GRANT_MS_MAX, share_batch, share_file};
pub use redeem::GrantReading;
