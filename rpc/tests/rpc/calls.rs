//! Every method, called through the generated client: over HTTP, over WebSocket, and by name as `rpc.discover` says.

use crate::common::{Served, records, served, world};
use holdfast_ledger::{rows_root, verify_inclusion, verify_record};
use holdfast_primitives::{Amount, ContractNo, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo};
use holdfast_rpc::audit::RecordRef;
use holdfast_rpc::chain::{BlockRef, ChainApiClient as _};
use holdfast_rpc::market::{HolderRef, OffersAsk, QuoteAsk, QuoteWishes};
use holdfast_rpc::round::RoundNotice;
use holdfast_rpc::tx::TxStatus;
use holdfast_rpc::{AddressText, PageAsk};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::ws_client::WsClientBuilder;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ROUND: RoundNo = RoundNo::new(0);
const HOLDER: HolderRef = HolderRef::Number(HolderNo::new(0));

fn owner() -> AddressText {
    AddressText::new(records::owner().address(), NetworkPrefix::Devnet)
}

/// A value for the parameter `name` of `method` with which the call succeeds.
fn example(method: &str, name: &str) -> Value {
    match (method, name) {
        ("tx_submit", _) => {
            let envelope = world::World::new().transfer(Amount::hold(2));
            json!(hex::encode(borsh::to_vec(&envelope).unwrap()))
        }
        ("dev_faucet", "amount") => json!("1000"),
        (_, "at") => json!("latest"),
        (_, "after") => json!(0),
        (_, "id") => json!(world::proof().id()),
        (_, "timeout_ms") => json!(10),
        ("stake_validator", "address") => {
            json!(records::validator().address().to_text(holdfast_primitives::NetworkPrefix::Devnet))
        }
        (_, "address") => json!(owner()),
        (_, "page") => json!({ "first": 0, "limit": 10 }),
        (_, "holder" | "number" | "round" | "part") => json!(0),
        (_, "batch_log2") => json!(records::BATCH_LOG2),
        (_, "slots") => json!([0]),
        ("market_offers", "ask") => json!({ "regions": ["eu-west"] }),
        (_, "ask") => json!({ "bytes": 1_000_000, "rounds": 10, "data": 1, "parity": 0 }),
        (_, "prefix") => json!(world::proof().id().short()),
        (_, "record") => json!({ "table": "account", "number": 0 }),
        other => panic!("no example for {other:?}"),
    }
}

#[tokio::test]
async fn every_method_answers_by_name_the_same_over_http_and_websocket() {
    let Served { server, client, world: _world } = served().await;
    let socket = WsClientBuilder::default().build(format!("ws://{}", server.addr())).await.unwrap();
    let document = client.discover().await.unwrap();
    let mut called = 0;
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        if method.get("x-subscription").is_some() {
            continue;
        }
        let params = || {
            let mut params = ObjectParams::new();
            for param in method["params"].as_array().unwrap() {
                let param = param["name"].as_str().unwrap();
                params.insert(param, example(name, param)).unwrap();
            }
            params
        };
        let over_http: Value = client.request(name, params()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let over_socket: Value = socket.request(name, params()).await.unwrap();
        assert_eq!(over_http, over_socket, "{name}");
        called += 1;
    }
    assert_eq!(called, 46);
}

#[tokio::test]
async fn the_chain_can_be_followed_from_genesis_to_tip_and_every_hash_recomputed() {
    let Served { client, server: _server, .. } = served().await;
    let status = client.chain_status().await.unwrap();
    let genesis = client.chain_genesis().await.unwrap();
    assert_eq!(genesis.raw.decode().unwrap().chain_id(), status.chain);
    assert_eq!(genesis.params, client.chain_params().await.unwrap());
    let mut parent = holdfast_primitives::BlockHash::ZERO;
    for height in 1..=status.height.get() {
        let view = client.chain_header(BlockRef::Height(Height::new(height))).await.unwrap();
        let header = view.raw.decode().unwrap();
        assert_eq!((header.hash(), header.parent), (view.hash, parent));
        assert_eq!(client.chain_header(BlockRef::Hash(view.hash)).await.unwrap(), view);

        let block = client.chain_block_raw(BlockRef::Hash(view.hash)).await.unwrap().raw.decode().unwrap();
        assert_eq!((&block.header, rows_root(&block.txs)), (&header, header.tx_root));
        assert_eq!(client.chain_block(BlockRef::Hash(view.hash)).await.unwrap().txs.len(), block.txs.len());

        let events = client.chain_events(BlockRef::Hash(view.hash), None).await.unwrap();
        let events: Vec<_> = events.rows.iter().map(|event| event.raw.decode().unwrap()).collect();
        assert_eq!(rows_root(&events), header.result_root);

        let certificate = client.chain_certificate(BlockRef::Hash(view.hash)).await.unwrap();
        let validators = certificate.raw_validators.decode().unwrap();
        assert_eq!(validators.digest(), header.validators);
        certificate.raw.decode().unwrap().verify(&status.chain, &validators).unwrap();
        parent = view.hash;
    }
    assert_eq!((parent, status.block), (status.block, client.chain_header(BlockRef::Latest).await.unwrap().hash));
}

