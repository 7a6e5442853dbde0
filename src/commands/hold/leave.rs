//! `holdfast hold exit` and `holdfast hold withdraw`: leaving without harm to anyone, and taking the money out.
//!
//! Leaving needs no rule of its own: a holder says that it takes nothing new, keeps and proves what it has until the terms
//! are over or the owners let go, and takes the deposit out as it becomes free; the bond last.

use super::earnings::{self, Earnings};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ids;
use crate::output::{counted, when};
use crate::services::outbox;
use clap::Args;
use holdfast_ledger::TxBody;
use holdfast_node::load_identity;
use holdfast_primitives::{Amount, TxId};
use holdfast_rpc::market::HolderRef;
use holdfast_wallet::{Signer, WalletError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks at a holder whose terms are running out.
const POLL: Duration = Duration::from_secs(1);
/// How often a step is tried again when a batch was registered between look and transaction.
const TRIES: usize = 3;

#[derive(Debug, Args)]
pub struct ExitArgs {
    /// The holder's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Wait until the last term is over and take the bond out too
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Print the transaction's id instead of waiting until it is final
    #[arg(long = "async")]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// To which address
    to: String,
    /// How much, for example 1.5HOLD, or `all`
    amount: String,
    /// The holder's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print the transaction's id instead of waiting until it is final
    #[arg(long = "async")]
    no_wait: bool,
}

pub async fn exit(context: &Context, args: &ExitArgs) -> Outcome {
    let signer = signer(context, &args.dir).await?;
    let before = standing(&signer).await?;
    if !args.yes && !done(&before) && !context.agree(&question(&before))? {
        return Err(Failure::new(Exit::Failed, "declined", "nothing was changed"));
    }
    let mut sent = step(context, &signer, args.no_wait).await?;
    if args.no_wait {
        let id = sent.ok_or_else(|| Failure::new(Exit::Failed, "nothing-to-do", "there is nothing to take out now"))?;
        context.output.result(id.to_string(), &serde_json::json!({ "tx": id }));
        return Ok(());
    }
    while args.wait && standing(&signer).await?.holder.used_bytes > 0 {
        tokio::time::sleep(POLL).await;
    }
    if args.wait {
        sent = step(context, &signer, false).await?.or(sent);
    }
    let after = standing(&signer).await?;
    let returned = before.holder.deposit.saturating_sub(after.holder.deposit);
    let value = serde_json::json!({ "tx": sent, "returned": returned, "left": done(&after), "holder": after });
    context.output.result(report(&after, returned, &args.dir), &value);
    Ok(())
}

pub async fn withdraw(context: &Context, args: &WithdrawArgs) -> Outcome {
    let signer = signer(context, &args.dir).await?;
    let to = ids::address(signer.rpc(), &args.to, signer.params().prefix).await?;
    let amount = match args.amount.as_str() {
        "all" => everything(&signer).await?,
        amount => amount.parse()?,
    };
    let transfer = signer.transfer(to, amount, b"").await?;
    let (id, fee) = (transfer.id(), transfer.fee());
    if !args.yes && !context.agree(&format!("Send {amount} to {} for a fee of {fee}?", args.to))? {
        return Err(Failure::new(Exit::Failed, "declined", "nothing was sent"));
    }
    if args.no_wait {
        outbox::hand_in(context, &signer, &transfer).await?;
        context.output.result(id.to_string(), &serde_json::json!({ "tx": id, "fee": fee }));
        return Ok(());
    }
    let height = signer.submit_and_wait(&transfer).await?;
    let value = serde_json::json!({ "tx": id, "height": height, "to": args.to, "amount": amount, "fee": fee });
    context.output.result(
        format!("sent {amount} to {}\nfee {fee}\ntransaction {id} is final in block {height}", args.to),
        &value,
    );
    Ok(())
}

/// The balance less the fee: a transfer's size does not depend on its amount.
async fn everything(signer: &Signer) -> Result<Amount, Failure> {
    let fee = signer.transfer(signer.address(), Amount::grains(1), b"").await?.fee();
    let balance = signer.balance().await?;
    match balance.saturating_sub(fee) {
        Amount::ZERO => Err(WalletError::InsufficientFunds { needed: fee, balance }.into()),
        amount => Ok(amount),
    }
}

/// The holder's own account; its key must be there already.
async fn signer(context: &Context, dir: &Path) -> Result<Signer, Failure> {
    let key = load_identity(&dir.join("keys/identity.key")).map_err(|error| {
        Failure::new(Exit::NotFound, "no-holder-key", error.to_string())
            .hint("name the folder that `holdfast hold --dir` was started with")
    })?;
    Ok(Signer::connect(context.rpc_url(), key).await?)
}

async fn standing(signer: &Signer) -> Result<Earnings, Failure> {
    let number = signer.account().await?.and_then(|account| account.holder).ok_or_else(|| {
        let message = format!("{} has not joined as a holder", signer.address_text());
        Failure::new(Exit::NotFound, "not-a-holder", message).hint("`holdfast hold --dir DIR` joins")
    })?;
    let holder = signer.rpc().market_holder(HolderRef::Number(number)).await?;
    earnings::of(signer.rpc(), holder).await
}

/// Whether nothing is bound any more and nothing is left to take out.
fn done(earnings: &Earnings) -> bool {
    !earnings.holder.accepting && earnings.holder.used_bytes == 0 && earnings.holder.deposit.is_zero()
}

/// Takes nothing new from now on, and takes out what is free; `None` when both is so already.
async fn step(context: &Context, signer: &Signer, no_wait: bool) -> Result<Option<TxId>, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let earnings = standing(signer).await?;
        let holder = &earnings.holder;
        let take = free_when_left(&earnings);
        if !holder.accepting && take.is_zero() {
            return Ok(None);
        }
        let body = TxBody::HolderUpdate {
            quota_bytes: holder.quota_bytes,
            price: holder.price,
            accepting: false,
            profile: holder.raw.decode().map_err(Failure::other)?.profile,
            deposit_add: Amount::ZERO,
            deposit_take: take,
        };
        let prepared = signer.prepare(body).await?;
        let sent = match no_wait {
            true => signer.submit(&prepared).await.map(|_| ()),
            false => signer.submit_and_wait(&prepared).await.map(|_| ()),
        };
        match sent {
            Ok(()) if no_wait => {
                outbox::keep(context, &prepared)?;
                return Ok(Some(prepared.id()));
            }
            Ok(()) => return Ok(Some(prepared.id())),
            // A batch was registered meanwhile, or the running holder declared one: look again.
            Err(WalletError::Rpc(refused)) if tries < TRIES && is_race(&refused) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What another transaction of the same account can be the reason of: tried again, it passes.
const PASSES: [&str; 3] = ["deposit_not_free", "wrong_sequence", "replacement_underpriced"];

fn is_race(refused: &holdfast_rpc::RpcError) -> bool {
    match refused {
        holdfast_rpc::RpcError::Dropped { code, .. } => PASSES.contains(&code.as_str()),
        other => PASSES.iter().any(|reason| other.is_reason(reason)),
    }
}

/// What the ledger lets go once nothing new is taken: all that secures nothing, and the bond when nothing is held.
fn free_when_left(earnings: &Earnings) -> Amount {
    let free = earnings.holder.deposit.saturating_sub(earnings.holder.locked);
    if earnings.holder.used_bytes > 0 { free.saturating_sub(earnings.bond) } else { free }
}

fn question(earnings: &Earnings) -> String {
    let holder = &earnings.holder;
    format!(
        "Holder {} takes nothing new from now on, {} of its deposit of {} comes back now{}. Go on?",
        holder.number,
        free_when_left(earnings),
        holder.deposit,
        if holder.used_bytes > 0 { ", the rest when its contracts are over" } else { "" }
    )
}

fn report(after: &Earnings, returned: Amount, dir: &Path) -> String {
    let holder = &after.holder;
    if done(after) {
        return format!(
            "holder {} has left: it holds nothing, {returned} of its deposit came back. It can be stopped.\n`holdfast hold withdraw --dir {} ADDRESS all` sends its money on.",
            holder.number,
            dir.display()
        );
    }
    let until = after.until_ms.map_or_else(String::new, |until| format!(", until about {}", when(until)));
    format!(
        "holder {} takes nothing new; {returned} of its deposit came back.\n{} stays for {}{until}. Keep it running till then: it is paid for every round, and fined for every one it misses.\nThen `holdfast hold exit --dir {}` takes out the rest.",
        holder.number,
        holder.deposit,
        counted(after.contracts as u64, "contract"),
        dir.display()
    )
}
