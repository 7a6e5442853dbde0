//! `holdfast genesis collect`: validators' entries into the draft. What is right goes in, what is wrong is named.

use super::files::{bad_draft, read_draft, read_entry, write_whole};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::counted;
use clap::Args;
use holdfast_genesis::{Collected, Entry, EntryError};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct CollectArgs {
    /// The draft
    draft: PathBuf,
    /// Entries, as `genesis add-validator` writes them; those collected before do no harm
    #[arg(value_name = "ENTRY", required = true)]
    entries: Vec<PathBuf>,
}

/// An entry's file, and what became of it.
struct Seen {
    file: PathBuf,
    name: String,
    outcome: Result<Collected, String>,
}

pub fn run(context: &Context, args: CollectArgs) -> Outcome {
    let mut draft = read_draft(&args.draft)?;
    let (mut seen, mut readable) = (Vec::new(), Vec::new());
    for file in args.entries {
        match read_entry(&file) {
            Ok(entry) => readable.push((file, entry)),
            Err(failure) => seen.push(Seen { file, name: String::new(), outcome: Err(failure.message) }),
        }
    }
    let entries: Vec<Entry> = readable.iter().map(|(_, entry)| entry.clone()).collect();
    let outcomes = draft.collect(&entries).map_err(|error| bad_draft(&args.draft, &error))?;
    for ((file, entry), outcome) in readable.into_iter().zip(outcomes) {
        let outcome = outcome.map_err(|error| explain(&file, &error));
        seen.push(Seen { file, name: entry.name, outcome });
    }
    if seen.iter().any(|seen| matches!(seen.outcome, Ok(Collected::Added))) {
        write_whole(&args.draft, &draft.to_text())?;
    }
    tell(context, &args.draft, draft.validators.len(), &seen)
}

fn explain(file: &std::path::Path, error: &EntryError) -> String {
    let advice = match error {
        EntryError::OtherDraft { .. } => {
            "; a rule or a fund was changed after it was signed, or it is for another network"
        }
        EntryError::KnownAddress { .. } => {
            "; to replace that one, remove its [[validators]] block from the draft first"
        }
        _ => "",
    };
    format!("{}: {error}{advice}", file.display())
}

fn tell(context: &Context, draft: &std::path::Path, validators: usize, seen: &[Seen]) -> Outcome {
    let mut text = String::new();
    for Seen { file, name, outcome } in seen {
        match outcome {
            Ok(Collected::Added) => text += &format!("{}: {name} is in\n", file.display()),
            Ok(Collected::Known) => text += &format!("{}: {name} was in already\n", file.display()),
            Err(_) => {}
        }
    }
    text += &format!(
        "{}: {} so far\nnext, when all are in: holdfast genesis finalize {}",
        draft.display(),
        counted(validators as u64, "validator"),
        draft.display()
    );
    let refused: Vec<&String> = seen.iter().filter_map(|seen| seen.outcome.as_ref().err()).collect();
    let taken = seen.iter().filter_map(|seen| Some((seen, seen.outcome.as_ref().ok()?)));
    let taken: Vec<_> = taken
        .map(|(seen, outcome)| serde_json::json!({ "file": seen.file, "name": seen.name, "new": *outcome == Collected::Added }))
        .collect();
    if refused.is_empty() || !taken.is_empty() {
        context
            .output
            .result(text, &serde_json::json!({ "validators": validators, "taken": taken, "refused": refused }));
    }
    if refused.is_empty() {
        return Ok(());
    }
    let exit = if taken.is_empty() { Exit::Failed } else { Exit::Partial };
    let message = refused.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join("\n");
    Err(Failure::new(exit, "bad-entry", message)
        .hint("ask whoever sent it for an entry that `holdfast genesis add-validator` writes for this draft"))
}
