//! A node's keys on disk: the identity key (account, transport, votes) and the beacon key, one file each, mode 0600.

use holdfast_primitives::{SecretKey, VrfSecretKey};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

const BEACON_FILE: &str = "beacon.key";

/// The keys of a heavy node.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs votes, blocks' parts, footprint hops and transactions; names the node on the network.
    pub identity: SecretKey,
    /// Makes the beacon, and nothing else.
    pub vrf: VrfSecretKey,
}

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not 32 bytes in hexadecimal.
    #[error("{} does not hold a key of 32 bytes in hexadecimal", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl NodeKeys {
    /// Reads the keys from `folder`; fails if one is missing.
    pub fn load(folder: &Path) -> Result<Self, KeyFileError> {
        let identity = load_identity(&folder.join("identity.key"))?;
        Ok(Self { identity, vrf: load(&folder.join(BEACON_FILE)).map(VrfSecretKey::from_seed)? })
    }

    /// Reads the keys from `folder`, making those that are missing.
    pub fn load_or_create(folder: &Path) -> Result<Self, KeyFileError> {
        Ok(Self { identity: load_or_create_identity(&folder.join("identity.key"))?, vrf: load_or_create_vrf(folder)? })
    }
}

/// Reads a light node's only key from `path`, making it if it is missing.
pub fn load_or_create_identity(path: &Path) -> Result<SecretKey, KeyFileError> {
    load_or_create(path, || SecretKey::generate().to_seed()).map(SecretKey::from_seed)
}

/// Reads a light node's only key from `path`; fails if there is none.
pub fn load_identity(path: &Path) -> Result<SecretKey, KeyFileError> {
    load(path).map(SecretKey::from_seed)
}

/// Writes `seed` as the key at `path`; fails if there is one already.
pub fn write_key(path: &Path, seed: &[u8; 32]) -> Result<(), KeyFileError> {
    let io_error = |source| KeyFileError::Io { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(io_error)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io_error)?;
    file.write_all(format!("{}\n", hex::encode(seed)).as_bytes()).map_err(io_error)?;
    file.sync_all().map_err(io_error)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error)
}

fn load_or_create_vrf(folder: &Path) -> Result<VrfSecretKey, KeyFileError> {
    load_or_create(&folder.join(BEACON_FILE), || VrfSecretKey::generate().to_seed()).map(VrfSecretKey::from_seed)
}

fn load_or_create(path: &Path, make: impl Fn() -> [u8; 32]) -> Result<[u8; 32], KeyFileError> {
    if !path.exists() {
        write_key(path, &make())?;
    }
    load(path)
}

fn load(path: &Path) -> Result<[u8; 32], KeyFileError> {
    let text = fs::read_to_string(path).map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    let bytes = hex::decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.ok_or_else(|| KeyFileError::Malformed { path: path.to_owned() })
}
