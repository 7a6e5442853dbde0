//! `holdfast share`: hand a file on for a time, list what was handed out, and take it back.

use crate::cli::Spending;
use crate::commands::put::affordable;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ids;
use crate::output::{bytes, counted, table, when};
use clap::{Args, Subcommand};
use holdfast_ledger::{Account, Revoked, TxBody};
use holdfast_primitives::{Amount, Digest, GrantId, TimeMs};
use holdfast_rpc::{AddressText, PAGE_ROWS_MAX, PageAsk};
use holdfast_wallet::share::{GRANT_MS_MAX, Grant, GrantNote, GrantReader, share_batch, share_file};
use holdfast_wallet::{Link, Session, WalletError, load_catalog, write_private};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Hexadecimal digits from which on a grant can be named by the beginning of its id.
const ID_DIGITS_MIN: usize = 4;

#[derive(Debug, Args)]
pub struct ShareArgs {
    #[command(subcommand)]
    command: Option<ShareCommand>,
    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Debug, Args)]
struct MakeArgs {
    /// The file's name, as `holdfast ls` shows it
    name: Option<String>,
    /// Share one batch as it lies at its holder instead: SEGMENT/PIECE as `holdfast ls --pieces` shows them, or its root
    #[arg(long, value_name = "SEGMENT/PIECE|ROOT", conflicts_with = "name")]
    batch: Option<String>,
    /// For how long, for example 7d
    #[arg(long = "for", value_name = "DURATION", default_value = "7d")]
    term: humantime::Duration,
    /// Only for this account; without it whoever has the grant can read
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Where to write the grant
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ShareCommand {
    /// What was handed out by this wallet on this machine
    List,
    /// Take back a grant before its end
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The grant's id, the beginning of it, or `all`
    id: String,
    #[command(flatten)]
    spending: Spending,
}

/// A grant as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    note: GrantNote,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Live,
    Ended,
    Revoked,
}

pub async fn run(context: &Context, args: ShareArgs) -> Outcome {
    match args.command {
        None => make(context, &args.make).await,
        Some(ShareCommand::List) => list(context).await,
        Some(ShareCommand::Revoke(args)) => revoke(context, &args).await,
    }
}

async fn make(context: &Context, args: &MakeArgs) -> Outcome {
    let term = u64::try_from(args.term.as_millis()).unwrap_or(u64::MAX);
    if term == 0 || term > GRANT_MS_MAX {
        return Err(Failure::usage("--for: at least a moment, at most 366 days"));
    }
    if args.name.is_none() && args.batch.is_none() {
        return Err(Failure::usage("what is to be shared?").hint("name a file, or a batch with --batch"));
    }
    let session = context.session().await?;
    let to = match &args.to {
        Some(text) => Some(ids::address(session.rpc(), text, session.params().prefix).await?),
        None => None,
    };
    let now = holdfast_node::now();
    let expires = now.saturating_add(term);
    let (grant, name) = match (&args.name, &args.batch) {
        (Some(name), _) => {
            let link = Link::connect(&session).await?;
            let loaded = load_catalog(&session, &link).await;
            link.close().await;
            (share_file(&session, &loaded?, name, to, expires).await?, name.clone())
        }
        (None, batch) => {
            let (ordinal, index) = batch_of(&session, batch.as_deref().unwrap_or_default()).await?;
            (share_batch(&session, (ordinal, index), to, expires).await?, format!("batch {ordinal}/{index}"))
        }
    };
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.grant", grant.name.as_str())));
    if out.exists() {
        return Err(Failure::new(Exit::Failed, "exists", format!("{} exists already", out.display()))
            .hint("choose another with --out"));
    }
    // Noted before it exists: whatever was given away can be taken back.
    let book = context.keystore().grants(context.wallet_name())?;
    book.add(GrantNote::of(&grant, &name, to.map(|to| to.to_text(session.params().prefix)), now))?;
    write_private(&out, &grant.to_bytes()).map_err(|source| WalletError::File { path: out.clone(), source })?;
    shown(context, &grant, &name, &out, args.to.as_deref());
    Ok(())
}

fn shown(context: &Context, grant: &Grant, name: &str, out: &Path, to: Option<&str>) {
    let who = match (&grant.reader, to) {
        (GrantReader::Bearer(_), _) => "whoever has the grant can read it: pass it on privately".to_owned(),
        (GrantReader::Named(_), to) => {
            format!(
                "only {} can read it; the grant holds the file's keys: pass it on privately",
                to.unwrap_or_default()
            )
        }
    };
    let batches = counted(grant.batches() as u64, "batch");
    let text = format!(
        "{name}: {} in {batches}\ngrant {}\nuntil {}\n{who}\nwritten to {}\nthe other side reads it with: holdfast get --grant {}",
        bytes(grant.size()),
        grant.id,
        when(grant.expires),
        out.display(),
        out.file_name().unwrap_or_default().to_string_lossy(),
    );
    let value = serde_json::json!({
        "grant": grant.id, "name": name, "out": out, "until": grant.expires, "to": to, "bytes": grant.size(),
        "batches": grant.batches(),
    });
    context.output.result(text, &value);
}

