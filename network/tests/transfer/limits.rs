//! The slow, the idle, and those who send nonsense.

use super::*;

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
