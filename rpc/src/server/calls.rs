//! JSON-RPC over HTTP: from the bytes of a request's body to the bytes of its answer.
//!
//! The library answers calls over WebSocket; over HTTP its service costs several times what most calls do, because it hands
//! every request through layers made for subscriptions and reads a batch's finished answer once more. What a call means
//! is the same: its types read the requests and its registered methods answer them.

use futures::future::{BoxFuture, join_all};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use upstream::core::server::{ConnectionId, Methods};
use upstream::types::error::{reject_too_big_batch_request, reject_too_big_batch_response};
use upstream::types::{ErrorCode, ErrorObject, Extensions, Id, InvalidRequest, Notification, Params, TwoPointZero};
use upstream::{MethodCallback, MethodResponse};

/// The method that hands in a transaction.
const SUBMIT: &str = "tx_submit";
/// Calls over HTTP have no connection that a method could tell apart.
const NO_CONNECTION: ConnectionId = ConnectionId(0);

/// A call as it is read: what stands in it is looked at once it is needed.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(rename = "jsonrpc")]
    _version: TwoPointZero,
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// One entry of a batch, or the only one.
enum Entry<'a> {
    /// A call.
    Call { id: Id<'a>, method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// A call that wants no answer.
    Notification,
    /// What is none.
    Invalid { id: Id<'a>, code: ErrorCode },
}

/// Every method, and how much may be asked and answered at once.
pub(super) struct Calls {
    pub methods: Methods,
    pub batch_calls_max: usize,
    pub response_bytes_max: usize,
}

impl Calls {
    /// Answers a body: one call or a batch of them. `None` when it holds nothing but notifications, which have no answer.
    pub async fn answer(&self, body: &[u8]) -> Option<String> {
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => self.batch(body).await,
            _ => Some(text_of(self.entry(Entry::read(body, ErrorCode::ParseError)).await?)),
        }
    }

    async fn batch(&self, body: &[u8]) -> Option<String> {
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
            return Some(refusal(ErrorCode::ParseError));
        };
        if entries.is_empty() {
            return Some(refusal(ErrorCode::InvalidRequest));
        }
        if entries.len() > self.batch_calls_max {
            return Some(refusal(reject_too_big_batch_request(self.batch_calls_max)));
        }
        let mut answers = String::from("[");
        let entries: Vec<Entry<'_>> = entries.into_iter().map(Entry::of_batch).collect();
        let mut entries = entries.into_iter().peekable();
        while let Some(entry) = entries.next() {
            // In order, but for neighbours that hand in transactions: the pool checks together what waits at its door.
            let hands_in = entry.hands_in();
            let mut together: Vec<BoxFuture<'_, Option<MethodResponse>>> = vec![Box::pin(self.entry(entry))];
            while hands_in && let Some(next) = entries.next_if(Entry::hands_in) {
                together.push(Box::pin(self.entry(next)));
            }
            for answer in join_all(together).await.into_iter().flatten() {
                let answer = answer.as_json().get();
                // The comma or bracket after it takes one more byte.
                if answers.len() + answer.len() + 1 > self.response_bytes_max {
                    return Some(refusal(reject_too_big_batch_response(self.response_bytes_max)));
                }
                answers.push_str(answer);
                answers.push(',');
            }
        }
        // Without a comma there was no answer.
        answers.pop().filter(|last| *last == ',')?;
        answers.push(']');
        Some(answers)
    }

    /// Answers one call; a notification has no answer.
    async fn entry(&self, entry: Entry<'_>) -> Option<MethodResponse> {
        match entry {
            Entry::Call { id, method, params } => Some(self.call(id, &method, params).await),
            Entry::Notification => None,
            Entry::Invalid { id, code } => Some(MethodResponse::error(id, ErrorObject::from(code))),
        }
    }

    async fn call(&self, id: Id<'_>, method: &str, params: Option<&RawValue>) -> MethodResponse {
        let params = Params::new(params.map(RawValue::get));
        match self.methods.method(method) {
            Some(MethodCallback::Sync(answer)) => answer(id, params, self.response_bytes_max, Extensions::new()),
            Some(MethodCallback::Async(answer)) => {
                let (id, params) = (id.into_owned(), params.into_owned());
                answer(id, params, NO_CONNECTION, self.response_bytes_max, Extensions::new()).await
            }
            // They need a connection that stays open.
            Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)) => {
                MethodResponse::error(id, ErrorObject::from(ErrorCode::InternalError))
            }
            None => MethodResponse::error(id, ErrorObject::from(ErrorCode::MethodNotFound)),
        }
    }
}

impl<'a> Entry<'a> {
    /// Reads one call. `unreadable` is what is said of bytes that not even have an id.
    fn read(call: &'a [u8], unreadable: ErrorCode) -> Self {
        if let Ok(asked) = serde_json::from_slice::<Asked<'a>>(call)
            && let Some(id) = read_id(asked.id)
        {
            return Self::Call { id, method: asked.method, params: asked.params };
        }
        if serde_json::from_slice::<Notification<'_, Option<&RawValue>>>(call).is_ok() {
            return Self::Notification;
        }
        match serde_json::from_slice::<InvalidRequest<'a>>(call) {
            Ok(InvalidRequest { id }) => Self::Invalid { id, code: ErrorCode::InvalidRequest },
            Err(_) => Self::Invalid { id: Id::Null, code: unreadable },
        }
    }

    /// Reads one entry of a batch.
    fn of_batch(entry: &'a RawValue) -> Self {
        Self::read(entry.get().as_bytes(), ErrorCode::InvalidRequest)
    }

    /// Whether it hands in a transaction.
    fn hands_in(&self) -> bool {
        matches!(self, Self::Call { method, .. } if method == SUBMIT)
    }
}

/// What a call's id is; `None` when it is none. The library finds that out by trying one kind after the other, which makes
/// an error on the heap for each that it is not.
fn read_id(id: &RawValue) -> Option<Id<'_>> {
    if let Ok(number) = id.get().parse() {
        return Some(Id::Number(number));
    }
    serde_json::from_str(id.get()).ok()
}

fn text_of(response: MethodResponse) -> String {
    String::from(Box::<str>::from(response.into_json()))
}

/// The answer to a body that is refused as a whole.
fn refusal(error: impl Into<ErrorObject<'static>>) -> String {
    text_of(MethodResponse::error(Id::Null, error.into()))
}
