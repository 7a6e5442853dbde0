//! Ids as people give them: whole, or as many characters as name one thing. What is of another kind is named as what it is.

use crate::failure::{Exit, Failure};
use holdfast_primitives::{Address, BlockHash, ChainId, HolderNo, NetworkPrefix, TxId};
use holdfast_rpc::chain::BlockRef;
use holdfast_rpc::market::{HolderRef, HolderView};
use holdfast_rpc::tx::TxStatus;
use holdfast_rpc::{AddressText, PAGE_ROWS_MAX, PageAsk, RpcClient, error};

/// Hex digits from which on a transaction can be named by the beginning of its id.
const TX_DIGITS_MIN: usize = 4;
/// Candidates that an ambiguous id lists.
const CANDIDATES_SHOWN: usize = 8;

/// The holder with this number, address, or beginning of an address (the `dhf1` may be left out).
pub async fn holder(rpc: &RpcClient, text: &str) -> Result<HolderView, Failure> {
    if let Ok(number) = text.parse::<HolderNo>() {
        return Ok(rpc.market_holder(HolderRef::Number(number)).await?);
    }
    if let Ok(address) = AddressText::parse(text) {
        return match rpc.market_holder(HolderRef::Address(address)).await {
            Err(refused) if refused.is_reason(error::NOT_A_HOLDER.reason) => {
                Err(wrong_kind(text, "an address whose account is no holder", "a holder's number or address"))
            }
            found => Ok(found?),
        };
    }
    let begins = |view: &HolderView| {
        let address = view.address.to_string();
        address.starts_with(text) || address.split_once('1').is_some_and(|(_, data)| data.starts_with(text))
    };
    let mut found: Vec<HolderView> = all_holders(rpc).await?.into_iter().filter(begins).collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (Some(last), _) => {
            let names = found.iter().chain([&last]).map(|view| format!("{} {}", view.number, view.address));
            Err(ambiguous(text, "holders", names.collect()))
        }
        (None, _) => match kind_of(rpc, text).await? {
            Some(kind) => Err(wrong_kind(text, &kind, "a holder's number or address")),
            None => Err(unknown(text, "holder").hint("`holdfast status` lists the holders")),
        },
    }
}

/// The transaction with this id or beginning of an id. A whole id need not be known: it may yet come.
pub async fn transaction(rpc: &RpcClient, text: &str) -> Result<TxId, Failure> {
    let expected = "a transaction's id";
    if let Ok(id) = text.parse::<TxId>() {
        return match kind_of(rpc, text).await? {
            Some(kind) if !kind.contains("transaction") => Err(wrong_kind(text, &kind, expected)),
            _ => Ok(id),
        };
    }
    if is_hex(text) && (TX_DIGITS_MIN..2 * TxId::BYTES).contains(&text.len()) {
        let found = rpc.tx_find(text.to_ascii_lowercase()).await?;
        return match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(unknown(text, "final transaction").hint("one that waits for its block needs its whole id")),
            many => Err(ambiguous(text, "transactions", many.iter().map(ToString::to_string).collect())),
        };
    }
    match kind_of(rpc, text).await? {
        Some(kind) => Err(wrong_kind(text, &kind, expected)),
        None => Err(Failure::usage(format!("{text} is not a transaction's id")).hint(format!(
            "an id has 64 hexadecimal digits; its first {TX_DIGITS_MIN} or more do, if they name only one"
        ))),
    }
}

/// A whole address of this network: money is never sent by the beginning of one.
pub async fn address(rpc: &RpcClient, text: &str, prefix: NetworkPrefix) -> Result<Address, Failure> {
    match Address::from_text(text, prefix) {
        Ok(address) => Ok(address),
        Err(error) => match kind_of(rpc, text).await? {
            Some(kind) => Err(wrong_kind(text, &kind, &format!("an address of {prefix}"))),
            None => Err(Failure::usage(error.to_string())
                .hint(format!("copy the whole address: {}1 and what follows", prefix.as_str()))),
        },
    }
}

/// All holders, by number.
pub async fn all_holders(rpc: &RpcClient) -> Result<Vec<HolderView>, Failure> {
    let (mut holders, mut first) = (Vec::new(), 0);
    loop {
        let page = rpc.market_holders(Some(PageAsk::from(first).limit(PAGE_ROWS_MAX))).await?;
        holders.extend(page.rows);
        match page.next {
            Some(next) => first = next,
            None => return Ok(holders),
        }
    }
}

/// What a text names, in words, as far as its looks and the node can tell.
async fn kind_of(rpc: &RpcClient, text: &str) -> Result<Option<String>, Failure> {
    if let Ok(address) = AddressText::parse(text) {
        return Ok(Some(format!("an address of {}", address.prefix)));
    }
    if text.contains("://") {
        return Ok(Some("a URL".to_owned()));
    }
    if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) && text.len() < TX_DIGITS_MIN {
        return Ok(Some("a number".to_owned()));
    }
    if let Ok(id) = text.parse::<TxId>() {
        return kind_of_hash(rpc, id).await;
    }
    if is_hex(text) && text.len() >= TX_DIGITS_MIN && text.len() < 2 * TxId::BYTES {
        let is_known = !rpc.tx_find(text.to_ascii_lowercase()).await?.is_empty();
        return Ok(is_known.then(|| "the beginning of a transaction's id".to_owned()));
    }
    Ok(None)
}

/// What 32 bytes in hex name.
async fn kind_of_hash(rpc: &RpcClient, id: TxId) -> Result<Option<String>, Failure> {
    if rpc.tx_status(id).await? != TxStatus::Unknown {
        return Ok(Some("a transaction's id".to_owned()));
    }
    if rpc.chain_status().await?.chain == ChainId::new(*id.as_bytes()) {
        return Ok(Some("the chain's id".to_owned()));
    }
    match rpc.chain_header(BlockRef::Hash(BlockHash::new(*id.as_bytes()))).await {
        Ok(header) => Ok(Some(format!("the hash of block {}", header.height))),
        Err(refused) if refused.is_reason(error::BLOCK_UNKNOWN.reason) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn wrong_kind(text: &str, kind: &str, expected: &str) -> Failure {
    Failure::new(Exit::Usage, "wrong-kind", format!("{text} is {kind}; {expected} was expected"))
}

fn unknown(text: &str, what: &str) -> Failure {
    Failure::new(Exit::NotFound, "unknown-id", format!("no {what} begins with {text}"))
}

fn ambiguous(text: &str, what: &str, mut candidates: Vec<String>) -> Failure {
    candidates.sort();
    let more = candidates.len() > CANDIDATES_SHOWN;
    candidates.truncate(CANDIDATES_SHOWN);
    let message = format!("{text} names several {what}: {}{}", candidates.join(", "), if more { ", ..." } else { "" });
    Failure::new(Exit::Usage, "ambiguous-id", message).hint("give more of it")
}
