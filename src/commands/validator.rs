//! `holdfast validator`: what a heavy node stakes, and whether it decides blocks.
//!
//! A validator's account is its heavy node's own key, so these commands are run where that key lies and sign with it; the
//! wallet's key stays elsewhere. Money comes to that account by `holdfast wallet send`, and fees are paid into it.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ids;
use crate::output::table;
use crate::services::outbox;
use clap::{Args, Subcommand};
use holdfast_ledger::{TxBody, Upgrade};
use holdfast_node::NodeKeys;
use holdfast_primitives::{Amount, Height};
use holdfast_rpc::stake::{StakeView, StandingName};
use holdfast_rpc::{PAGE_ROWS_MAX, PageAsk, RpcClient};
use holdfast_wallet::Signer;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum ValidatorCommand {
    /// Who bonded, who decides blocks, and by which rule book
    List,
    /// The address of a node's account: where to send what it shall stake
    Address {
        /// The heavy node's folder
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Stake to decide blocks, or stake more
    Bond {
        /// How much, for example 1000HOLD
        amount: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take back a part of the bond, or `all` of it; it stays liable for a while
    Unbond {
        /// How much, for example 100HOLD, or `all`
        amount: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Ask to be let in again after missing too many turns
    Unjail {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Say that this node is ready for another rule book
    Ready {
        /// The rule book's version
        version: u32,
        /// The first height that it shall rule
        height: Height,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Send money from the validator's account to an address
    Withdraw {
        /// To which address
        to: String,
        /// How much, for example 1.5HOLD
        amount: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Which heavy node, and whether to ask.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The heavy node's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print the transaction's id instead of waiting until it is final
    #[arg(long = "async")]
    no_wait: bool,
}

pub async fn run(context: &Context, command: ValidatorCommand) -> Outcome {
    match command {
        ValidatorCommand::List => list(context).await,
        ValidatorCommand::Address { dir } => address(context, &dir).await,
        ValidatorCommand::Bond { amount, node } => bond(context, &amount, &node).await,
        ValidatorCommand::Unbond { amount, node } => unbond(context, &amount, &node).await,
        ValidatorCommand::Unjail { node } => {
            let (signer, _) = open(context, &node).await?;
            send(context, &node, &signer, TxBody::Unjail, "Ask to be let in again").await
        }
        ValidatorCommand::Ready { version, height, node } => {
            let (signer, _) = open(context, &node).await?;
            let question = format!("Say that this node is ready for rule book {version} from height {height} on");
            send(context, &node, &signer, TxBody::Ready { upgrade: Upgrade { version, height } }, &question).await
        }
        ValidatorCommand::Withdraw { to, amount, node } => withdraw(context, &to, &amount, &node).await,
    }
}

async fn list(context: &Context) -> Outcome {
    let rpc = context.rpc()?;
    let (set, validators) = (rpc.stake_set().await?, all(&rpc).await?);
    let rows = validators.iter().map(|validator| {
        vec![
            validator.number.to_string(),
            validator.address.to_string(),
            validator.bonded.to_string(),
            standing(validator),
            validator.power.to_string(),
            validator.proposed.to_string(),
            validator.missed.to_string(),
        ]
    });
    let mut text =
        table(&["NO", "ADDRESS", "BONDED", "STANDING", "WEIGHT", "BLOCKS", "MISSED"], &[0, 2, 4, 5, 6], rows);
    for validator in &validators {
        for part in &validator.unbonding {
            text += &format!("\n{} comes back to {} with round {}", part.amount, validator.address, part.until);
        }
    }
    text += &format!("\nrule book {} at height {}", set.protocol, set.height);
    if let Some(upgrade) = set.upgrade {
        text += &format!(", rule book {} from height {} on", upgrade.version, upgrade.height);
    }
    context.output.result(text, &serde_json::json!({ "set": set, "validators": validators }));
    Ok(())
}

async fn all(rpc: &RpcClient) -> Result<Vec<StakeView>, Failure> {
    let mut rows = Vec::new();
    let mut next = Some(0);
    while let Some(first) = next {
        let page = rpc.stake_validators(Some(PageAsk::from(first).limit(PAGE_ROWS_MAX))).await?;
        rows.extend(page.rows);
        next = page.next;
    }
    Ok(rows)
}

fn standing(validator: &StakeView) -> String {
    match validator.standing {
        StandingName::Good if validator.power > 0 => "decides".to_owned(),
        StandingName::Good => "waits".to_owned(),
        StandingName::Jailed => match validator.jailed_until {
            Some(until) => format!("jailed, may ask from round {until} on"),
            None => "jailed".to_owned(),
        },
        StandingName::Banned => "banned".to_owned(),
    }
}

async fn bond(context: &Context, amount: &str, node: &NodeArgs) -> Outcome {
    let amount: Amount = amount.parse()?;
    let (signer, keys) = open(context, node).await?;
    let question = format!("Stake {amount} of {}", signer.address_text());
    send(context, node, &signer, TxBody::Bond { amount, vrf: keys.vrf.public() }, &question).await
}

async fn unbond(context: &Context, amount: &str, node: &NodeArgs) -> Outcome {
    let (signer, _) = open(context, node).await?;
    let amount = match amount {
        "all" => signer.rpc().stake_validator(signer.address_text()).await?.bonded,
        amount => amount.parse()?,
    };
    let rounds = signer.rpc().chain_params().await?.unbond_rounds;
    let question = format!("Take back {amount}; it stays liable for {rounds} rounds");
    send(context, node, &signer, TxBody::Unbond { amount }, &question).await
}

async fn withdraw(context: &Context, to: &str, amount: &str, node: &NodeArgs) -> Outcome {
    let (signer, _) = open(context, node).await?;
    let amount: Amount = amount.parse()?;
    let address = ids::address(signer.rpc(), to, signer.params().prefix).await?;
    let body = TxBody::Transfer { to: address, amount, memo: holdfast_primitives::Bounded::empty() };
    send(context, node, &signer, body, &format!("Send {amount} to {to}")).await
}

async fn address(context: &Context, dir: &Path) -> Outcome {
    let keys = keys(dir)?;
    // Which prefix the network's addresses carry, its node knows, unless it was named.
    let prefix = match context.prefix() {
        Some(prefix) => prefix,
        None => context.rpc()?.chain_status().await?.network,
    };
    let address = keys.identity.address().to_text(prefix);
    context.output.result(address.clone(), &serde_json::json!({ "address": address }));
    Ok(())
}

/// The node's own account.
async fn open(context: &Context, node: &NodeArgs) -> Result<(Signer, NodeKeys), Failure> {
    let keys = keys(&node.dir)?;
    Ok((Signer::connect(context.rpc_url(), keys.identity.clone()).await?, keys))
}

/// The node's keys. They must be there already: a key made now would be nobody's.
fn keys(dir: &Path) -> Result<NodeKeys, Failure> {
    let folder = dir.join("keys");
    if !folder.join("identity.key").exists() || !folder.join("beacon.key").exists() {
        let message = format!("{} holds no keys of a heavy node", dir.display());
        return Err(Failure::new(Exit::NotFound, "no-node-keys", message)
            .hint("name the folder that `holdfast heavy --dir` was started with"));
    }
    NodeKeys::load_or_create(&folder).map_err(Failure::other)
}

async fn send(context: &Context, node: &NodeArgs, signer: &Signer, body: TxBody, question: &str) -> Outcome {
    let prepared = signer.prepare(body).await?;
    let (id, fee) = (prepared.id(), prepared.fee());
    if !node.yes && !context.agree(&format!("{question}, for a fee of {fee}?"))? {
        return Err(Failure::new(Exit::Failed, "declined", "nothing was sent"));
    }
    if node.no_wait {
        outbox::hand_in(context, signer, &prepared).await?;
        context.output.result(id.to_string(), &serde_json::json!({ "tx": id, "fee": fee }));
        return Ok(());
    }
    let height = signer.submit_and_wait(&prepared).await?;
    let value = serde_json::json!({ "tx": id, "height": height, "fee": fee });
    context.output.result(format!("transaction {id} is final in block {height}\nfee {fee}"), &value);
    Ok(())
}
