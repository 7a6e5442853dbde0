//! Byte strings with a meaning, all made by one macro: borsh as raw bytes, text and JSON as lower-case hex.

use thiserror::Error;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not hexadecimal.
    #[error("{kind}: not hexadecimal: {text:?}")]
    NotHex {
        /// What was expected.
        kind: &'static str,
        /// What was given, cut to 80 characters.
        text: String,
    },
    /// Hexadecimal of the wrong length.
    #[error("{kind}: {found} bytes, expected {expected}")]
    WrongLength {
        /// What was expected.
        kind: &'static str,
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
}

pub(crate) fn decode_hex<const N: usize>(kind: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let bytes = hex::decode(text).map_err(|_| IdError::NotHex { kind, text: text.chars().take(80).collect() })?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| IdError::WrongLength { kind, found, expected: N })
}

/// Writes `bytes` in hex into `text`, which has two digits for each. (`hex::encode` makes its text character by character.)
pub(crate) fn hex_text<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    hex::encode_to_slice(bytes, text).expect("the text has two digits per byte");
    std::str::from_utf8(text).expect("hex digits are ASCII")
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, borsh::BorshSerialize, borsh::BorshDeserialize)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $bytes;
            /// All zero: stands for "none yet", as in the parent of the first block.
            pub const ZERO: Self = Self([0; $bytes]);

            /// Takes the raw bytes.
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut text = [0; 2 * $bytes];
                f.write_str($crate::id::hex_text(&self.0, &mut text))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::id::decode_hex(stringify!($name), text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; 2 * $bytes];
                serializer.serialize_str($crate::id::hex_text(&self.0, &mut text))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use id_type;

id_type!(
    /// The hash of a chain's genesis; it enters every signature, so none can be replayed on another chain.
    ChainId, 32
);
id_type!(
    /// The hash of a block's header.
    BlockHash, 32
);
id_type!(
    /// The hash of a signed transaction's bytes (a proof's openings count by their digest only).
    TxId, 32
);
id_type!(
    /// The root of the whole state after a block.
    StateRoot, 32
);
id_type!(
    /// A SHA-256 of something that has no name of its own.
    Digest, 32
);
id_type!(
    /// Names one placement request; chosen at random by the owner.
    RequestId, 16
);
id_type!(
    /// Names one permission to read; chosen at random by the owner, who can take the permission back by it.
    GrantId, 16
);
