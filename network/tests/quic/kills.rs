//! Transfers over real sockets during which an end or the relay dies without a goodbye: each of them runs on a runtime of
//! its own, which is torn down as a killed process is. `HOLDFAST_SEED` plays one of them again.

use super::*;
use common::blows::{Victim, blows, seeds};
use common::tap::{Record, Tapped};
use holdfast_network::transfer::{Introducer, Introduction, MemoryBatch, Resuming, RetryPolicy, UploadSource};
use std::sync::Mutex;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Bytes of a batch, as a power of two.
const BATCH_LOG2: u8 = 22;
const BATCH_BYTES: u64 = 1 << BATCH_LOG2;
const RUN_LEAVES: u32 = 128;
const STREAMS: usize = 3;
/// Silence after which a connection is given up here; whoever is idle for longer than a keep-alive does not matter here.
const IDLE: Duration = Duration::from_secs(4);
/// What a transfer may take in all before it counts as stuck.
const STUCK: Duration = Duration::from_secs(150);

/// What one process would hold. Killing it drops all its tasks and sockets at once.
struct Life<T> {
    runtime: Runtime,
    holds: T,
}

impl<T: Send + 'static> Life<T> {
    async fn start(begin: impl Future<Output = T> + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let holds = runtime.spawn(begin).await.unwrap();
        Self { runtime, holds }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

/// Knows where the holder is as long as it lives, as a parent that it reports to.
#[derive(Clone, Default)]
struct Parent(Arc<Mutex<Option<Arc<QuicEndpoint>>>>);

#[async_trait::async_trait]
impl Introducer for Parent {
    async fn introduce(&self, _holder: Address) -> Option<Introduction> {
        let addr = self.0.lock().unwrap().as_ref().map(|endpoint| endpoint.addr())?;
        addr.is_reachable().then_some(Introduction { addr, access: None })
    }
}

struct Play {
    relays: Vec<Option<Life<RelayServer>>>,
    urls: Vec<String>,
    relayed: bool,
    parent: Parent,
    disk: Arc<Disk>,
    record: Arc<Record>,
    holder: Option<Life<Arc<QuicEndpoint>>>,
    owner: Option<Life<JoinHandle<Result<PathKind, TransferError>>>>,
    deaths: u64,
}

impl Play {
    async fn new(relayed: bool) -> Self {
        let disk = Disk::new(HOLDER, id(HEAVY));
        disk.quote_for(id(OWNER), REQUEST, BATCH_LOG2);
        let relays = [Life::start(relay(Arc::new(Everyone))).await, Life::start(relay(Arc::new(Everyone))).await];
        let urls = relays.iter().map(|relay| relay.holds.url().to_owned()).collect();
        let relays = relays.into_iter().map(Some).collect();
        let (parent, record) = (Parent::default(), Arc::default());
        Self { relays, urls, relayed, parent, disk, record, holder: None, owner: None, deaths: 0 }
    }

    fn config(&self, seed: u8) -> QuicConfig {
        let config = QuicConfig { idle: IDLE, connect_timeout: IDLE, ..QuicConfig::loopback(key(seed)) };
        if self.relayed { QuicConfig { relays: self.urls.clone(), relay_only: true, ..config } } else { config }
    }

    async fn start_holder(&mut self) {
        let (config, disk) = (self.config(HOLDER), self.disk.clone());
        let life = Life::start(async move {
            let endpoint = Arc::new(QuicEndpoint::bind(config).await.unwrap());
            let server = TransferServer::new(TransferConfig::default(), id(HOLDER), disk, TestClock::start());
            open_doors(endpoint.clone(), vec![Arc::new(server)]);
            endpoint
        });
        let life = life.await;
        *self.parent.0.lock().unwrap() = Some(life.holds.clone());
        self.holder = Some(life);
    }

    #[allow(clippy::async_yields_async, reason = "a life holds its upload, which others wait for")]
    async fn start_owner(&mut self, source: &Arc<MemoryBatch>) {
        let (config, source) = (self.config(OWNER), source.clone() as Arc<dyn UploadSource>);
        let (parent, record) = (self.parent.clone(), self.record.clone());
        let life = Life::start(async move {
            let endpoint = Arc::new(QuicEndpoint::bind(config).await.unwrap());
            // Whoever introduces the two knows the holder's address by then.
            let holder = loop {
                match parent.introduce(id(HOLDER)).await {
                    Some(found) => break found.addr,
                    None => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            };
            let owner = Resuming {
                endpoint: Tapped::new(endpoint, &record),
                chain: CHAIN,
                access: write_access(&holder, BATCH_BYTES),
                holder,
                config: TransferClientConfig {
                    streams: STREAMS,
                    range_leaves: RUN_LEAVES,
                    wait_direct: Duration::from_millis(200),
                    ..TransferClientConfig::default()
                },
                retry: RetryPolicy { attempts: 20, longest: Duration::from_secs(2), ..RetryPolicy::default() },
                introducer: Some(Arc::new(parent)),
            };
            tokio::spawn(async move { owner.upload(source, &|_| {}).await.map(|client| client.path_kind()) })
        });
        self.owner = Some(life.await);
    }

    /// Strikes one, without a word to anybody.
    async fn strike(&mut self, victim: Victim) {
        self.deaths += 1;
        match victim {
            Victim::Holder => {
                self.parent.0.lock().unwrap().take();
                self.holder.take().unwrap().kill();
            }
            Victim::Owner => self.owner.take().unwrap().kill(),
            Victim::Relay => {
                let home = self.parent.introduce(id(HOLDER)).await.and_then(|at| at.addr.relay().map(str::to_owned));
                let index = self.urls.iter().position(|url| Some(url) == home.as_ref()).unwrap_or(0);
                // Of two relays one must be left.
                if self.relays.iter().flatten().count() == 2 {
                    self.relays[index].take().unwrap().kill();
                }
            }
        }
    }
}

async fn upload(seed: u64, victims: &[Victim]) -> u64 {
    let relayed = victims.contains(&Victim::Relay);
    let mut play = Play::new(relayed).await;
    let (bytes, source, meta, _) = batch(seed, BATCH_LOG2);
    let source = Arc::new(source);
    play.start_holder().await;
    play.start_owner(&source).await;
    for blow in blows(seed, victims, BATCH_BYTES, Duration::from_secs(2)) {
        let due = play.record.bytes() + blow.after_bytes;
        tokio::select! {
            sent = &mut play.owner.as_mut().unwrap().holds => {
                play.owner.take().unwrap().kill();
                sent.unwrap().unwrap();
                break;
            }
            () = play.record.clone().reaches(due) => {}
        }
        for victim in &blow.victims {
            play.strike(*victim).await;
        }
        tokio::time::sleep(blow.away).await;
        if play.holder.is_none() {
            play.start_holder().await;
        }
        if play.owner.is_none() {
            play.start_owner(&source).await;
        }
    }
    if let Some(owner) = play.owner.take() {
        let Life { runtime, holds } = owner;
        let path = holds.await.unwrap().unwrap();
        assert_eq!(path, if relayed { PathKind::Relayed } else { PathKind::Direct });
        runtime.shutdown_background();
    }
    assert!(play.disk.bytes_of(id(OWNER), &meta.root) == bytes, "seed {seed}: other bytes at the holder");
    assert_eq!(play.record.repeated(), Vec::<u32>::new(), "seed {seed}: acknowledged leaves were sent again");
    let leaves = BATCH_BYTES / 1_024;
    let (lost, sent) = (play.deaths * u64::from(RUN_LEAVES) * STREAMS as u64, play.record.put_leaves());
    assert!((leaves..=leaves + lost).contains(&sent), "seed {seed}: {sent} leaves for {leaves}");
    let deaths = play.deaths;
    play.holder.take().unwrap().kill();
    play.relays.into_iter().flatten().for_each(Life::kill);
    deaths
}

/// Plays all of them beside each other: they wait more than they work.
async fn play(seeds: Vec<u64>, victims: &'static [Victim]) {
    let all = seeds.into_iter().map(|seed| {
        tokio::spawn(async move {
            let played = tokio::time::timeout(STUCK, upload(seed, victims)).await;
            played.unwrap_or_else(|_| panic!("seed {seed}: not done after {STUCK:?}"))
        })
    });
    let mut deaths = 0;
    for played in futures::future::join_all(all).await {
        deaths += played.unwrap();
    }
    assert!(deaths > 0, "nobody died");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_over_direct_paths_survive_kills_of_either_end() {
    play(seeds(100..105), &[Victim::Holder, Victim::Owner]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relayed_transfers_survive_kills_of_the_relay_and_of_either_end() {
    play(seeds(200..205), &[Victim::Relay, Victim::Holder, Victim::Owner, Victim::Relay]).await;
}
