//! `holdfast genesis finalize`: the draft with its validators becomes a genesis, and a list of who is dialled where.

use super::files::{bad_draft, read_draft, refuse_existing, write_whole};
use crate::context::{CONSENSUS_PORT, Context, NODE_PORT};
use crate::failure::Outcome;
use crate::output::table;
use clap::Args;
use holdfast_genesis::{GenesisFile, Stake};
use holdfast_primitives::{Amount, NetworkPrefix, TimeMs};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct FinalizeArgs {
    /// The draft, with all entries collected
    draft: PathBuf,
    /// Where to write the genesis
    #[arg(long, short, value_name = "FILE", default_value = "genesis.toml")]
    out: PathBuf,
    /// Where to write how the validators are dialled
    #[arg(long, value_name = "FILE", default_value = "peers.toml")]
    peers_out: PathBuf,
}

pub fn run(context: &Context, args: &FinalizeArgs) -> Outcome {
    let draft = read_draft(&args.draft)?;
    refuse_existing(&args.out, "--out")?;
    refuse_existing(&args.peers_out, "--peers-out")?;
    let wrong = |error| {
        let failure = bad_draft(&args.draft, &error);
        if !draft.validators.is_empty() {
            return failure;
        }
        failure.hint(format!(
            "collect the validators' entries: holdfast genesis collect {} ENTRY...",
            args.draft.display()
        ))
    };
    let stakes = draft.stakes().map_err(wrong)?;
    let now = TimeMs::new(holdfast_node::now().get());
    let (genesis, peers) = draft.finalize(now).map_err(wrong)?;
    let text = GenesisFile::from_genesis(&genesis).to_text()?;
    // The genesis last: with it, the work is done.
    write_whole(&args.peers_out, &peers.to_text())?;
    write_whole(&args.out, &text)?;
    let (chain, file, peers_file) = (genesis.chain_id(), args.out.display(), args.peers_out.display());
    let text = format!(
        "{}\n\n{file} and {peers_file} are of chain\n{chain}\n\n\
         next: hand both files to every validator. Each runs `holdfast genesis show {file} --dir DIR`, compares the chain id with\n\
         the others by another way than the files came, and starts\n  \
         holdfast heavy --dir DIR --genesis {file} --peers {peers_file} --listen 0.0.0.0:{NODE_PORT} --consensus-listen /ip4/0.0.0.0/tcp/{CONSENSUS_PORT}",
        validators(&stakes, draft.network)
    );
    let value =
        serde_json::json!({ "file": args.out, "peers": args.peers_out, "chain_id": chain, "validators": stakes.len() });
    context.output.result(text, &value);
    for warning in warnings(&stakes) {
        context.output.note(warning);
    }
    Ok(())
}

/// The validators as a table.
pub fn validators(stakes: &[Stake], network: NetworkPrefix) -> String {
    let total: u128 = stakes.iter().map(|stake| u128::from(stake.bond.get())).sum();
    let rows = stakes.iter().map(|stake| {
        let share = u128::from(stake.bond.get()) * 1_000 / total.max(1);
        vec![
            stake.name.clone(),
            stake.address.to_text(network),
            stake.bond.to_string(),
            format!("{}.{} %", share / 10, share % 10),
            stake.consensus.to_string(),
        ]
    });
    table(&["VALIDATOR", "ADDRESS", "BOND", "VOTES", "CONSENSUS"], &[2, 3], rows)
}

/// What is allowed, but worth a second thought.
fn warnings(stakes: &[Stake]) -> Vec<String> {
    let whole = |amount: Amount| u128::from(amount.get());
    let total: u128 = stakes.iter().map(|stake| whole(stake.bond)).sum();
    let needed = stakes.iter().filter(|stake| whole(stake.bond) * 3 >= total);
    needed
        .map(|stake| {
            format!(
                "note: a block takes more than two thirds of the votes, so nothing is decided while {} is down",
                stake.name
            )
        })
        .collect()
}
