//! Transactions spread among heavy nodes, and so does how each of them is reached: whoever admits one that is new to it passes it on to everyone else it knows.
//!
//! ```text
//! a wallet -> pool -> Gossip::spread ---> peer's pool: new there -> spread on, except to where it came from
//!                                                     known      -> nothing more happens
//! ```
//! A peer that connects is first told everything that waits, so a node that was away misses nothing. A peer that reads
//! too slowly loses what does not fit its queue and is told everything again once it has caught up. What a peer sends
//! passes the same check as what a wallet sends; a peer that keeps sending what no honest node would is turned away.
//! Whereabouts travel as signed cards through the [`HeavyBook`], the newest of each node to everyone once.

use crate::address::NodeAddr;
use crate::heavies::{HeavyBook, Noted, Rank};
use crate::serve::{Handler, Tally};
use crate::transport::{BiStream, Connection, Endpoint, Protocol};
use crate::wire::{
    FrameError, FromPeer, GOSSIP_CARDS_MAX, GOSSIP_TXS_MAX, GOSSIP_VERSION, GossipTx, HeavyCard, Refusal, RefusalCode,
    Signed, read_frame, read_hello, write_frame,
};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_primitives::{Address, Bounded, ChainId, TimeMs};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

/// Transactions that wait for one peer, at most.
const QUEUE: usize = 16_384;
/// Transactions of one peer that are judged together: what it may waste of others' time before it is turned away.
pub const TAKEN_TOGETHER: usize = 512;
/// Bytes that one message is filled up to.
const MESSAGE_BYTES: usize = 512 * 1024;
/// Transactions of one connection that no honest node would have passed on, before it is closed.
const STRIKES_MAX: u32 = 8;
/// Pause after a message. What comes to a peer that was told nothing for as long is passed on at once; under load what
/// comes within it travels together, where each alone would cost both sides a packet and a signature check of its own.
const BREATH: Duration = Duration::from_millis(5);
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(30);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// What became of a transaction that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits here now, and was unknown before.
    New,
    /// It waits here already, or is final, or there is no room, or it came too early or too late: no reproach.
    Passed,
    /// No honest node sends it: it does not decode, or its signature does not hold.
    Garbage,
}

/// The pool of transactions behind the gossip.
#[async_trait]
pub trait TxPool: Send + Sync + 'static {
    /// The chain it is for.
    fn chain(&self) -> ChainId;

    /// What time it is.
    fn now(&self) -> TimeMs;

    /// Whether the ledger says that this node is bonded and in good standing.
    fn is_bonded(&self, node: &Address) -> bool;

    /// Whether to talk with this node whatever else goes on.
    fn welcomes(&self, peer: &Address) -> bool;

    /// How many other nodes may come as well: full nodes, which nobody elected and nobody named.
    fn strangers_max(&self) -> usize {
        0
    }

    /// Takes transactions that `from` passed on; says of each what became of it, in order.
    async fn take(&self, from: Address, txs: &[GossipTx]) -> Vec<Taken>;

    /// Everything that waits.
    fn waiting(&self) -> Vec<Bytes>;
}

/// A node's part in the gossip.
pub struct Gossip<P> {
    pool: Arc<P>,
    outboxes: Mutex<HashMap<u64, Outbox>>,
    next_outbox: AtomicU64,
    /// Connected nodes that are only tolerated.
    strangers: Tally<()>,
    /// Who this node is, once it has written a card.
    me: Mutex<Option<Address>>,
    book: Mutex<HeavyBook>,
    /// Changes with every card that is to be passed on.
    cards: watch::Sender<u64>,
}

/// What one connected peer is still to be told.
#[derive(Clone)]
struct Outbox {
    peer: Address,
    queue: mpsc::Sender<Bytes>,
    /// Whether something did not fit the queue.
    missed: Arc<AtomicBool>,
}

