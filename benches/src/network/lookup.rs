//! How long an owner waits for offers, over real QUIC on loopback: with 3 heavy nodes in a line and with 30 in a ring with
//! chords, two holders at each, all in this process.
//!
//! Every lookup wants more holders than the first node has, so it always leaves that node; each is a request of its own, and
//! each offer is checked as an owner checks it. What travels between machines besides is theirs to add.

use crate::clock::CpuClock;
use crate::harness::Report;
use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use holdfast_ledger::Profile;
use holdfast_ledger::statement::{Quote, QuoteTerms};
use holdfast_network::control::{
    CheckedQuoteRequest, ControlClient, ControlClientConfig, ControlConfig, ControlPolicy, ControlServer, OfferEvent,
    QuoteService,
};
use holdfast_network::heavy::HeavyServer;
use holdfast_network::lookup::HolderStanding;
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::serve::{Handler, ServeLimits, serve};
use holdfast_network::time::{Clock as _, SystemClock};
use holdfast_network::wire::{HolderOffer, PlacementRequest, QuoteRefusal, Role, Signed};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Address, Amount, Bounded, ChainId, Height, RequestId, SecretKey};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CHAIN: ChainId = ChainId::new([7; 32]);
const HOLDERS_EACH: u32 = 2;
/// Holders that each lookup wants: three times what one node has.
const WANTED: u16 = 6;
const LOOKUPS: u32 = 200;
/// What is not counted: connections warm up.
const WARM_UP: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(120);
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// Prints the figures of both graphs.
pub fn run(report: &Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let line = (0..2).map(|node| (node, node + 1)).collect::<Vec<_>>();
    let ring = (0..30).flat_map(|node| [(node, (node + 1) % 30), (node, (node + 7) % 30)]).collect::<Vec<_>>();
    for (nodes, lines) in [(3, line), (30, ring)] {
        let figures = runtime.block_on(measure(nodes, &lines))?;
        let name = |what: &str| format!("lookup, {nodes} heavy nodes, {what}");
        report.figure(name("six offers, p50"), percentile(&figures.enough, 50), "ms", None, "");
        report.figure(name("six offers, p99"), percentile(&figures.enough, 99), "ms", None, "");
        report.figure(name("last word, p50"), percentile(&figures.done, 50), "ms", None, "");
        report.figure(name("last word, p99"), percentile(&figures.done, 99), "ms", None, "");
        report.figure(name("cpu of all nodes"), figures.cpu_ms, "ms/lookup", None, "");
    }
    Ok(())
}

/// Milliseconds of each lookup, ascending, and the CPU time of all nodes together for one.
struct Figures {
    enough: Vec<f64>,
    done: Vec<f64>,
    cpu_ms: f64,
}

/// The value below which `percent` of a hundred lie.
fn percentile(ascending: &[f64], percent: usize) -> f64 {
    ascending[(ascending.len() * percent / 100).min(ascending.len() - 1)]
}

async fn measure(nodes: u32, lines: &[(u32, u32)]) -> Result<Figures> {
    let mut town = Town::build(nodes, lines).await?;
    let owner = town.child(0, key(9, 0), Role::Owner).await?;
    let (mut enough, mut done) = (Vec::new(), Vec::new());
    let mut before = CpuClock::now()?;
    for number in 0..WARM_UP + LOOKUPS {
        if number == WARM_UP {
            before = CpuClock::now()?;
        }
        let (first, all) = lookup(&owner, number).await?;
        if number >= WARM_UP {
            enough.push(first.as_secs_f64() * 1e3);
            done.push(all.as_secs_f64() * 1e3);
        }
    }
    let cpu_ms = CpuClock::now()?.since(&before) * 1e3 / f64::from(LOOKUPS);
    enough.sort_by(f64::total_cmp);
    done.sort_by(f64::total_cmp);
    town.close().await;
    Ok(Figures { enough, done, cpu_ms })
}

/// How long until as many offers as are wanted hold, and until the last word.
async fn lookup(owner: &ControlClient, number: u32) -> Result<(Duration, Duration)> {
    let mut request = [0; 16];
    request[..4].copy_from_slice(&number.to_le_bytes());
    let placement = PlacementRequest {
        request: RequestId::new(request),
        owner: key(9, 0).address(),
        first_hop: owner.parent(),
        batch_log2: 20,
        batches_per_holder: 4,
        holders: WANTED,
        rounds: 100,
        price_max: Amount::grains(1_000),
        exclude: Bounded::empty(),
        only: Bounded::empty(),
        topics: Bounded::empty(),
        regions: Bounded::empty(),
        distinct_operators: false,
        hops_max: FOOTPRINT_HOPS_MAX as u8,
        expires: SystemClock.now().saturating_add(60_000),
    };
    let started = Instant::now();
    let mut offers = owner.place(Signed::new(placement, &key(9, 0), &CHAIN)).await?;
    let (mut found, mut enough) = (0, None);
    loop {
        match offers.next().await? {
            OfferEvent::Offer(_) => {
                found += 1;
                if found == WANTED {
                    enough = Some(started.elapsed());
                }
            }
            OfferEvent::Dropped(error) => anyhow::bail!("an offer does not hold: {error}"),
            OfferEvent::Done(done) => {
                ensure!(done.heavy_silent == 0, "a heavy node was silent: {done:?}");
                return Ok((enough.with_context(|| format!("too few offers: {done:?}"))?, started.elapsed()));
            }
        }
    }
}

