//! `holdfast status --light`: how the network is doing, without trust in the node that is asked.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{bytes, counted, duration_ms};
use clap::Args;
use holdfast_ledger::{Account, ChainRecord, Genesis, RecordKey};
use holdfast_node::Checkpoint;
use holdfast_primitives::{ChainId, Height};
use holdfast_rpc::AddressText;
use holdfast_rpc::error::{ACCOUNT_UNKNOWN, WRONG_NETWORK};
use holdfast_wallet::{LightClient, NodeSource, WalletError};
use serde_json::{Value, json};
use std::path::PathBuf;

/// From where on everything is verified.
#[derive(Clone, Debug, Default, Args)]
pub struct AnchorArgs {
    /// Trust this genesis file and nothing after it
    #[arg(long, value_name = "FILE", requires = "light", conflicts_with_all = ["chain", "checkpoint"])]
    genesis: Option<PathBuf>,
    /// Trust the genesis of the chain with this id and nothing after it
    #[arg(long, value_name = "ID", requires = "light", conflicts_with = "checkpoint")]
    chain: Option<ChainId>,
    /// Trust this block, had from somebody you trust
    #[arg(long, value_name = "HEIGHT:HASH", requires = "light")]
    checkpoint: Option<Checkpoint>,
}

pub async fn run(context: &Context, anchor: AnchorArgs) -> Outcome {
    let source = NodeSource::connect(context.rpc_url())?;
    let (mut client, from) = open(context, source, anchor).await?;
    let began = client.trusted().height;
    client.sync().await?;
    let (record, proven_at) = client.record::<ChainRecord>(RecordKey::Chain).await?;
    let account = own_account(context, &mut client).await?;
    let kept = kept_path(context, client.trusted().chain);
    client.keep(&kept)?;
    report(context, &client, &Report { from, began, record, proven_at, account });
    Ok(())
}

/// What was found, before it is shown.
struct Report {
    from: &'static str,
    began: Height,
    record: ChainRecord,
    proven_at: Height,
    account: Option<(String, Account)>,
}

async fn open(
    context: &Context,
    source: NodeSource,
    anchor: AnchorArgs,
) -> Result<(LightClient, &'static str), Failure> {
    if let Some(path) = anchor.genesis {
        let genesis = crate::commands::genesis::read(&path)?;
        return Ok((LightClient::from_genesis(source, &genesis)?, "the genesis"));
    }
    if let Some(Checkpoint { height, hash }) = anchor.checkpoint {
        return Ok((LightClient::from_checkpoint(source, height, hash).await?, "the checkpoint"));
    }
    // Which chain the node claims to be decides only which memory is looked for; the memory is then verified against.
    let claimed: Genesis = context.rpc()?.chain_genesis().await?.raw.decode().map_err(Failure::other)?;
    let found = claimed.chain_id();
    if let Some(expected) = anchor.chain {
        if found != expected {
            let witness = format!("the node at {}", context.rpc_url());
            return Err(WalletError::OtherChain { witness, expected, found }.into());
        }
        return Ok((LightClient::from_genesis(source, &claimed)?, "the genesis"));
    }
    if let Some(client) = LightClient::from_kept(source, &kept_path(context, found))? {
        return Ok((client, "what was verified before"));
    }
    Err(Failure::usage(format!("nothing is known yet of chain {found}, of which the node says it is")).hint(
        "name what you trust: --genesis FILE, --chain ID or --checkpoint HEIGHT:HASH; the next time it is remembered",
    ))
}

/// One file for each chain: a light client of two networks forgets neither.
fn kept_path(context: &Context, chain: ChainId) -> PathBuf {
    context.data_dir().join("light").join(format!("{chain}.trusted"))
}

/// The chosen wallet's account, proven, if there is a wallet. Where it stands in the state the node says; that it is this
/// account, the proof.
async fn own_account(context: &Context, client: &mut LightClient) -> Result<Option<(String, Account)>, Failure> {
    let listed = context.keystore().show(context.wallet_name()).ok();
    let Some(address) = listed.and_then(|listed| AddressText::parse(&listed.address).ok()) else { return Ok(None) };
    let view = match context.rpc()?.account_get(address).await {
        Ok(view) => view,
        // No money yet, or a wallet of another network.
        Err(error) if error.is_reason(ACCOUNT_UNKNOWN.reason) || error.is_reason(WRONG_NETWORK.reason) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let (account, _) = client.record::<Account>(RecordKey::Account(view.number)).await?;
    let text = address.to_string();
    if account.address != address.address {
        let (witness, found) = (format!("the node at {}", context.rpc_url()), account.address);
        let reason = format!("account {} is of {}", view.number, found.to_text(address.prefix));
        let cause = Box::new(WalletError::Unproven { claim: format!("the account of {text}"), reason });
        return Err(WalletError::Refuted { witness, cause }.into());
    }
    Ok(Some((text, account)))
}

fn report(context: &Context, client: &LightClient, found: &Report) {
    let Report { from, began, record, proven_at, account } = found;
    let (trusted, asked) = (client.trusted(), client.asked());
    let weight = record.validators.total_power();
    let mut text = format!(
        "verified    from {from} at height {began} to height {}: validators changed {}, {}, {}\nblock       {}:{}",
        trusted.height,
        counted(client.changes() as u64, "time"),
        counted(asked.certificates, "certificate"),
        bytes(asked.bytes),
        trusted.height,
        trusted.hash,
    );
    if let Some(header) = client.tip() {
        text += &format!(", {} old", duration_ms(holdfast_node::now().since(header.time)));
    }
    text += &format!(
        "\nvalidators  {}, weight {weight}; rule book {}\nround       {}\nsupply      {}, {} of it kept for repair",
        record.validators.len(),
        record.protocol,
        record.running.round,
        record.supply,
        record.reserve,
    );
    if let Some((address, account)) = account {
        text += &format!("\naccount     {address} has {}", account.balance);
    }
    text += "\nWhether there is a newer block that this node keeps back, only its age can tell.";
    let value = json!({
        "chain": trusted.chain,
        "from": began,
        "height": trusted.height,
        "hash": trusted.hash,
        "time_ms": client.tip().map(|header| header.time),
        "changes": client.changes(),
        "certificates": asked.certificates,
        "bytes": asked.bytes,
        "proven_at": proven_at,
        "validators": record.validators.len(),
        "weight": weight,
        "protocol": record.protocol,
        "round": record.running.round,
        "supply": record.supply,
        "reserve": record.reserve,
        "account": account.as_ref().map_or(Value::Null, |(address, account)| {
            json!({ "address": address, "balance": account.balance, "sequence": account.sequence })
        }),
    });
    context.output.result(text, &value);
}
