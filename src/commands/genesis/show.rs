//! `holdfast genesis show`: check a genesis or a draft and show what it comes to.

use super::files::bad_draft;
use super::finalize::validators;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::counted;
use clap::Args;
use holdfast_genesis::{Draft, GenesisFile, to_genesis};
use holdfast_ledger::Genesis;
use holdfast_node::NodeKeys;
use holdfast_primitives::Amount;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The file
    file: PathBuf,
    /// Say whether the heavy node of this folder is one of its validators; fail if it is not
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(context: &Context, args: &ShowArgs) -> Outcome {
    let text = super::read_genesis_text(&args.file)?;
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    if table.contains_key("signature") {
        let message = format!("{} is a validator's entry", args.file.display());
        return Err(Failure::new(Exit::Usage, "no-genesis", message)
            .hint(format!("`holdfast genesis collect DRAFT {}` checks it", args.file.display())));
    }
    if table.contains_key("time_ms") { genesis(context, args, &text) } else { draft(context, args, &text) }
}

fn draft(context: &Context, args: &ShowArgs, text: &str) -> Outcome {
    let draft = Draft::parse(text).map_err(|error| bad_draft(&args.file, &error))?;
    let stakes = draft.stakes().map_err(|error| bad_draft(&args.file, &error))?;
    let id = draft.id()?;
    let funds = draft.accounts.iter().map(|account| account.balance.parse::<Amount>());
    let funded = Amount::checked_sum(funds.collect::<Result<Vec<_>, _>>()?)?;
    if let Some(dir) = &args.dir {
        let keys = NodeKeys::load(&dir.join("keys")).map_err(Failure::other)?;
        let found = stakes.iter().find(|stake| stake.address == keys.identity.address());
        found.ok_or_else(|| stranger(dir, &args.file))?;
    }
    let shown = format!(
        "{} ({}), a draft\ndraft       {id}\naccounts    {} with {funded} in all\nvalidators  {}\n\n{}\n\n{}",
        draft.name,
        draft.network,
        draft.accounts.len(),
        stakes.len(),
        validators(&stakes, draft.network),
        toml::to_string(&draft.rules).map_err(Failure::other)?
    );
    context.output.result(shown, &serde_json::json!({ "draft": id, "content": draft }));
    Ok(())
}

fn genesis(context: &Context, args: &ShowArgs, text: &str) -> Outcome {
    let genesis = to_genesis(&GenesisFile::parse(text)?)?;
    let file = GenesisFile::from_genesis(&genesis);
    let funded = Amount::checked_sum(genesis.accounts.iter().map(|(_, amount)| *amount))?;
    let own = args.dir.as_deref().map(|dir| own_place(&genesis, dir, &args.file)).transpose()?;
    let own_line = own.map(|place| format!("this node   validator {place} of {}\n", file.validators.len()));
    let grid = match genesis.params.grid.len() {
        0 => "everybody may hold, store and read".to_owned(),
        keys => format!("private: {} may hold, store and read", counted(keys as u64, "key")),
    };
    let shown = format!(
        "{} ({})\nchain       {}\nvalidators  {}\n{}accounts    {} with {funded} in all\ngrid        {grid}\n\n{}",
        file.name,
        file.network,
        genesis.chain_id(),
        file.validators.len(),
        own_line.unwrap_or_default(),
        file.accounts.len(),
        file.to_text()?
    );
    context
        .output
        .result(shown, &serde_json::json!({ "chain_id": genesis.chain_id(), "genesis": file, "validator": own }));
    Ok(())
}

/// Which of the validators has the keys in `dir`, from 1 on.
fn own_place(genesis: &Genesis, dir: &Path, file: &Path) -> Result<usize, Failure> {
    let keys = NodeKeys::load(&dir.join("keys")).map_err(Failure::other)?;
    let is_own = |address, vrf| address == keys.identity.address() && vrf == keys.vrf.public();
    let place = genesis.validators.iter().position(|validator| is_own(validator.address, validator.vrf));
    place.map(|index| index + 1).ok_or_else(|| stranger(dir, file))
}

fn stranger(dir: &Path, file: &Path) -> Failure {
    let message = format!("the keys in {} are of no validator in {}", dir.display(), file.display());
    Failure::new(Exit::Failed, "no-validator", message).hint(
        "the founder has not collected this machine's entry, or --dir is another folder than the entry was made in",
    )
}
