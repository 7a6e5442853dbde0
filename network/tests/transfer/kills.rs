//! Fifty transfers through relays, during which holder, owner and relay die at random points, alone and together. A failure
//! names its number: `HOLDFAST_SEED=17 cargo nextest run --workspace -E 'binary(transfer) & test(kills)'` plays it again.

use super::*;
use common::blows::{Victim, blows, seeds};
use common::tap::{Record, Tapped};
use holdfast_network::transfer::{Introducer, Introduction, UploadSource};
use holdfast_primitives::Address;
use std::collections::BTreeMap;
use tokio::task::JoinHandle;

const RELAYS: [&str; 2] = ["http://one", "http://two"];
const VICTIMS: [Victim; 3] = [Victim::Holder, Victim::Owner, Victim::Relay];
/// Long enough that connections are given up, short enough that nobody gives up altogether.
const AWAY_MAX: Duration = Duration::from_secs(45);
const UPLOADS: std::ops::Range<u64> = 0..40;
const DOWNLOADS: std::ops::Range<u64> = 40..50;
/// Leaves in a put or a piece, and how many of them are under way at once.
const RUN_LEAVES: u32 = 64;
const STREAMS: usize = 3;

/// The parent, which knows where everybody is.
struct Parent(MemoryNetwork);

#[async_trait::async_trait]
impl Introducer for Parent {
    async fn introduce(&self, holder: Address) -> Option<Introduction> {
        Some(Introduction { addr: self.0.addr_of(holder)?, access: None })
    }
}

/// Two relays, a holder, and an owner whose wires are tapped.
struct Play {
    network: MemoryNetwork,
    disk: Arc<Disk>,
    record: Arc<Record>,
    holder: JoinHandle<()>,
    relay: usize,
    deaths: BTreeMap<Victim, u32>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let (network, disk) = (network(seed), Disk::new(HOLDER, id(HEAVY)));
        disk.quote_for(id(OWNER), REQUEST, 20);
        let holder = open(&network, &disk);
        Self { network, disk, record: Arc::default(), holder, relay: 0, deaths: BTreeMap::new() }
    }

    /// The owner's end, as it is after a start.
    fn owner(&self, access: Access) -> Resuming {
        let meter = TransferClientConfig::default().meter;
        Resuming {
            endpoint: Tapped::new(Arc::new(self.network.endpoint_behind(id(OWNER), &RELAYS)), &self.record),
            holder: self.network.addr_of(id(HOLDER)).unwrap_or_else(|| bare(HOLDER)),
            chain: CHAIN,
            access,
            config: TransferClientConfig {
                streams: STREAMS,
                range_leaves: RUN_LEAVES,
                meter,
                ..TransferClientConfig::default()
            },
            retry: RetryPolicy { attempts: 12, ..RetryPolicy::default() },
            introducer: Some(Arc::new(Parent(self.network.clone()))),
        }
    }

    fn upload(&self, source: Arc<MemoryBatch>) -> JoinHandle<Result<(), TransferError>> {
        let owner = self.owner(write());
        let source: Arc<dyn UploadSource> = source;
        tokio::spawn(async move { owner.upload(source, &quiet).await.map(drop) })
    }

    /// Strikes all but the owner, whose task is the caller's.
    async fn strike(&mut self, victim: Victim) {
        *self.deaths.entry(victim).or_default() += 1;
        match victim {
            Victim::Holder => {
                self.network.crash(id(HOLDER));
                self.holder.abort();
                let _ = (&mut self.holder).await;
            }
            Victim::Owner => self.network.crash(id(OWNER)),
            Victim::Relay => {
                // The one that died before is back by now, or there would be no way at all.
                self.network.start_relay(RELAYS[1 - self.relay]);
                self.network.stop_relay(RELAYS[self.relay]);
                self.relay = 1 - self.relay;
            }
        }
    }
}

fn open(network: &MemoryNetwork, disk: &Arc<Disk>) -> JoinHandle<()> {
    let server = TransferServer::new(TransferConfig::default(), id(HOLDER), disk.clone(), TestClock::start());
    open_doors(Arc::new(network.endpoint_behind(id(HOLDER), &RELAYS)), vec![Arc::new(server)])
}

