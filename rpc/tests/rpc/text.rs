//! Single values there and back.

use holdfast_primitives::{Address, Amount, BlockHash, Height, HolderNo, NetworkPrefix, TimeMs};
use holdfast_rpc::chain::BlockRef;
use holdfast_rpc::market::HolderRef;
use holdfast_rpc::round::PaymentView;
use holdfast_rpc::{AddressText, HexBytes, Raw, Time};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn any_prefix() -> impl Strategy<Value = NetworkPrefix> {
    prop_oneof![Just(NetworkPrefix::Mainnet), Just(NetworkPrefix::Testnet), Just(NetworkPrefix::Devnet)]
}

proptest! {
    #[test]
    fn bytes_are_lower_case_hex(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let spelled: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = serde_json::to_string(&HexBytes(bytes.clone())).unwrap();
        prop_assert_eq!(text, format!("{spelled:?}"));
        prop_assert_eq!(there_and_back(&HexBytes(bytes.clone())).0, bytes);
    }

    #[test]
    fn addresses_keep_their_network(bytes in any::<[u8; 32]>(), prefix in any_prefix()) {
        let address = AddressText::new(Address::new(bytes), prefix);
        prop_assert_eq!(there_and_back(&address), address);
        let start = format!("{}1", prefix.as_str());
        prop_assert!(address.to_string().starts_with(&start));
    }

    #[test]
    fn one_changed_letter_is_noticed(bytes in any::<[u8; 32]>(), place in 4usize..60) {
        let text = AddressText::new(Address::new(bytes), NetworkPrefix::Devnet).to_string();
        let swapped = if text.as_bytes()[place] == b'q' { "p" } else { "q" };
        let mut changed = text.clone();
        changed.replace_range(place..=place, swapped);
        prop_assert!(AddressText::parse(&changed).is_err());
    }

    #[test]
    fn any_text_gets_an_answer(text in any::<String>()) {
        let _ = AddressText::parse(&text);
        let _ = text.parse::<BlockRef>();
        let _ = serde_json::from_str::<HexBytes>(&text);
        let _ = serde_json::from_str::<HolderRef>(&text);
    }

    #[test]
    fn amounts_are_decimal_strings(grains in any::<u64>()) {
        let payment = PaymentView {
            contract: holdfast_primitives::ContractNo::new(1),
            batches: 1,
            paid: Amount::grains(grains),
            relay_fee: Amount::ZERO,
        };
        let json = serde_json::to_value(payment.clone()).unwrap();
        prop_assert_eq!(json["paid"].as_str().unwrap().parse::<u128>().unwrap(), u128::from(grains));
        prop_assert_eq!(there_and_back(&payment), payment);
    }

    #[test]
    fn blocks_are_named_three_ways(height in any::<u64>(), hash in any::<[u8; 32]>()) {
        for at in [BlockRef::Latest, BlockRef::Height(Height::new(height)), BlockRef::Hash(BlockHash::new(hash))] {
            prop_assert_eq!(there_and_back(&at), at);
            prop_assert_eq!(at.to_string().parse::<BlockRef>().unwrap(), at);
        }
    }

    #[test]
    fn holders_are_named_two_ways(number in any::<u32>(), bytes in any::<[u8; 32]>(), prefix in any_prefix()) {
        let address = AddressText::new(Address::new(bytes), prefix);
        for holder in [HolderRef::Number(HolderNo::new(number)), HolderRef::Address(address)] {
            prop_assert_eq!(there_and_back(&holder), holder);
        }
        prop_assert_eq!(
            serde_json::from_str::<HolderRef>(&format!("\"{number}\"")).unwrap(),
            HolderRef::Number(HolderNo::new(number))
        );
    }

    #[test]
    fn times_keep_their_milliseconds(ms in any::<u64>()) {
        prop_assert_eq!(there_and_back(&Time::of(TimeMs::new(ms))).time(), TimeMs::new(ms));
    }

    #[test]
    fn raw_bytes_decode_to_the_record_or_not_at_all(height in any::<u64>(), extra in 0usize..3) {
        let mut bytes = Raw::of(&Height::new(height)).as_bytes().to_vec();
        bytes.extend(vec![0; extra]);
        let raw = there_and_back(&Raw::<Height>::from_bytes(bytes));
        prop_assert_eq!(raw.decode().ok(), (extra == 0).then_some(Height::new(height)));
    }
}

#[test]
fn times_read_as_people_write_them() {
    assert_eq!(Time::of(TimeMs::new(0)).rfc3339, "1970-01-01T00:00:00Z");
    assert_eq!(Time::of(TimeMs::new(1_795_262_400_250)).rfc3339, "2026-11-21T12:00:00.25Z");
    assert!(Time::of(TimeMs::new(u64::MAX)).rfc3339.starts_with("9999-"));
}
