//! `holdfast genesis new`: a draft for a ceremony, or, with `--dir`, the genesis of a network of one validator right away.

use super::files::{refuse_existing, write_whole};
use super::{compose, set_batch, set_round};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use clap::Args;
use holdfast_genesis::{Draft, GenesisFile, preset, to_genesis};
use holdfast_ledger::GenesisValidator;
use holdfast_node::NodeKeys;
use holdfast_primitives::limits::GRID_MAX;
use holdfast_primitives::{Address, Amount, Bounded, Digest, NetworkPrefix, SecretKey};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Where to write it [default: draft.toml, with --dir genesis.toml]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make a network of one validator at once: the heavy node of this folder, whose keys are made if they are missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A name for people
    #[arg(long, default_value = "holdfast")]
    name: String,
    /// Fund an account: ADDRESS=AMOUNT, for example dhf1...=1000HOLD (repeatable)
    #[arg(long = "fund", value_name = "ADDRESS=AMOUNT")]
    funds: Vec<String>,
    /// Make it a private grid: only these keys may hold, store and read there (repeatable); left out, everybody may
    #[arg(long = "member", value_name = "ADDRESS")]
    members: Vec<String>,
    /// What the validator bonds, if other than the least that the network asks for
    #[arg(long, value_name = "AMOUNT", requires = "dir")]
    bond: Option<String>,
    /// Length of a round, for example 10s or 4h, if other than the preset's
    #[arg(long, value_name = "DURATION")]
    round: Option<humantime::Duration>,
    /// Size of a batch, a power of two from 1MiB to 256MiB, if other than the preset's
    #[arg(long, value_name = "SIZE")]
    batch: Option<bytesize::ByteSize>,
}

pub fn run(context: &Context, args: &NewArgs) -> Outcome {
    let prefix = context.prefix().ok_or_else(|| {
        Failure::usage("a genesis needs a kind of network").hint("add --network devnet, testnet or mainnet")
    })?;
    match &args.dir {
        Some(dir) => alone(context, args, prefix, dir),
        None => draft(context, args, prefix),
    }
}

fn draft(context: &Context, args: &NewArgs, prefix: NetworkPrefix) -> Outcome {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("draft.toml"));
    refuse_existing(&out, "--out")?;
    let mut params = preset(prefix);
    if let Some(round) = args.round {
        set_round(&mut params, round);
    }
    if let Some(batch) = args.batch {
        set_batch(&mut params, batch)?;
    }
    params.grid = grid(args, prefix)?;
    let seed = Digest::new(SecretKey::generate().to_seed());
    let draft = Draft::new(&args.name, &params, &funds(args, prefix)?, seed).map_err(Failure::other)?;
    write_whole(&out, &draft.to_text())?;
    let id = draft.id()?;
    let shown = out.display();
    let text = format!(
        "{shown}: draft {id} of {} ({prefix})\nread its rules and change what you want now: every entry is signed for them\n\
         next, each validator on its own machine: holdfast genesis add-validator {shown} --dir DIR --name NAME --bond AMOUNT --host IP\n\
         then, with all their entries: holdfast genesis collect {shown} ENTRY...",
        args.name
    );
    context.output.result(text, &serde_json::json!({ "file": out, "draft": id }));
    Ok(())
}

fn alone(context: &Context, args: &NewArgs, prefix: NetworkPrefix, dir: &Path) -> Outcome {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("genesis.toml"));
    refuse_existing(&out, "--out")?;
    let keys = NodeKeys::load_or_create(&dir.join("keys")).map_err(Failure::other)?;
    let bond = match &args.bond {
        Some(text) => text.parse()?,
        None => preset(prefix).validator_bond_min,
    };
    let validator = GenesisValidator { address: keys.identity.address(), vrf: keys.vrf.public(), bond };
    let mut genesis = compose(&args.name, prefix, vec![validator], funds(args, prefix)?)?;
    if let Some(round) = args.round {
        set_round(&mut genesis.params, round);
    }
    if let Some(batch) = args.batch {
        set_batch(&mut genesis.params, batch)?;
    }
    genesis.params.grid = grid(args, prefix)?;
    let text = GenesisFile::from_genesis(&genesis).to_text()?;
    to_genesis(&GenesisFile::parse(&text)?)?;
    write_whole(&out, &text)?;
    let (shown, chain) = (out.display(), genesis.chain_id());
    let value =
        serde_json::json!({ "file": out, "chain_id": chain, "validator": keys.identity.address().to_text(prefix) });
    let text =
        format!("{shown}: chain {chain}\nstart it with: holdfast heavy --dir {} --genesis {shown}", dir.display());
    context.output.result(text, &value);
    Ok(())
}

fn funds(args: &NewArgs, prefix: NetworkPrefix) -> Result<Vec<(Address, Amount)>, Failure> {
    let mut funds = args.funds.iter().map(|text| parse_fund(text, prefix)).collect::<Result<Vec<_>, _>>()?;
    funds.sort_by_key(|(address, _)| *address);
    Ok(funds)
}

/// The keys of a private grid, in order, each once.
fn grid(args: &NewArgs, prefix: NetworkPrefix) -> Result<Bounded<Address, GRID_MAX>, Failure> {
    let parse = |text: &String| {
        Address::from_text(text, prefix).map_err(|error| Failure::usage(format!("--member {text}: {error}")))
    };
    let keys = args.members.iter().map(parse).collect::<Result<BTreeSet<_>, _>>()?;
    Bounded::new(keys.into_iter().collect()).map_err(|error| Failure::usage(format!("--member: {error}")))
}

fn parse_fund(text: &str, prefix: NetworkPrefix) -> Result<(Address, Amount), Failure> {
    let (address, amount) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage(format!("--fund {text}: write ADDRESS=AMOUNT, for example dhf1...=1000HOLD")))?;
    let address = Address::from_text(address, prefix).map_err(|error| Failure::usage(error.to_string()))?;
    Ok((address, amount.parse()?))
}
