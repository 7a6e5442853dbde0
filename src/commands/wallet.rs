//! `holdfast wallet`: keys and money.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ids;
use crate::output::table;
use crate::services::outbox;
use clap::{Args, Subcommand};
use holdfast_primitives::{Amount, NetworkPrefix};
use holdfast_rpc::{AddressText, RpcClient};
use holdfast_wallet::{Chosen, KeystoreCost, Words};
use std::io::{IsTerminal as _, Read as _};

#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a wallet of 24 words
    New(NewArgs),
    /// Make a wallet from 24 words, asked for or on standard input
    Import,
    /// List the wallets of this network
    List,
    /// What the wallet has
    Balance {
        /// Another address than the wallet's own
        address: Option<String>,
    },
    /// Give money
    Send(SendArgs),
    /// Get money on a network that gives it away
    Faucet {
        /// To another address than the wallet's own
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// Print the transaction's id instead of waiting until it is final
        #[arg(long = "async")]
        no_wait: bool,
    },
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Do not ask two of the words back
    #[arg(long)]
    no_check: bool,
}

#[derive(Debug, Args)]
pub struct SendArgs {
    /// To whom
    to: String,
    /// How much, for example 1.5HOLD
    amount: String,
    /// What it pays, if more than the smallest fee, for example 0.01HOLD
    #[arg(long, value_name = "AMOUNT")]
    fee: Option<Amount>,
    /// The sequence number of a transfer that still waits, to take its place; pay a tenth more than it does with --fee
    #[arg(long, value_name = "NUMBER", requires = "fee")]
    sequence: Option<u64>,
    /// A note that everyone can read, at most 64 bytes
    #[arg(long, default_value = "")]
    memo: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print the transaction's id instead of waiting until it is final
    #[arg(long = "async")]
    no_wait: bool,
}

pub async fn run(context: &Context, command: WalletCommand) -> Outcome {
    match command {
        WalletCommand::New(args) => new(context, &args).await,
        WalletCommand::Import => import(context).await,
        WalletCommand::List => list(context),
        WalletCommand::Balance { address } => balance(context, address).await,
        WalletCommand::Send(args) => send(context, args).await,
        WalletCommand::Faucet { to, no_wait } => faucet(context, to, no_wait).await,
    }
}

async fn new(context: &Context, args: &NewArgs) -> Outcome {
    refuse_existing(context)?;
    let words = Words::generate();
    let prefix = prefix(context).await?;
    let address = words.signing_key(0).address().to_text(prefix);
    if !context.output.json {
        context.output.note("Write these 24 words down. They are the wallet: whoever has them has everything in it.");
        context.output.note("They are shown this once.");
    }
    let revealed = words.reveal();
    let numbered: Vec<&str> = revealed.split(' ').collect();
    let asks = !args.no_check && !context.output.json && std::io::stdin().is_terminal();
    if asks {
        context.output.note(format!("\n{}\n", columns(&numbered)));
        ask_back(&numbered)?;
    }
    let password = context.password("Password for this wallet", true)?;
    save(context, &words, &address, &password)?;
    let text = if asks {
        format!("wallet  {}\naddress {address}", context.wallet_name())
    } else {
        format!("words   {}\nwallet  {}\naddress {address}", *revealed, context.wallet_name())
    };
    let value = serde_json::json!({ "wallet": context.wallet_name(), "address": address, "words": *revealed });
    context.output.result(text, &value);
    Ok(())
}

async fn import(context: &Context) -> Outcome {
    refuse_existing(context)?;
    let words = read_words()?;
    let address = import_words(context, &words).await?;
    let value = serde_json::json!({ "wallet": context.wallet_name(), "address": address });
    context.output.result(format!("wallet  {}\naddress {address}", context.wallet_name()), &value);
    Ok(())
}

/// Seals words as the context's wallet; returns its address.
pub async fn import_words(context: &Context, words: &Words) -> Result<String, Failure> {
    let address = words.signing_key(0).address().to_text(prefix(context).await?);
    let password = context.password("Password for this wallet", true)?;
    save(context, words, &address, &password)?;
    Ok(address)
}

/// Reads 24 words: asked for on a terminal, else from standard input.
pub fn read_words() -> Result<Words, Failure> {
    let mut text = zeroize::Zeroizing::new(String::new());
    if std::io::stdin().is_terminal() {
        *text = dialoguer::Password::new().with_prompt("The 24 words").interact().map_err(Failure::other)?;
    } else {
        std::io::stdin().take(4096).read_to_string(&mut text)?;
    }
    Ok(Words::parse(&text)?)
}

fn list(context: &Context) -> Outcome {
    let wallets = context.keystore().list()?;
    if wallets.is_empty() && !context.output.json {
        context.output.note(format!("no wallets on {}; `holdfast wallet new` makes one", context.network()));
    }
    let rows = wallets.iter().map(|wallet| vec![wallet.name.clone(), wallet.address.clone()]);
    context.output.result(table(&["WALLET", "ADDRESS"], &[], rows), &wallets);
    Ok(())
}

