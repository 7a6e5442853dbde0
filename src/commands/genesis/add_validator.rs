//! `holdfast genesis add-validator`: this machine's entry for a draft, signed with its keys.

use super::files::{read_draft, refuse_existing, write_whole};
use crate::context::{CONSENSUS_PORT, Context, NODE_PORT};
use crate::failure::{Exit, Failure, Outcome};
use clap::Args;
use holdfast_genesis::{ConsensusAddr, Entry, EntryKeys, Stake};
use holdfast_node::NodeKeys;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct AddValidatorArgs {
    /// The draft that the founder handed out
    #[arg(value_name = "DRAFT")]
    draft: PathBuf,
    /// The heavy node's folder: its keys are made there if they are missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A name for people: a-z, 0-9 and -
    #[arg(long)]
    name: String,
    /// What this validator bonds, for example 20000HOLD: its weight in every vote; the least that the network asks for unless
    /// said otherwise
    #[arg(long, value_name = "AMOUNT")]
    bond: Option<String>,
    /// An IP address under which the others reach this machine (repeatable; consensus is dialled at the first)
    #[arg(long = "host", value_name = "IP", required = true)]
    hosts: Vec<IpAddr>,
    /// UDP port for light nodes and the gossip
    #[arg(long, value_name = "PORT", default_value_t = NODE_PORT)]
    node_port: u16,
    /// TCP port for consensus
    #[arg(long, value_name = "PORT", default_value_t = CONSENSUS_PORT)]
    consensus_port: u16,
    /// Where consensus is dialled, if not at that address and port, for example /dns/alice.example.org/tcp/7452
    #[arg(long, value_name = "MULTIADDR")]
    consensus: Option<ConsensusAddr>,
    /// Where to write the entry [default: NAME.toml]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(context: &Context, args: AddValidatorArgs) -> Outcome {
    let draft = read_draft(&args.draft)?;
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{}.toml", args.name)));
    refuse_existing(&out, "--out")?;
    let first = SocketAddr::new(args.hosts[0], args.consensus_port);
    let (params, id) = (draft.params()?, draft.id()?);
    let bond = match &args.bond {
        Some(text) => text.parse()?,
        None => params.validator_bond_min,
    };
    // Keys are made only for an entry that will be good.
    let described = |address, vrf| Stake {
        name: args.name.clone(),
        address,
        vrf,
        bond,
        node: args.hosts.iter().map(|ip| SocketAddr::new(*ip, args.node_port)).collect(),
        consensus: args.consensus.clone().unwrap_or_else(|| ConsensusAddr::new(first)),
    };
    let refused = |error: holdfast_genesis::EntryError| Failure::new(Exit::Usage, "bad-entry", error.to_string());
    let nobody = (holdfast_primitives::Address::ZERO, holdfast_primitives::VrfPublicKey::new([0; 32]));
    described(nobody.0, nobody.1).check(&params).map_err(refused)?;
    let keys = NodeKeys::load_or_create(&args.dir.join("keys")).map_err(Failure::other)?;
    let stake = described(keys.identity.address(), keys.vrf.public());
    let signers = EntryKeys { identity: &keys.identity, beacon: &keys.vrf };
    let entry = Entry::sign(&stake, &id, draft.network, signers);
    entry.check(&id, &params).map_err(refused)?;
    write_whole(&out, &entry.to_text())?;
    let (shown, dir) = (out.display(), args.dir.display());
    let text = format!(
        "{shown}: validator {} for draft {id} of {} ({})\naddress    {}\nbond       {bond}\nconsensus  {}\n\
         next: hand {shown} to the founder, and keep a copy of {dir}/keys where only you can read it",
        entry.name, draft.name, draft.network, entry.address, entry.consensus
    );
    context.output.result(text, &serde_json::json!({ "file": out, "draft": id, "entry": entry }));
    Ok(())
}
