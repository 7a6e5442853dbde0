//! The keystore: one file per wallet, its words sealed under a password.
//!
//! Argon2id (RFC 9106) makes the key, XChaCha20-Poly1305 seals the 32 bytes of entropy; name, address and the Argon2
//! settings are bound in as associated data, so an edited file is told apart from a wrong password only by what it is
//! no longer: openable. Files are written beside and renamed, mode 0600.

use crate::share::GrantBook;
use crate::turn::Turn;
use crate::words::Words;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

const VERSION: u32 = 1;
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// More than this would be an attack on the opener's memory (KiB).
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;

/// What sealing costs: the price of one guess at the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106, section 4, second recommendation: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    name: String,
    address: String,
    argon2id: Cost,
    salt: String,
    nonce: String,
    sealed: String,
}

/// Why a keystore cannot be used.
#[derive(Debug, Error)]
pub enum KeystoreError {
    /// There is no wallet of this name.
    #[error("no wallet named {name:?} in {}", folder.display())]
    NotFound {
        /// The name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// There is one already.
    #[error("a wallet named {name:?} exists already in {}", folder.display())]
    Exists {
        /// The name.
        name: String,
        /// Where.
        folder: PathBuf,
    },
    /// The name cannot be a file's name.
    #[error("{name:?} cannot name a wallet: use 1 to 64 letters, digits, '-' or '_'")]
    BadName {
        /// The name.
        name: String,
    },
    /// The file is not a keystore, or not one this version knows.
    #[error("{} is not a usable keystore: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The password does not open it (or the file was edited).
    #[error("wrong password for wallet {name:?}")]
    WrongPassword {
        /// The wallet.
        name: String,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A wallet as listed: nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its address, in the prefix of the network it was made for.
    pub address: String,
}

/// A folder of wallets.
#[derive(Clone, Debug)]
pub struct Keystore {
    folder: PathBuf,
}

impl Keystore {
    /// The keystore in `folder`, which is made on the first write.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Seals `words` under `password` as wallet `name`. Never overwrites.
    pub fn create(
        &self,
        name: &str,
        address: &str,
        words: &Words,
        password: &str,
        cost: Cost,
    ) -> Result<(), KeystoreError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(KeystoreError::Exists { name: name.to_owned(), folder: self.folder.clone() });
        }
        let file = seal(name, address, words, password, cost);
        let text = serde_json::to_vec_pretty(&file).expect("a keystore file is plain JSON");
        write_private(&path, &text).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => {
                KeystoreError::Exists { name: name.to_owned(), folder: self.folder.clone() }
            }
            _ => KeystoreError::Io { path, source },
        })
    }

    /// Opens wallet `name`.
    pub fn open(&self, name: &str, password: &str) -> Result<Words, KeystoreError> {
        let path = self.path(name)?;
        let file = self.read(name, &path)?;
        unseal(&file, password).map_err(|problem| match problem {
            Problem::WrongPassword => KeystoreError::WrongPassword { name: name.to_owned() },
            Problem::Corrupt(reason) => KeystoreError::Corrupt { path, reason },
        })
    }

    /// Waits until no other command acts for wallet `name`; `waiting` is called once if one does. Blocks the thread.
    pub fn take_turn(&self, name: &str, waiting: impl FnOnce()) -> Result<Turn, KeystoreError> {
        let path = self.path(name)?.with_extension("lock");
        Turn::take(&path, waiting).map_err(|source| KeystoreError::Io { path, source })
    }

    /// What wallet `name` has handed out.
    pub fn grants(&self, name: &str) -> Result<GrantBook, KeystoreError> {
        Ok(GrantBook::at(self.path(name)?.with_extension("grants")))
    }

    /// What can be said of wallet `name` without its password.
    pub fn show(&self, name: &str) -> Result<Listed, KeystoreError> {
        let file = self.read(name, &self.path(name)?)?;
        Ok(Listed { name: file.name, address: file.address })
    }

    /// All wallets by name. Files that are not keystores are errors, not silence.
    pub fn list(&self) -> Result<Vec<Listed>, KeystoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(KeystoreError::Io { path: self.folder.clone(), source }),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| KeystoreError::Io { path: self.folder.clone(), source })?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                listed.push(self.show(name)?);
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn path(&self, name: &str) -> Result<PathBuf, KeystoreError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            return Err(KeystoreError::BadName { name: name.to_owned() });
        }
        Ok(self.folder.join(format!("{name}.json")))
    }

    fn read(&self, name: &str, path: &Path) -> Result<File, KeystoreError> {
        let io_error = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => KeystoreError::NotFound { name: name.to_owned(), folder: self.folder.clone() },
            _ => KeystoreError::Io { path: path.to_owned(), source },
        };
        let corrupt = |reason: String| KeystoreError::Corrupt { path: path.to_owned(), reason };
        let bytes = fs::metadata(path).map_err(io_error)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(corrupt(format!("{bytes} bytes, at most {FILE_BYTES_MAX} are expected")));
        }
        let text = fs::read(path).map_err(io_error)?;
        let file: File = serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        if file.version != VERSION {
            return Err(corrupt(format!("version {}, this program knows version {VERSION}", file.version)));
        }
        Ok(file)
    }
}

