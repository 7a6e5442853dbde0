//! `holdfast offers`: which holders take batches, where they are, what their disks are for and what they ask.

use crate::commands::put::rounds_for;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{bytes, duration_ms, table};
use clap::Args;
use holdfast_genesis::Price;
use holdfast_primitives::{Amount, Tag};
use holdfast_rpc::market::{HolderView, OffersAsk};
use holdfast_rpc::{PAGE_ROWS_MAX, PageAsk, RpcClient};
use serde::Serialize;

#[derive(Debug, Args)]
pub struct OffersArgs {
    /// Only disks in this region (repeatable: any of them)
    #[arg(long, value_name = "REGION")]
    region: Vec<Tag>,
    /// Only disks that this operator runs (repeatable: any of them)
    #[arg(long, value_name = "OPERATOR")]
    operator: Vec<Tag>,
    /// Only disks that are for this (repeatable: any of them)
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<Tag>,
    /// Only holders that bind themselves for so long, for example 90d
    #[arg(long = "for", value_name = "DURATION")]
    term: Option<humantime::Duration>,
    /// Only holders with so much free, for example 10GiB
    #[arg(long, value_name = "SIZE")]
    free: Option<bytesize::ByteSize>,
    /// Only holders that ask for at most this per GiB per 30 days, for example 1.5HOLD
    #[arg(long, value_name = "AMOUNT")]
    max_price: Option<String>,
    /// Only holders that are online
    #[arg(long)]
    online: bool,
}

/// One offer as people read it.
#[derive(Debug, Serialize)]
struct Offer {
    /// What the node says of the holder.
    #[serde(flatten)]
    holder: HolderView,
    /// Bytes that are free of its quota.
    free_bytes: u64,
    /// What it asks, per GiB per 30 days.
    per_gib_30_days: Amount,
    /// The longest term for which it binds itself, in milliseconds, as far as the network allows.
    term_max_ms: u64,
}

pub async fn run(context: &Context, args: OffersArgs) -> Outcome {
    let rpc = context.rpc()?;
    let pricing = rpc.market_params().await?;
    let price = |text: String| -> Result<Amount, Failure> {
        Ok(Price::from_gib_30_days(text.parse()?, pricing.round_ms)?.get())
    };
    let ask = OffersAsk {
        regions: args.region,
        operators: args.operator,
        topics: args.topic,
        rounds: args.term.map(|term| rounds_for(term, pricing.round_ms)),
        free_bytes: args.free.map(|free| free.as_u64()),
        price_max: args.max_price.map(price).transpose()?,
        online: args.online,
    };
    let offer = |holder: HolderView| Offer {
        free_bytes: holder.quota_bytes.saturating_sub(holder.used_bytes),
        per_gib_30_days: Price::per_mib_round(holder.price).per_gib_30_days(pricing.round_ms),
        term_max_ms: u64::from(holder.profile.rounds_max.min(pricing.contract_rounds_max))
            .saturating_mul(pricing.round_ms),
        holder,
    };
    let offers: Vec<Offer> = all(&rpc, &ask).await?.into_iter().map(offer).collect();
    context.output.result(text(&offers), &offers);
    Ok(())
}

async fn all(rpc: &RpcClient, ask: &OffersAsk) -> Result<Vec<HolderView>, Failure> {
    let (mut offers, mut first) = (Vec::new(), 0);
    loop {
        let page = rpc.market_offers(Some(ask.clone()), Some(PageAsk::from(first).limit(PAGE_ROWS_MAX))).await?;
        offers.extend(page.rows);
        match page.next {
            Some(next) => first = next,
            None => return Ok(offers),
        }
    }
}

fn text(offers: &[Offer]) -> String {
    if offers.is_empty() {
        return "no holder offers that".to_owned();
    }
    let word = |tag: &Option<Tag>| tag.as_ref().map_or_else(|| "-".to_owned(), Tag::to_string);
    let rows = offers.iter().map(|offer| {
        let profile = &offer.holder.profile;
        let topics: Vec<&str> = profile.topics.iter().map(Tag::as_str).collect();
        vec![
            offer.holder.number.to_string(),
            offer.holder.address.to_string(),
            word(&profile.region),
            word(&profile.operator),
            if topics.is_empty() { "anything".to_owned() } else { topics.join(",") },
            offer.per_gib_30_days.to_string(),
            bytes(offer.free_bytes),
            duration_ms(offer.term_max_ms),
            if offer.holder.online { "online" } else { "away" }.to_owned(),
        ]
    });
    let heads =
        ["HOLDER", "ADDRESS", "REGION", "OPERATOR", "FOR", "PER GIB AND 30 DAYS", "FREE", "LONGEST TERM", "STATE"];
    table(&heads, &[0, 5, 6, 7], rows)
}
