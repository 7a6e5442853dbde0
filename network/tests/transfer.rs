//! The transfer protocol over the network in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_network::memory::{MemoryEndpoint, MemoryNetwork};
use holdfast_network::transfer::{
    BatchService as _, Download, MemoryBatch, Pace, Progress, Resuming, RetryPolicy, TransferClient,
    TransferClientConfig, TransferConfig, TransferError, TransferServer,
};
use holdfast_network::wire::{
    Access, Capability, Direction, RefusalCode, Scope, Signed, TRANSFER_VERSION, Ticket, TransferHello, TransferReply,
    TransferRequest, encode_frame, read_frame,
};
use holdfast_network::{CloseReason, Connection, Endpoint, NodeAddr, Protocol};
use holdfast_por::GROUP_BYTES;
use holdfast_primitives::{Bounded, ChainId, GrantId, Height, RequestId, TimeMs};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HEAVY: u8 = 1;
const OWNER: u8 = 2;
const HOLDER: u8 = 3;
const FRIEND: u8 = 4;
const REQUEST: RequestId = RequestId::new([5; 16]);
const MIB: u64 = 1 << 20;

struct Stage {
    network: MemoryNetwork,
    disk: Arc<Disk>,
    owner: Arc<dyn Endpoint>,
}

impl Stage {
    fn new() -> Self {
        Self::with(TransferConfig::default())
    }

    fn with(config: TransferConfig) -> Self {
        let (network, clock) = (network(3), TestClock::start());
        let disk = Disk::new(HOLDER, id(HEAVY));
        disk.quote_for(id(OWNER), REQUEST, 20);
        let server = Arc::new(TransferServer::new(config, id(HOLDER), disk.clone(), clock));
        open_doors(Arc::new(network.endpoint(id(HOLDER))), vec![server]);
        let owner = Arc::new(network.endpoint(id(OWNER)));
        Self { network, disk, owner }
    }

    async fn connect(&self, access: Access) -> Result<TransferClient, TransferError> {
        connect(&*self.owner, access).await
    }

    fn resuming(&self, access: Access) -> Resuming {
        Resuming {
            endpoint: self.owner.clone(),
            holder: bare(HOLDER),
            chain: CHAIN,
            access,
            config: TransferClientConfig { streams: 4, range_leaves: 128, ..TransferClientConfig::default() },
            retry: RetryPolicy::default(),
        }
    }
}

async fn connect(endpoint: &dyn Endpoint, access: Access) -> Result<TransferClient, TransferError> {
    TransferClient::connect(endpoint, &bare(HOLDER), CHAIN, access, TransferClientConfig::default()).await
}

fn ticket() -> Ticket {
    Ticket {
        issuer: id(HEAVY),
        client: id(OWNER),
        holder: id(HOLDER),
        holder_addr: bare(HOLDER),
        request: REQUEST,
        direction: Direction::Write,
        bytes_max: 4 * MIB,
        expires: TimeMs::new(START_MS + 3_600_000),
    }
}

fn write() -> Access {
    Access::Write { ticket: Signed::new(ticket(), &key(HEAVY), &CHAIN) }
}

fn capability() -> Capability {
    Capability {
        grant: GrantId::ZERO,
        owner: id(OWNER),
        reader: id(OWNER),
        holder: None,
        scope: Scope::All,
        expires: TimeMs::new(START_MS + 3_600_000),
    }
}

fn read(capability: Capability) -> Access {
    Access::Read { capability: Signed::new(capability, &key(OWNER), &CHAIN), ticket: None }
}

fn code(error: &TransferError) -> RefusalCode {
    match error {
        TransferError::Refused { refusal, .. } => refusal.code,
        other => panic!("not a refusal: {other}"),
    }
}

