//! Many heavy nodes with their holders, in one network in memory.

use super::*;
use holdfast_network::control::{
    CheckedQuoteRequest, ControlClient, ControlClientConfig, ControlConfig, ControlServer,
};
use holdfast_network::heavy::HeavyServer;
use holdfast_network::wire::Role;
use std::collections::BTreeMap;

pub const OWNER: u8 = 200;

/// A heavy node.
pub struct Heavy {
    pub control: Arc<ControlServer<TestLedger>>,
    pub graph: Arc<HeavyServer<TestLedger>>,
    pub endpoint: Arc<dyn Endpoint>,
}

/// Heavy nodes and the lines between them.
pub struct Town {
    pub network: MemoryNetwork,
    pub ledger: Arc<TestLedger>,
    pub clock: Arc<TestClock>,
    pub nodes: BTreeMap<u8, Heavy>,
    lines: Vec<(u8, u8)>,
    asked: Arc<Mutex<BTreeMap<Address, u32>>>,
}

/// Counts how often its holder is asked.
struct Counting {
    quoter: Quoter,
    asked: Arc<Mutex<BTreeMap<Address, u32>>>,
}

#[async_trait]
impl QuoteService for Counting {
    async fn quote(&self, request: CheckedQuoteRequest) -> Result<Quote, QuoteRefusal> {
        *self.asked.lock().unwrap().entry(self.quoter.key.address()).or_default() += 1;
        self.quoter.quote(request).await
    }
}

impl Town {
    /// These nodes with these lines, all connected.
    pub async fn new(nodes: &[u8], lines: &[(u8, u8)]) -> Self {
        let town = Self::apart(nodes, lines);
        town.settled().await;
        town
    }

    /// The same, not waited for: some of the lines may lead to villains.
    pub fn apart(nodes: &[u8], lines: &[(u8, u8)]) -> Self {
        let (network, clock, ledger) = (network(1), TestClock::start(), Arc::new(TestLedger::default()));
        ledger.heavy.lock().unwrap().extend(nodes.iter().map(|node| id(*node)));
        ledger.heavy.lock().unwrap().extend(lines.iter().flat_map(|(one, other)| [id(*one), id(*other)]));
        let heavy = |node: &u8| {
            let endpoint: Arc<dyn Endpoint> = Arc::new(network.endpoint(id(*node)));
            let config = ControlConfig::default();
            let control = Arc::new(ControlServer::new(config, key(*node), ledger.clone(), clock.clone()));
            let graph = HeavyServer::new(control.clone());
            open_doors(endpoint.clone(), vec![control.clone(), graph.clone()]);
            (*node, Heavy { control, graph, endpoint })
        };
        let nodes: BTreeMap<u8, Heavy> = nodes.iter().map(heavy).collect();
        for (one, other) in lines.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            if let Some(node) = nodes.get(one) {
                tokio::spawn(node.graph.clone().keep(node.endpoint.clone(), bare(*other)));
            }
        }
        Self { network, ledger, clock, nodes, lines: lines.to_vec(), asked: Arc::default() }
    }

    pub async fn line(nodes: &[u8]) -> Self {
        let lines: Vec<(u8, u8)> = nodes.windows(2).map(|pair| (pair[0], pair[1])).collect();
        Self::new(nodes, &lines).await
    }

    pub async fn ring(nodes: &[u8]) -> Self {
        let next = nodes.iter().cycle().skip(1);
        let lines: Vec<(u8, u8)> = nodes.iter().copied().zip(next.copied()).collect();
        Self::new(nodes, &lines).await
    }

    pub async fn star(middle: u8, others: &[u8]) -> Self {
        let lines: Vec<(u8, u8)> = others.iter().map(|other| (middle, *other)).collect();
        Self::new(&[&[middle], others].concat(), &lines).await
    }

    /// Waits until every line stands.
    pub async fn settled(&self) {
        let stands = |(one, other): &(u8, u8)| {
            let knows = |node: &u8, other: &u8| self.nodes[node].graph.neighbours().contains(&id(*other));
            knows(one, other) && knows(other, one)
        };
        let all = async {
            while !self.lines.iter().all(stands) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), all).await.expect("neighbours connect");
    }

    pub async fn child(&self, parent: u8, seed: u8, role: Role) -> ControlClient {
        let endpoint = self.network.endpoint(id(seed));
        let (clock, config) = (self.clock.clone(), ControlClientConfig::default());
        let connected = ControlClient::connect(&endpoint, &bare(parent), CHAIN, role, clock, config).await.unwrap();
        // Nobody dials a light node here, but its connections need its endpoint.
        std::mem::forget(endpoint);
        connected
    }

    pub async fn owner(&self, parent: u8) -> ControlClient {
        self.child(parent, OWNER, Role::Owner).await
    }

    /// A holder that is online and has said what it offers.
    pub async fn holder(&self, parent: u8, seed: u8, price: u64, refuses: Option<QuoteRefusal>) {
        self.ledger.holders.lock().unwrap().entry(id(seed)).or_insert_with(standing);
        let client = self.child(parent, seed, Role::Holder).await;
        client.offer(offer(price)).await.unwrap();
        let asked = self.asked.clone();
        let service = Arc::new(Counting { quoter: Quoter { key: key(seed), price, refuses }, asked });
        tokio::spawn(async move { client.serve_quotes(service).await });
        let control = &self.nodes[&parent].control;
        while !control.holders().iter().any(|(holder, offer)| *holder == id(seed) && offer.is_some()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How often each holder was asked.
    pub fn asked(&self) -> BTreeMap<Address, u32> {
        self.asked.lock().unwrap().clone()
    }
}
