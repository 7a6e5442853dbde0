//! `holdfast rm`: delete stored files. Dropping a chunk's key deletes it; segments in which nothing lives are let go.

use crate::cli::Spending;
use crate::commands::put::{affordable, rounds_for, warn_of_short_catalog};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::counted;
use crate::services::outbox;
use crate::wishes::WishArgs;
use clap::Args;
use holdfast_ledger::TxBody;
use holdfast_primitives::Bounded;
use holdfast_wallet::{Catalog, Link, Prepared, Put, Session, Terms, WalletError, load_catalog, paid_until, place};
use std::collections::BTreeSet;

#[derive(Debug, Args)]
pub struct RmArgs {
    /// Names, as `holdfast ls` shows them
    #[arg(required = true)]
    names: Vec<String>,
    /// Delete folders with all files below them
    #[arg(long, short)]
    recursive: bool,
    /// How long the changed catalog is paid for
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    term: humantime::Duration,
    /// Print the last transaction's id instead of waiting until it is final
    #[arg(long = "async")]
    no_wait: bool,
    #[command(flatten)]
    wishes: WishArgs,
    #[command(flatten)]
    spending: Spending,
}

pub async fn run(context: &Context, args: RmArgs) -> Outcome {
    let session = context.session().await?;
    let link = Link::connect(&session).await?;
    let outcome = rm(context, &session, &link, &args).await;
    link.close().await;
    outcome
}

async fn rm(context: &Context, session: &Session, link: &Link, args: &RmArgs) -> Outcome {
    let mut catalog = load_catalog(session, link).await?;
    let names = names(&catalog, args)?;
    for name in &names {
        catalog.remove_file(name).map_err(WalletError::from)?;
    }
    if catalog.list("").next().is_none() {
        return clear(context, session, &catalog, args, &names).await;
    }
    let terms = Terms {
        rounds: rounds_for(args.term, session.params().round_ms),
        price_max: None,
        batch_log2: None,
        code: None,
        wishes: args.wishes.read(session.rpc()).await?,
    };
    let placed = place(session, link, &catalog, (0, 0), &terms).await?;
    let most = placed.cost(session, placed.segments_max)?;
    let balance = session.balance().await?;
    context.output.note(format!("storing the changed catalog costs {} at most", most.total));
    let until = paid_until(session, link.now(), terms.rounds);
    warn_of_short_catalog(context, session, &catalog, until).await?;
    affordable(&args.spending, most.total, balance)?;
    if !confirmed(context, args, &names)? {
        context.output.result("nothing was deleted", &serde_json::json!({ "quote": most, "would_delete": names }));
        return Ok(());
    }
    let (work_dir, avoided) = (std::env::temp_dir(), BTreeSet::new());
    let put = Put { session, link, placed, catalog, avoided, work_dir: &work_dir, no_wait: args.no_wait };
    let stored = put.run(Vec::new(), &|_| {}).await?;
    stored.pending.as_ref().map_or(Ok(()), |prepared| outbox::keep(context, prepared))?;
    let pending = stored.pending.as_ref().map(Prepared::id);
    let value = serde_json::json!({
        "deleted": names, "released_segments": stored.released, "cost": stored.cost,
        "tx": pending.or_else(|| stored.registered.last().map(|(id, _)| *id)),
    });
    let text = match pending {
        Some(id) => id.to_string(),
        None => report(&names, stored.released.len()),
    };
    context.output.result(text, &value);
    Ok(())
}

/// Nothing is left: all segments go, and the catalog with them.
async fn clear(context: &Context, session: &Session, catalog: &Catalog, args: &RmArgs, names: &[String]) -> Outcome {
    let held = holdfast_wallet::held_segments(session, catalog.segments().map(|segment| segment.ordinal)).await?;
    let ordinals = Bounded::new(held.clone()).map_err(WalletError::unreadable)?;
    let body = TxBody::Release { ordinals, catalog_head: Some(Bounded::empty()) };
    let prepared = session.prepare(body).await?;
    context.output.note(format!("deleting the last files there are costs a fee of {}", prepared.fee()));
    affordable(&args.spending, prepared.fee(), session.balance().await?)?;
    if !confirmed(context, args, names)? {
        let value = serde_json::json!({ "fee": prepared.fee(), "would_delete": names });
        context.output.result("nothing was deleted", &value);
        return Ok(());
    }
    let text = match args.no_wait {
        true => outbox::hand_in(context, session, &prepared).await?.to_string(),
        false => {
            session.submit_and_wait(&prepared).await?;
            report(names, held.len())
        }
    };
    let value = serde_json::json!({
        "deleted": names, "released_segments": held, "cost": { "total": prepared.fee() }, "tx": prepared.id(),
    });
    context.output.result(text, &value);
    Ok(())
}

/// The files that are meant, each once.
fn names(catalog: &Catalog, args: &RmArgs) -> Result<Vec<String>, Failure> {
    let mut names = std::collections::BTreeSet::new();
    for name in &args.names {
        let below: Vec<String> = catalog.list(name).map(|(path, _)| path.as_str().to_owned()).collect();
        match catalog.file(name) {
            Ok(_) => {
                names.insert(name.clone());
            }
            Err(_) if args.recursive && !below.is_empty() => names.extend(below),
            Err(_) if !below.is_empty() => {
                let message = format!("{name} is a folder of {}", counted(below.len() as u64, "file"));
                return Err(Failure::new(Exit::Usage, "is-folder", message).hint("delete all of it with --recursive"));
            }
            Err(missing) => return Err(WalletError::from(missing).into()),
        }
    }
    Ok(names.into_iter().collect())
}

/// Whether to go on. What is deleted is gone for good, so its name is to be typed.
fn confirmed(context: &Context, args: &RmArgs, names: &[String]) -> Result<bool, Failure> {
    if args.spending.dry_run {
        return Ok(false);
    }
    if !args.spending.yes {
        let what = match names {
            [one] => one.clone(),
            many => counted(many.len() as u64, "file"),
        };
        context.confirm_by_name("delete", &what)?;
    }
    Ok(true)
}

fn report(names: &[String], released: usize) -> String {
    format!("deleted {}; {} let go", counted(names.len() as u64, "file"), counted(released as u64, "segment"))
}
