//! The client: hands in signed transactions over a few connections, and watches how many are final.

use crate::load::{Connection, Request, runtime};
use anyhow::{Context as _, Result, bail, ensure};
use holdfast_ledger::TxEnvelope;
use holdfast_primitives::TxId;
use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Calls in one request.
const CALLS: usize = 500;
/// Transactions that were handed in and are not final yet, at most: below what a pool takes.
pub const IN_FLIGHT: u64 = 60_000;
/// How often is looked how many are final.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take until the next is final.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests for each connection, in order.
pub struct Orders {
    requests: Vec<Vec<(Request, u64)>>,
    txs: u64,
}

/// What came of it.
pub struct Driven {
    /// From the first request until the last transaction was final.
    pub wall: Duration,
    /// Blocks made meanwhile.
    pub blocks: u64,
}

impl Orders {
    /// Writes the requests. One sender's transactions go over one connection, so that they arrive in order: `people` many
    /// senders take turns in `txs`. A connection that waits too long for its turn is closed by the server, so few in flight need
    /// few `connections`.
    pub fn write(txs: &[TxEnvelope], people: usize, connections: usize) -> Self {
        let connection_of = |place: usize| place % people % connections;
        let requests = (0..connections).map(|connection| {
            let own: Vec<&TxEnvelope> = txs
                .iter()
                .enumerate()
                .filter(|(place, _)| connection_of(*place) == connection)
                .map(|(_, tx)| tx)
                .collect();
            own.chunks(CALLS).map(|chunk| (Request::post("/", &batch(chunk), 0), chunk.len() as u64)).collect()
        });
        Self { requests: requests.collect(), txs: txs.len() as u64 }
    }

    pub const fn txs(&self) -> u64 {
        self.txs
    }

    /// Sends everything to `server`, about `in_flight` transactions ahead of what is final, and waits until all of it is.
    pub fn drive(self, server: SocketAddr, in_flight: u64) -> Result<Driven> {
        runtime()?.block_on(LocalSet::new().run_until(drive(self, server, in_flight)))
    }
}

fn batch(txs: &[&TxEnvelope]) -> String {
    let mut body = String::from("[");
    for (id, tx) in txs.iter().enumerate() {
        body.push_str(if id == 0 { "" } else { "," });
        // Writing into a string cannot fail.
        let _ = write!(body, r#"{{"jsonrpc":"2.0","id":{id},"method":"tx_submit","params":["{}"]}}"#, hex(tx));
    }
    body + "]"
}

/// A transaction as `tx_submit` takes it.
pub fn hex(tx: &TxEnvelope) -> String {
    let bytes = borsh::to_vec(tx).expect("a transaction encodes into memory");
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

async fn drive(orders: Orders, server: SocketAddr, in_flight: u64) -> Result<Driven> {
    let (sent, settled) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut watch = Connection::open(server).await?;
    let before = progress(&mut watch).await?;
    let started = Instant::now();
    let mut sending = tokio::task::JoinSet::new();
    for requests in orders.requests {
        let (sent, settled) = (Rc::clone(&sent), Rc::clone(&settled));
        sending.spawn_local(async move {
            let mut connection = Connection::open(server).await?;
            for (request, calls) in requests {
                while sent.get() - settled.get() > in_flight {
                    tokio::time::sleep(LOOK / 4).await;
                }
                sent.set(sent.get() + calls);
                let length = connection.ask(request.wire()).await?;
                let answer = connection.body(length);
                if let Some(place) = find(answer, b"\"error\"") {
                    let end = answer.len().min(place + 400);
                    bail!("a transaction was refused: {}", String::from_utf8_lossy(&answer[place..end]));
                }
            }
            Ok(())
        });
    }
    let mut moved = Instant::now();
    while settled.get() < orders.txs {
        tokio::time::sleep(LOOK).await;
        let now = progress(&mut watch).await?.txs - before.txs;
        if settled.replace(now) < now {
            moved = Instant::now();
        }
        while let Some(ended) = sending.try_join_next() {
            ended??;
        }
        ensure!(moved.elapsed() < PATIENCE, "{now} of {} transactions are final and no more follow", orders.txs);
    }
    let wall = started.elapsed();
    Ok(Driven { wall, blocks: progress(&mut watch).await?.height - before.height })
}

/// How far a node is.
pub struct Progress {
    /// Its newest block.
    pub height: u64,
    /// Transactions in blocks since it started.
    pub txs: u64,
    /// Bytes of these blocks.
    pub bytes: u64,
}

/// The counters that every node publishes.
async fn progress(connection: &mut Connection) -> Result<Progress> {
    let length = connection.ask(Request::get("/metrics").wire()).await?;
    let text = std::str::from_utf8(connection.body(length))?;
    let value = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("a node counts {name}"))?.trim().parse()?)
    };
    Ok(Progress {
        height: value("holdfast_height")?,
        txs: value("holdfast_transactions_total")?,
        bytes: value("holdfast_block_bytes_total")?,
    })
}

/// How far a node is.
pub fn standing(server: SocketAddr) -> Result<Progress> {
    runtime()?.block_on(async { progress(&mut Connection::open(server).await?).await })
}

/// Hands in single transactions, `at_once` people side by side, each waiting until its last is final; the time from
/// handing one in until being told, ascending.
pub fn finality(server: SocketAddr, txs: Vec<Vec<TxEnvelope>>) -> Result<Vec<Duration>> {
    let run = async move {
        let mut waiting = tokio::task::JoinSet::new();
        for own in txs {
            waiting.spawn_local(async move {
                let mut connection = Connection::open(server).await?;
                let mut took = Vec::new();
                for tx in own {
                    let started = Instant::now();
                    call(&mut connection, "tx_submit", &format!("[\"{}\"]", hex(&tx))).await?;
                    let id: TxId = tx.signed.id();
                    let told = call(&mut connection, "tx_wait", &format!("[\"{id}\",60000]")).await?;
                    ensure!(told.contains("\"final\""), "a payment is final within a minute: {told}");
                    took.push(started.elapsed());
                }
                Ok(took)
            });
        }
        let mut took: Vec<Duration> = Vec::new();
        while let Some(ended) = waiting.join_next().await {
            took.extend(ended??);
        }
        took.sort_unstable();
        Ok(took)
    };
    runtime()?.block_on(LocalSet::new().run_until(run))
}

async fn call(connection: &mut Connection, method: &str, params: &str) -> Result<String> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"{method}","params":{params}}}"#);
    let length = connection.ask(Request::post("/", &body, 0).wire()).await?;
    let answer = String::from_utf8(connection.body(length).to_vec())?;
    ensure!(!answer.contains("\"error\""), "{method}: {answer}");
    Ok(answer)
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|found| found == word)
}
