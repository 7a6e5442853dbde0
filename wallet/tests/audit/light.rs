//! A light client in front of honest and lying nodes: it needs the genesis or a checkpoint, and believes nothing else.

use crate::archive::{STORY, served};
use crate::market::address;
use crate::villains::Villain;
use holdfast_ledger::{Account, ChainRecord, RecordKey};
use holdfast_primitives::{AccountNo, BlockHash, Height};
use holdfast_wallet::{LightClient, WalletError};

async fn client(villain: Villain) -> (LightClient, crate::archive::Served) {
    let served = served(villain).await;
    (LightClient::from_genesis(served.node.clone(), &STORY.genesis).unwrap(), served)
}

/// What a lying node is refuted with: whom the error names, and why.
async fn refuted(villain: Villain) -> String {
    let (mut client, served) = client(villain).await;
    let outcome = async {
        client.sync().await?;
        client.record::<ChainRecord>(RecordKey::Chain).await.map(drop)
    };
    let error = outcome.await.expect_err("a liar is believed");
    let WalletError::Refuted { witness, .. } = &error else { panic!("{error}") };
    assert!(witness.contains(&served.url), "{witness} is not {}", served.url);
    error.to_string()
}

#[tokio::test]
async fn from_the_genesis_to_the_newest_block_it_takes_a_certificate_for_each_change_and_one_more() {
    let (mut client, _served) = client(Villain::Nobody).await;
    client.sync().await.unwrap();
    let tip = STORY.header(STORY.tip.chain().height).unwrap();
    assert_eq!((client.trusted().height, client.trusted().hash), (tip.height, tip.hash()));
    assert_eq!(client.trusted().validators, STORY.tip.chain().validators);
    assert_eq!((client.changes(), client.asked().certificates), (2, 3));
    assert_eq!(client.tip(), Some(&tip));
    assert!(client.asked().bytes < 16 * 1024, "{} bytes", client.asked().bytes);

    let (record, height) = client.record::<ChainRecord>(RecordKey::Chain).await.unwrap();
    assert_eq!((&record, height), (STORY.tip.chain(), tip.height));
    let (number, account) = STORY.tip.account_by_address(&address("alice")).unwrap();
    let (found, _) = client.record::<Account>(RecordKey::Account(number)).await.unwrap();
    assert_eq!(&found, account);
    assert!(client.record::<Account>(RecordKey::Account(AccountNo::new(9_999))).await.is_err());
    client.sync().await.unwrap();
    assert_eq!(client.asked().certificates, 3, "what is certain is not verified again");
}

#[tokio::test]
async fn a_checkpoint_saves_what_came_before_it_and_must_be_the_block_that_was_named() {
    let served = served(Villain::Nobody).await;
    let height = Height::new(STORY.tip.chain().height.get() - 3);
    let hash = STORY.header(height).unwrap().hash();
    let mut client = LightClient::from_checkpoint(served.node.clone(), height, hash).await.unwrap();
    client.sync().await.unwrap();
    assert_eq!((client.changes(), client.asked().certificates), (0, 1));
    let (record, _) = client.record::<ChainRecord>(RecordKey::Chain).await.unwrap();
    assert_eq!(&record, STORY.tip.chain());

    let other = LightClient::from_checkpoint(served.node.clone(), height, BlockHash::new([1; 32])).await;
    assert!(matches!(other, Err(WalletError::Refuted { .. })));
}

#[tokio::test]
async fn what_was_verified_is_remembered_and_verified_against_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("light/chain.trusted");
    let (mut first, served) = client(Villain::Nobody).await;
    assert!(LightClient::from_kept(served.node.clone(), &path).unwrap().is_none());
    first.sync().await.unwrap();
    first.keep(&path).unwrap();
    let mut again = LightClient::from_kept(served.node.clone(), &path).unwrap().unwrap();
    again.sync().await.unwrap();
    assert_eq!((again.trusted(), again.asked().certificates), (first.trusted(), 0));
    again.record::<ChainRecord>(RecordKey::Chain).await.unwrap();

    for garbage in [vec![], vec![7; 10], vec![0xff; 100_000]] {
        std::fs::write(&path, garbage).unwrap();
        assert!(matches!(LightClient::from_kept(served.node.clone(), &path), Err(WalletError::File { .. })));
    }
}

#[tokio::test]
async fn a_node_that_hides_or_forges_a_change_of_validators_is_named() {
    for (villain, reason) in [
        (Villain::Hider, "a change of validators is left out"),
        (Villain::Forgetful, "a change of validators is left out"),
        (Villain::Usurper, "the set given for after height"),
        (Villain::Putschist, "is not a validator at this height"),
        (Villain::OldGuard, "a change of validators is left out"),
    ] {
        let told = refuted(villain).await;
        assert!(told.contains(reason), "{villain:?}: {told}");
    }
}

#[tokio::test]
async fn a_node_that_forges_records_headers_or_certificates_is_named() {
    for villain in [Villain::Forger, Villain::Counterfeiter, Villain::Notary] {
        refuted(villain).await;
    }
}
