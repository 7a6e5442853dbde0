//! Errors at the edge: one `error:` line, one `hint:` line with what mends it, an exit code that scripts can tell apart.

use holdfast_genesis::{FileError, PriceError};
use holdfast_primitives::AmountError;
use holdfast_rpc::RpcError;
use holdfast_wallet::{KeystoreError, WalletError, WordsError};
use serde::Serialize;

/// The word for machines of a folder that another process has.
pub const DIR_IN_USE: &str = "dir-in-use";

/// How a command ended, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Exit {
    /// Something failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Some of it was done, some was not.
    Partial = 3,
    /// What was asked for does not exist.
    NotFound = 10,
    /// Not enough money.
    InsufficientFunds = 11,
    /// Wrong password, or the wallet is locked.
    Locked = 12,
    /// The node cannot be reached, or lags.
    Unreachable = 13,
    /// Data that should be there cannot be verified.
    Unverifiable = 14,
    /// Dearer than `--max-price`.
    AbovePrice = 15,
    /// A heavy node must not be started again before somebody has looked at its disk.
    Unsafe = 20,
    /// Interrupted.
    Interrupted = 130,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: Exit,
    /// A stable word for machines.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What every command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure with a code and a sentence.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), hint: None }
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Anything that has no code of its own.
    pub fn other(message: impl ToString) -> Self {
        Self::new(Exit::Failed, "failed", message.to_string())
    }

    /// Adds what mends it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it on stderr: for people, or as one JSON document.
    pub fn report(&self, json: bool) {
        use std::io::Write as _;
        let mut stderr = anstream::stderr().lock();
        // A closed stderr is no reason to fail twice.
        let _ = if json {
            let error = serde_json::json!({
                "code": self.code, "message": self.message, "hint": self.hint, "exit": self.exit as u8,
            });
            writeln!(stderr, "{}", serde_json::json!({ "error": error }))
        } else {
            let hint = self.hint.as_ref().map(|hint| format!("\n\x1b[1;36mhint:\x1b[0m {hint}")).unwrap_or_default();
            writeln!(stderr, "\x1b[1;31merror:\x1b[0m {}{hint}", self.message)
        };
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, "io", error.to_string())
    }
}

impl From<AmountError> for Failure {
    fn from(error: AmountError) -> Self {
        Self::new(Exit::Usage, "bad-amount", error.to_string())
    }
}

impl From<PriceError> for Failure {
    fn from(error: PriceError) -> Self {
        Self::new(Exit::Usage, "bad-price", error.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(Exit::Failed, "bad-genesis", error.to_string())
            .hint("`holdfast genesis new --network devnet` writes one that holds")
    }
}

impl From<WordsError> for Failure {
    fn from(error: WordsError) -> Self {
        Self::new(Exit::Usage, "bad-words", error.to_string()).hint("compare them with the 24 words you wrote down")
    }
}

impl From<KeystoreError> for Failure {
    fn from(error: KeystoreError) -> Self {
        let message = error.to_string();
        match error {
            KeystoreError::NotFound { .. } => Self::new(Exit::NotFound, "no-wallet", message)
                .hint("`holdfast wallet new` makes one, `holdfast wallet list` shows them"),
            KeystoreError::Exists { .. } => {
                Self::new(Exit::Failed, "wallet-exists", message).hint("choose another name with --wallet NAME")
            }
            KeystoreError::BadName { .. } => Self::new(Exit::Usage, "bad-wallet-name", message),
            KeystoreError::Corrupt { .. } => Self::new(Exit::Failed, "corrupt-keystore", message)
                .hint("move the file away and run `holdfast wallet import` with your 24 words"),
            KeystoreError::WrongPassword { .. } => Self::new(Exit::Locked, "wrong-password", message)
                .hint("try again, or `holdfast wallet import --wallet OTHER` with your 24 words"),
            KeystoreError::Io { .. } => Self::new(Exit::Failed, "io", message),
        }
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        let (exit, code) = match &error {
            RpcError::Unreachable { .. } | RpcError::TimedOut { .. } => (Exit::Unreachable, "unreachable".to_owned()),
            RpcError::Answered { reason, .. } => (exit_of_reason(reason), reason.clone()),
            RpcError::Dropped { code, .. } => (exit_of_reason(code), code.clone()),
            RpcError::Url { .. } => (Exit::Usage, "bad-url".to_owned()),
            RpcError::Unreadable { .. } => (Exit::Failed, "unreadable".to_owned()),
            RpcError::NotFinal { .. } => (Exit::Failed, "not-final".to_owned()),
            RpcError::Forgotten { .. } => (Exit::NotFound, "tx-unknown".to_owned()),
        };
        let hint = Some(error.hint()).filter(|hint| !hint.is_empty());
        Self { exit, code, message: error.to_string(), hint }
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::Rpc(inner) => inner.into(),
            other => {
                let hint = other.hint();
                Self {
                    exit: exit_of_reason(other.code()),
                    code: other.code().to_owned(),
                    message: other.to_string(),
                    hint,
                }
            }
        }
    }
}

/// Which exit code a machine reason stands for.
fn exit_of_reason(reason: &str) -> Exit {
    match reason {
        "no-such-file" | "no-catalog" | "no-such-batch" => Exit::NotFound,
        unknown if unknown.ends_with("_unknown") => Exit::NotFound,
        "insufficient-funds" | "balance_too_low" => Exit::InsufficientFunds,
        "unreachable" | "not_synced" => Exit::Unreachable,
        "unverifiable" | "other-chain" | "proofs-pruned" | "not-enough-batches" => Exit::Unverifiable,
        "above-max-price" => Exit::AbovePrice,
        "bad-wish" => Exit::Usage,
        _ => Exit::Failed,
    }
}
