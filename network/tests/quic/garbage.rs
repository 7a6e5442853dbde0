//! Those who send nonsense, and those who knock and say nothing: a transfer server's memory stays within its limits, and
//! honest owners get their work done meanwhile.

use super::*;
use holdfast_network::Connection;
use holdfast_network::transfer::{Resuming, RetryPolicy};
use holdfast_network::wire::{TRANSFER_VERSION, TransferHello, TransferRequest, encode_frame};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::net::UdpSocket;

const FRAMES: u64 = 10_000;
const PESTS: u8 = 8;
const HALF_OPEN: usize = 500;
const SILENT: usize = 500;
/// What the process, attackers included, may grow by; a server that kept what it is sent would need more.
const GROWTH_MAX: u64 = 384 << 20;
const LIMITS: TransferConfig = TransferConfig {
    sessions_max: 24,
    hellos_max: 256,
    streams_max: 8,
    put_leaves_max: 256,
    piece_leaves_max: 256,
    bytes_in_flight: 4 << 20,
    header: Duration::from_secs(3),
    idle: Duration::from_secs(20),
    pace: holdfast_network::transfer::Pace { stall: Duration::from_secs(5), bytes_per_second_min: 16 * 1024 },
    linger: Duration::from_millis(200),
    strangers_read: true,
};

/// A holder under attack, and what it was seen to hold at worst.
struct Siege {
    endpoint: Arc<QuicEndpoint>,
    disk: Arc<Disk>,
    server: Arc<TransferServer<Disk>>,
    resident_before: u64,
    over: AtomicBool,
}

impl Siege {
    async fn lay() -> Arc<Self> {
        let endpoint = Arc::new(QuicEndpoint::bind(QuicConfig::loopback(key(HOLDER))).await.unwrap());
        let disk = Disk::new(HOLDER, id(HEAVY));
        disk.quote_for(id(OWNER), REQUEST, 20);
        let server = Arc::new(TransferServer::new(LIMITS, id(HOLDER), disk.clone(), TestClock::start()));
        open_doors(endpoint.clone(), vec![server.clone()]);
        Arc::new(Self { endpoint, disk, server, resident_before: resident_bytes(), over: AtomicBool::new(false) })
    }

