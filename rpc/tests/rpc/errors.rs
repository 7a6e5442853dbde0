//! What comes back when the answer is no.

use crate::common::{Served, records, served, world};
use holdfast_primitives::{Amount, BlockHash, ContractNo, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo, TxId};
use holdfast_rpc::audit::{AUDIT_SLOTS_MAX, RecordRef};
use holdfast_rpc::chain::BlockRef;
use holdfast_rpc::error::{CODES, ErrorCode, STANDARD};
use holdfast_rpc::market::{HolderRef, QuoteAsk, QuoteWishes};
use holdfast_rpc::{AddressText, PageAsk, RpcError, error};
use std::collections::BTreeSet;
use std::fmt::Debug;

fn is<T: Debug>(answer: Result<T, RpcError>, row: ErrorCode) {
    match answer {
        Err(RpcError::Answered { code, reason, hint, .. }) => {
            assert_eq!((code, reason.as_str(), hint.as_str()), (row.code, row.reason, row.hint));
        }
        other => panic!("{} expected, found {other:?}", row.reason),
    }
}

fn stranger() -> AddressText {
    AddressText::new(records::stranger(), NetworkPrefix::Devnet)
}

#[test]
fn every_code_has_one_number_one_word_and_a_hint() {
    let all = || CODES.iter().chain(STANDARD);
    let numbers: BTreeSet<_> = all().map(|row| row.code).collect();
    let words: BTreeSet<_> = all().map(|row| row.reason).collect();
    assert_eq!((numbers.len(), words.len()), (all().count(), all().count()));
    assert!(STANDARD.iter().all(|row| (-32_768..=-32_000).contains(&row.code)));
    assert!(CODES.is_sorted_by_key(|row| row.code));
    for row in CODES {
        // JSON-RPC keeps -32768 to -32000 for itself.
        assert!((1_000..2_000).contains(&row.code) && !row.hint.is_empty(), "{row:?}");
        assert!(row.reason.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{row:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let Served { client, server: _server, .. } = served().await;
    let nobody = HolderRef::Number(HolderNo::new(9));
    let known = HolderRef::Number(HolderNo::new(1));
    let (round, later) = (RoundNo::new(0), RoundNo::new(2));
    is(client.chain_header(BlockRef::Height(Height::new(99))).await, error::BLOCK_UNKNOWN);
    is(client.chain_header(BlockRef::Height(Height::GENESIS)).await, error::BLOCK_UNKNOWN);
    is(client.chain_block(BlockRef::Hash(BlockHash::ZERO)).await, error::BLOCK_UNKNOWN);
    is(client.tx_get(TxId::ZERO).await, error::TX_UNKNOWN);
    is(client.audit_openings(TxId::ZERO).await, error::TX_UNKNOWN);
    is(client.account_get(stranger()).await, error::ACCOUNT_UNKNOWN);
    is(client.market_holder(nobody).await, error::HOLDER_UNKNOWN);
    is(client.market_holder(HolderRef::Address(stranger())).await, error::NOT_A_HOLDER);
    is(client.market_contract(ContractNo::new(9)).await, error::CONTRACT_UNKNOWN);
    is(client.market_segment(SegmentNo::new(9)).await, error::SEGMENT_UNKNOWN);
    is(client.round_record(RoundNo::new(1)).await, error::ROUND_UNKNOWN);
    is(client.round_frozen(later, None).await, error::ROUND_UNKNOWN);
    is(client.audit_part(round, known, 0).await, error::PART_UNKNOWN);
    is(client.audit_slots(round, known, records::BATCH_LOG2, vec![1]).await, error::SLOT_UNKNOWN);
    is(client.audit_slots(round, known, 24, vec![0]).await, error::SLOT_UNKNOWN);
    is(client.audit_record(RecordRef::Holder { number: HolderNo::new(9) }).await, error::RECORD_UNKNOWN);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_a_way_out() {
    let Served { client, server: _server, .. } = served().await;
    let ask = |bytes, rounds| QuoteAsk {
        bytes,
        rounds,
        batch_log2: None,
        data: None,
        parity: None,
        wishes: QuoteWishes::default(),
    };
    let holder = HolderRef::Number(HolderNo::new(0));
    let elsewhere = AddressText::new(records::owner().address(), NetworkPrefix::Mainnet);
    is(client.account_get(elsewhere).await, error::WRONG_NETWORK);
    is(client.market_holders(Some(PageAsk::default().limit(0))).await, error::PAGE_LIMIT);
    is(client.market_holders(Some(PageAsk::default().limit(1_001))).await, error::PAGE_LIMIT);
    is(client.round_of_holder(holder, Some(PageAsk::default().limit(101))).await, error::PAGE_LIMIT);
    for prefix in ["", "abc", "not hex", "é0é0", &"a".repeat(65)] {
        is(client.tx_find(prefix.to_owned()).await, error::TX_PREFIX);
    }
    is(client.audit_slots(RoundNo::new(0), holder, 20, vec![0; AUDIT_SLOTS_MAX + 1]).await, error::SLOTS_LIMIT);
    is(client.market_quote(ask(1, 0)).await, error::QUOTE_ROUNDS);
    is(client.market_quote(ask(1, 1_001)).await, error::QUOTE_ROUNDS);
    is(client.market_quote(QuoteAsk { batch_log2: Some(28), ..ask(1, 1) }).await, error::BATCH_CLASS);
    is(client.market_quote(QuoteAsk { data: Some(0), ..ask(1, 1) }).await, error::QUOTE_CODE);
    is(client.market_quote(QuoteAsk { parity: Some(2), ..ask(1, 1) }).await, error::HOLDERS_TOO_FEW);
    is(client.market_quote(ask(u64::MAX, 1)).await, error::HOLDERS_TOO_FEW);
    is(client.dev_faucet(stranger(), Amount::hold(6)).await, error::FAUCET_LIMIT);
    is(client.dev_faucet(stranger(), Amount::ZERO).await, error::FAUCET_LIMIT);
}

#[tokio::test]
async fn a_refused_transaction_names_the_rule_of_the_rule_book() {
    let Served { client, server: _server, .. } = served().await;
    let refused = |answer: Result<TxId, RpcError>| match answer {
        Err(RpcError::Answered { code, reason, message, hint }) => {
            assert_eq!(code, error::TX_REFUSED.code);
            (reason, message, hint)
        }
        other => panic!("a refusal expected, found {other:?}"),
    };
    let replayed = world::transfer(&records::owner(), 2, Amount::hold(2));
    let (reason, message, hint) = refused(client.tx_submit(&replayed).await);
    assert_eq!((reason.as_str(), message.as_str()), ("wrong_sequence", "sequence 2, the sender's next is 3"));
    assert!(hint.contains("account_get"));
    let greedy = world::transfer(&records::owner(), 3, Amount::hold(9_999));
    assert_eq!(refused(client.tx_submit(&greedy).await).0, "balance_too_low");
    let mut forged = world::transfer(&records::owner(), 3, Amount::hold(2));
    forged.signed.tx.sender = records::holder(0).address();
    assert_eq!(refused(client.tx_submit(&forged).await).0, "bad_signature");
}

#[tokio::test]
async fn a_fault_of_the_node_shows_one_neutral_sentence_and_a_trace_id() {
    let Served { world, client, server } = served().await;
    world.break_disk();
    let Err(RpcError::Answered { code, message, .. }) = client.chain_header(BlockRef::Latest).await else {
        panic!("a fault is no answer");
    };
    assert_eq!(code, error::INTERNAL.code);
    assert!(message.starts_with("the node could not answer (trace "), "{message}");
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"chain_header","params":["latest"]}"#;
    let (_, body) = Served { world, client, server }.post(call, "").await;
    assert!(!body.contains("secret") && !body.contains("sector"), "{body}");
}

#[tokio::test]
async fn what_is_no_call_at_all_gets_the_codes_of_json_rpc() {
    let served = served().await;
    for (body, code) in [
        ("{", -32_700),
        (r#"{"jsonrpc":"1.0","id":1}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"chain_moon"}"#, -32_601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"chain_header","params":["yesterday"]}"#, -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"account_get","params":["dhf1qqqq"]}"#, -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tx_submit","params":["0x00"]}"#, -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tx_submit","params":["00"]}"#, error::MALFORMED.code),
    ] {
        let (_, answer) = served.post(body, "").await;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{body}: {answer}"));
        assert_eq!(answer["error"]["code"], code, "{body}");
    }
}
