//! `holdfast genesis`: make a genesis, alone or together with others, or read one.

mod add_validator;
mod collect;
mod files;
mod finalize;
mod new;
mod show;

pub use files::read_text;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use clap::Subcommand;
use holdfast_genesis::{GenesisFile, preset, to_genesis};
use holdfast_ledger::{Genesis, GenesisValidator, Params};
use holdfast_primitives::limits::{BATCH_LOG2_MAX, BATCH_LOG2_MIN, GENESIS_FILE_BYTES_MAX};
use holdfast_primitives::{Address, Amount, Bounded, Digest, NetworkPrefix, SecretKey, TimeMs};
use std::path::Path;

#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Write a draft for a network of several validators; with --dir, the genesis of a network of one
    New(new::NewArgs),
    /// Write this machine's entry for a draft, signed with its keys
    AddValidator(add_validator::AddValidatorArgs),
    /// Take validators' entries into the draft
    Collect(collect::CollectArgs),
    /// Make the genesis of a draft whose validators are collected
    Finalize(finalize::FinalizeArgs),
    /// Check a genesis file or a draft and show what it comes to
    Show(show::ShowArgs),
}

pub fn run(context: &Context, command: GenesisCommand) -> Outcome {
    match command {
        GenesisCommand::New(args) => new::run(context, &args),
        GenesisCommand::AddValidator(args) => add_validator::run(context, args),
        GenesisCommand::Collect(args) => collect::run(context, args),
        GenesisCommand::Finalize(args) => finalize::run(context, &args),
        GenesisCommand::Show(args) => show::run(context, &args),
    }
}

/// Reads and checks a genesis file.
pub fn read(path: &Path) -> Result<Genesis, Failure> {
    Ok(to_genesis(&GenesisFile::parse(&read_genesis_text(path)?)?)?)
}

fn read_genesis_text(path: &Path) -> Result<String, Failure> {
    read_text(path, GENESIS_FILE_BYTES_MAX).map_err(|failure| {
        let failure = Failure { code: "no-genesis".to_owned(), ..failure };
        failure.hint("`holdfast genesis new --dir DIR` writes one")
    })
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
pub fn set_round(params: &mut Params, round: humantime::Duration) {
    params.round_ms = u64::try_from(round.as_millis()).unwrap_or(u64::MAX);
    params.proof_window_ms = params.round_ms / 2;
}

/// Makes batches of this size the only ones.
pub fn set_batch(params: &mut Params, batch: bytesize::ByteSize) -> Result<(), Failure> {
    let bytes = batch.as_u64();
    let log2 = (BATCH_LOG2_MIN..=BATCH_LOG2_MAX).find(|log2| 1 << log2 == bytes);
    let log2 = log2.ok_or_else(|| Failure::usage("--batch takes a power of two from 1MiB to 256MiB"))?;
    params.batch_classes = Bounded::new(vec![log2]).expect("one class is within the limit");
    Ok(())
}
