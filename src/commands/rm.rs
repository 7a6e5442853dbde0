//! `holdfast rm`: delete stored files. Dropping a chunk's key deletes it; segments in which nothing lives are let go.

use crate::cli::Spending;
use crate::commands::put::{agreed, rounds_for};
use crate::context::Context;
use crate::failure::Outcome;
use clap::Args;
use holdfast_ledger::TxBody;
use holdfast_primitives::{Amount, Bounded};
use holdfast_wallet::{Link, Put, Session, Terms, WalletError, load_catalog, place};

#[derive(Debug, Args)]
pub struct RmArgs {
    /// Names, as `holdfast ls` shows them
    #[arg(required = true)]
    names: Vec<String>,
    /// How long the changed catalog is paid for
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    term: humantime::Duration,
    #[command(flatten)]
    spending: Spending,
}

pub async fn run(context: &Context, args: RmArgs) -> Outcome {
    let session = Session::connect(context.rpc_url(), &context.unlock()?).await?;
    let link = Link::connect(&session).await?;
    let outcome = rm(context, &session, &link, &args).await;
    link.close().await;
    outcome
}

async fn rm(context: &Context, session: &Session, link: &Link, args: &RmArgs) -> Outcome {
    let mut catalog = load_catalog(session, link).await?;
    for name in &args.names {
        catalog.remove_file(name).map_err(WalletError::from)?;
    }
    if catalog.list("").next().is_none() {
        return clear(context, session, &catalog, args).await;
    }
    let terms = Terms {
        rounds: rounds_for(args.term, session.params().round_ms),
        price_max: None,
        batch_log2: None,
        code: None,
    };
    let placed = place(session, link, &catalog, (0, 0), terms).await?;
    let most = placed.cost(session, placed.segments_max)?;
    let balance = session.account().await?.map_or(Amount::ZERO, |account| account.balance);
    context.output.note(format!("storing the changed catalog costs {} at most", most.total));
    if !agreed(context, &args.spending, &most, balance)? {
        context.output.result("nothing was deleted", &serde_json::json!({ "quote": most }));
        return Ok(());
    }
    let put = Put { session, link, placed, catalog, work_dir: &std::env::temp_dir() };
    let stored = put.run(Vec::new(), &|_| {}).await?;
    let text = format!("deleted {} files; {} segments were let go", args.names.len(), stored.released.len());
    context.output.result(
        text,
        &serde_json::json!({ "deleted": args.names, "released_segments": stored.released, "cost": stored.cost }),
    );
    Ok(())
}

/// Nothing is left: all segments go, and the catalog with them.
async fn clear(context: &Context, session: &Session, catalog: &holdfast_wallet::Catalog, args: &RmArgs) -> Outcome {
    let held = holdfast_wallet::held_segments(session, catalog.segments().map(|segment| segment.ordinal)).await?;
    let ordinals = Bounded::new(held.clone()).map_err(WalletError::unreadable)?;
    let body = TxBody::Release { ordinals, catalog_head: Some(Bounded::empty()) };
    let prepared = session.prepare(body).await?;
    session.submit_and_wait(&prepared).await?;
    let text = format!("deleted {} files, the last there were; {} segments were let go", args.names.len(), held.len());
    context.output.result(text, &serde_json::json!({ "deleted": args.names, "released_segments": held }));
    Ok(())
}
