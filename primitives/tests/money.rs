//! Amounts: checked, exact, never a float.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_primitives::{Amount, AmountError, GRAIN_PER_HOLD};
use proptest::prelude::*;

#[test]
fn people_write_amounts_with_a_unit() {
    let cases = [
        ("1HOLD", GRAIN_PER_HOLD),
        ("1.2HOLD", 1_200_000_000),
        ("1.2 HOLD", 1_200_000_000),
        ("0.000000001hold", 1),
        ("250grain", 250),
        (" 250 grain ", 250),
        ("18446744073.709551615HOLD", u64::MAX),
    ];
    for (text, grains) in cases {
        assert_eq!(text.parse::<Amount>(), Ok(Amount::grains(grains)), "{text}");
    }
}

#[test]
fn what_is_not_an_amount_is_refused() {
    assert!(matches!("12".parse::<Amount>(), Err(AmountError::NoUnit { .. })));
    for text in
        ["HOLD", ".5HOLD", "1.HOLD", "-1HOLD", "1.0000000001HOLD", "1e3HOLD", "1.5grain", "18446744074HOLD", "1 2grain"]
    {
        assert!(matches!(text.parse::<Amount>(), Err(AmountError::Malformed { .. })), "{text}");
    }
}

#[test]
fn overflow_is_an_error_not_a_wrap() {
    let most = Amount::grains(u64::MAX);
    assert!(most.checked_add(Amount::grains(1)).is_err());
    assert!(Amount::ZERO.checked_sub(Amount::grains(1)).is_err());
    assert!(most.checked_mul(2).is_err());
    assert!(Amount::checked_sum([most, Amount::grains(1)]).is_err());
    assert_eq!(most.share(9_999, 10_000), Amount::grains(18_444_899_399_302_180_659));
}

proptest! {
    #[test]
    fn shown_amounts_read_back(grains in any::<u64>()) {
        let amount = Amount::grains(grains);
        prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(&json, &format!("\"{grains}\""));
        prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
    }

    #[test]
    fn shares_of_a_whole_never_exceed_it(grains in any::<u64>(), bps in 0u64..=10_000) {
        let whole = Amount::grains(grains);
        let parts = whole.share(bps, 10_000).checked_add(whole.share(10_000 - bps, 10_000)).unwrap();
        prop_assert!(parts <= whole);
        prop_assert!(whole.get() - parts.get() <= 1);
    }
}
