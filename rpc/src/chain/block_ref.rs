//! How callers name a block.

use holdfast_primitives::{BlockHash, Height};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Which block is meant: `"latest"`, a height, or a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockRef {
    /// The newest final block.
    #[default]
    Latest,
    /// The block of this height.
    Height(Height),
    /// The block with this hash.
    Hash(BlockHash),
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Height(height) => write!(f, "{height}"),
            Self::Hash(hash) => write!(f, "{hash}"),
        }
    }
}

impl FromStr for BlockRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let height = text.parse().map(Self::Height).ok();
        let hash = || text.parse().map(Self::Hash).ok();
        height
            .or_else(hash)
            .ok_or_else(|| format!("{text:?} is not a block: give \"latest\", a height or a hash of 64 hex digits"))
    }
}

impl Serialize for BlockRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Height(height) => serializer.serialize_u64(height.get()),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for BlockRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(height) => Ok(Self::Height(Height::new(height))),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for BlockRef {
    fn schema_name() -> Cow<'static, str> {
        "BlockRef".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a height, a block's hash, or \"latest\"",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^(latest|[0-9]+|[0-9a-f]{64})$" }
            ]
        })
    }
}
