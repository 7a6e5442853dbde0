//! The files of a ceremony on disk: read within limits, never overwritten by accident, replaced all at once.

use crate::failure::{Exit, Failure, Outcome};
use holdfast_genesis::{Draft, DraftError, Entry};
use holdfast_primitives::limits::{ENTRY_FILE_BYTES_MAX, GENESIS_FILE_BYTES_MAX};
use std::io::{Read as _, Write as _};
use std::path::Path;

/// A file's text, if it has no more than so many bytes.
pub fn read_text(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    let named = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, "unreadable", format!("{}: {error}", path.display()))
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(named)?;
    file.take(bytes_max as u64 + 1).read_to_string(&mut text).map_err(named)?;
    if text.len() > bytes_max {
        let message = format!("{} is larger than the {bytes_max} bytes that such a file can have", path.display());
        return Err(Failure::new(Exit::Failed, "too-large", message));
    }
    Ok(text)
}

/// Refuses to go on where a file would be overwritten.
pub fn refuse_existing(path: &Path, option: &str) -> Outcome {
    if path.exists() {
        let message = format!("{} exists already", path.display());
        return Err(Failure::new(Exit::Failed, "exists", message)
            .hint(format!("choose another file with {option}, or remove it")));
    }
    Ok(())
}

/// Writes a file that is either there as a whole or not at all.
pub fn write_whole(path: &Path, text: &str) -> Outcome {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().permissions(everyone_reads()).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| Failure::new(Exit::Failed, "io", format!("{}: {error}", path.display())))
}

/// Nothing in the files of a ceremony is secret; they are handed round.
fn everyone_reads() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// A draft, with everything in it checked.
pub fn read_draft(path: &Path) -> Result<Draft, Failure> {
    let text = read_text(path, GENESIS_FILE_BYTES_MAX)
        .map_err(|failure| failure.hint("`holdfast genesis new --network testnet` writes a draft"))?;
    Draft::parse(&text).map_err(|error| bad_draft(path, &error))
}

/// A draft that does not hold, with its file's name.
pub fn bad_draft(path: &Path, error: &DraftError) -> Failure {
    let failure = Failure::new(Exit::Failed, "bad-draft", format!("{}: {error}", path.display()));
    match error {
        DraftError::Entry { .. } => {
            failure.hint("remove its [[validators]] block from the draft and ask for a new entry")
        }
        DraftError::Toml(_) => failure.hint("ask the founder for the draft once more"),
        DraftError::Content(_) => failure,
    }
}

/// An entry; whether it holds is for the draft to say.
pub fn read_entry(path: &Path) -> Result<Entry, Failure> {
    Entry::parse(&read_text(path, ENTRY_FILE_BYTES_MAX)?)
        .map_err(|error| Failure::new(Exit::Failed, "bad-entry", format!("{}: {error}", path.display())))
}