/// Why a connection of the gossip ended.
#[derive(Debug, Error)]
enum GossipEnd {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Transport(#[from] crate::transport::TransportError),
    #[error("follows chain {found}")]
    OtherChain { found: ChainId },
    #[error("said hello twice")]
    Repeated,
    #[error("passed on {strikes} transactions or cards that no honest node would have")]
    Garbage { strikes: u32 },
    #[error("is no heavy node that this one talks with")]
    Stranger,
    #[error("ended the stream")]
    Done,
}

impl<P: TxPool> Gossip<P> {
    /// A node that knows nobody yet.
    pub fn new(pool: Arc<P>) -> Arc<Self> {
        Arc::new(Self {
            pool,
            outboxes: Mutex::default(),
            next_outbox: AtomicU64::new(0),
            strangers: Tally::default(),
            me: Mutex::default(),
            book: Mutex::default(),
            cards: watch::Sender::new(0),
        })
    }

    /// Passes a transaction on to every connected peer but `from`. Never waits.
    pub fn spread(&self, tx: &Bytes, from: Option<Address>) {
        for outbox in self.outboxes().values() {
            if Some(outbox.peer) != from && outbox.queue.try_send(tx.clone()).is_err() {
                outbox.missed.store(true, Ordering::Release);
            }
        }
    }

    /// Tells the others how this node is reached from now on.
    pub fn introduce(&self, card: Signed<HeavyCard>) {
        let me = card.statement.node.id;
        *self.me.lock().unwrap_or_else(PoisonError::into_inner) = Some(me);
        let rank = if self.pool.is_bonded(&me) { Rank::Bonded } else { Rank::Neighbour };
        self.book().note(card, rank, &self.pool.chain(), self.pool.now());
        self.cards.send_modify(|version| *version += 1);
    }

    /// How heavy nodes are reached, this one included once it has introduced itself.
    pub fn cards(&self) -> Vec<HeavyCard> {
        self.book().cards(self.pool.now()).cloned().collect()
    }

