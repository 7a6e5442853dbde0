//! Counters and gauges of one heavy node, in the OpenMetrics text format. A registry per node, never a global one.

use holdfast_ledger::{Event, FullBlock};
use holdfast_network::heavy::GraphFigures;
use holdfast_network::relay::RelayFigures;
use holdfast_primitives::Height;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The figures of one node.
pub struct NodeMetrics {
    registry: Registry,
    height: Gauge,
    transactions: Counter,
    block_bytes: Counter,
    openings: Counter,
    openings_failed: Counter,
    rounds_settled: Counter,
    batches_faulty: Counter,
    paid: Counter,
    relay_fees: Counter,
    mempool: Gauge,
    children: Gauge,
    neighbours: Gauge,
    lookups_served: Gauge,
    lookups_forwarded: Gauge,
    lookups_unanswered: Gauge,
    lookups_repeated: Gauge,
    lookups_refused: Gauge,
    relay_clients: Gauge,
    relay_dropped: Gauge,
    relay_received: Counter,
    relay_sent: Counter,
    relay_slowed: Counter,
}

impl NodeMetrics {
    /// All zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("holdfast");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let transactions = counter("transactions", "Transactions in committed blocks");
        let openings = counter("proof_openings", "Openings verified in committed blocks");
        let openings_failed = counter("proof_openings_failed", "Openings that failed in committed blocks");
        let rounds_settled = counter("rounds_settled", "Rounds settled");
        let batches_faulty = counter("batches_faulty", "Batches marked faulty");
        let paid = counter("paid_grain", "Paid out of escrows, in grain");
        let relay_fees = counter("relay_fees_grain", "The part of it that went to footprints, in grain");
        let block_bytes = Counter::default();
        registry.register_with_unit(
            "block",
            "Bytes of committed blocks without openings",
            Unit::Bytes,
            block_bytes.clone(),
        );
        let mut bytes = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
            counter
        };
        let relay_received = bytes("relay_received", "Bytes that light nodes gave the relay to pass on");
        let relay_sent = bytes("relay_sent", "Bytes that the relay passed on");
        let relay_slowed = bytes("relay_slowed", "Bytes that had to wait because one light node sent more than it may");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let height = gauge("height", "Height of the newest committed block");
        let mempool = gauge("mempool_transactions", "Transactions that wait for a block");
        let children = gauge("children", "Light nodes connected");
        let neighbours = gauge("neighbours", "Heavy nodes connected, to look for holders with");
        let lookups_served = gauge("lookups_served", "Requests of neighbours that were looked into since the start");
        let lookups_forwarded = gauge("lookups_forwarded", "Requests passed on since the start, for each neighbour");
        let lookups_unanswered = gauge("lookups_unanswered", "Those of them to which no answer came");
        let lookups_repeated = gauge("lookups_repeated", "Requests that had come by before, since the start");
        let lookups_refused = gauge("lookups_refused", "Requests of neighbours that were refused since the start");
        let relay_clients = gauge("relay_clients", "Light nodes connected to the relay");
        let relay_dropped = gauge("relay_dropped_packets", "Packets for somebody who was not connected to the relay");
        Self {
            registry,
            height,
            transactions,
            block_bytes,
            openings,
            openings_failed,
            rounds_settled,
            batches_faulty,
            paid,
            relay_fees,
            mempool,
            children,
            neighbours,
            lookups_served,
            lookups_forwarded,
            lookups_unanswered,
            lookups_repeated,
            lookups_refused,
            relay_clients,
            relay_dropped,
            relay_received,
            relay_sent,
            relay_slowed,
        }
    }

    /// All figures as text; those that change without a block are given.
    pub fn text(&self, mempool: usize, children: usize, graph: GraphFigures, relay: RelayFigures) -> String {
        let GraphFigures { neighbours, served, forwarded, unanswered, repeated, refused } = graph;
        let (mempool, children, neighbours) = (mempool as u64, children as u64, neighbours as u64);
        for (gauge, figure) in [
            (&self.mempool, mempool),
            (&self.children, children),
            (&self.neighbours, neighbours),
            (&self.lookups_served, served),
            (&self.lookups_forwarded, forwarded),
            (&self.lookups_unanswered, unanswered),
            (&self.lookups_repeated, repeated),
            (&self.lookups_refused, refused),
            (&self.relay_clients, relay.clients),
            (&self.relay_dropped, relay.dropped_packets),
        ] {
            gauge.set(i64::try_from(figure).unwrap_or(i64::MAX));
        }
        for (counter, figure) in [
            (&self.relay_received, relay.received_bytes),
            (&self.relay_sent, relay.sent_bytes),
            (&self.relay_slowed, relay.slowed_bytes),
        ] {
            // Counted elsewhere; here it only catches up.
            counter.inc_by(figure.saturating_sub(counter.get()));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("metrics encode into memory");
        text
    }

    pub(crate) fn committed(&self, height: Height, full: &FullBlock, events: &[Event]) {
        self.height.set(i64::try_from(height.get()).unwrap_or(i64::MAX));
        self.transactions.inc_by(full.block.txs.len() as u64);
        self.block_bytes.inc_by(borsh::object_length(&full.block).map_or(0, |bytes| bytes as u64));
        for event in events {
            match event {
                Event::ProofVerified { count, failed, .. } => {
                    self.openings.inc_by(u64::from(*count));
                    self.openings_failed.inc_by(failed.len() as u64);
                }
                Event::BatchFaulty { .. } => {
                    self.batches_faulty.inc();
                }
                Event::RoundSettled(record) => {
                    self.rounds_settled.inc();
                    self.paid.inc_by(record.paid.get());
                    self.relay_fees.inc_by(record.relay_fees.get());
                }
                _ => {}
            }
        }
    }
}

impl Default for NodeMetrics {
    fn default() -> Self {
        Self::new()
    }
}