#[tokio::test]
async fn an_owner_finds_its_money_its_segment_and_its_contracts() {
    let Served { client, server: _server, .. } = served().await;
    let account = client.account_get(owner()).await.unwrap();
    assert_eq!((account.balance, account.sequence), (Amount::grains(999_000_000_001), 3));
    let segments = client.account_segments(owner(), None).await.unwrap();
    assert_eq!((segments.total, segments.next), (1, None));
    let members = &segments.rows[0].members;
    assert_eq!(members[0].stored.as_ref().unwrap().faulty_since, None);
    assert_eq!(members[1].stored.as_ref().unwrap().faulty_since, Some(ROUND));
    assert_eq!(members[1].address.address, records::holder(1).address());
    assert_eq!(client.market_segment(SegmentNo::new(0)).await.unwrap(), segments.rows[0]);

    let first = client.account_contracts(owner(), Some(PageAsk::from(0).limit(1))).await.unwrap();
    assert_eq!((first.rows.len(), first.total, first.next), (1, 2, Some(1)));
    let second = client.account_contracts(owner(), Some(PageAsk::from(1))).await.unwrap();
    assert_eq!((second.rows.len(), second.next), (1, None));
    let beyond = client.account_contracts(owner(), Some(PageAsk::from(u64::MAX))).await.unwrap();
    assert_eq!((beyond.rows.len(), beyond.total, beyond.next), (0, 2, None));
    assert_eq!(client.market_contract(ContractNo::new(1)).await.unwrap(), second.rows[0]);

    let nobody = AddressText::new(records::stranger(), NetworkPrefix::Devnet);
    assert_eq!(client.find_account(nobody).await.unwrap(), None);
}

#[tokio::test]
async fn the_market_lists_holders_and_prices_a_file_with_the_cheapest() {
    let Served { client, server: _server, .. } = served().await;
    let holders = client.market_holders(None).await.unwrap();
    assert_eq!(holders.rows.iter().map(|holder| holder.number.get()).collect::<Vec<_>>(), [0, 1]);
    let by_address = HolderRef::Address(holders.rows[1].address);
    assert_eq!(client.market_holder(by_address).await.unwrap(), holders.rows[1]);
    let batches = client.market_batches(HOLDER, records::BATCH_LOG2, None).await.unwrap();
    assert_eq!(batches.rows[0].raw.decode().unwrap(), records::slot(0));
    assert_eq!(client.market_batches(HOLDER, 24, None).await.unwrap().total, 0);

    let ask = QuoteAsk {
        bytes: 3 << 20,
        rounds: 10,
        batch_log2: Some(20),
        data: Some(1),
        parity: Some(0),
        wishes: QuoteWishes::default(),
    };
    let quote = client.market_quote(ask).await.unwrap();
    // Three segments of one batch of a MiB, at 1,000 grains per MiB and round. The other holder keeps films and photos.
    assert_eq!((quote.segments, quote.batches, quote.per_round), (3, 3, Amount::grains(3_000)));
    assert_eq!(quote.storage, Amount::grains(30_000));
    assert_eq!(quote.total, quote.storage.checked_add(quote.tx_fee).unwrap());
    assert_eq!(client.market_params().await.unwrap().relay_fee_bps, 150);
    assert!(client.market_node().await.unwrap().node_addr.starts_with("holdfast-node:"));
}

