//! Who may write, who may read, and what each is told who may not.

use super::*;
use holdfast_primitives::GrantId;

#[tokio::test(start_paused = true)]
async fn tickets_that_do_not_hold_are_refused_with_their_code() {
    let stage = Stage::new();
    let signed = |ticket: Ticket, by: u8| Access::Write { ticket: Signed::new(ticket, &key(by), &CHAIN) };
    let cases = [
        (signed(Ticket { client: id(FRIEND), ..ticket() }, HEAVY), RefusalCode::Foreign),
        (signed(Ticket { holder: id(FRIEND), ..ticket() }, HEAVY), RefusalCode::Foreign),
        (signed(Ticket { direction: Direction::Read, ..ticket() }, HEAVY), RefusalCode::WrongDirection),
        (signed(Ticket { expires: TimeMs::new(START_MS), ..ticket() }, HEAVY), RefusalCode::Expired),
        (signed(Ticket { issuer: id(9), ..ticket() }, 9), RefusalCode::UntrustedIssuer),
        (signed(Ticket { bytes_max: u64::MAX, ..ticket() }, HEAVY), RefusalCode::TicketTooLarge),
        (signed(ticket(), 9), RefusalCode::BadSignature),
        (
            Access::Write { ticket: Signed::new(ticket(), &key(HEAVY), &ChainId::new([1; 32])) },
            RefusalCode::BadSignature,
        ),
    ];
    for (access, expected) in cases {
        let error = stage.connect(access).await.err().unwrap();
        assert_eq!(code(&error), expected, "{error}");
    }
    let (other, config) = (ChainId::new([1; 32]), TransferClientConfig::default());
    let connected = TransferClient::connect(&*stage.owner, &bare(HOLDER), other, write(), config).await;
    assert_eq!(code(&connected.err().unwrap()), RefusalCode::WrongChain);
}

#[tokio::test(start_paused = true)]
async fn a_thief_with_a_copied_ticket_or_capability_is_foreign() {
    let stage = Stage::new();
    let thief = stage.network.endpoint(id(9));
    assert_eq!(code(&connect(&thief, write()).await.err().unwrap()), RefusalCode::Foreign);
    assert_eq!(code(&connect(&thief, read(capability())).await.err().unwrap()), RefusalCode::Foreign);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_presented_again_gives_no_new_bytes() {
    let stage = Stage::new();
    let small = Ticket { bytes_max: MIB, ..ticket() };
    let access = Access::Write { ticket: Signed::new(small, &key(HEAVY), &CHAIN) };
    let client = stage.connect(access.clone()).await.unwrap();
    client.upload(Arc::new(batch(1, 20).1), &quiet).await.unwrap();
    client.close().await;
    let again = stage.connect(access.clone()).await.unwrap();
    let error = again.upload(Arc::new(batch(2, 20).1), &quiet).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::TicketSpent);
    again.close().await;
    let again = stage.connect(access).await.unwrap();
    again.upload(Arc::new(batch(1, 20).1), &quiet).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn batches_that_were_not_quoted_for_are_refused() {
    let stage = Stage::new();
    let client = stage.connect(write()).await.unwrap();
    let error = client.upload(Arc::new(batch(1, 21).1), &quiet).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::BadBatch);
    let other = Ticket { request: RequestId::new([6; 16]), ..ticket() };
    let client = stage.connect(Access::Write { ticket: Signed::new(other, &key(HEAVY), &CHAIN) }).await.unwrap();
    let error = client.upload(Arc::new(batch(1, 20).1), &quiet).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::UnknownRequest);
}

#[tokio::test(start_paused = true)]
async fn a_friend_reads_what_the_owner_allows_and_no_more() {
    let stage = Stage::new();
    let (shared, _, shared_meta, layers) = batch(1, 20);
    stage.disk.place(id(OWNER), &shared, shared_meta, layers);
    let (private, _, private_meta, layers) = batch(2, 20);
    stage.disk.place(id(OWNER), &private, private_meta, layers);
    let friend = stage.network.endpoint(id(FRIEND));
    let scope = Scope::Batches(Bounded::new(vec![shared_meta.root]).unwrap());
    let pass = Capability { reader: id(FRIEND), holder: Some(id(HOLDER)), scope, ..capability() };

    let reader = connect(&friend, read(pass.clone())).await.unwrap();
    assert_eq!(reader.read_range(&shared_meta, 10, 20).await.unwrap(), shared[10..30]);
    let error = reader.read_range(&private_meta, 10, 20).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::NotEntitled);
    let error = reader.upload(Arc::new(batch(3, 20).1), &quiet).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::WrongDirection);

    for (bad, expected) in [
        (read(Capability { holder: Some(id(9)), ..pass.clone() }), RefusalCode::Foreign),
        (read(Capability { expires: TimeMs::new(START_MS), ..pass.clone() }), RefusalCode::Expired),
        (read(Capability { owner: id(FRIEND), ..pass.clone() }), RefusalCode::BadSignature),
    ] {
        assert_eq!(code(&connect(&friend, bad).await.err().unwrap()), expected);
    }
    let own = Capability { owner: id(FRIEND), ..pass };
    let own = Access::Read { capability: Signed::new(own, &key(FRIEND), &CHAIN), ticket: None };
    assert_eq!(code(&connect(&friend, own).await.err().unwrap()), RefusalCode::NotEntitled);
}