fn quiet(_: Progress) {}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_up_byte_for_byte_is_receipted_and_comes_back() {
    let stage = Stage::new();
    let (bytes, source, meta, _) = batch(1, 20);
    let client = stage.connect(write()).await.unwrap();
    client.upload(Arc::new(source), &quiet).await.unwrap();
    assert_eq!(stage.disk.bytes_of(id(OWNER), &meta.root), bytes);
    client.receipt(REQUEST, &[meta], Height::new(900)).await.unwrap();
    client.close().await;

    let reader = stage.connect(read(capability())).await.unwrap();
    let mut download = Download::new(meta).unwrap();
    reader.fetch(&mut download, &quiet).await.unwrap();
    assert_eq!(download.into_bytes().unwrap(), bytes);
    for (offset, length) in [(0, 1), (1_023, 2), (65_535, 70_000), (MIB - 1, 1), (5, 0)] {
        let slice = reader.read_range(&meta, offset, length).await.unwrap();
        assert_eq!(slice, bytes[offset as usize..(offset + length) as usize], "{length} bytes from {offset}");
    }
    assert!(matches!(reader.read_range(&meta, MIB - 1, 2).await, Err(TransferError::BadRange { .. })));
}

#[tokio::test(start_paused = true)]
async fn progress_grows_to_the_whole_batch() {
    let stage = Stage::new();
    let (_, source, _, _) = batch(1, 20);
    let seen = std::sync::Mutex::new(Vec::new());
    let client = stage.connect(write()).await.unwrap();
    client.upload(Arc::new(source), &|now| seen.lock().unwrap().push(now.done_bytes)).await.unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted() && seen.first() == Some(&0) && seen.last() == Some(&MIB), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn no_receipt_for_what_is_not_complete() {
    let stage = Stage::new();
    let (_, _, meta, _) = batch(1, 20);
    let client = stage.connect(write()).await.unwrap();
    let error = client.receipt(REQUEST, &[meta], Height::new(900)).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::UnknownBatch);
    let error = client.receipt(RequestId::new([6; 16]), &[meta], Height::new(900)).await.unwrap_err();
    assert_eq!(code(&error), RefusalCode::UnknownRequest);
}

#[tokio::test(start_paused = true)]
async fn whatever_the_moment_of_a_cut_the_upload_resumes_and_acknowledged_leaves_are_not_sent_again() {
    let mut cuts = 0;
    for seed in 0..24 {
        let stage = Stage::new();
        let (bytes, source, meta, _) = batch(seed, 20);
        let last = std::sync::Mutex::new(0);
        let progress = |now: Progress| {
            let mut last = last.lock().unwrap();
            assert!(now.done_bytes >= *last, "what was acknowledged once stays so");
            *last = now.done_bytes;
        };
        let mut resuming = stage.resuming(write());
        resuming.retry.attempts = 50;
        resuming.config = TransferClientConfig { streams: 2, range_leaves: 64, ..resuming.config };
        tokio::select! {
            uploaded = resuming.upload(Arc::new(source), &progress) => drop(uploaded.unwrap()),
            () = gremlin(&stage.network, seed, &mut cuts) => {}
        }
        assert_eq!(stage.disk.bytes_of(id(OWNER), &meta.root), bytes, "seed {seed}");
        assert_eq!(*stage.disk.put_bytes.lock().unwrap(), MIB, "no group was put twice, seed {seed}");
        assert_eq!(last.into_inner().unwrap(), MIB);
    }
    assert!(cuts > 20, "{cuts} cuts are no test");
}

