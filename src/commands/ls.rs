//! `holdfast ls`: list stored files, until when they are paid, and where their pieces are.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::holdings::{Holdings, PieceState, PieceView};
use crate::output::{bytes, counted, table, time};
use clap::Args;
use holdfast_primitives::TimeMs;
use holdfast_wallet::{Catalog, Link, load_catalog_placed};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only this file, or the files below this folder
    #[arg(default_value = "")]
    name: String,
    /// Show which holder has which piece, and how it is doing
    #[arg(long)]
    pieces: bool,
}

/// One stored file.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    bytes: u64,
    modified_ms: TimeMs,
    mode: u32,
    /// Until when it, and the catalog that names it, can be read from pieces that are paid for; about.
    paid_until_ms: Option<TimeMs>,
    /// How many more pieces of its worst segment may fail; negative when it cannot be read.
    spare_pieces: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces: Option<Vec<PieceView>>,
}

pub async fn run(context: &Context, args: LsArgs) -> Outcome {
    let session = context.session().await?;
    let link = Link::connect(&session).await?;
    let loaded = load_catalog_placed(&session, &link).await;
    link.close().await;
    let (catalog, own) = loaded?;
    let files = listed(&catalog, &own, &Holdings::load(&session).await?, &args);
    if files.is_empty() && args.pieces {
        return Err(Failure::new(Exit::NotFound, "no-such-file", format!("{} is not stored", args.name))
            .hint("holdfast ls shows what is stored"));
    }
    if files.is_empty() {
        context.output.note("nothing is stored there");
    }
    let text = match args.pieces {
        true => files.iter().map(piece_map).collect::<Vec<_>>().join("\n\n"),
        false => file_table(&files),
    };
    context.output.result(text, &files);
    Ok(())
}

/// Without the catalog, which lies in segments of its `own`, nobody finds a file, so it counts for every one of them.
fn listed(catalog: &Catalog, own: &BTreeSet<u32>, holdings: &Holdings, args: &LsArgs) -> Vec<Listed> {
    let list = catalog.list(&args.name).map(|(path, file)| {
        let segments: BTreeSet<u32> = catalog.chunks_of(file).map(|chunk| chunk.at.segment).collect();
        Listed {
            name: path.as_str().to_owned(),
            bytes: file.meta.size,
            modified_ms: file.meta.modified,
            mode: file.meta.mode,
            paid_until_ms: holdings.paid_until(segments.union(own).copied()),
            spare_pieces: holdings.spare(segments.iter().copied()),
            pieces: args.pieces.then(|| holdings.pieces(segments.iter().copied())),
        }
    });
    list.collect()
}

fn file_table(files: &[Listed]) -> String {
    let row = |file: &Listed| {
        vec![bytes(file.bytes), time(file.modified_ms), until(file.paid_until_ms), health(file), printable(&file.name)]
    };
    table(&["SIZE", "MODIFIED", "PAID UNTIL", "HEALTH", "NAME"], &[0], files.iter().map(row))
}

fn piece_map(file: &Listed) -> String {
    let pieces = file.pieces.as_deref().unwrap_or_default();
    let rows = pieces.iter().map(|piece| {
        let state = match (piece.state, piece.faulty_since) {
            (PieceState::Faulty, Some(round)) => format!("faulty since round {round}"),
            (PieceState::Faulty, None) => "faulty".to_owned(),
            (PieceState::Sound, _) => "sound".to_owned(),
            (PieceState::Gone, _) => "gone".to_owned(),
        };
        vec![
            piece.segment.to_string(),
            piece.piece.to_string(),
            piece.holder.to_string(),
            piece.address.clone(),
            if piece.online { "online" } else { "away" }.to_owned(),
            state,
            until(piece.paid_until_ms),
        ]
    });
    let heads = ["SEGMENT", "PIECE", "HOLDER", "ADDRESS", "NOW", "STATE", "PAID UNTIL"];
    format!("{}  {}, {}\n{}", printable(&file.name), bytes(file.bytes), health(file), table(&heads, &[0, 1, 2], rows))
}

fn health(file: &Listed) -> String {
    match file.spare_pieces {
        None => "empty".to_owned(),
        Some(spare) if spare < 0 => format!("cannot be read: {} missing", counted(spare.unsigned_abs(), "piece")),
        Some(spare) => format!("{spare} to spare"),
    }
}

fn until(at: Option<TimeMs>) -> String {
    match at {
        None => "-".to_owned(),
        Some(at) if at.get() == 0 => "over".to_owned(),
        Some(at) => time(at),
    }
}

/// A name on one line: control characters are escaped.
fn printable(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
