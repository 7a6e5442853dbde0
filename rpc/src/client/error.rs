//! What can go wrong with a call, seen from the caller.

use crate::error::{ErrorCode, ErrorData, OVERSIZED_REQUEST, SERVER_BUSY, STANDARD};
use holdfast_primitives::TxId;
use std::error::Error;
use std::io;
use std::time::Duration;
use thiserror::Error;
use upstream::client_transport::ws::WsHandshakeError;
use upstream::core::ClientError;
use upstream::core::http_helpers::HttpError as BodyError;
use upstream::http_client::transport::Error as HttpError;
use upstream::types::ErrorObjectOwned;

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RpcError {
    /// The node answered, and the answer is no.
    #[error("{message}")]
    Answered {
        /// The number in one of the tables of codes ([`crate::error::CODES`], [`STANDARD`]).
        code: i32,
        /// The word for machines. For a refused transaction it names the rule.
        reason: String,
        /// What is wrong, for people.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// Nobody answers there.
    #[error("no node answers at {url}: {cause}")]
    Unreachable {
        /// The node's address.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// No answer in time.
    #[error("the node at {url} did not answer in time")]
    TimedOut {
        /// The node's address.
        url: String,
    },
    /// Something answers there that is no such node, or one of another version.
    #[error("what answers at {url} is not understood: {cause}")]
    Unreadable {
        /// The node's address.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Not the address of a node.
    #[error("{url:?} is not the address of a node: {cause}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A transaction was admitted and then dropped.
    #[error("transaction {tx} was dropped: {message}")]
    Dropped {
        /// The transaction.
        tx: TxId,
        /// The rule that it broke, for machines.
        code: String,
        /// The rule that it broke, for people.
        message: String,
    },
    /// A transaction is not final yet.
    #[error("transaction {tx} is not final after {waited:?}")]
    NotFinal {
        /// The transaction.
        tx: TxId,
        /// How long was waited.
        waited: Duration,
    },
    /// The node knows nothing of a transaction: it was never handed in there, or forgotten in a restart.
    #[error("the node knows nothing of transaction {tx} after {waited:?}")]
    Forgotten {
        /// The transaction.
        tx: TxId,
        /// How long was waited.
        waited: Duration,
    },
}

impl RpcError {
    /// Whether the node said no with this word for machines.
    pub fn is_reason(&self, wanted: &str) -> bool {
        matches!(self, Self::Answered { reason, .. } if reason == wanted)
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Answered { hint, .. } => hint.clone(),
            Self::Unreachable { .. } => {
                "start a node there (holdfast devnet), or name another with --network".to_owned()
            }
            Self::TimedOut { .. } => "try again; ask the node's /readyz?verbose how it is".to_owned(),
            Self::Unreadable { .. } => "check the address and that client and node have the same version".to_owned(),
            Self::Url { .. } => "write it as http://host:port".to_owned(),
            Self::Dropped { .. } => "mend the transaction and sign it again".to_owned(),
            Self::NotFinal { tx, .. } => format!("holdfast tx wait {tx}"),
            Self::Forgotten { .. } => {
                "it was not handed in there, or a restart lost it: look at the balance, then send it again".to_owned()
            }
        }
    }

    pub(super) fn of(error: ClientError, url: &str) -> Self {
        let url = url.to_owned();
        match error {
            ClientError::Call(answer) => Self::answered(&answer),
            ClientError::RequestTimeout => Self::TimedOut { url },
            ClientError::Transport(cause) => match rejected_status(cause.as_ref()) {
                Some(status) => Self::rejected(status, url),
                None if is_misread(cause.as_ref()) => Self::Unreadable { url, cause: innermost(cause.as_ref()) },
                None => Self::Unreachable { url, cause: innermost(cause.as_ref()) },
            },
            ClientError::RestartNeeded(cause) => Self::Unreachable { url, cause: cause.to_string() },
            ClientError::ServiceDisconnect => Self::Unreachable { url, cause: "the connection ended".to_owned() },
            other => Self::Unreadable { url, cause: other.to_string() },
        }
    }

    /// What an answer with this HTTP status and without JSON means.
    fn rejected(status: u16, url: String) -> Self {
        let row = match status {
            429 | 503 => SERVER_BUSY,
            413 => OVERSIZED_REQUEST,
            _ => return Self::Unreadable { url, cause: format!("it answers with HTTP status {status}") },
        };
        Self::by_table(row, format!("the node answers with HTTP status {status}"))
    }

    fn answered(answer: &ErrorObjectOwned) -> Self {
        let (code, message) = (answer.code(), answer.message().to_owned());
        let text = answer.data().map_or("", |data| data.get());
        match serde_json::from_str::<ErrorData>(text) {
            Ok(data) => {
                let trace = data.trace.map(|trace| format!(" (trace {trace})")).unwrap_or_default();
                Self::Answered { code, reason: data.reason, message: message + &trace, hint: data.hint }
            }
            Err(_) => {
                let detail = serde_json::from_str::<String>(text).map(|text| format!(": {text}")).unwrap_or_default();
                let unknown =
                    ErrorCode { code, reason: "unknown", hint: "check that client and node have the same version" };
                let row = STANDARD.iter().find(|row| row.code == code).copied().unwrap_or(unknown);
                Self::by_table(row, message + &detail)
            }
        }
    }

    fn by_table(row: ErrorCode, message: String) -> Self {
        Self::Answered { code: row.code, reason: row.reason.to_owned(), message, hint: row.hint.to_owned() }
    }
}

/// Whether the call was not even looked at: the connection was refused, or the node had no room for another.
pub(super) fn is_refused(error: &ClientError) -> bool {
    let ClientError::Transport(cause) = error else { return false };
    if matches!(rejected_status(cause.as_ref()), Some(429 | 503)) {
        return true;
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(cause.as_ref());
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether an answer came and was no JSON, or too much of it.
fn is_misread(cause: &(dyn Error + Send + Sync + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(HttpError::Http(BodyError::Malformed | BodyError::TooLarge)))
}

/// The HTTP status of an answer that is no success.
pub(super) fn rejected_status(cause: &(dyn Error + Send + Sync + 'static)) -> Option<u16> {
    let over_http = cause.downcast_ref::<HttpError>().and_then(|error| match error {
        HttpError::Rejected { status_code } => Some(*status_code),
        _ => None,
    });
    let over_socket = || {
        cause.downcast_ref::<WsHandshakeError>().and_then(|error| match error {
            WsHandshakeError::Rejected { status_code } => Some(*status_code),
            _ => None,
        })
    };
    over_http.or_else(over_socket)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
