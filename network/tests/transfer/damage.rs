//! Bits that flip at either end, and a holder that falls.

use super::*;

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
