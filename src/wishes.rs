//! What an owner asks of holders on the command line, and how it is told where they were found.

use crate::failure::Failure;
use crate::ids;
use clap::Args;
use holdfast_primitives::{Address, NetworkPrefix, Tag};
use holdfast_rpc::market::QuoteWishes;
use holdfast_rpc::{AddressText, RpcClient};
use holdfast_wallet::{Keeper, Wishes};

/// Wishes as they are given.
#[derive(Clone, Debug, Default, Args)]
pub struct WishArgs {
    /// What the data is: only holders whose disks are for it; may be given several times. Without it, only holders whose
    /// disks are for anything
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<Tag>,
    /// Where the data may lie, for example eu-de; may be given several times
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<Tag>,
    /// No two pieces of a segment with holders of one operator
    #[arg(long)]
    distinct_operators: bool,
    /// Only this holder (number, address, or the beginning of one), and others that are named so
    #[arg(long = "holder", value_name = "HOLDER")]
    only: Vec<String>,
    /// Not this holder; may be given several times
    #[arg(long = "not-holder", value_name = "HOLDER")]
    exclude: Vec<String>,
    /// Heavy nodes on the way to a holder, at most: 1 for those of your own heavy node only
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=4))]
    max_hops: Option<u8>,
}

impl WishArgs {
    /// The wishes as an estimate takes them. How far away holders are is nothing that an estimate knows.
    pub async fn of_quote(&self, rpc: &RpcClient) -> Result<QuoteWishes, Failure> {
        Ok(QuoteWishes {
            topics: self.topics.clone(),
            regions: self.regions.clone(),
            distinct_operators: self.distinct_operators,
            only: holders(rpc, &self.only).await?,
            exclude: holders(rpc, &self.exclude).await?,
        })
    }

    /// The wishes; holders are looked up at the node.
    pub async fn read(&self, rpc: &RpcClient) -> Result<Wishes, Failure> {
        Ok(Wishes {
            topics: self.topics.clone(),
            regions: self.regions.clone(),
            distinct_operators: self.distinct_operators,
            only: addresses(holders(rpc, &self.only).await?),
            exclude: addresses(holders(rpc, &self.exclude).await?),
            hops_max: self.max_hops,
        })
    }
}

fn addresses(holders: Vec<AddressText>) -> Vec<Address> {
    holders.into_iter().map(|holder| holder.address).collect()
}

async fn holders(rpc: &RpcClient, given: &[String]) -> Result<Vec<AddressText>, Failure> {
    let mut holders = Vec::with_capacity(given.len());
    for text in given {
        holders.push(ids::holder(rpc, text).await?.address);
    }
    Ok(holders)
}

/// One line for each holder with the heavy nodes over which it was found.
pub fn paths_text(keepers: &[Keeper], prefix: NetworkPrefix) -> String {
    let line = |keeper: &Keeper| {
        let path: Vec<String> = keeper.path.iter().map(|node| node.to_text(prefix)).collect();
        format!("holder      {} found by way of {}", keeper.holder.to_text(prefix), path.join(", then "))
    };
    keepers.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same for programs.
pub fn paths_json(keepers: &[Keeper], prefix: NetworkPrefix) -> serde_json::Value {
    let text = |address: &Address| AddressText::new(*address, prefix);
    let one = |keeper: &Keeper| {
        let path: Vec<AddressText> = keeper.path.iter().map(text).collect();
        serde_json::json!({ "holder": text(&keeper.holder), "price": keeper.price, "path": path })
    };
    keepers.iter().map(one).collect()
}
