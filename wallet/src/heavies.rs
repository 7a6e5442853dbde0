//! Heavy nodes that a light node knows: asked of one of them, and remembered in a file, so that a machine finds the network
//! again when the heavy node that it was told of is gone.

use crate::error::WalletError;
use holdfast_network::NodeAddr;
use holdfast_network::parents::{BondStanding, HeavyNode, PARENTS_KNOWN_MAX};
use holdfast_rpc::market::HeavyView;
use holdfast_rpc::stake::StandingName;
use holdfast_rpc::{PAGE_ROWS_MAX, PageAsk, RpcClient};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// What the file is, and the version of its shape. Another one is not read, and overwritten.
const FORMAT: &str = "holdfast heavy nodes";
const VERSION: u32 = 1;
/// Bytes of the file, at most: each node has sixteen addresses and two URLs.
const BYTES_MAX: u64 = 128 * 1024;

/// The file.
#[derive(Clone, Debug)]
pub struct RememberedHeavies {
    path: PathBuf,
    /// Through which nodes the user asked; what was learned through others is not used.
    asked: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<String>,
    nodes: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    node: NodeAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpc: Option<String>,
}

impl RememberedHeavies {
    /// The file at `path`; with `asked`, only what was learned when the user named the same nodes counts.
    pub const fn at(path: PathBuf, asked: Option<String>) -> Self {
        Self { path, asked }
    }

    /// What was remembered; nothing when there is no such file, or none that can be read. Nothing is known of anyone's
    /// standing.
    pub fn read(&self) -> Vec<HeavyNode> {
        let small = std::fs::metadata(&self.path).is_ok_and(|file| file.len() <= BYTES_MAX);
        let bytes = if small { std::fs::read(&self.path).unwrap_or_default() } else { Vec::new() };
        let Ok(written) = serde_json::from_slice::<Written>(&bytes) else { return Vec::new() };
        if written.format != FORMAT || written.version != VERSION || written.asked != self.asked {
            return Vec::new();
        }
        let node = |row: Row| HeavyNode { rpc_url: row.rpc, ..HeavyNode::unknown(row.node) };
        written.nodes.into_iter().take(PARENTS_KNOWN_MAX).map(node).collect()
    }

    /// Remembers these, in this order, in place of those before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, nodes: &[HeavyNode]) -> io::Result<()> {
        let row = |node: &HeavyNode| Row { node: node.addr.clone(), rpc: node.rpc_url.clone() };
        let written = Written {
            format: FORMAT.to_owned(),
            version: VERSION,
            asked: self.asked.clone(),
            nodes: nodes.iter().take(PARENTS_KNOWN_MAX).map(row).collect(),
        };
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder)?;
        let beside = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&beside, &written)?;
        beside.as_file().sync_all()?;
        beside.persist(&self.path)?;
        Ok(())
    }
}

/// The heavy nodes that the asked one knows; those in good standing first. What is no node's address is left out.
///
/// # Errors
/// Nobody answers.
pub async fn ask_heavies(rpc: &RpcClient) -> Result<Vec<HeavyNode>, WalletError> {
    let page = rpc.market_heavies(Some(PageAsk::from(0).limit(PAGE_ROWS_MAX))).await?;
    let mut nodes: Vec<HeavyNode> = page.rows.iter().filter_map(heavy_node).collect();
    nodes.sort_by_key(|node| node.standing);
    Ok(nodes)
}

/// The URLs at which these answer.
pub fn urls_of(nodes: &[HeavyNode]) -> Vec<String> {
    nodes.iter().filter_map(|node| node.rpc_url.clone()).collect()
}

fn heavy_node(view: &HeavyView) -> Option<HeavyNode> {
    let addr: NodeAddr = view.node_addr.parse().ok()?;
    let standing = match view.standing {
        Some(StandingName::Good) if !view.bonded.is_zero() => BondStanding::Good,
        Some(StandingName::Good) | None => BondStanding::Unbonded,
        Some(StandingName::Jailed) => BondStanding::Jailed,
        Some(StandingName::Banned) => BondStanding::Banned,
    };
    (addr.id == view.address.address && addr.is_reachable()).then(|| HeavyNode {
        addr,
        rpc_url: view.rpc_url.clone(),
        standing,
        missed_in_row: view.missed_in_row,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_primitives::Address;

    fn nodes(count: u8) -> Vec<HeavyNode> {
        let node = |number: u8| HeavyNode {
            rpc_url: number.is_multiple_of(2).then(|| format!("http://192.0.2.{number}:7450")),
            ..HeavyNode::unknown(NodeAddr::bare(Address::new([number; 32])))
        };
        (0..count).map(node).collect()
    }

    #[test]
    fn what_was_remembered_is_read_by_whoever_asks_through_the_same_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let file = |asked: Option<&str>| {
            RememberedHeavies::at(folder.path().join("deep/heavies.json"), asked.map(str::to_owned))
        };
        assert!(file(None).read().is_empty());
        file(Some("http://a")).write(&nodes(3)).unwrap();
        assert_eq!(file(Some("http://a")).read(), nodes(3));
        assert!(file(Some("http://b")).read().is_empty() && file(None).read().is_empty());
        file(None).write(&nodes(200)).unwrap();
        assert_eq!(file(None).read(), nodes(64));
    }

    #[test]
    fn a_file_of_another_version_or_none_at_all_is_nothing_and_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heavies.json");
        let file = RememberedHeavies::at(path.clone(), None);
        file.write(&nodes(1)).unwrap();
        let sound = std::fs::read_to_string(&path).unwrap();
        let longer = format!("{sound}{}", " ".repeat(BYTES_MAX as usize));
        for spoilt in [sound.replace("\"version\":1", "\"version\":2"), sound[..20].to_owned(), longer] {
            std::fs::write(&path, spoilt).unwrap();
            assert!(file.read().is_empty());
        }
    }
}