/// A batch by segment and place, or by its root.
async fn batch_of(session: &Session, text: &str) -> Result<(u32, u8), Failure> {
    if let Some((ordinal, index)) = text.split_once('/') {
        return match (ordinal.parse(), index.parse()) {
            (Ok(ordinal), Ok(index)) => Ok((ordinal, index)),
            _ => Err(Failure::usage(format!("--batch {text}: write SEGMENT/PIECE, for example 0/3"))),
        };
    }
    let root: Digest = text.parse().map_err(|_| {
        Failure::usage(format!("--batch {text}: neither SEGMENT/PIECE nor a root of 64 hexadecimal digits"))
    })?;
    let mut from = 0;
    loop {
        let ask = PageAsk::from(u64::from(from)).limit(PAGE_ROWS_MAX);
        let page = session.rpc().account_segments(session.address_text(), Some(ask)).await?;
        let Some(last) = page.rows.last().map(|segment| segment.ordinal) else {
            return Err(WalletError::NoSuchBatch { batch: root.to_string() }.into());
        };
        for segment in &page.rows {
            let holds = |stored: &Option<holdfast_rpc::account::StoredView>| {
                stored.as_ref().is_some_and(|stored| stored.root == root)
            };
            if let Some(member) = segment.members.iter().find(|member| holds(&member.stored)) {
                return Ok((segment.ordinal, member.index));
            }
        }
        from = last.saturating_add(1);
    }
}

async fn list(context: &Context) -> Outcome {
    let wallet = context.keystore().show(context.wallet_name())?;
    let listed = with_states(context, &wallet.address).await?;
    if listed.is_empty() {
        context.output.note("this wallet has shared nothing on this machine");
    }
    let rows = listed.iter().map(|grant| {
        vec![
            grant.note.id.short(),
            format!("{:?}", grant.state).to_lowercase(),
            when(grant.note.until),
            grant.note.to.clone().unwrap_or_else(|| "whoever has it".to_owned()),
            grant.note.name.clone(),
        ]
    });
    context.output.result(table(&["GRANT", "STATE", "UNTIL", "FOR", "NAME"], &[], rows), &listed);
    Ok(())
}

/// What was handed out, with what the ledger says of it now.
async fn with_states(context: &Context, address: &str) -> Result<Vec<Listed>, Failure> {
    let notes = context.keystore().grants(context.wallet_name())?.list()?;
    let address = AddressText::parse(address).map_err(Failure::other)?;
    let taken_back: BTreeSet<GrantId> = match context.rpc()?.find_account(address).await? {
        Some(view) => {
            let account: Account = view.raw.decode().map_err(WalletError::unreadable)?;
            account.revoked.iter().map(|revoked| revoked.grant).collect()
        }
        None => BTreeSet::new(),
    };
    let now = holdfast_node::now();
    let state = |note: &GrantNote| match () {
        () if taken_back.contains(&note.id) => State::Revoked,
        () if note.until <= now => State::Ended,
        () => State::Live,
    };
    Ok(notes.into_iter().map(|note| Listed { state: state(&note), note }).collect())
}

async fn revoke(context: &Context, args: &RevokeArgs) -> Outcome {
    let session = context.session().await?;
    let listed = with_states(context, &session.address_text().to_string()).await?;
    let wanted = wanted(&listed, &args.id)?;
    if wanted.is_empty() {
        context.output.result("nothing to take back", &serde_json::json!({ "revoked": [] }));
        return Ok(());
    }
    let body = |revoked: Revoked| TxBody::Revoke { revoked };
    let first = session.prepare(body(wanted[0])).await?;
    let fee = first.fee().checked_mul(wanted.len() as u64)?;
    let balance = session.balance().await?;
    context.output.note(format!("taking back {} costs a fee of {fee}", counted(wanted.len() as u64, "grant")));
    affordable(&args.spending, fee, balance)?;
    if args.spending.dry_run || !(args.spending.yes || context.agree("Take them back?")?) {
        context.output.result("nothing was taken back", &serde_json::json!({ "fee": fee, "balance": balance }));
        return Ok(());
    }
    let (mut done, mut paid) = (Vec::new(), Amount::ZERO);
    for revoked in wanted {
        // Each needs the sequence number after the one before.
        let transaction = session.prepare(body(revoked)).await?;
        let height = session.submit_and_wait(&transaction).await?;
        paid = paid.checked_add(transaction.fee())?;
        done.push(serde_json::json!({ "grant": revoked.grant, "tx": transaction.id(), "height": height }));
    }
    let text = format!("{} taken back, fee {paid}", counted(done.len() as u64, "grant"));
    context.output.result(text, &serde_json::json!({ "revoked": done, "fee": paid }));
    Ok(())
}

/// The grants that `text` names and that are not over. One that is not in the list can be named by its whole id.
fn wanted(listed: &[Listed], text: &str) -> Result<Vec<Revoked>, Failure> {
    let of = |note: &GrantNote| Revoked { grant: note.id, until: note.until };
    if text == "all" {
        return Ok(listed.iter().filter(|grant| grant.state == State::Live).map(|grant| of(&grant.note)).collect());
    }
    let text = text.to_ascii_lowercase();
    let begins = |grant: &&Listed| text.len() >= ID_DIGITS_MIN && grant.note.id.to_string().starts_with(&text);
    let found: Vec<&Listed> = listed.iter().filter(begins).collect();
    match (found.as_slice(), text.parse::<GrantId>()) {
        ([one], _) => match one.state {
            State::Live => Ok(vec![of(&one.note)]),
            State::Ended => Err(Failure::new(Exit::Failed, "grant-ended", "this grant has ended by itself")),
            State::Revoked => Err(Failure::new(Exit::Failed, "grant-revoked", "this grant was taken back already")),
        },
        ([], Ok(grant)) => Ok(vec![Revoked { grant, until: longest() }]),
        ([], Err(_)) => {
            Err(Failure::new(Exit::NotFound, "no-such-grant", format!("no grant {text} in this wallet's list"))
                .hint("`holdfast share list` shows them; one made on another machine needs its whole id"))
        }
        (several, _) => {
            let ids = several.iter().map(|grant| grant.note.id.to_string()).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(format!("{text} names several grants: {ids}")))
        }
    }
}

/// No grant lasts longer than this from now.
fn longest() -> TimeMs {
    holdfast_node::now().saturating_add(GRANT_MS_MAX)
}
