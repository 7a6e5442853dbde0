//! How single values look in JSON: bytes as lower-case hex, addresses in bech32m, times in RFC 3339 with milliseconds,
//! and records as the hex of their borsh so that a client can hash the very bytes that the chain hashed.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::RPC_RESPONSE_BYTES_MAX;
use holdfast_primitives::{Address, AddressError, BoundedError, NetworkPrefix, TimeMs, decode_exact};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Any bytes, as lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HexBytes(pub Vec<u8>);

/// One record as the hex of its borsh bytes: what the chain hashes.
pub struct Raw<T> {
    bytes: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

/// An address together with the network whose prefix it carries, for example `dhf1...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressText {
    /// The network.
    pub prefix: NetworkPrefix,
    /// The address.
    pub address: Address,
}

/// A moment, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Time {
    /// RFC 3339 in UTC, for example `2026-11-21T12:00:00.25Z`.
    pub rfc3339: String,
    /// Milliseconds since 1970-01-01T00:00:00Z. This is what programs should read.
    pub ms: u64,
}

impl<T: BorshSerialize> Raw<T> {
    /// Encodes a record.
    pub fn of(record: &T) -> Self {
        let bytes = borsh::to_vec(record).expect("a record encodes into memory");
        Self { bytes, of: PhantomData }
    }
}

impl<T: BorshDeserialize> Raw<T> {
    /// The record.
    ///
    /// # Errors
    /// When the bytes are not exactly one such record.
    pub fn decode(&self) -> Result<T, BoundedError> {
        decode_exact(&self.bytes, RPC_RESPONSE_BYTES_MAX as usize)
    }
}

impl<T> Raw<T> {
    /// Takes bytes that are said to be such a record; [`Raw::decode`] finds out.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, of: PhantomData }
    }

    /// The borsh bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl AddressText {
    /// Puts an address and its network together.
    pub const fn new(address: Address, prefix: NetworkPrefix) -> Self {
        Self { prefix, address }
    }

    /// Reads an address of whichever network its prefix names.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let starts_with = |prefix: &NetworkPrefix| {
            let name = prefix.as_str();
            text.as_bytes().get(name.len()) == Some(&b'1') && text[..name.len()].eq_ignore_ascii_case(name)
        };
        let prefix = [NetworkPrefix::Mainnet, NetworkPrefix::Testnet, NetworkPrefix::Devnet]
            .into_iter()
            .find(starts_with)
            .unwrap_or(NetworkPrefix::Mainnet);
        Ok(Self { prefix, address: Address::from_text(text, prefix)? })
    }
}

impl Time {
    /// The moment as both forms. Times past the year 9999 keep their milliseconds and show the last moment of it.
    pub fn of(time: TimeMs) -> Self {
        let shown = i64::try_from(time.get()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        Self { rfc3339: shown.unwrap_or(jiff::Timestamp::MAX).to_string(), ms: time.get() }
    }

    /// The moment as the chain counts it.
    pub const fn time(&self) -> TimeMs {
        TimeMs::new(self.ms)
    }
}

impl fmt::Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address.to_text(self.prefix))
    }
}

impl Serialize for AddressText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.address.to_text(self.prefix))
    }
}

impl<'de> Deserialize<'de> for AddressText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// `hex::encode` makes its text character by character; this fills it in one go.
fn serialize_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = vec![0; 2 * bytes.len()];
    hex::encode_to_slice(bytes, &mut text).expect("the text has two digits per byte");
    serializer.serialize_str(std::str::from_utf8(&text).expect("hex digits are ASCII"))
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_hex(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        hex::decode(text.as_bytes()).map(Self).map_err(|error| de::Error::custom(format!("not hexadecimal: {error}")))
    }
}

impl<T> Serialize for Raw<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_hex(&self.bytes, serializer)
    }
}

impl<'de, T> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HexBytes::deserialize(deserializer).map(|HexBytes(bytes)| Self { bytes, of: PhantomData })
    }
}

// Derived, these would demand the same of `T`.
impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for Raw<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Raw<T> {}

impl<T> fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.bytes.len())
    }
}

macro_rules! text_schema {
    ($(#[$doc:meta])* $name:ident { description: $description:literal, pattern: $pattern:literal }) => {
        $(#[$doc])*
        pub(crate) struct $name;
        text_schema!(impl $name { description: $description, pattern: $pattern });
    };
    (impl $name:ident $(<$param:ident>)? { description: $description:literal, pattern: $pattern:literal }) => {
        impl $(<$param>)? JsonSchema for $name $(<$param>)? {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description, "pattern": $pattern })
            }
        }
    };
}

text_schema!(impl HexBytes { description: "bytes in lower-case hex", pattern: "^([0-9a-f]{2})*$" });
text_schema!(impl Raw<T> { description: "the record's borsh bytes in lower-case hex", pattern: "^([0-9a-f]{2})*$" });
text_schema!(impl AddressText { description: "an address in bech32m with its network's prefix", pattern: "^(hf|thf|dhf)1[0-9a-z]+$" });
text_schema!(
    /// How an amount of money looks.
    GrainText { description: "grains as a decimal string; 1 HOLD = 1,000,000,000 grain", pattern: "^[0-9]+$" }
);
text_schema!(
    /// How a hash or another id of 32 bytes looks.
    Hex32 { description: "32 bytes in lower-case hex", pattern: "^[0-9a-f]{64}$" }
);
text_schema!(
    /// How a request id looks.
    Hex16 { description: "16 bytes in lower-case hex", pattern: "^[0-9a-f]{32}$" }
);
text_schema!(
    /// How a signature looks.
    Hex64 { description: "64 bytes in lower-case hex", pattern: "^[0-9a-f]{128}$" }
);
