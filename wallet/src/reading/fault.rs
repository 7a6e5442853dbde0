//! What a holder did wrong while it was read from, with a code for programs and a sentence for people.

use holdfast_network::TransportError;
use holdfast_network::transfer::TransferError;
use holdfast_network::wire::{FrameError, RefusalCode};
use serde::Serialize;
use std::fmt;
use std::io;

/// Every way in which a holder lets a reader down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// It sent leaves that are not the batch's.
    BadData,
    /// It answers out of another batch than it was asked for.
    OtherBatch,
    /// It refused.
    Refused,
    /// It sent what is no message of the protocol, or not one that was due.
    Garbage,
    /// Its parent does not know where it is.
    Offline,
    /// It could not be reached, or did not answer.
    Unreachable,
    /// The connection with it broke.
    Lost,
    /// Nothing came any more.
    Stalled,
    /// Bytes came, but others were far ahead.
    Slow,
}

/// One thing that a holder did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of thing.
    pub code: FaultCode,
    /// In words.
    pub detail: String,
    /// The holder's own code, where it refused.
    pub refusal: Option<RefusalCode>,
}

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not asked again.
    Drop,
    /// It is asked last.
    Demote,
}

impl Fault {
    /// A fault that is no refusal.
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), refusal: None }
    }

    /// The fault that an error of the transfer protocol shows.
    pub fn of(error: &TransferError) -> Self {
        let (code, refusal) = match error {
            TransferError::BadLeaves { .. } => (FaultCode::BadData, None),
            TransferError::OtherBatch { .. } => (FaultCode::OtherBatch, None),
            TransferError::Refused { refusal, .. } => (FaultCode::Refused, Some(refusal.code)),
            TransferError::Frame { source, .. } => (of_frame(source), None),
            TransferError::Stream { source, .. } => (of_stream(source), None),
            TransferError::Transport(TransportError::Closed { .. }) => (FaultCode::Lost, None),
            TransferError::Transport(_) | TransferError::RelayedOnly { .. } => (FaultCode::Unreachable, None),
            _ => (FaultCode::Garbage, None),
        };
        Self { code, detail: error.to_string(), refusal }
    }

    /// A batch that one holder lacks, a crowd at its door, and a connection that broke say little of what else it has.
    pub(crate) fn verdict(&self) -> Verdict {
        match (self.code, self.refusal) {
            (
                FaultCode::Refused,
                Some(
                    RefusalCode::UnknownBatch
                    | RefusalCode::Damaged
                    | RefusalCode::Busy
                    | RefusalCode::TooSlow
                    | RefusalCode::Replaced
                    | RefusalCode::Internal,
                ),
            ) => Verdict::Demote,
            (FaultCode::Lost | FaultCode::Stalled | FaultCode::Slow, _) => Verdict::Demote,
            _ => Verdict::Drop,
        }
    }

    /// The reason as a word for programs: the holder's own where it refused.
    pub fn word(&self) -> String {
        match self.refusal {
            Some(code) => format!("refused-{}", kebab(&format!("{code:?}"))),
            None => serde_json::to_value(self.code)
                .ok()
                .and_then(|word| word.as_str().map(str::to_owned))
                .unwrap_or_default(),
        }
    }
}

fn of_frame(error: &FrameError) -> FaultCode {
    match error {
        FrameError::Late { .. } => FaultCode::Stalled,
        FrameError::Stream { source } => of_stream(source),
        FrameError::Ended { .. } => FaultCode::Lost,
        _ => FaultCode::Garbage,
    }
}

fn of_stream(error: &io::Error) -> FaultCode {
    if error.kind() == io::ErrorKind::TimedOut { FaultCode::Stalled } else { FaultCode::Lost }
}

fn kebab(camel: &str) -> String {
    let mut word = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.detail)
    }
}
