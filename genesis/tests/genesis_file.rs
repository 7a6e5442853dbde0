//! The genesis file: what is written reads back, and every mistake is named.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_genesis::{FileError, GenesisFile, Price, preset, to_genesis};
use holdfast_ledger::{Genesis, GenesisValidator};
use holdfast_primitives::{Amount, Bounded, NetworkPrefix, SecretKey, TimeMs, VrfSecretKey};
use proptest::prelude::*;

fn sample(prefix: NetworkPrefix) -> Genesis {
    let key = SecretKey::from_seed([1; 32]);
    let vrf = VrfSecretKey::from_seed([2; 32]).public();
    Genesis {
        name: Bounded::new(b"sample".to_vec()).unwrap(),
        time: TimeMs::new(1_790_000_000_000),
        params: preset(prefix),
        accounts: Bounded::new(vec![(key.address(), Amount::hold(1_000))]).unwrap(),
        validators: Bounded::new(vec![GenesisValidator {
            address: key.address(),
            vrf,
            bond: preset(prefix).validator_bond_min,
        }])
        .unwrap(),
        seed: [3; 32],
    }
}

const NETWORKS: [NetworkPrefix; 3] = [NetworkPrefix::Mainnet, NetworkPrefix::Testnet, NetworkPrefix::Devnet];

#[test]
fn every_preset_makes_a_chain_and_survives_its_file() {
    for prefix in NETWORKS {
        let genesis = sample(prefix);
        let text = GenesisFile::from_genesis(&genesis).to_text().unwrap();
        let read = to_genesis(&GenesisFile::parse(&text).unwrap()).unwrap();
        assert_eq!(read, genesis, "{prefix}");
        assert_eq!(read.chain_id(), genesis.chain_id());
    }
}

#[test]
fn the_devnet_file_reads_like_this() {
    insta::assert_snapshot!(GenesisFile::from_genesis(&sample(NetworkPrefix::Devnet)).to_text().unwrap());
}

#[test]
fn mistakes_are_named() {
    let text = GenesisFile::from_genesis(&sample(NetworkPrefix::Devnet)).to_text().unwrap();
    let unknown = GenesisFile::parse(&text.replace("round_ms", "round_millis")).unwrap_err().to_string();
    assert!(unknown.contains("round_millis"), "{unknown}");
    let no_unit = GenesisFile::parse(&text.replace("\"10 HOLD\"", "\"10\"")).unwrap();
    assert!(matches!(to_genesis(&no_unit), Err(FileError::Amount { key: "rules.holder_bond", .. })));
    let foreign = GenesisFile::parse(&text.replace("\"devnet\"", "\"testnet\"")).unwrap();
    assert!(matches!(to_genesis(&foreign), Err(FileError::Address(_))));
    let greedy = GenesisFile::parse(&text.replace("relay_fee_bps = 150", "relay_fee_bps = 900")).unwrap();
    assert!(matches!(to_genesis(&greedy), Err(FileError::Rule(_))));
    let mut twice = GenesisFile::parse(&text).unwrap();
    twice.accounts.push(twice.accounts[0].clone());
    assert!(matches!(to_genesis(&twice), Err(FileError::Rule(_))));
}

proptest! {
    #[test]
    fn a_stated_price_is_never_exceeded(stated in 1u64..1_000_000_000_000_000, round_s in 1u64..20_000) {
        let round_ms = round_s * 1_000;
        match Price::from_gib_30_days(Amount::grains(stated), round_ms) {
            Ok(price) => {
                prop_assert!(price.per_gib_30_days(round_ms).get() <= stated + 1_024 * 30 * 24 * 3_600_000 / round_ms);
                let again = Price::from_gib_30_days(price.per_gib_30_days(round_ms), round_ms).unwrap();
                prop_assert_eq!(again, price);
                // 2^10 MiB make a GiB: a batch of 2^30 bytes costs 1024 times the price of a MiB.
                prop_assert_eq!(price.per_batch_round(28).unwrap(), price.get().checked_mul(256).unwrap());
            }
            Err(_) => prop_assert!(u128::from(stated) * u128::from(round_ms) < 1_024u128 * 30 * 24 * 3_600_000),
        }
    }
}