/// Cuts the connection between owner and holder every now and then, for ever.
async fn gremlin(network: &MemoryNetwork, seed: u64, cuts: &mut u32) {
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..80))).await;
        if rng.random_bool(0.4) {
            network.cut(id(OWNER), id(HOLDER));
            *cuts += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_upload_sends_nothing_and_a_half_done_one_only_the_rest() {
    let stage = Stage::new();
    let (_, source, meta, _) = batch(1, 20);
    let source = Arc::new(source);
    let client = stage.connect(write()).await.unwrap();
    let have = stage.disk.begin(id(OWNER), REQUEST, meta).await.unwrap();
    assert_eq!(have.count(), 0);
    let first_half = holdfast_network::transfer::UploadSource::range(&*source, 0, 512).unwrap().0;
    stage.disk.put(id(OWNER), meta, 0, first_half).await.unwrap();

    let before = stage.network.written(id(OWNER), id(HOLDER));
    client.upload(source.clone(), &quiet).await.unwrap();
    let sent = stage.network.written(id(OWNER), id(HOLDER)) - before;
    assert!((MIB / 2..MIB / 2 + 4_096).contains(&sent), "half the batch and little more: {sent}");

    let before = stage.network.written(id(OWNER), id(HOLDER));
    client.upload(source, &quiet).await.unwrap();
    let sent = stage.network.written(id(OWNER), id(HOLDER)) - before;
    assert!(sent < 200, "{sent} bytes for a batch that is there");
}

#[tokio::test(start_paused = true)]
async fn a_download_survives_cuts_and_does_not_fetch_twice() {
    for seed in 0..12 {
        let stage = Stage::new();
        let (bytes, _, meta, layers) = batch(seed, 20);
        stage.disk.place(id(OWNER), &bytes, meta, layers);
        let mut download = Download::new(meta).unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        let mut cuts = 0;
        while !download.is_complete() {
            stage.network.cut_after(id(OWNER), id(HOLDER), rng.random_range(1_000..500_000));
            let Ok(client) = stage.connect(read(capability())).await else { continue };
            let _ = client.fetch(&mut download, &quiet).await;
            cuts += 1;
        }
        assert_eq!(download.into_bytes().unwrap(), bytes, "seed {seed}");
        let sent = stage.network.written(id(HOLDER), id(OWNER));
        let lost_at_most = 6 * (256 + 2) * 1_024;
        assert!(sent < MIB + 40_000 + cuts * lost_at_most, "seed {seed}: {sent} bytes for {cuts} cuts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_any_leaf_of_an_upload_is_refused_at_once_and_named() {
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..16 {
        let stage = Stage::new();
        let (bytes, _, meta, layers) = batch(7, 20);
        let mut damaged = bytes.to_vec();
        let byte = rng.random_range(0..damaged.len());
        damaged[byte] ^= 1 << rng.random_range(0..8);
        let tagged = holdfast_por::Tagged { meta, layers };
        let client = stage.connect(write()).await.unwrap();
        let error = client.upload(Arc::new(MemoryBatch::new(tagged, damaged.into())), &quiet).await.unwrap_err();
        assert_eq!(code(&error), RefusalCode::BadLeaves);
        assert!(error.to_string().contains("leaves 0..0+1024"), "{error}");
        assert!(!error.is_passing(), "the same bytes again would not help");
        assert_eq!(*stage.disk.put_bytes.lock().unwrap(), 0, "nothing of it counts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_disk_has_rotted_is_caught_and_the_place_named() {
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..16 {
        let stage = Stage::new();
        let (bytes, _, meta, layers) = batch(8, 20);
        stage.disk.place(id(OWNER), &bytes, meta, layers);
        let byte = rng.random_range(0..MIB as usize);
        stage.disk.flip_bit(id(OWNER), &meta.root, byte);
        let client = stage.connect(read(capability())).await.unwrap();
        let mut download = Download::new(meta).unwrap();
        let error = client.fetch(&mut download, &quiet).await.unwrap_err();
        let TransferError::BadLeaves { holder, batch, first_leaf, last_leaf } = error else { panic!("{error}") };
        let group = (byte / GROUP_BYTES) as u32;
        assert_eq!((holder, batch.as_bytes()), (id(HOLDER), &meta.root));
        assert_eq!((first_leaf, last_leaf), (group * 64, group * 64 + 63));
        assert!(!download.have().contains(group), "bad bytes never count");
    }
}

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

/// A session opened by hand, for those who break the rules.
async fn raw_session(endpoint: &dyn Endpoint, access: Access) -> (Arc<dyn Connection>, holdfast_network::BiStream) {
    let connection = endpoint.connect(&bare(HOLDER), Protocol::Transfer).await.unwrap();
    let mut stream = connection.open_bi().await.unwrap();
    let hello = TransferHello { version: TRANSFER_VERSION, chain: CHAIN, access };
    let hello = encode_frame(&TransferRequest::Hello(Box::new(hello))).unwrap();
    stream.send.write_all(&hello).await.unwrap();
    let welcome = read_frame::<TransferReply>(&mut stream.recv).await.unwrap().unwrap();
    assert!(matches!(welcome, TransferReply::Welcome { .. }), "{welcome:?}");
    (connection, stream)
}

async fn say(connection: &Arc<dyn Connection>, request: &TransferRequest) -> TransferReply {
    let mut stream = connection.open_bi().await.unwrap();
    stream.send.write_all(&encode_frame(request).unwrap()).await.unwrap();
    read_frame(&mut stream.recv).await.unwrap().unwrap()
}

fn refused(reply: &TransferReply) -> RefusalCode {
    match reply {
        TransferReply::Refused(refusal) => refusal.code,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn ranges_that_make_no_sense_cost_nothing() {
    let stage = Stage::new();
    let (_, _, meta, _) = batch(1, 20);
    let (connection, _hello) = raw_session(&*stage.owner, write()).await;
    let root = meta.root;
    let put = |first_leaf, count| TransferRequest::Put { root, first_leaf, count };
    assert_eq!(refused(&say(&connection, &put(0, 64)).await), RefusalCode::UnknownBatch);
    assert!(matches!(say(&connection, &TransferRequest::Begin(meta)).await, TransferReply::Have(_)));
    for (first, count) in [(0, 0), (0, 63), (1, 64), (0, 2_048), (1_024, 64), (960, 128), (u32::MAX - 63, 64)] {
        assert_eq!(refused(&say(&connection, &put(first, count)).await), RefusalCode::BadRange, "{first} {count}");
    }
    let finish = TransferRequest::Finish { root };
    assert_eq!(refused(&say(&connection, &finish).await), RefusalCode::Incomplete);
}

#[tokio::test(start_paused = true)]
async fn a_slow_writer_is_cut_off_and_its_groups_are_free_again() {
    let pace = Pace { stall: Duration::from_secs(30), bytes_per_second_min: 16 * 1_024 };
    let stage = Stage::with(TransferConfig { pace, ..TransferConfig::default() });
    let (bytes, source, meta, _) = batch(1, 20);
    let (connection, _hello) = raw_session(&*stage.owner, write()).await;
    say(&connection, &TransferRequest::Begin(meta)).await;
    let mut stream = connection.open_bi().await.unwrap();
    let put = TransferRequest::Put { root: meta.root, first_leaf: 0, count: 64 };
    stream.send.write_all(&encode_frame(&put).unwrap()).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut drips = 0;
    while stream.send.write_all(&bytes[drips..drips + 1]).await.is_ok() && started.elapsed() < Duration::from_secs(120)
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drips += 1;
    }
    assert!(started.elapsed() < Duration::from_secs(40), "30 s and 4 s for 64 KiB: {:?}", started.elapsed());
    let honest = stage.connect(write()).await.unwrap();
    honest.upload(Arc::new(source), &quiet).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_nobody_up_for_long() {
    let stage =
        Stage::with(TransferConfig { bytes_in_flight: 256 * 1_024, put_leaves_max: 256, ..TransferConfig::default() });
    let (bytes, _, meta, layers) = batch(1, 20);
    stage.disk.place(id(OWNER), &bytes, meta, layers);
    let (connection, _hello) = raw_session(&*stage.owner, read(capability())).await;
    let mut slow = connection.open_bi().await.unwrap();
    let get = TransferRequest::Get { meta, first_leaf: 0, count: 1_024 };
    slow.send.write_all(&encode_frame(&get).unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;

    let started = tokio::time::Instant::now();
    let reader = stage.connect(read(capability())).await.unwrap();
    assert_eq!(reader.read_range(&meta, 100, 100).await.unwrap(), bytes[100..200]);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_vanished_is_noticed_and_can_come_back() {
    let stage = Stage::new();
    let (bytes, source, meta, _) = batch(1, 20);
    let network = stage.network.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(120)).await;
        network.partition(id(OWNER), id(HOLDER));
        tokio::time::sleep(Duration::from_secs(90)).await;
        network.heal(id(OWNER), id(HOLDER));
    });
    stage.resuming(write()).upload(Arc::new(source), &quiet).await.unwrap();
    assert_eq!(stage.disk.bytes_of(id(OWNER), &meta.root), bytes);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends() {
    let stage = Stage::new();
    let (connection, _hello) = raw_session(&*stage.owner, write()).await;
    let started = tokio::time::Instant::now();
    let reason = connection.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == RefusalCode::TooSlow.number()), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(125));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_garbage_frames_change_nothing() {
    let stage = Stage::new();
    let (bytes, source, meta, _) = batch(1, 20);
    let lasting = Ticket { expires: TimeMs::new(u64::MAX), ..ticket() };
    let access = Access::Write { ticket: Signed::new(lasting, &key(HEAVY), &CHAIN) };
    let mut rng = StdRng::seed_from_u64(6);
    let mut frames = 0;
    while frames < 10_000 {
        let (connection, _hello) = raw_session(&*stage.owner, access.clone()).await;
        for _ in 0..100 {
            let Ok(mut stream) = connection.open_bi().await else { break };
            if stream.send.write_all(&garbage(&mut rng)).await.is_err() {
                break;
            }
            let _ = stream.send.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.recv.read_to_end(&mut answer).await;
            frames += 1;
        }
    }
    assert_eq!(*stage.disk.put_bytes.lock().unwrap(), 0);
    stage.resuming(access).upload(Arc::new(source), &quiet).await.unwrap();
    assert_eq!(stage.disk.bytes_of(id(OWNER), &meta.root), bytes);
}

/// Half of it well-formed requests with random values, the rest random bytes.
fn garbage(rng: &mut StdRng) -> Vec<u8> {
    let mut root = [0; 32];
    rng.fill(&mut root[..]);
    let (first_leaf, count) = (rng.random(), rng.random());
    match rng.random_range(0..6) {
        0 => encode_frame(&TransferRequest::Put { root, first_leaf, count }).unwrap(),
        1 => encode_frame(&TransferRequest::Finish { root }).unwrap(),
        2 => {
            let meta =
                holdfast_por::BatchMeta { scheme: 1, batch_log2: rng.random(), leaf_log2: 10, inner_code: 0, root };
            encode_frame(&TransferRequest::Get { meta, first_leaf, count }).unwrap()
        }
        _ => {
            let mut bytes = vec![0; rng.random_range(1..120)];
            rng.fill(&mut bytes[..]);
            bytes
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_disk_ends_its_own_session_only() {
    let stage = Stage::new();
    let (bytes, source, meta, _) = batch(1, 20);
    let friend: MemoryEndpoint = stage.network.endpoint(id(FRIEND));
    stage.disk.quote_for(id(FRIEND), REQUEST, 20);
    let owner = stage.connect(write()).await.unwrap();
    let pass = Ticket { client: id(FRIEND), ..ticket() };
    let other = connect(&friend, Access::Write { ticket: Signed::new(pass, &key(HEAVY), &CHAIN) }).await.unwrap();
    stage.disk.panic_at_next_put();
    let error = other.upload(Arc::new(batch(2, 20).1), &quiet).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    owner.upload(Arc::new(source), &quiet).await.unwrap();
    assert_eq!(stage.disk.bytes_of(id(OWNER), &meta.root), bytes);
}

#[tokio::test(start_paused = true)]
async fn nobody_at_home_is_told_in_time() {
    let stage = Stage::new();
    let nobody = NodeAddr::bare(id(99));
    let error = TransferClient::connect(&*stage.owner, &nobody, CHAIN, write(), TransferClientConfig::default()).await;
    assert!(matches!(error.err().unwrap(), TransferError::Transport(_)));
}