#[derive(Debug)]
enum Problem {
    WrongPassword,
    Corrupt(String),
}

fn seal(name: &str, address: &str, words: &Words, password: &str, cost: Cost) -> File {
    let (mut salt, mut nonce) = ([0; 16], [0; 24]);
    getrandom::fill(&mut salt).expect("the operating system provides randomness");
    getrandom::fill(&mut nonce).expect("the operating system provides randomness");
    let mut file = File {
        version: VERSION,
        name: name.to_owned(),
        address: address.to_owned(),
        argon2id: cost,
        salt: hex::encode(salt),
        nonce: hex::encode(nonce),
        sealed: String::new(),
    };
    let cipher = cipher(password, &salt, cost).expect("the cost was chosen by this program");
    let payload = Payload { msg: words.entropy(), aad: &associated(&file) };
    file.sealed = hex::encode(cipher.encrypt(&XNonce::from(nonce), payload).expect("32 bytes can be sealed"));
    file
}

fn unseal(file: &File, password: &str) -> Result<Words, Problem> {
    let salt = hex::decode(&file.salt).map_err(|_| Problem::Corrupt("salt is not hexadecimal".to_owned()))?;
    let nonce: [u8; 24] = hex::decode(&file.nonce)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Problem::Corrupt("nonce is not 24 bytes of hexadecimal".to_owned()))?;
    let sealed = hex::decode(&file.sealed).map_err(|_| Problem::Corrupt("sealed is not hexadecimal".to_owned()))?;
    let cipher = cipher(password, &salt, file.argon2id)?;
    let payload = Payload { msg: &sealed, aad: &associated(file) };
    let opened = Zeroizing::new(cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| Problem::WrongPassword)?);
    let entropy =
        <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| Problem::Corrupt("holds no 32 bytes".to_owned()))?;
    Ok(Words::from_entropy(entropy))
}

fn cipher(password: &str, salt: &[u8], cost: Cost) -> Result<XChaCha20Poly1305, Problem> {
    if cost.memory_kib > MEMORY_KIB_MAX || cost.passes > PASSES_MAX || cost.lanes > LANES_MAX {
        return Err(Problem::Corrupt("its Argon2 settings are beyond all reason".to_owned()));
    }
    let corrupt = |error: argon2::Error| Problem::Corrupt(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(corrupt)?;
    let mut key = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, key.as_mut_slice()).map_err(corrupt)?;
    Ok(XChaCha20Poly1305::new(key.as_slice().try_into().expect("the key has 32 bytes")))
}

fn associated(file: &File) -> Vec<u8> {
    let Cost { memory_kib, passes, lanes } = file.argon2id;
    format!("holdfast/keystore/v{}|{}|{}|{memory_kib}|{passes}|{lanes}", file.version, file.name, file.address)
        .into_bytes()
}

/// Writes `bytes` to a new file that only its owner can read: beside it first, synced, then linked into place, so that
/// neither half a keystore nor an overwritten one can be left behind.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder)?;
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    linked?;
    fs::File::open(folder)?.sync_all()
}

/// As [`write_private`], in place of what lies there.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let beside = path.with_extension(format!("next-{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    write_private(&beside, bytes)?;
    fs::rename(&beside, path)?;
    fs::File::open(folder)?.sync_all()
}

/// Where a file lies; a bare name has an empty parent, which cannot be opened.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