    /// Looks all the time whether the limits hold.
    async fn watch(self: Arc<Self>) {
        while !self.over.load(Ordering::Relaxed) {
            let load = self.server.load();
            assert!(load.sessions <= LIMITS.sessions_max && load.hellos <= LIMITS.hellos_max, "{load:?}");
            assert!(load.bytes_in_flight <= LIMITS.bytes_in_flight, "{load:?}");
            let grown = resident_bytes().saturating_sub(self.resident_before);
            assert!(grown <= GROWTH_MAX, "{grown} bytes more than before");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Uploads one batch after another until the siege is over; tells how many.
    async fn honest(self: Arc<Self>) -> u64 {
        let owner = Arc::new(QuicEndpoint::bind(QuicConfig::loopback(key(OWNER))).await.unwrap());
        let holder = self.endpoint.addr();
        let resuming = Resuming {
            endpoint: owner.clone(),
            chain: CHAIN,
            access: write_access(&holder, 1 << 40),
            holder,
            config: TransferClientConfig::default(),
            retry: RetryPolicy { attempts: 30, longest: Duration::from_secs(1), ..RetryPolicy::default() },
            introducer: None,
        };
        let mut stored = 0;
        while stored == 0 || !self.over.load(Ordering::Relaxed) {
            let (bytes, source, meta, _) = batch(stored % 4, 20);
            self.disk.batches.lock().unwrap().remove(&(id(OWNER), meta.root));
            resuming.upload(Arc::new(source), &|_| {}).await.unwrap().close().await;
            assert!(self.disk.bytes_of(id(OWNER), &meta.root) == bytes);
            stored += 1;
        }
        owner.close().await;
        stored
    }

    /// Nothing is left of the attackers once they have gone.
    async fn lift(&self) {
        eventually(|| {
            let load = self.server.load();
            (load.sessions, load.hellos, load.bytes_in_flight, self.endpoint.connections()) == (0, 0, 0, 0)
        })
        .await;
        self.endpoint.close().await;
    }
}

/// Memory of this process that is in use now.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// A frame that no honest client sends, or sends so.
fn nonsense(rng: &mut StdRng) -> Vec<u8> {
    let mut body = vec![0; rng.random_range(1..200)];
    rng.fill(&mut body[..]);
    let framed = |length: u32, body: &[u8]| [&length.to_le_bytes()[..], body].concat();
    let (length, kinds) = (body.len() as u32, 6);
    match rng.random_range(0..6) {
        // Any kind, a true length.
        0 => framed(length, &body),
        // A kind that exists, nonsense in it.
        1 => {
            body[0] = rng.random_range(0..kinds);
            framed(length, &body)
        }
        // More announced than any message may have.
        2 => {
            body[0] = rng.random_range(0..kinds);
            framed(rng.random_range(64 * 1_024..=u32::MAX), &body)
        }
        // Less than announced.
        3 => framed(length + rng.random_range(1..60), &body),
        4 => framed(0, &[]),
        // A put of leaves that nobody began.
        _ => {
            let mut root = [0; 32];
            rng.fill(&mut root[..]);
            let put = TransferRequest::Put { root, first_leaf: rng.random(), count: rng.random() };
            encode_frame(&put).unwrap()
        }
    }
}

async fn pest(siege: Arc<Siege>, number: u8, sent: Arc<AtomicU64>) {
    let me = 50 + number;
    let endpoint = QuicEndpoint::bind(QuicConfig::loopback(key(me))).await.unwrap();
    let holder = siege.endpoint.addr();
    let mut rng = StdRng::seed_from_u64(number.into());
    while sent.load(Ordering::Relaxed) < FRAMES {
        let Ok(connection) = endpoint.connect(&holder, Protocol::Transfer).await else { continue };
        if rng.random_bool(0.7) {
            greet(&*connection, &holder, me).await;
        }
        let told = (0..LIMITS.streams_max).map(|_| babble(&*connection, nonsense(&mut rng)));
        let told = futures::future::join_all(told).await;
        sent.fetch_add(told.into_iter().filter(|told| *told).count() as u64, Ordering::Relaxed);
        connection.close(0, "");
    }
    endpoint.close().await;
}

/// Shows a ticket that holds, so that what follows comes from somebody who was let in.
async fn greet(connection: &dyn Connection, holder: &NodeAddr, me: u8) {
    let ticket = Ticket { client: id(me), ..write_ticket(holder, 1 << 30) };
    let access = Access::Write { ticket: Signed::new(ticket, &key(HEAVY), &CHAIN) };
    let hello = TransferHello { version: TRANSFER_VERSION, chain: CHAIN, access };
    let hello = encode_frame(&TransferRequest::Hello(Box::new(hello))).unwrap();
    let Ok(mut stream) = connection.open_bi().await else { return };
    if stream.send.write_all(&hello).await.is_ok() {
        let mut welcome = [0; 4];
        let _ = tokio::time::timeout(PATIENCE, stream.recv.read_exact(&mut welcome)).await;
    }
}

/// Says one thing on a stream of its own and hears the answer out; tells whether it could be said.
async fn babble(connection: &dyn Connection, frame: Vec<u8>) -> bool {
    let Ok(mut stream) = connection.open_bi().await else { return false };
    if stream.send.write_all(&frame).await.is_err() {
        return false;
    }
    let _ = stream.send.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.recv.read_to_end(&mut answer)).await;
    assert!(answer.len() < 1_024, "{} bytes for nonsense", answer.len());
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_garbage_frames_cost_bounded_memory_and_hold_no_honest_owner_up() {
    let siege = Siege::lay().await;
    let watching = tokio::spawn(siege.clone().watch());
    let honest = tokio::spawn(siege.clone().honest());
    let sent = Arc::new(AtomicU64::new(0));
    let pests = (0..PESTS).map(|number| tokio::spawn(pest(siege.clone(), number, sent.clone())));
    for ended in futures::future::join_all(pests).await {
        ended.unwrap();
    }
    assert!(sent.load(Ordering::Relaxed) >= FRAMES);
    siege.over.store(true, Ordering::Relaxed);
    assert!(honest.await.unwrap() > 0);
    watching.await.unwrap();
    siege.lift().await;
}

/// Passes the first packet of every attempt to connect on to the holder, each from a socket of its own, and nothing else:
/// to the holder they are clients that vanish amid the handshake.
async fn vanishing(sink: UdpSocket, holder: SocketAddr, passed: Arc<AtomicU64>) {
    let mut known = HashSet::new();
    let mut sockets = Vec::new();
    let mut packet = [0; 2_048];
    while let Ok((length, _)) = sink.recv_from(&mut packet).await {
        let packet = &packet[..length];
        // A long header of the kind Initial (RFC 9000, 17.2.2), and its destination's connection id.
        let is_initial = length > 6 && packet[0] & 0xf0 == 0xc0;
        let Some(id) = is_initial.then(|| packet.get(6..6 + usize::from(packet[5]))).flatten() else { continue };
        if known.insert(id.to_vec()) {
            let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            socket.send_to(packet, holder).await.unwrap();
            sockets.push(socket);
            passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_half_open_connections_cost_bounded_memory_and_hold_no_honest_owner_up() {
    let siege = Siege::lay().await;
    let watching = tokio::spawn(siege.clone().watch());
    let honest = tokio::spawn(siege.clone().honest());

    let sink = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at_sink = NodeAddr::new(id(HOLDER), vec![sink.local_addr().unwrap()], None).unwrap();
    let passed = Arc::new(AtomicU64::new(0));
    let holder = siege.endpoint.addr();
    let vanishing = tokio::spawn(vanishing(sink, holder.direct[0], passed.clone()));
    let dialler = QuicConfig { connect_timeout: Duration::from_secs(8), ..QuicConfig::loopback(key(70)) };
    let dialler = QuicEndpoint::bind(dialler).await.unwrap();
    let vanished = (0..HALF_OPEN).map(|_| dialler.connect(&at_sink, Protocol::Transfer));

    // Proven identities that never say hello, more of each than one identity may be.
    let mut crowd = Vec::new();
    for seed in 80..105 {
        crowd.push(QuicEndpoint::bind(QuicConfig::loopback(key(seed))).await.unwrap());
    }
    let silent = crowd.iter().cycle().take(SILENT).map(|endpoint| endpoint.connect(&holder, Protocol::Transfer));
    let (vanished, silent) = tokio::join!(futures::future::join_all(vanished), futures::future::join_all(silent));
    assert!(vanished.iter().all(Result::is_err), "nobody answers for one who vanished");
    assert!(passed.load(Ordering::Relaxed) >= HALF_OPEN as u64, "{passed:?} half-open handshakes");
    // All of those that came in are shown out: too many of one identity at once, the others for their silence.
    for connection in silent.into_iter().flatten() {
        let reason = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("nobody is waited for that long");
        assert!(matches!(reason, CloseReason::Remote { code, .. } if code != 0), "{reason}");
    }
    siege.over.store(true, Ordering::Relaxed);
    assert!(honest.await.unwrap() > 0);
    watching.await.unwrap();
    vanishing.abort();
    siege.lift().await;
}