fn key(kind: u8, number: u32) -> SecretKey {
    let mut seed = [kind; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(seed)
}

struct Ledger {
    heavy: BTreeSet<Address>,
}

impl ControlPolicy for Ledger {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    fn height(&self) -> Height {
        Height::new(1)
    }

    fn holder(&self, _address: &Address) -> Option<HolderStanding> {
        let (price, profile) = (Amount::grains(1), Profile::default());
        Some(HolderStanding { free_bytes: 1 << 40, accepting: true, price, profile })
    }

    fn is_heavy(&self, node: &Address) -> bool {
        self.heavy.contains(node)
    }

    fn heavy_nodes(&self) -> u32 {
        self.heavy.len() as u32
    }
}

/// Quotes whatever it is asked for.
struct Quoter(SecretKey);

#[async_trait]
impl QuoteService for Quoter {
    async fn quote(&self, request: CheckedQuoteRequest) -> Result<Quote, QuoteRefusal> {
        let wanted = request.placement();
        let terms = QuoteTerms {
            request: wanted.request,
            owner: wanted.owner,
            holder: self.0.address(),
            batch_log2: wanted.batch_log2,
            batches_max: wanted.batches_per_holder,
            price: Amount::grains(10),
            rounds_max: wanted.rounds,
            path: request.path(),
            expires: Height::new(1_000),
        };
        Ok(terms.sign(&self.0, &CHAIN))
    }
}

struct Town {
    nodes: Vec<(NodeAddr, Arc<HeavyServer<Ledger>>)>,
    endpoints: Vec<Arc<QuicEndpoint>>,
    tasks: JoinSet<()>,
}

impl Town {
    async fn build(nodes: u32, lines: &[(u32, u32)]) -> Result<Self> {
        let heavy = (0..nodes).map(|node| key(1, node).address()).collect();
        let ledger = Arc::new(Ledger { heavy });
        let mut town = Self { nodes: Vec::new(), endpoints: Vec::new(), tasks: JoinSet::new() };
        let mut controls = Vec::new();
        for node in 0..nodes {
            let endpoint = town.endpoint(key(1, node)).await?;
            let often = NonZeroU32::MAX;
            let config = ControlConfig { placements_per_minute: often, ..ControlConfig::default() };
            let config = ControlConfig {
                graph: holdfast_network::heavy::GraphConfig { seeks_per_minute: often, ..config.graph },
                ..config
            };
            let control =
                Arc::new(ControlServer::new(config, key(1, node), Arc::clone(&ledger), Arc::new(SystemClock)));
            let graph = HeavyServer::new(Arc::clone(&control));
            let handlers: Vec<Arc<dyn Handler>> = vec![Arc::clone(&control) as _, Arc::clone(&graph) as _];
            town.tasks.spawn(serve(Arc::clone(&endpoint) as Arc<dyn Endpoint>, handlers, ServeLimits::default()));
            town.nodes.push((endpoint.addr(), graph));
            controls.push(control);
        }
        for &(one, other) in lines {
            let (dialler, dialled) = (one.min(other) as usize, one.max(other) as usize);
            let endpoint = Arc::clone(&town.endpoints[dialler]) as Arc<dyn Endpoint>;
            let keep = Arc::clone(&town.nodes[dialler].1).keep(endpoint, town.nodes[dialled].0.clone());
            town.tasks.spawn(keep);
        }
        for holder in 0..nodes * HOLDERS_EACH {
            town.holder(holder % nodes, key(2, holder)).await?;
        }
        let ready = async {
            let joined = |control: &Arc<ControlServer<Ledger>>| {
                control.holders().iter().filter(|(_, offer)| offer.is_some()).count() == HOLDERS_EACH as usize
            };
            let neighbours = |town: &Self| town.nodes.iter().map(|(_, graph)| graph.neighbours().len()).sum::<usize>();
            while neighbours(&town) < 2 * lines.len() || !controls.iter().all(joined) {
                tokio::time::sleep(SETTLE_POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.context("the graph did not come together")?;
        Ok(town)
    }

    async fn endpoint(&mut self, secret: SecretKey) -> Result<Arc<QuicEndpoint>> {
        let endpoint = Arc::new(QuicEndpoint::bind(QuicConfig::loopback(secret)).await?);
        self.endpoints.push(Arc::clone(&endpoint));
        Ok(endpoint)
    }

    async fn child(&mut self, parent: u32, secret: SecretKey, role: Role) -> Result<ControlClient> {
        let endpoint = self.endpoint(secret).await?;
        let parent = &self.nodes[parent as usize].0;
        let (clock, config) = (Arc::new(SystemClock), ControlClientConfig::default());
        Ok(ControlClient::connect(&*endpoint, parent, CHAIN, role, clock, config).await?)
    }

    async fn holder(&mut self, parent: u32, secret: SecretKey) -> Result<()> {
        let client = self.child(parent, secret.clone(), Role::Holder).await?;
        let offer = HolderOffer {
            free_bytes: 1 << 30,
            price: Amount::grains(10),
            classes: Bounded::new(vec![20])?,
            accepting: true,
        };
        client.offer(offer).await?;
        self.tasks.spawn(async move {
            client.serve_quotes(Arc::new(Quoter(secret))).await;
        });
        Ok(())
    }

    async fn close(mut self) {
        self.tasks.shutdown().await;
        for endpoint in self.endpoints {
            endpoint.close().await;
        }
    }
}