#[tokio::test]
async fn offers_are_found_by_what_holders_say_of_themselves() {
    let Served { client, server: _server, .. } = served().await;
    let tag = |text: &str| vec![text.parse().unwrap()];
    let all = OffersAsk::default();
    let rows = [
        (all.clone(), vec![0, 1]),
        (OffersAsk { regions: tag("eu-west"), ..all.clone() }, vec![1]),
        (OffersAsk { regions: tag("eu"), ..all.clone() }, vec![]),
        (OffersAsk { operators: tag("acme"), ..all.clone() }, vec![1]),
        (OffersAsk { topics: [tag("music"), tag("films")].concat(), ..all.clone() }, vec![1]),
        (OffersAsk { topics: tag("music"), ..all.clone() }, vec![]),
        (OffersAsk { rounds: Some(50), ..all.clone() }, vec![0, 1]),
        (OffersAsk { rounds: Some(51), ..all.clone() }, vec![0]),
        (OffersAsk { free_bytes: Some((1 << 30) - (1 << 20)), ..all.clone() }, vec![0, 1]),
        (OffersAsk { free_bytes: Some(1 << 30), ..all.clone() }, vec![]),
        (OffersAsk { price_max: Some(Amount::grains(1_000)), ..all.clone() }, vec![0]),
    ];
    for (ask, expected) in rows {
        let page = client.market_offers(Some(ask.clone()), None).await.unwrap();
        let found: Vec<u32> = page.rows.iter().map(|holder| holder.number.get()).collect();
        assert_eq!(found, expected, "{ask:?}");
        assert_eq!(page.total as usize, expected.len());
    }
    let second = client.market_offers(Some(all), Some(PageAsk::from(1).limit(1))).await.unwrap();
    assert_eq!((second.total, second.rows[0].number.get(), second.next), (2, 1, None));
    let online = client.market_offers(Some(OffersAsk { online: true, ..OffersAsk::default() }), None).await.unwrap();
    assert!(online.rows.iter().all(|holder| holder.online));
}

#[tokio::test]
async fn a_round_can_be_re_verified_from_its_rows() {
    let Served { client, server: _server, .. } = served().await;
    let record = client.round_latest().await.unwrap().unwrap();
    assert_eq!(client.round_record(ROUND).await.unwrap(), record);
    let results = client.round_results(ROUND, None).await.unwrap();
    let rows: Vec<_> = results.rows.iter().map(|row| row.raw.decode().unwrap()).collect();
    assert_eq!(rows_root(&rows), record.results_root);
    let frozen = client.round_frozen(ROUND, None).await.unwrap();
    let rows: Vec<_> = frozen.rows.iter().map(|row| row.raw.decode().unwrap()).collect();
    assert_eq!(rows_root(&rows), record.freeze.frozen_root);
    let payments = client.round_payments(ROUND, None).await.unwrap();
    let paid = Amount::checked_sum(payments.rows.iter().map(|payment| payment.paid)).unwrap();
    assert_eq!(paid, record.paid);
    let running = client.round_running().await.unwrap();
    assert_eq!(client.round_frozen(running.round, None).await.unwrap().total, 2);
}

#[tokio::test]
async fn a_holder_sees_its_rounds_its_contracts_and_what_each_failure_cost() {
    let Served { client, server: _server, .. } = served().await;
    let of = |number| HolderRef::Number(HolderNo::new(number));
    let proved = client.round_of_holder(of(0), None).await.unwrap();
    let [row] = proved.rows.as_slice() else { panic!("{proved:?}") };
    // Paid 1,000 less the relay fee of 15; the faulty batch and the fine are the other holder's.
    assert_eq!((row.round, row.missing, row.missed, row.paid), (ROUND, 1, false, Amount::grains(985)));
    assert_eq!((row.fined, row.faults.len()), (Amount::ZERO, 0));
    let missed = &client.round_of_holder(of(1), None).await.unwrap().rows[0];
    assert_eq!((missed.missing, missed.missed, missed.paid), (4, true, Amount::ZERO));
    assert_eq!((missed.fined, missed.faults[0].segment), (Amount::grains(2), SegmentNo::new(0)));
    let contracts = client.market_contracts(of(1), None).await.unwrap();
    assert!(contracts.total > 0 && contracts.rows.iter().all(|contract| contract.holder == HolderNo::new(1)));
}

#[tokio::test]
async fn a_transaction_is_found_by_the_beginning_of_its_id() {
    let Served { client, server: _server, .. } = served().await;
    let id = world::proof().id();
    for digits in [4, 5, 17, 63, 64] {
        assert_eq!(client.tx_find(id.to_string()[..digits].to_owned()).await.unwrap(), [id], "{digits}");
    }
    assert_eq!(client.tx_find("00000000".to_owned()).await.unwrap(), []);
}

