//! The holders of a devnet: in the process of the only heavy node, or as processes of their own when there are several.

use crate::failure::Failure;
use crate::services::holder::{HOLDER_LEFT, HoldOptions, run};
use crate::services::part::Part;
use holdfast_holder::HolderHandle;
use holdfast_ledger::Profile;
use holdfast_node::load_or_create_identity;
use holdfast_primitives::{Address, Amount, SecretKey};
use holdfast_rpc::RpcClient;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a holder is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder.
    pub dir: PathBuf,
    /// Bytes offered.
    pub quota_bytes: u64,
    /// HOLD per GiB per 30 days.
    pub price: Amount,
    /// JSON-RPC of the heavy node that it hangs on.
    pub parent: String,
}

/// A running holder.
pub struct Holder {
    /// Its account.
    pub address: Address,
    /// Its number on the ledger.
    pub number: u32,
    /// What it was started with.
    pub options: Options,
    /// Where it runs.
    pub place: Place,
}

/// Where a holder runs.
pub enum Place {
    /// In this process.
    Here(HolderHandle),
    /// In one of its own.
    There(Part),
}

impl Holder {
    /// Its process id, if it has one of its own.
    pub fn pid(&self) -> Option<u32> {
        match &self.place {
            Place::Here(_) => None,
            Place::There(part) => part.pid(),
        }
    }

    /// Waits until it has ended by itself; its news are read so that they do not pile up, the log has them.
    pub async fn ended(&mut self) {
        match &mut self.place {
            Place::Here(handle) => while handle.news.recv().await.is_some() {},
            Place::There(part) => part.ended().await,
        }
    }

    /// Stops it.
    pub async fn shutdown(self) {
        match self.place {
            Place::Here(handle) => handle.shutdown().await,
            Place::There(part) => part.shutdown().await,
        }
    }
}

impl Options {
    fn key(&self) -> Result<SecretKey, Failure> {
        load_or_create_identity(&self.dir.join("keys/identity.key")).map_err(Failure::other)
    }
}

/// Starts a holder; `None` when it was told to leave and holds nothing any more.
pub async fn start(options: Options, own_process: bool) -> Result<Option<Holder>, Failure> {
    let started = if own_process { there(&options).await } else { here(&options).await };
    match started {
        Ok((number, place)) => {
            let address = options.key()?.address();
            Ok(Some(Holder { address, number, options, place }))
        }
        Err(failure) if failure.code == HOLDER_LEFT => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn here(options: &Options) -> Result<(u32, Place), Failure> {
    let hold = HoldOptions {
        dir: options.dir.clone(),
        key: options.key()?,
        quota_bytes: options.quota_bytes,
        price: options.price,
        profile: Profile::default(),
        deposit: None,
        rejoin: false,
        bind: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
    };
    let (handle, _) = run(RpcClient::connect(&options.parent)?, hold).await?;
    Ok((handle.number.get(), Place::Here(handle)))
}

async fn there(options: &Options) -> Result<(u32, Place), Failure> {
    let (dir, quota) = (options.dir.display().to_string(), options.quota_bytes.to_string());
    let price = options.price.to_string();
    let words = ["hold", "--dir", &dir, "--quota", &quota, "--price", &price, "--rpc", &options.parent];
    let part = Part::start(&options.dir, &words).await?;
    let number = part.said["holder"].as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or_else(|| Failure::other("a holder does not say its number"))?;
    Ok((number, Place::There(part)))
}