async fn balance(context: &Context, address: Option<String>) -> Outcome {
    let rpc = context.rpc()?;
    let address = address_of(context, &rpc, address).await?;
    let account = rpc.find_account(address).await?;
    let (balance, sequence) = account.map_or((Amount::ZERO, 0), |account| (account.balance, account.sequence));
    let value = serde_json::json!({ "address": address, "balance": balance, "sequence": sequence });
    context.output.result(format!("{address}\n{balance}"), &value);
    Ok(())
}

async fn send(context: &Context, args: SendArgs) -> Outcome {
    let amount: Amount = args.amount.parse()?;
    let session = context.session().await?;
    let to = ids::address(session.rpc(), &args.to, session.params().prefix).await?;
    let chosen = Chosen { sequence: args.sequence, fee: args.fee };
    let transfer = session.transfer_as(to, amount, args.memo.as_bytes(), chosen).await?;
    let (id, fee) = (transfer.id(), transfer.fee());
    if !args.yes && !context.agree(&format!("Send {amount} to {} for a fee of {fee}?", args.to))? {
        return Err(Failure::new(Exit::Failed, "declined", "nothing was sent"));
    }
    if args.no_wait {
        outbox::hand_in(context, &session, &transfer).await?;
        context.output.result(id.to_string(), &serde_json::json!({ "tx": id, "fee": fee }));
        return Ok(());
    }
    let height = session.submit_and_wait(&transfer).await?;
    let value = serde_json::json!({ "tx": id, "height": height, "to": args.to, "amount": amount, "fee": fee });
    context.output.result(
        format!("sent {amount} to {}\nfee {fee}\ntransaction {id} is final in block {height}", args.to),
        &value,
    );
    Ok(())
}

async fn faucet(context: &Context, to: Option<String>, no_wait: bool) -> Outcome {
    let rpc = context.rpc()?;
    let address = address_of(context, &rpc, to).await?;
    let amount = rpc.dev_faucet_limit().await?.per_call;
    let tx = rpc.dev_faucet(address, amount).await?;
    if no_wait {
        context.output.result(tx.to_string(), &serde_json::json!({ "tx": tx, "address": address, "amount": amount }));
        return Ok(());
    }
    let height = rpc.wait_final(tx, std::time::Duration::from_secs(60)).await?.height;
    let value = serde_json::json!({ "tx": tx, "address": address, "amount": amount, "height": height });
    context.output.result(format!("{amount} for {address} in block {height}"), &value);
    Ok(())
}

/// The given address, or the wallet's own (no password is needed to know it).
async fn address_of(context: &Context, rpc: &RpcClient, given: Option<String>) -> Result<AddressText, Failure> {
    let text = match given {
        Some(given) => given,
        None => context.keystore().show(context.wallet_name())?.address,
    };
    let prefix = rpc.chain_status().await?.network;
    Ok(AddressText::new(ids::address(rpc, &text, prefix).await?, prefix))
}

fn refuse_existing(context: &Context) -> Result<(), Failure> {
    let name = context.wallet_name();
    if context.keystore().show(name).is_ok() {
        let message = format!("a wallet named {name:?} exists already on {}", context.network());
        return Err(Failure::new(Exit::Failed, "wallet-exists", message).hint("choose another name with --wallet NAME"));
    }
    Ok(())
}

fn save(context: &Context, words: &Words, address: &str, password: &str) -> Result<(), Failure> {
    Ok(context.keystore().create(context.wallet_name(), address, words, password, KeystoreCost::RECOMMENDED)?)
}

/// The network's address prefix: known by name, else asked of the node.
async fn prefix(context: &Context) -> Result<NetworkPrefix, Failure> {
    match context.prefix() {
        Some(prefix) => Ok(prefix),
        None => Ok(context.rpc()?.chain_status().await?.network),
    }
}

fn columns(words: &[&str]) -> String {
    let cell = |index: usize| format!("{:>2}. {:<10}", index + 1, words[index]);
    (0..words.len() / 4)
        .map(|row| (0..4).map(|column| cell(column * words.len() / 4 + row)).collect::<Vec<_>>().join("  "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn ask_back(words: &[&str]) -> Outcome {
    for position in [6, 18] {
        let answer: String = dialoguer::Input::new()
            .with_prompt(format!("Word number {}", position + 1))
            .interact_text()
            .map_err(Failure::other)?;
        if answer.trim().to_lowercase() != words[position] {
            return Err(Failure::new(Exit::Failed, "words-not-noted", "that is not the word; no wallet was made")
                .hint("run `holdfast wallet new` again and write the words down"));
        }
    }
    Ok(())
}