#[tokio::test]
async fn an_auditor_verifies_a_bundle_its_slots_and_any_record_without_trusting_the_node() {
    let Served { client, server: _server, .. } = served().await;
    let bundle = client.audit_bundle(ROUND, HOLDER).await.unwrap();
    let record = bundle.record.unwrap();
    let proof = bundle.frozen_proof.decode().unwrap();
    assert!(verify_inclusion(&record.freeze.frozen_root, bundle.frozen.raw.as_bytes(), &proof));
    let (result, proof) = (bundle.result.unwrap(), bundle.result_proof.unwrap().decode().unwrap());
    assert!(verify_inclusion(&record.results_root, result.raw.as_bytes(), &proof));
    assert_eq!(bundle.parts.len(), 1);
    let part = client.audit_part(ROUND, HOLDER, 0).await.unwrap();
    assert_eq!((part.brief, part.openings.0), (bundle.parts[0].clone(), world::openings()));

    assert_eq!(client.audit_openings(bundle.parts[0].tx).await.unwrap().0, world::openings());
    let slots = client.audit_slots(ROUND, HOLDER, records::BATCH_LOG2, vec![0]).await.unwrap();
    let siblings: Vec<_> = slots.rows[0].siblings.iter().map(|sibling| *sibling.as_bytes()).collect();
    assert!(verify_record(slots.list_root.as_bytes(), slots.batches, 0, slots.rows[0].raw.as_bytes(), &siblings));
    assert_eq!(bundle.frozen.frozen.lists[0].root, slots.list_root);

    for key in [
        RecordRef::Chain,
        RecordRef::Holder { number: HolderNo::new(1) },
        RecordRef::Round { number: ROUND },
        RecordRef::Slot { holder: HolderNo::new(1), batch_log2: records::BATCH_LOG2, slot: 0 },
    ] {
        let view = client.audit_record(key).await.unwrap();
        let header = view.header.unwrap().decode().unwrap();
        let proof = view.proof.decode().unwrap();
        assert_eq!((proof.key, header.height), (key.key(), view.height));
        proof.verify(&header.state_root).unwrap();
    }
    let running = client.audit_bundle(RoundNo::new(1), HOLDER).await.unwrap();
    assert!(running.record.is_none() && running.result.is_none() && running.seed.is_some() && running.parts.is_empty());
}

#[tokio::test]
async fn a_subscriber_sees_every_block_and_every_step_of_a_round() {
    let Served { world, client, server: _server } = served().await;
    let mut blocks = client.subscribe_blocks().await.unwrap();
    for expected in 8..=10 {
        assert_eq!(world.make_block().get(), expected);
    }
    for expected in 8..=10 {
        assert_eq!(blocks.next().await.unwrap().unwrap().header.height.get(), expected);
    }
    let mut rounds = client.subscribe_rounds().await.unwrap();
    world.settle_again();
    let RoundNotice::Settled { record } = rounds.next().await.unwrap().unwrap() else { panic!("a settlement") };
    assert_eq!(record.round, ROUND);
}

#[tokio::test]
async fn a_watched_transaction_goes_from_unknown_over_pending_to_final() {
    let Served { world, client, server: _server } = served().await;
    let envelope = world.transfer(Amount::hold(2));
    let id = envelope.signed.id();
    let mut feed = client.subscribe_tx(id).await.unwrap();
    assert_eq!(feed.next().await.unwrap().unwrap(), TxStatus::Unknown);
    assert_eq!(client.tx_submit(&envelope).await.unwrap(), id);
    assert_eq!(feed.next().await.unwrap().unwrap(), TxStatus::Pending);
    let height = world.make_block();
    assert_eq!(feed.next().await.unwrap().unwrap(), TxStatus::Final { height, index: 0 });
    let view = client.tx_get(id).await.unwrap();
    assert_eq!((view.raw.decode().unwrap(), view.height), (envelope.signed, height));
}

#[tokio::test]
async fn the_description_names_exactly_the_methods_that_are_served() {
    let Served { world, client, server: _server } = served().await;
    let document = client.discover().await.unwrap();
    let mut described = BTreeSet::from(["rpc.discover".to_owned()]);
    for method in document["methods"].as_array().unwrap() {
        described.insert(method["name"].as_str().unwrap().to_owned());
        if let Some(subscription) = method.get("x-subscription") {
            described.insert(subscription["unsubscribe"].as_str().unwrap().to_owned());
        }
    }
    let backend: std::sync::Arc<dyn holdfast_rpc::Backend> = world;
    let served: BTreeSet<_> = holdfast_rpc::method_names(&backend).unwrap().into_iter().map(str::to_owned).collect();
    assert_eq!(described, served);
    assert_eq!(client.status().await.unwrap().holders, 2);
}
