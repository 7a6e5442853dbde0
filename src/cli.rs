//! The command tree. What each command does stands in `commands/`, one file each.

use crate::commands;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// A storage marketplace on a ledger: store, prove, pay, audit, read back.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Network: devnet, testnet, mainnet, or the URL of a heavy node
    #[arg(long, global = true, env = "HOLDFAST_NETWORK", value_name = "NAME|URL")]
    pub network: Option<String>,
    /// URL of the heavy node to talk to; of several, with commas or by repetition, the first that is not away
    #[arg(long, global = true, env = "HOLDFAST_RPC", value_name = "URL", value_delimiter = ',')]
    pub rpc: Vec<String>,
    /// Folder for wallets, caches and node data
    #[arg(long, global = true, env = "HOLDFAST_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, global = true, env = "HOLDFAST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Wallet to use
    #[arg(long, global = true, env = "HOLDFAST_WALLET", value_name = "NAME")]
    pub wallet: Option<String>,
    /// File that holds the wallet's password
    #[arg(long, global = true, env = "HOLDFAST_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Command that prints the wallet's password
    #[arg(long, global = true, env = "HOLDFAST_PASSWORD_COMMAND", value_name = "COMMAND")]
    pub password_command: Option<String>,
    /// Print one JSON document (or JSON lines) instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more on stderr (-v, -vv)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How spending is agreed to.
#[derive(Clone, Debug, Default, Args)]
pub struct Spending {
    /// Agree to the quote without being asked
    #[arg(long, short)]
    pub yes: bool,
    /// Refuse a total above this, for example 1.5HOLD
    #[arg(long, value_name = "AMOUNT")]
    pub max_price: Option<String>,
    /// Show the quote and stop
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole network on this machine, with funded accounts
    Devnet(commands::devnet::DevnetArgs),
    /// Run a heavy node: validate, relay, introduce
    Heavy(commands::heavy::HeavyArgs),
    /// Hold batches and prove them; or look after a running holder
    #[command(args_conflicts_with_subcommands = true)]
    Hold(commands::hold::HoldArgs),
    /// Keys and money
    #[command(subcommand)]
    Wallet(commands::wallet::WalletCommand),
    /// Bond, unbond and look after a validator
    #[command(subcommand)]
    Validator(commands::validator::ValidatorCommand),
    /// Which holders take batches, where, for what and at what price
    Offers(commands::offers::OffersArgs),
    /// What storing something would cost
    Quote(commands::quote::QuoteArgs),
    /// Store files and folders
    Put(commands::put::PutArgs),
    /// Read a file back, or a slice of it
    Get(commands::get::GetArgs),
    /// Hand a file on for a time, or take it back
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Share(commands::share::ShareArgs),
    /// List stored files
    Ls(commands::ls::LsArgs),
    /// Pay for stored files for longer
    Renew(commands::renew::RenewArgs),
    /// Delete stored files
    Rm(commands::rm::RmArgs),
    /// Bring a wallet and its files back from 24 words
    Restore(commands::restore::RestoreArgs),
    /// Verify what the network claims, from public data, on this machine
    Audit(commands::audit::AuditArgs),
    /// How the network and the node are doing
    Status(commands::status::StatusArgs),
    /// Look at or wait for a transaction
    #[command(subcommand)]
    Tx(commands::tx::TxCommand),
    /// Make or read a genesis file
    #[command(subcommand)]
    Genesis(commands::genesis::GenesisCommand),
    /// Check that this machine and its settings are fit
    Doctor,
    /// Show settings and where they come from
    #[command(subcommand)]
    Config(commands::config::ConfigCommand),
    /// The main job from end to end on a network of its own
    Demo(commands::demo::DemoArgs),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

impl Command {
    const fn json_progress(&self) -> bool {
        match self {
            Self::Put(args) => args.progress.json_progress,
            Self::Get(args) => args.progress.json_progress,
            Self::Restore(args) => args.progress.json_progress,
            _ => false,
        }
    }
}

/// Reads the command line, runs the command, reports how it ended.
pub fn run() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args().any(|word| word == "--json") => return misused(&error),
        Err(error) => error.exit(),
    };
    // Whoever reads progress as lines of JSON reads errors and results as JSON too.
    cli.global.json |= cli.command.json_progress();
    let json = cli.global.json;
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    let context = Context::new(cli.global)?;
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "holdfast", &mut script);
            print_all(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print_all(&page)
        }
        Command::Config(command) => commands::config::run(&context, &command),
        Command::Genesis(command) => commands::genesis::run(&context, command),
        command => block_on(async move { tokio_dispatch(context, command).await }),
    }
}

/// A wrong command line, for programs: what clap says first, and where to look.
fn misused(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let failure = Failure::usage(message).hint("holdfast --help, or --help after the command");
    failure.report(true);
    ExitCode::from(failure.exit as u8)
}

/// Someone who closed the pipe (`| head`) has read enough.
fn print_all(bytes: &[u8]) -> Outcome {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

async fn tokio_dispatch(context: Context, command: Command) -> Outcome {
    match command {
        Command::Devnet(args) => commands::devnet::run(&context, args).await,
        Command::Heavy(args) => commands::heavy::run(&context, args).await,
        Command::Hold(args) => commands::hold::run(&context, args).await,
        Command::Wallet(command) => commands::wallet::run(&context, command).await,
        Command::Validator(command) => commands::validator::run(&context, command).await,
        Command::Offers(args) => commands::offers::run(&context, args).await,
        Command::Quote(args) => commands::quote::run(&context, args).await,
        Command::Put(args) => commands::put::run(&context, args).await,
        Command::Get(args) => commands::get::run(&context, args).await,
        Command::Share(args) => commands::share::run(&context, args).await,
        Command::Ls(args) => commands::ls::run(&context, args).await,
        Command::Renew(args) => commands::renew::run(&context, args).await,
        Command::Rm(args) => commands::rm::run(&context, args).await,
        Command::Restore(args) => commands::restore::run(&context, args).await,
        Command::Audit(args) => commands::audit::run(&context, args).await,
        Command::Status(args) => commands::status::run(&context, args).await,
        Command::Tx(command) => commands::tx::run(&context, command).await,
        Command::Doctor => commands::doctor::run(&context).await,
        Command::Demo(args) => commands::demo::run(&context, args).await,
        Command::Completions { .. } | Command::Man | Command::Config(_) | Command::Genesis(_) => {
            Err(Failure::other("this command needs no network"))
        }
    }
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            () = interrupted() => Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted")),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

/// Long-running commands handle the first signal themselves; this ends the others.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