    /// Peers connected now.
    pub fn peers(&self) -> Vec<Address> {
        let mut peers: Vec<Address> = self.outboxes().values().map(|outbox| outbox.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    /// Stays connected with a peer until the future is dropped. Of two nodes that know each other the one with the
    /// lower id dials; the other waits for it and dials only when it does not come.
    pub async fn keep(self: Arc<Self>, endpoint: Arc<dyn Endpoint>, peer: NodeAddr) {
        let mut pause = RETRY_FIRST;
        if endpoint.id() > peer.id {
            tokio::time::sleep(RETRY_LONGEST / 10).await;
        }
        loop {
            if self.peers().contains(&peer.id) {
                pause = RETRY_FIRST;
            } else {
                let connected = endpoint.connect(&peer, Protocol::Gossip).await;
                let ended = match connected {
                    Ok(connection) => {
                        pause = RETRY_FIRST;
                        self.dialled(&*connection).await
                    }
                    Err(error) => error.into(),
                };
                tracing::debug!(peer = %peer.id, reason = %ended, "no gossip with a peer");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
    }

    async fn dialled(&self, connection: &dyn Connection) -> GossipEnd {
        let stream = match connection.open_bi().await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        self.talk(connection.remote_id(), stream).await
    }

    async fn called(&self, connection: &dyn Connection) -> GossipEnd {
        let peer = connection.remote_id();
        let welcome = self.pool.welcomes(&peer);
        let _counted = match welcome {
            true => None,
            false => match self.strangers.count((), self.pool.strangers_max()) {
                Some(counted) => Some(counted),
                None => return GossipEnd::Stranger,
            },
        };
        match tokio::time::timeout(HELLO_WITHIN, connection.accept_bi()).await {
            Ok(Ok(stream)) => self.talk(peer, stream).await,
            Ok(Err(error)) => error.into(),
            Err(_) => FrameError::Late { message: "gossip", after: HELLO_WITHIN }.into(),
        }
    }

    /// One conversation to its end.
    async fn talk(&self, peer: Address, mut stream: BiStream) -> GossipEnd {
        if let Err(error) = self.greet(&mut stream).await {
            return error;
        }
        let (outbox, queue) = self.open_outbox(peer);
        let BiStream { mut send, mut recv } = stream;
        tokio::select! {
            ended = self.tell(&mut send, (peer, queue), &outbox.0.missed) => ended,
            ended = self.listen(peer, &mut recv) => ended,
        }
    }

    async fn greet(&self, stream: &mut BiStream) -> Result<(), GossipEnd> {
        let chain = self.pool.chain();
        write_frame(&mut stream.send, &FromPeer::Hello { version: GOSSIP_VERSION, chain }, STALL).await?;
        match read_hello(&mut stream.recv, HELLO_WITHIN).await? {
            FromPeer::Hello { chain: found, .. } if found == chain => Ok(()),
            FromPeer::Hello { chain: found, .. } => Err(GossipEnd::OtherChain { found }),
            FromPeer::Transactions(_) | FromPeer::Cards(_) => unreachable!("a hello is of kind 0"),
        }
    }

    async fn tell(
        &self,
        send: &mut (impl tokio::io::AsyncWrite + Unpin),
        (peer, mut queue): (Address, mpsc::Receiver<Bytes>),
        missed: &AtomicBool,
    ) -> GossipEnd {
        let mut due = self.pool.waiting();
        let (mut cards, mut told) = (self.cards.subscribe(), HashMap::new());
        loop {
            cards.borrow_and_update();
            for message in self.cards_for(peer, &mut told) {
                if let Err(error) = write_frame(send, &message, STALL).await {
                    return error.into();
                }
            }
            for message in messages(due) {
                if let Err(error) = write_frame(send, &message, STALL).await {
                    return error.into();
                }
            }
            if queue.is_empty() && missed.swap(false, Ordering::AcqRel) {
                due = self.pool.waiting();
                continue;
            }
            due = Vec::new();
            tokio::time::sleep(BREATH).await;
            tokio::select! {
                received = queue.recv_many(&mut due, GOSSIP_TXS_MAX) => if received == 0 {
                    return GossipEnd::Done;
                },
                _ = cards.changed() => {}
            }
        }
    }

    /// The cards that a peer was not told yet.
    fn cards_for(&self, peer: Address, told: &mut HashMap<Address, TimeMs>) -> Vec<FromPeer> {
        let Some(me) = *self.me.lock().unwrap_or_else(PoisonError::into_inner) else { return Vec::new() };
        let book = self.book();
        let mut due = Vec::new();
        for card in book.to_tell(me) {
            let (id, written) = (card.statement.node.id, card.statement.written);
            if id != peer && told.insert(id, written) != Some(written) {
                due.push(card.clone());
            }
        }
        let message = |cards: &[Signed<HeavyCard>]| {
            FromPeer::Cards(Bounded::new(cards.to_vec()).expect("messages are cut to the limit"))
        };
        due.chunks(GOSSIP_CARDS_MAX).map(message).collect()
    }

    /// Takes note of what a peer says of heavy nodes; tells how many of its cards no honest node would have sent.
    fn learn(&self, peer: Address, cards: Bounded<Signed<HeavyCard>, GOSSIP_CARDS_MAX>) -> u32 {
        let (chain, now) = (self.pool.chain(), self.pool.now());
        let (mut forged, mut fresh) = (0, false);
        for card in cards.into_inner() {
            let id = card.statement.node.id;
            let rank = match () {
                () if self.pool.is_bonded(&id) => Rank::Bonded,
                () if id == peer => Rank::Neighbour,
                () => Rank::Stranger,
            };
            match self.book().note(card, rank, &chain, now) {
                Noted::Forged => forged += 1,
                Noted::Spread => fresh = true,
                Noted::Kept | Noted::Passed => {}
            }
        }
        if fresh {
            self.cards.send_modify(|version| *version += 1);
        }
        forged
    }

    fn book(&self) -> MutexGuard<'_, HeavyBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(&self, peer: Address, recv: &mut (impl tokio::io::AsyncRead + Unpin)) -> GossipEnd {
        let mut strikes = 0;
        loop {
            let txs = match read_frame(recv).await {
                Ok(Some(FromPeer::Transactions(txs))) => txs,
                Ok(Some(FromPeer::Cards(cards))) => {
                    strikes += self.learn(peer, cards);
                    if strikes > STRIKES_MAX {
                        return GossipEnd::Garbage { strikes };
                    }
                    continue;
                }
                Ok(Some(FromPeer::Hello { .. })) => return GossipEnd::Repeated,
                Ok(None) => return GossipEnd::Done,
                Err(error) => return error.into(),
            };
            for slice in txs.chunks(TAKEN_TOGETHER) {
                for (tx, taken) in slice.iter().zip(self.pool.take(peer, slice).await) {
                    match taken {
                        Taken::New => self.spread(&Bytes::copy_from_slice(tx), Some(peer)),
                        Taken::Passed => {}
                        Taken::Garbage => strikes += 1,
                    }
                }
                if strikes > STRIKES_MAX {
                    return GossipEnd::Garbage { strikes };
                }
            }
        }
    }

    fn open_outbox(&self, peer: Address) -> (OutboxGuard<'_, P>, mpsc::Receiver<Bytes>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let outbox = Outbox { peer, queue, missed: Arc::default() };
        let number = self.next_outbox.fetch_add(1, Ordering::Relaxed);
        self.outboxes().insert(number, outbox.clone());
        (OutboxGuard(outbox, number, self), waiting)
    }

    fn outboxes(&self) -> MutexGuard<'_, HashMap<u64, Outbox>> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the outbox away when the conversation ends, however it ends.
struct OutboxGuard<'a, P: TxPool>(Outbox, u64, &'a Gossip<P>);

impl<P: TxPool> Drop for OutboxGuard<'_, P> {
    fn drop(&mut self) {
        self.2.outboxes().remove(&self.1);
    }
}

#[async_trait]
impl<P: TxPool> Handler for Gossip<P> {
    fn protocol(&self) -> Protocol {
        Protocol::Gossip
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        let ended = self.called(&*connection).await;
        let peer = connection.remote_id();
        tracing::debug!(%peer, reason = %ended, "gossip ended");
        let refusal = match ended {
            GossipEnd::Frame(error) => Refusal::of_frame(&error),
            GossipEnd::OtherChain { .. } => Refusal::new(RefusalCode::WrongChain, &ended),
            GossipEnd::Repeated | GossipEnd::Garbage { .. } => Refusal::new(RefusalCode::Malformed, &ended),
            GossipEnd::Stranger => Refusal::new(RefusalCode::NotWelcome, &ended),
            GossipEnd::Transport(_) | GossipEnd::Done => return,
        };
        connection.close(refusal.code.number(), refusal.detail.as_str());
    }
}

/// Packs transactions into as few messages as their sizes allow; one that fits no message is left out.
fn messages(txs: Vec<Bytes>) -> Vec<FromPeer> {
    let (mut messages, mut gathered, mut bytes) = (Vec::new(), Vec::new(), 0);
    for tx in txs {
        let Ok(tx) = GossipTx::new(tx.to_vec()) else { continue };
        if !gathered.is_empty() && (bytes + tx.len() > MESSAGE_BYTES || gathered.len() == GOSSIP_TXS_MAX) {
            messages.push(std::mem::take(&mut gathered));
            bytes = 0;
        }
        bytes += tx.len();
        gathered.push(tx);
    }
    messages.push(gathered);
    messages.retain(|gathered| !gathered.is_empty());
    let message = |gathered| FromPeer::Transactions(Bounded::new(gathered).expect("messages are cut to the limit"));
    messages.into_iter().map(message).collect()
}
