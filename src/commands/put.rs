//! `holdfast put`: store files and folders.

use crate::cli::Spending;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::holdings::Holdings;
use crate::output::{bytes, counted, per_gib_30_days, when};
use crate::progress::{Pieces, Progress, ProgressArgs};
use crate::services::outbox;
use crate::wishes::{WishArgs, paths_json, paths_text};
use clap::Args;
use holdfast_genesis::Price;
use holdfast_primitives::{Amount, NetworkPrefix, TimeMs};
use holdfast_wallet::{
    Catalog, Collected, Cost, Keeper, Link, Placed, Prepared, Put, PutProgress, Session, Stored, Terms, collect,
    load_catalog, paid_until, place, reusable,
};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct PutArgs {
    /// Files and folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Store a single file or folder under another name
    #[arg(long = "as", value_name = "NAME")]
    rename: Option<String>,
    /// For how long, for example 90d
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    term: humantime::Duration,
    /// Highest price to accept, in HOLD per GiB per 30 days
    #[arg(long, value_name = "AMOUNT")]
    price_limit: Option<String>,
    /// Store everything, hand the registration in, and print its id instead of waiting until it is final. Nothing counts
    /// as stored, or is paid, before it is
    #[arg(long = "async")]
    no_wait: bool,
    #[command(flatten)]
    wishes: WishArgs,
    #[command(flatten)]
    spending: Spending,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

pub async fn run(context: &Context, args: PutArgs) -> Outcome {
    if args.rename.is_some() && args.paths.len() != 1 {
        return Err(
            Failure::usage("--as names one file or folder").hint("store the others with a command of their own")
        );
    }
    // A wrong path is named before a password is asked for; what is stored is what lies there when the wallet is free.
    collect(&args.paths, args.rename.as_deref())?;
    let session = context.session().await?;
    let collected = files_of(context, &args.paths, args.rename.as_deref())?;
    let link = Link::connect(&session).await?;
    let stored = store(context, &session, &link, &args, collected).await;
    link.close().await;
    stored
}

async fn store(context: &Context, session: &Session, link: &Link, args: &PutArgs, collected: Collected) -> Outcome {
    let catalog = load_catalog(session, link).await?;
    let price_max = args.price_limit.as_deref().map(|text| -> Result<Amount, Failure> {
        Ok(Price::from_gib_30_days(text.parse()?, session.params().round_ms)?.get())
    });
    let rounds = rounds_for(args.term, session.params().round_ms);
    let wishes = args.wishes.read(session.rpc()).await?;
    let terms = Terms { rounds, price_max: price_max.transpose()?, batch_log2: None, code: None, wishes };
    let reused = reusable(session, &catalog, rounds).await?;
    let (size, count) = (collected.bytes(), collected.files.len());
    let placed = place(session, link, &catalog, (size, count as u64), &terms).await?;
    let most = placed.cost(session, placed.segments_max)?;
    let until = paid_until(session, link.now(), reused.rounds.map_or(rounds, |reused| reused.min(rounds)));
    let balance = session.account().await?.map_or(Amount::ZERO, |account| account.balance);
    context.output.note(quote_text(&collected, &placed, &most, (until, session.params().round_ms), balance));
    warn_of_short_catalog(context, session, &catalog, until).await?;
    if !agreed(context, &args.spending, &most, balance)? {
        let keepers: Vec<Keeper> = placed.offers.iter().map(Keeper::of).collect();
        let holders = paths_json(&keepers, session.params().prefix);
        let value =
            serde_json::json!({ "quote": most, "paid_until_ms": until, "balance": balance, "holders": holders });
        context.output.result("nothing was stored", &value);
        return Ok(());
    }
    let progress = Progress::begin(context, args.progress, "storing", size);
    let pieces = placed.layout.batches() as u64;
    let expected = size.div_ceil(placed.layout.data_bytes()).max(1) * pieces;
    let work_dir = std::env::temp_dir();
    let avoided = reused.avoided;
    let put = Put { session, link, placed, catalog, avoided, work_dir: &work_dir, no_wait: args.no_wait };
    let tell = |now: PutProgress| {
        progress.at(now.read_bytes, Some(Pieces { stored: now.stored, needed: expected.max(now.made) }));
    };
    let stored = put.run(collected.files, &tell).await?;
    progress.done(Some(Pieces { stored: stored.cost.batches, needed: stored.cost.batches }));
    stored.pending.as_ref().map_or(Ok(()), |prepared| outbox::keep(context, prepared))?;
    report(context, &stored, (size, count), until, session.params().prefix);
    Ok(())
}

/// The catalog is stored anew with every put, for as long as that put pays.
pub async fn warn_of_short_catalog(
    context: &Context,
    session: &Session,
    catalog: &Catalog,
    until: holdfast_primitives::TimeMs,
) -> Outcome {
    let holdings = Holdings::load(session).await?;
    let segments_of = |file| catalog.chunks_of(file).map(|chunk| chunk.at.segment).collect::<BTreeSet<u32>>();
    let longest = catalog.list("").filter_map(|(_, file)| holdings.paid_until(segments_of(file))).max();
    if let Some(longest) = longest.filter(|longest| *longest > until) {
        context.output.note(format!(
            "warning     the list of files is stored anew with this, until {} only, though files are paid until {}:\n            `holdfast renew --for ...` afterwards brings it in line",
            when(until),
            when(longest)
        ));
    }
    Ok(())
}

fn report(context: &Context, stored: &Stored, (size, files): (u64, usize), until: TimeMs, prefix: NetworkPrefix) {
    let pending = stored.pending.as_ref().map(Prepared::id);
    let ending = match (pending, stored.registered.last()) {
        (Some(id), _) => format!("{id}"),
        (None, Some((id, height))) => format!("transaction {id} is final in block {height}"),
        (None, None) => String::new(),
    };
    let text = format!(
        "stored {} in {} as {} ({} at the holders)\npaid {} for storage and {} in fees, until {}\n{}\n{ending}",
        bytes(size),
        counted(files as u64, "file"),
        counted(stored.cost.batches, "piece"),
        bytes(stored.cost.stored_bytes),
        stored.cost.storage,
        stored.fees,
        when(until),
        paths_text(&stored.holders, prefix)
    );
    // A script that asked for an id gets the id.
    let text = if pending.is_some() { ending } else { text };
    let value = serde_json::json!({
        "files": files, "bytes": size, "deduped_bytes": stored.stats.deduped_bytes, "packed_bytes": stored.stats.stored_bytes,
        "cost": stored.cost, "fees": stored.fees, "paid_until_ms": until, "released_segments": stored.released,
        "relayed_bytes": stored.relayed_bytes,
        "holders": paths_json(&stored.holders, prefix),
        "transactions": stored.registered.iter().map(|(id, height)| serde_json::json!({ "tx": id, "height": height })).collect::<Vec<_>>(),
        "tx": pending.or_else(|| stored.registered.last().map(|(id, _)| *id)),
    });
    context.output.result(text, &value);
}

fn quote_text(
    collected: &Collected,
    placed: &Placed,
    most: &Cost,
    (until, round_ms): (holdfast_primitives::TimeMs, u64),
    balance: Amount,
) -> String {
    let layout = placed.layout;
    let term_ms = round_ms.saturating_mul(u64::from(placed.rounds));
    format!(
        "file        {}\nsize        {}\nstored as   segments of {} pieces of {}, any {} of which rebuild one; at most {}\nprice       {}\nstorage     {} at most, relay fee {} included\nfee         {} at most\ntotal       {} at most\npaid until  {}\nbalance     {}, {} after\n{GIVEN_BACK}",
        names(collected),
        bytes(collected.bytes()),
        layout.batches(),
        bytes(layout.batch_bytes()),
        layout.data(),
        counted(most.batches, "piece"),
        price_text(most.storage, collected.bytes(), term_ms),
        most.storage,
        most.relay_fee,
        most.fee,
        most.total,
        when(until),
        balance,
        balance.saturating_sub(most.total)
    )
}

/// What a price comes to for the bytes that are stored, spare pieces and padding included.
pub fn price_text(storage: Amount, size: u64, term_ms: u64) -> String {
    format!(
        "{} per GiB per 30 days, spare pieces and padding included",
        per_gib_30_days(storage, u128::from(size) * u128::from(term_ms))
    )
}

/// What quotes say of rounds that fail.
pub const GIVEN_BACK: &str =
    "rounds that fail are not paid: what they would have cost comes back when the contract ends";

/// The file's name, or how many there are.
pub fn names(collected: &Collected) -> String {
    match collected.files.as_slice() {
        [one] => one.name.as_str().to_owned(),
        many => counted(many.len() as u64, "file"),
    }
}

/// Whether to go on: within the limit, affordable, and agreed to.
fn agreed(context: &Context, spending: &Spending, most: &Cost, balance: Amount) -> Result<bool, Failure> {
    affordable(spending, most.total, balance)?;
    if spending.dry_run {
        return Ok(false);
    }
    Ok(spending.yes || context.agree("Store it?")?)
}

/// Whether a total is within the limit and the balance.
pub fn affordable(spending: &Spending, total: Amount, balance: Amount) -> Outcome {
    if let Some(limit) = &spending.max_price {
        let limit: Amount = limit.parse()?;
        if total > limit {
            let message = format!("it would cost up to {total}, the limit is {limit}");
            return Err(
                Failure::new(Exit::AbovePrice, "above-max-price", message).hint("raise --max-price, or shorten --for")
            );
        }
    }
    if total > balance {
        return Err(holdfast_wallet::WalletError::InsufficientFunds { needed: total, balance }.into());
    }
    Ok(())
}

/// Files below `paths`; says what was passed over.
pub fn files_of(context: &Context, paths: &[PathBuf], rename: Option<&str>) -> Result<Collected, Failure> {
    let collected = collect(paths, rename)?;
    for path in &collected.skipped {
        context.output.note(format!("passed over {}: neither file nor folder", path.display()));
    }
    if collected.files.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no-files", "there are no files to store there"));
    }
    Ok(collected)
}

/// Rounds that a term takes, rounded up.
pub fn rounds_for(term: humantime::Duration, round_ms: u64) -> u32 {
    let rounds = term.as_millis().div_ceil(u128::from(round_ms.max(1))).max(1);
    u32::try_from(rounds).unwrap_or(u32::MAX)
}