#[tokio::test(start_paused = true)]
async fn a_capability_that_ends_during_the_session_ends_its_reads() {
    let stage = Stage::new();
    let (bytes, _, meta, layers) = batch(1, 20);
    stage.disk.place(id(OWNER), &bytes, meta, layers);
    let soon = Capability { expires: TimeMs::new(START_MS + 30_000), ..capability() };
    let reader = stage.connect(read(soon)).await.unwrap();
    reader.read_range(&meta, 0, 10).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(code(&reader.read_range(&meta, 0, 10).await.unwrap_err()), RefusalCode::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_reserved_holder_wants_readers_introduced_and_counts_their_bytes() {
    let stage = Stage::with(TransferConfig { strangers_read: false, ..TransferConfig::default() });
    let (bytes, _, meta, layers) = batch(1, 20);
    stage.disk.place(id(OWNER), &bytes, meta, layers);
    assert_eq!(code(&stage.connect(read(capability())).await.err().unwrap()), RefusalCode::NotWelcome);
    let introduced =
        Ticket { direction: Direction::Read, request: RequestId::ZERO, bytes_max: 100 * 1_024, ..ticket() };
    let access = Access::Read {
        capability: Signed::new(capability(), &key(OWNER), &CHAIN),
        ticket: Some(Signed::new(introduced, &key(HEAVY), &CHAIN)),
    };
    let reader = stage.connect(access).await.unwrap();
    reader.read_range(&meta, 0, 60 * 1_024).await.unwrap();
    let error = reader.read_range(&meta, 0, 60 * 1_024).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::TicketSpent);
}

/// Bob reads by Alice's permission; she takes it back while he reads.
#[tokio::test(start_paused = true)]
async fn a_capability_that_is_taken_back_ends_the_session_and_opens_no_other() {
    let stage = Stage::new();
    let (bytes, _, meta, layers) = batch(1, 20);
    stage.disk.place(id(OWNER), &bytes, meta, layers);
    let grant = GrantId::new([7; 16]);
    let reader = stage.connect(read(Capability { grant, ..capability() })).await.unwrap();
    reader.read_range(&meta, 0, 10).await.unwrap();
    stage.disk.revoked.lock().unwrap().insert(grant);
    assert_eq!(code(&reader.read_range(&meta, 0, 10).await.unwrap_err()), RefusalCode::Revoked);
    let again = stage.connect(read(Capability { grant, ..capability() })).await;
    assert_eq!(code(&again.err().unwrap()), RefusalCode::Revoked);
    let other = stage.connect(read(capability())).await.unwrap();
    other.read_range(&meta, 0, 10).await.unwrap();
}

/// Alice has a ticket to one holder and shows it to another that trusts the same heavy node.
#[tokio::test(start_paused = true)]
async fn a_ticket_to_one_holder_opens_no_other() {
    let stage = Stage::new();
    let disk = Disk::new(FRIEND, id(HEAVY));
    disk.quote_for(id(OWNER), REQUEST, 20);
    let server = TransferServer::new(TransferConfig::default(), id(FRIEND), disk.clone(), TestClock::start());
    open_doors(Arc::new(stage.network.endpoint(id(FRIEND))), vec![Arc::new(server)]);
    let config = TransferClientConfig::default();
    let other = TransferClient::connect(&*stage.owner, &bare(FRIEND), CHAIN, write(), config).await;
    assert_eq!(code(&other.err().unwrap()), RefusalCode::Foreign);
    stage.connect(write()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_ends_during_the_session_is_refused_when_it_is_shown_again() {
    let stage = Stage::new();
    let soon = Ticket { expires: TimeMs::new(START_MS + 30_000), ..ticket() };
    let access = Access::Write { ticket: Signed::new(soon, &key(HEAVY), &CHAIN) };
    let client = stage.connect(access.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    // What was let in may finish what it began: the ticket's bytes bound it, and its placement's expiry the registration.
    client.upload(Arc::new(batch(1, 20).1), &quiet).await.unwrap();
    assert_eq!(code(&stage.connect(access).await.err().unwrap()), RefusalCode::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_no_more_batches_than_its_ticket_has_bytes_for() {
    let stage = Stage::new();
    let small = Ticket { bytes_max: 2 * MIB, ..ticket() };
    let access = Access::Write { ticket: Signed::new(small, &key(HEAVY), &CHAIN) };
    let (connection, _hello) = raw_session(&*stage.owner, access).await;
    for seed in 0..2 {
        let begun = say(&connection, &TransferRequest::Begin(batch(seed, 20).2)).await;
        assert!(matches!(begun, TransferReply::Have(_)), "{begun:?}");
    }
    let third = say(&connection, &TransferRequest::Begin(batch(2, 20).2)).await;
    assert_eq!(refused(&third), RefusalCode::TicketSpent);
}

/// A hello longer than any may be is refused by its length, before a byte of it is kept.
#[tokio::test(start_paused = true)]
async fn an_oversized_ticket_is_refused_by_its_length() {
    let stage = Stage::new();
    let connection = stage.owner.connect(&bare(HOLDER), Protocol::Transfer).await.unwrap();
    let mut stream = connection.open_bi().await.unwrap();
    let mut hello = (64 * 1_024_u32).to_le_bytes().to_vec();
    hello.extend([0, TRANSFER_VERSION]);
    stream.send.write_all(&hello).await.unwrap();
    let reply = read_frame::<TransferReply>(&mut stream.recv).await.unwrap().unwrap();
    assert_eq!(refused(&reply), RefusalCode::Malformed);
}
