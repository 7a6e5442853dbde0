//! Ids, addresses and bounded lists: what is written is read back, and nothing else is accepted.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_primitives::{
    Address, AddressError, BlockHash, Bounded, BoundedError, NetworkPrefix, RequestId, decode_exact,
};
use proptest::prelude::*;

const PREFIXES: [NetworkPrefix; 3] = [NetworkPrefix::Mainnet, NetworkPrefix::Testnet, NetworkPrefix::Devnet];

#[test]
fn an_address_names_its_network() {
    let address = Address::new([7; 32]);
    for prefix in PREFIXES {
        let text = address.to_text(prefix);
        assert!(text.starts_with(&format!("{}1", prefix.as_str())), "{text}");
        for other in PREFIXES {
            let read = Address::from_text(&text, other);
            if other == prefix {
                assert_eq!(read, Ok(address));
            } else {
                assert!(matches!(read, Err(AddressError::WrongNetwork { .. })), "{read:?}");
            }
        }
    }
}

#[test]
fn a_typo_in_an_address_is_found() {
    let text = Address::new([9; 32]).to_text(NetworkPrefix::Devnet);
    for at in 4..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'q' { b'p' } else { b'q' };
        let typo = String::from_utf8(bytes).unwrap();
        assert!(
            matches!(Address::from_text(&typo, NetworkPrefix::Devnet), Err(AddressError::Malformed { .. })),
            "{typo}"
        );
    }
}

#[test]
fn a_list_beyond_its_limit_is_refused_before_it_is_read() {
    let claimed = u32::MAX.to_le_bytes();
    assert!(matches!(decode_exact::<Bounded<u64, 8>>(&claimed, 64), Err(BoundedError::Malformed { .. })));
    assert!(matches!(
        decode_exact::<Bounded<u8, 8>>(&[0; 65], 64),
        Err(BoundedError::TooMany { found: 65, limit: 64 })
    ));
    assert!(Bounded::<u8, 2>::new(vec![1, 2, 3]).is_err());
}

proptest! {
    #[test]
    fn ids_read_back(bytes in any::<[u8; 32]>(), request in any::<[u8; 16]>()) {
        let id = BlockHash::new(bytes);
        prop_assert_eq!(id.to_string().parse::<BlockHash>(), Ok(id));
        prop_assert_eq!(borsh::to_vec(&id).unwrap(), bytes.to_vec());
        let request = RequestId::new(request);
        prop_assert_eq!(request.to_string().parse::<RequestId>(), Ok(request));
    }

    #[test]
    fn any_text_is_an_id_or_an_error(text in ".{0,80}") {
        let _ = text.parse::<BlockHash>();
        let _ = Address::from_text(&text, NetworkPrefix::Mainnet);
    }

    #[test]
    fn bounded_lists_encode_like_lists(items in proptest::collection::vec(any::<u16>(), 0..20)) {
        let plain = borsh::to_vec(&items).unwrap();
        let bounded = decode_exact::<Bounded<u16, 12>>(&plain, 1024);
        prop_assert_eq!(bounded.is_ok(), items.len() <= 12);
        if let Ok(list) = bounded {
            prop_assert_eq!(borsh::to_vec(&list).unwrap(), plain);
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_exact::<Bounded<Address, 4>>(&bytes, 1024);
        let _ = decode_exact::<holdfast_primitives::Certificate>(&bytes, 1024);
        let _ = decode_exact::<holdfast_primitives::ValidatorSet>(&bytes, 1024);
        let _ = decode_exact::<holdfast_primitives::VrfProof>(&bytes, 1024);
    }
}
