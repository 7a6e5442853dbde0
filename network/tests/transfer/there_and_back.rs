//! Batches up and down, over connections that are cut.

use super::*;

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
async fn nobody_at_home_is_told_in_time() {
    let stage = Stage::new();
    let nobody = NodeAddr::bare(id(99));
    let error = TransferClient::connect(&*stage.owner, &nobody, CHAIN, write(), TransferClientConfig::default()).await;
    assert!(matches!(error.err().unwrap(), TransferError::Transport(_)));
}
