//! Record numbers: dense, given out on creation, never reused. They index the state's vectors and the database.

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            borsh::BorshSerialize, borsh::BorshDeserialize, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// Takes the raw number.
            pub const fn new(number: u32) -> Self {
                Self(number)
            }

            /// The raw number.
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The number as an index into a dense vector.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number_type!(
    /// An account's place in the accounts vector.
    AccountNo
);
number_type!(
    /// A holder's place in the holders vector.
    HolderNo
);
number_type!(
    /// A contract's place in the contracts vector.
    ContractNo
);
number_type!(
    /// A segment's place in the segments vector.
    SegmentNo
);
number_type!(
    /// A validator's place in the validators vector.
    ValidatorNo
);
