//! Evidence bundles: verified with no node at hand, and never talked into another verdict.

use crate::archive::{STORY, served};
use crate::villains::Villain;
use holdfast_ledger::RecordKey;
use holdfast_primitives::limits::EVIDENCE_BUNDLE_BYTES_MAX;
use holdfast_primitives::{ChainId, RoundNo};
use holdfast_wallet::{Auditor, Bundle, Recorder, RoundVerdict, WalletError};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use tokio::runtime::{Builder, Runtime};

/// The round with something missing in it.
const ROUND: RoundNo = RoundNo::new(1);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_multi_thread().enable_all().build().unwrap());

/// The bundle's bytes and the verdict that its maker came to.
static MADE: LazyLock<(Vec<u8>, RoundVerdict)> = LazyLock::new(|| RUNTIME.block_on(make()));

async fn make() -> (Vec<u8>, RoundVerdict) {
    let served = served(Villain::Nobody).await;
    let recorder = Arc::new(Recorder::of(Arc::new(served.node)));
    let verdict = Auditor::open(recorder.clone(), None).await.unwrap().round(ROUND, None).await.unwrap();
    (recorder.bundle(ROUND).unwrap().encode().unwrap(), verdict)
}

async fn verify(bytes: &[u8], trusted: Option<ChainId>) -> Result<RoundVerdict, WalletError> {
    let bundle = Arc::new(Bundle::decode(bytes)?);
    let round = bundle.round;
    Auditor::open(bundle, trusted).await?.round(round, None).await
}

#[test]
fn a_bundle_verifies_with_no_node_at_hand() {
    let (bytes, verdict) = &*MADE;
    let chain = STORY.genesis.chain_id();
    assert_eq!(RUNTIME.block_on(verify(bytes, Some(chain))).unwrap(), *verdict);
    assert_eq!(RUNTIME.block_on(verify(bytes, None)).unwrap(), *verdict);
    let other = RUNTIME.block_on(verify(bytes, Some(ChainId::new([9; 32]))));
    assert!(matches!(other, Err(WalletError::OtherChain { .. })));
}

#[test]
fn a_bundle_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("round.evidence");
    std::fs::write(&path, "what was there before").unwrap();
    let bundle = Bundle::decode(&MADE.0).unwrap();
    assert_eq!(bundle.save(&path).unwrap(), MADE.0.len());
    assert_eq!(Bundle::load(&path).unwrap(), bundle);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_is_no_bundle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("giant");
    // A hole of a file: it claims its length and takes no room.
    let claimed = EVIDENCE_BUNDLE_BYTES_MAX as u64 + 1;
    std::fs::File::create(&path).unwrap().set_len(claimed).unwrap();
    let giant = Bundle::load(&path).unwrap_err().to_string();
    assert!(giant.contains(&claimed.to_string()), "{giant}");
    assert!(matches!(Bundle::load(&folder.path().join("nothing")), Err(WalletError::File { .. })));
    let mut newer = MADE.0.clone();
    newer[b"holdfast evidence\n".len()] = 3;
    let newer = Bundle::decode(&newer).unwrap_err().to_string();
    assert!(newer.contains("version 3"), "{newer}");
    let longer = [MADE.0.as_slice(), &[0]].concat();
    assert!(matches!(Bundle::decode(&longer), Err(WalletError::BadBundle { .. })));
}

/// What makes the bundle, record by record: none may be left out.
#[test]
fn nothing_in_a_bundle_is_there_for_nothing() {
    let whole = Bundle::decode(&MADE.0).unwrap();
    let mut lacking: Vec<Bundle> = Vec::new();
    let mut without = |remove: fn(&mut Bundle)| {
        let mut bundle = whole.clone();
        remove(&mut bundle);
        lacking.push(bundle);
    };
    without(|bundle| bundle.headers.truncate(bundle.headers.len() - 1));
    without(|bundle| bundle.certificates.truncate(bundle.certificates.len() - 1));
    without(|bundle| bundle.records.retain(|(_, proof)| proof.key != RecordKey::Round(ROUND)));
    without(|bundle| bundle.records.truncate(bundle.records.len() - 1));
    without(|bundle| bundle.frozen.truncate(bundle.frozen.len() - 1));
    without(|bundle| bundle.results.truncate(bundle.results.len() - 1));
    without(|bundle| bundle.payments.truncate(1));
    without(|bundle| bundle.slots.truncate(bundle.slots.len() - 1));
    without(|bundle| bundle.parts.truncate(bundle.parts.len() - 1));
    for (number, bundle) in lacking.into_iter().enumerate() {
        let verdict = RUNTIME.block_on(verify(&bundle.encode().unwrap(), None));
        let error = verdict.expect_err(&format!("lack {number}"));
        assert_eq!(error.code(), "unverifiable", "lack {number}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    /// A flipped byte is found or means nothing: no verdict but the true one is ever reached.
    #[test]
    fn a_flipped_byte_never_leads_to_another_verdict(place in any::<prop::sample::Index>(), near in any::<bool>(), mask in 1u8..) {
        let (bytes, verdict) = &*MADE;
        // The openings lie at the end and are most of the file: half of the flips go to what stands before them.
        let openings: usize = Bundle::decode(bytes).unwrap().parts.iter().map(|part| part.openings.len()).sum();
        let place = place.index(if near { bytes.len() - openings } else { bytes.len() });
        let mut flipped = bytes.clone();
        flipped[place] ^= mask;
        if let Ok(reached) = RUNTIME.block_on(verify(&flipped, None)) {
            prop_assert_eq!(&reached, verdict);
        }
    }

    /// The same with the chain named, and with several bytes changed.
    #[test]
    fn many_flipped_bytes_neither(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (bytes, verdict) = &*MADE;
        let mut flipped = bytes.clone();
        for (place, byte) in &places {
            *place.get_mut(&mut flipped) = *byte;
        }
        if let Ok(reached) = RUNTIME.block_on(verify(&flipped, Some(STORY.genesis.chain_id()))) {
            prop_assert_eq!(&reached, verdict);
        }
    }

    #[test]
    fn a_cut_off_bundle_is_refused(length in any::<prop::sample::Index>()) {
        let bytes = &MADE.0[..length.index(MADE.0.len())];
        prop_assert!(RUNTIME.block_on(verify(bytes, None)).is_err());
    }

    #[test]
    fn random_bytes_behind_a_true_head_are_refused(body in prop::collection::vec(any::<u8>(), 0..4_096)) {
        let head = &MADE.0[..b"holdfast evidence\n".len() + 2];
        prop_assert!(Bundle::decode(&[head, &body].concat()).is_err());
        prop_assert!(Bundle::decode(&body).is_err());
    }
}
