//! kill -9 of any of four validators, of several and of all, at random moments while money moves through each of them.

use super::validators::{Four, pass};
use crate::common::{noise, wait_for};
use holdfast_primitives::{Address, Amount, Height, SecretKey};
use holdfast_rpc::RpcError;
use holdfast_wallet::{Signer, WalletError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const KILLS: usize = 50;
/// Replay a failure by this number, in the environment variable `HOLDFAST_SEED`: it fixes who dies, and how soon.
const SEED: u64 = 11;
/// After so many strikes the storm waits for a new height: where nothing is decided, nothing can be lost.
const STRIKES_PER_HEIGHT: usize = 4;
/// After so many strikes all four die at once.
const STRIKES_PER_END: usize = 12;
/// With a lot from here on the victim dies again while it starts.
const STUMBLES_FROM: u8 = 192;
/// Accounts that a devnet funds.
const SENDERS: u32 = 3;
const TOLD_MIN: usize = 10;

/// What senders were told.
#[derive(Default)]
struct Told {
    /// In this block, they were told.
    finals: Vec<(String, Height)>,
    /// In no block ever, they were told.
    never: Vec<String>,
}

struct Load {
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Each sender moves a grain at a time, through another validator each time.
    fn on(network: &Four) -> Self {
        let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Told>>::default());
        let urls: Vec<String> = (0..4).map(|index| network.url(index)).collect();
        let to = network.account(SENDERS).address();
        let threads = (0..SENDERS).map(|number| {
            let (stop, told, urls, key) = (Arc::clone(&stop), Arc::clone(&told), urls.clone(), network.account(number));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                for url in urls.iter().cycle().skip(number as usize) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    runtime.block_on(one_transfer(url, &key, to, &told));
                }
            })
        });
        let threads = threads.collect();
        Self { stop, told, threads }
    }

    fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// A validator that cannot be asked is passed over: the next one is not.
async fn one_transfer(url: &str, key: &SecretKey, to: Address, told: &Mutex<Told>) {
    let prepare = async {
        let signer = Signer::connect(url, key.clone()).await?;
        let transfer = signer.transfer(to, Amount::grains(1), b"").await?;
        Ok::<_, WalletError>((signer, transfer))
    };
    let Ok((signer, transfer)) = prepare.await else { return };
    let id = transfer.id().to_string();
    match signer.submit_and_wait(&transfer).await {
        Ok(height) => told.lock().unwrap().finals.push((id, height)),
        Err(WalletError::Rpc(RpcError::Dropped { code, .. })) if code != "tx_displaced" => {
            told.lock().unwrap().never.push(id);
        }
        // Nothing was promised.
        Err(_) => {}
    }
}

#[test]
fn fifty_kills_of_validators_split_nothing_and_lose_nothing_that_was_final() {
    let seed = std::env::var("HOLDFAST_SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    eprintln!("seed {seed}: replay with HOLDFAST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut network = Four::found(folder.path(), "1h");
    network.start_all();
    network.level();
    let load = Load::on(&network);
    let (mut killed, mut strikes) = (0, 0);
    let lots = noise(4 * KILLS, seed);
    for lot in lots.chunks(2) {
        if killed >= KILLS {
            break;
        }
        let victims = victims(lot[0], strikes);
        network.kill(&victims);
        killed += victims.len();
        if lot[0] >= STUMBLES_FROM {
            // Once more while it opens its database, replays its log and catches up.
            network.stumble(victims[0], Duration::from_millis(u64::from(lot[1])));
            killed += 1;
        }
        network.start_all();
        strikes += 1;
        if strikes % STRIKES_PER_HEIGHT == 0 {
            let before = network.highest();
            wait_for("the chain goes on", || (network.highest() > before).then_some(()));
        }
        // Strike at another moment of a height each time.
        pass(Duration::from_millis(u64::from(lot[1])));
    }
    let before = network.highest();
    wait_for("the chain goes on after the storm", || (network.highest() > before).then_some(()));
    let told = load.stop();
    let (common, txs) = network.agreed();
    eprintln!(
        "{killed} kills in {strikes} strikes, {common} heights, {} final, {} never",
        told.finals.len(),
        told.never.len()
    );
    assert!(killed >= KILLS && told.finals.len() >= TOLD_MIN, "{killed} kills, {} told", told.finals.len());
    for (id, height) in &told.finals {
        assert!(*height <= common && txs.contains(id), "{id} was final in block {height} and is gone");
    }
    for id in &told.never {
        assert!(!txs.contains(id), "{id} could never be final, and is");
    }
}

/// Mostly one, sometimes two, now and then all.
fn victims(lot: u8, strikes: usize) -> Vec<usize> {
    let one = usize::from(lot) % 4;
    match lot / 4 % 8 {
        _ if strikes % STRIKES_PER_END == STRIKES_PER_END - 1 => vec![0, 1, 2, 3],
        0 => vec![one, (one + 1) % 4],
        _ => vec![one],
    }
}
