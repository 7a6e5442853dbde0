//! `holdfast genesis new|show`: make or read a genesis file.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use clap::{Args, Subcommand};
use holdfast_genesis::{GenesisFile, preset, to_genesis};
use holdfast_ledger::{Genesis, GenesisValidator};
use holdfast_node::NodeKeys;
use holdfast_primitives::limits::{BATCH_LOG2_MAX, BATCH_LOG2_MIN};
use holdfast_primitives::{Address, Amount, Bounded, Digest, NetworkPrefix, SecretKey, TimeMs};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Write the genesis of a new network with this machine's heavy node as its validator
    New(NewArgs),
    /// Check a genesis file and show what it comes to
    Show {
        /// The file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Where to write it
    #[arg(long, short, default_value = "genesis.toml")]
    out: PathBuf,
    /// The heavy node's folder: its keys are made there if they are missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A name for people
    #[arg(long, default_value = "holdfast")]
    name: String,
    /// Fund an account: ADDRESS=AMOUNT, for example dhf1...=1000HOLD (repeatable)
    #[arg(long = "fund", value_name = "ADDRESS=AMOUNT")]
    funds: Vec<String>,
    /// What the validator bonds, if other than the least that the network asks for
    #[arg(long, value_name = "AMOUNT")]
    bond: Option<String>,
    /// Length of a round, for example 10s or 4h, if other than the preset's
    #[arg(long, value_name = "DURATION")]
    round: Option<humantime::Duration>,
    /// Size of a batch, a power of two from 1MiB to 256MiB, if other than the preset's
    #[arg(long, value_name = "SIZE")]
    batch: Option<bytesize::ByteSize>,
}

pub fn run(context: &Context, command: GenesisCommand) -> Outcome {
    match command {
        GenesisCommand::New(args) => new(context, &args),
        GenesisCommand::Show { file } => show(context, &file),
    }
}

fn new(context: &Context, args: &NewArgs) -> Outcome {
    let prefix = context.prefix().ok_or_else(|| {
        Failure::usage("a genesis needs a kind of network").hint("add --network devnet, testnet or mainnet")
    })?;
    if args.out.exists() {
        let message = format!("{} exists already", args.out.display());
        return Err(Failure::new(Exit::Failed, "exists", message).hint("choose another file with --out"));
    }
    let keys = NodeKeys::load_or_create(&args.dir.join("keys")).map_err(Failure::other)?;
    let funds = args.funds.iter().map(|text| parse_fund(text, prefix)).collect::<Result<Vec<_>, _>>()?;
    let bond = match &args.bond {
        Some(text) => text.parse()?,
        None => preset(prefix).validator_bond_min,
    };
    let validator = GenesisValidator { address: keys.identity.address(), vrf: keys.vrf.public(), bond };
    let mut genesis = compose(&args.name, prefix, vec![validator], funds)?;
    if let Some(round) = args.round {
        set_round(&mut genesis, u64::try_from(round.as_millis()).unwrap_or(u64::MAX));
    }
    if let Some(batch) = args.batch {
        set_batch(&mut genesis, batch)?;
    }
    let text = GenesisFile::from_genesis(&genesis).to_text()?;
    to_genesis(&GenesisFile::parse(&text)?)?;
    std::fs::write(&args.out, text)?;
    let value = serde_json::json!({ "file": args.out, "chain_id": genesis.chain_id(), "validator": keys.identity.address().to_text(prefix) });
    context.output.result(
        format!(
            "{}: chain {}\nstart it with: holdfast heavy --dir {} --genesis {}",
            args.out.display(),
            genesis.chain_id(),
            args.dir.display(),
            args.out.display()
        ),
        &value,
    );
    Ok(())
}

fn show(context: &Context, path: &std::path::Path) -> Outcome {
    let genesis = read(path)?;
    let file = GenesisFile::from_genesis(&genesis);
    let funded = Amount::checked_sum(genesis.accounts.iter().map(|(_, amount)| *amount))?;
    let text = format!(
        "{} ({})\nchain       {}\nvalidators  {}\naccounts    {} with {funded} in all\n\n{}",
        file.name,
        file.network,
        genesis.chain_id(),
        file.validators.len(),
        file.accounts.len(),
        file.to_text()?
    );
    context.output.result(text, &serde_json::json!({ "chain_id": genesis.chain_id(), "genesis": file }));
    Ok(())
}

/// Reads and checks a genesis file.
pub fn read(path: &std::path::Path) -> Result<Genesis, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::NotFound, "no-genesis", format!("{}: {error}", path.display()))
            .hint("`holdfast genesis new --dir DIR` writes one")
    })?;
    Ok(to_genesis(&GenesisFile::parse(&text)?)?)
}

/// The genesis of a network of these heavy nodes.
pub fn compose(
    name: &str,
    prefix: NetworkPrefix,
    mut validators: Vec<GenesisValidator>,
    mut accounts: Vec<(Address, Amount)>,
) -> Result<Genesis, Failure> {
    accounts.sort_by_key(|(address, _)| *address);
    validators.sort_by_key(|validator| validator.address);
    Ok(Genesis {
        name: Bounded::new(name.as_bytes().to_vec()).map_err(|error| Failure::usage(format!("--name: {error}")))?,
        time: TimeMs::new(holdfast_node::now().get()),
        params: preset(prefix),
        accounts: Bounded::new(accounts).map_err(|error| Failure::usage(format!("--fund: {error}")))?,
        validators: Bounded::new(validators).map_err(|error| Failure::usage(format!("validators: {error}")))?,
        seed: *Digest::new(SecretKey::generate().to_seed()).as_bytes(),
    })
}

/// Sets the length of a round; half of it is left for proving.
pub fn set_round(genesis: &mut Genesis, round_ms: u64) {
    genesis.params.round_ms = round_ms;
    genesis.params.proof_window_ms = round_ms / 2;
}

/// Makes batches of this size the only ones.
pub fn set_batch(genesis: &mut Genesis, batch: bytesize::ByteSize) -> Result<(), Failure> {
    let bytes = batch.as_u64();
    let log2 = (BATCH_LOG2_MIN..=BATCH_LOG2_MAX).find(|log2| 1 << log2 == bytes);
    let log2 = log2.ok_or_else(|| Failure::usage("--batch takes a power of two from 1MiB to 256MiB"))?;
    genesis.params.batch_classes = Bounded::new(vec![log2]).expect("one class is within the limit");
    Ok(())
}

fn parse_fund(text: &str, prefix: NetworkPrefix) -> Result<(Address, Amount), Failure> {
    let (address, amount) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage(format!("--fund {text}: write ADDRESS=AMOUNT, for example dhf1...=1000HOLD")))?;
    let address = Address::from_text(address, prefix).map_err(|error| Failure::usage(error.to_string()))?;
    Ok((address, amount.parse()?))
}
