//! `holdfast config show`: settings and where they come from.

use crate::context::Context;
use crate::failure::Outcome;
use crate::output::table;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the settings in force
    Show {
        /// Say where each comes from
        #[arg(long)]
        origin: bool,
    },
}

pub fn run(context: &Context, command: &ConfigCommand) -> Outcome {
    let ConfigCommand::Show { origin } = command;
    let rows = context.settings.iter().map(|setting| {
        let mut row = vec![setting.key.to_owned(), setting.value.clone()];
        row.extend(origin.then(|| setting.origin.clone()));
        row
    });
    let heads: &[&str] = if *origin { &["SETTING", "VALUE", "ORIGIN"] } else { &["SETTING", "VALUE"] };
    context.output.result(table(heads, &[], rows), &context.settings);
    Ok(())
}