/// Plays one upload to its end; tells who died how often.
async fn upload(seed: u64) -> BTreeMap<Victim, u32> {
    let mut play = Play::new(seed);
    let (bytes, source, meta, _) = batch(seed, 20);
    let source = Arc::new(source);
    let mut sending = play.upload(source.clone());
    for blow in blows(seed, &VICTIMS, MIB, AWAY_MAX) {
        let due = play.record.bytes() + blow.after_bytes;
        tokio::select! {
            sent = &mut sending => { sent.unwrap().unwrap(); break; }
            () = play.record.clone().reaches(due) => {}
        }
        for victim in &blow.victims {
            play.strike(*victim).await;
        }
        if blow.victims.contains(&Victim::Owner) {
            sending.abort();
            let _ = (&mut sending).await;
        }
        tokio::time::sleep(blow.away).await;
        if blow.victims.contains(&Victim::Holder) {
            play.holder = open(&play.network, &play.disk);
        }
        if blow.victims.contains(&Victim::Owner) {
            sending = play.upload(source.clone());
        }
    }
    if !sending.is_finished() {
        sending.await.unwrap().unwrap();
    }
    assert_eq!(play.disk.bytes_of(id(OWNER), &meta.root), bytes, "seed {seed}");
    assert_eq!(play.record.repeated(), Vec::<u32>::new(), "seed {seed}: acknowledged leaves were sent again");
    let deaths = play.deaths.values().sum::<u32>();
    let lost = u64::from(deaths) * u64::from(RUN_LEAVES) * STREAMS as u64;
    let sent = play.record.put_leaves();
    assert!((1_024..=1_024 + lost).contains(&sent), "seed {seed}: {sent} leaves for 1024 and {deaths} deaths");
    play.deaths
}

/// Plays one download to its end. What an owner that dies had in memory is gone, so holder and relay die here.
async fn download(seed: u64) -> BTreeMap<Victim, u32> {
    let mut play = Play::new(seed);
    let (bytes, _, meta, layers) = batch(seed, 20);
    play.disk.place(id(OWNER), &bytes, meta, layers);
    let owner = play.owner(read(capability()));
    let meter = owner.config.meter.clone();
    let mut fetching = tokio::spawn(async move {
        let mut download = Download::new(meta).unwrap();
        owner.fetch(&mut download, &quiet).await.map(|()| download.into_bytes().unwrap())
    });
    let mut came = None;
    for blow in blows(seed, &[Victim::Holder, Victim::Relay], MIB, AWAY_MAX) {
        let due = play.record.bytes() + blow.after_bytes;
        tokio::select! {
            fetched = &mut fetching => { came = Some(fetched.unwrap().unwrap()); break; }
            () = play.record.clone().reaches(due) => {}
        }
        for victim in &blow.victims {
            play.strike(*victim).await;
        }
        tokio::time::sleep(blow.away).await;
        if blow.victims.contains(&Victim::Holder) {
            play.holder = open(&play.network, &play.disk);
        }
    }
    let came = match came {
        Some(came) => came,
        None => fetching.await.unwrap().unwrap(),
    };
    assert_eq!(came, bytes, "seed {seed}");
    let deaths = play.deaths.values().sum::<u32>();
    // What a stream has under way is a piece, and one more that is being verified.
    let lost = u64::from(deaths) * 2 * u64::from(RUN_LEAVES) * STREAMS as u64;
    let got = play.record.got_leaves();
    assert!((1_024..=1_024 + lost).contains(&got), "seed {seed}: {got} leaves for 1024 and {deaths} deaths");
    assert!(meter.relayed_bytes() >= MIB && meter.direct_bytes() == 0, "all of it went through relays");
    play.deaths
}

fn add(all: &mut BTreeMap<Victim, u32>, deaths: BTreeMap<Victim, u32>) {
    for (victim, count) in deaths {
        *all.entry(victim).or_default() += count;
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_transfers_survive_kills_of_either_end_and_the_relay_and_repeat_nothing_acknowledged() {
    let mut deaths = BTreeMap::new();
    let seeds = seeds(UPLOADS.start..DOWNLOADS.end);
    for seed in &seeds {
        let died = if DOWNLOADS.contains(seed) { download(*seed).await } else { upload(*seed).await };
        add(&mut deaths, died);
    }
    let enough = seeds.len() == 1 || VICTIMS.iter().all(|victim| deaths.get(victim).is_some_and(|count| *count >= 15));
    assert!(enough, "too few deaths for a test: {deaths:?}");
}
