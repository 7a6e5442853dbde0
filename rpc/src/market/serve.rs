//! Answers of the `market` namespace.

use super::quote::{Offer, QuoteAsk, QuoteView, estimate};
use super::{
    ContractView, HeavyView, HolderRef, HolderView, MarketApiServer, NodeView, OffersAsk, PricingView, SlotView, offers,
};
use crate::account::SegmentView;
use crate::backend::Backend;
use crate::error::Failure;
use crate::look::Look;
use crate::{Page, PageAsk};
use holdfast_ledger::Contract;
use holdfast_primitives::{ContractNo, HolderNo, SegmentNo};
use std::sync::Arc;

/// The market's counter.
pub(crate) struct MarketNamespace {
    backend: Arc<dyn Backend>,
}

impl MarketNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    fn look(&self) -> Look {
        Look::at_tip(self.backend.as_ref())
    }

    /// Every holder that takes batches and can be reached.
    fn online_offers(&self, look: &Look) -> Result<Vec<Offer>, Failure> {
        let mut offers = Vec::new();
        for (number, holder) in look.state.iter_holders().filter(|(_, holder)| holder.accepting) {
            let address = look.address_of(holder.account)?;
            if self.backend.is_online(&address) {
                offers.push(Offer {
                    holder: number,
                    address: look.text(address),
                    price: holder.price,
                    free_bytes: holder.quota_bytes.saturating_sub(holder.used_bytes),
                    profile: holder.profile.clone(),
                });
            }
        }
        Ok(offers)
    }
}

impl MarketApiServer for MarketNamespace {
    fn params(&self) -> Result<PricingView, Failure> {
        Ok(PricingView::of(self.look().state.params()))
    }

    fn holders(&self, page: Option<PageAsk>) -> Result<Page<HolderView>, Failure> {
        let look = self.look();
        PageAsk::cut(page, look.state.holders() as u64, |place| {
            let number = HolderNo::new(place as u32);
            let holder = look.state.holder(number).ok_or(Failure::HolderUnknown { number })?;
            look.holder_view(self.backend.as_ref(), number, holder)
        })
    }

    fn offers(&self, ask: Option<OffersAsk>, page: Option<PageAsk>) -> Result<Page<HolderView>, Failure> {
        let (ask, look) = (ask.unwrap_or_default(), self.look());
        let mut rows = Vec::new();
        for (number, holder) in look.state.iter_holders().filter(|(_, holder)| ask.fits(holder)) {
            let row = look.holder_view(self.backend.as_ref(), number, holder)?;
            if row.online || !ask.online {
                rows.push(row);
            }
        }
        rows.sort_by(offers::order);
        PageAsk::cut(page, rows.len() as u64, |place| Ok(rows[place as usize].clone()))
    }

    fn holder(&self, holder: HolderRef) -> Result<HolderView, Failure> {
        let look = self.look();
        let (number, holder) = look.holder(holder)?;
        look.holder_view(self.backend.as_ref(), number, holder)
    }

    fn batches(&self, holder: HolderRef, batch_log2: u8, page: Option<PageAsk>) -> Result<Page<SlotView>, Failure> {
        let look = self.look();
        let (number, _) = look.holder(holder)?;
        let list = look.state.list(number, batch_log2);
        PageAsk::cut(page, list.map_or(0, |list| list.len() as u64), |place| {
            let slot = look.state.slot(number, batch_log2, place as u32);
            let slot = slot.ok_or_else(|| Failure::broken_link("slot", place as u32))?;
            Ok(SlotView::of(place as u32, slot))
        })
    }

    fn contract(&self, number: ContractNo) -> Result<ContractView, Failure> {
        let look = self.look();
        let contract = look.state.contract(number).ok_or(Failure::ContractUnknown { number })?;
        look.contract_view(number, contract)
    }

    fn contracts(&self, holder: HolderRef, page: Option<PageAsk>) -> Result<Page<ContractView>, Failure> {
        let look = self.look();
        let (number, _) = look.holder(holder)?;
        let is_running = |contract: &Contract| contract.holder == number && contract.batches > 0;
        let running: Vec<_> = look.state.iter_contracts().filter(|(_, contract)| is_running(contract)).collect();
        PageAsk::cut(page, running.len() as u64, |place| {
            let (number, contract) = running[place as usize];
            look.contract_view(number, contract)
        })
    }

    fn segment(&self, number: SegmentNo) -> Result<SegmentView, Failure> {
        let look = self.look();
        let segment = look.state.segment(number).ok_or(Failure::SegmentUnknown { number })?;
        look.segment_view(number, segment)
    }

    fn node(&self) -> Result<NodeView, Failure> {
        let node = self.backend.node();
        Ok(NodeView {
            account: self.look().text(node.account),
            node_addr: node.node_addr,
            children: node.children,
            peers: node.peers,
            graph: node.graph,
        })
    }

    fn heavies(&self, page: Option<PageAsk>) -> Result<Page<HeavyView>, Failure> {
        let (look, heavies) = (self.look(), self.backend.heavies());
        PageAsk::cut(page, heavies.len() as u64, |place| Ok(HeavyView::of(&look, &heavies[place as usize])))
    }

    fn quote(&self, ask: QuoteAsk) -> Result<QuoteView, Failure> {
        let look = self.look();
        estimate(&ask, look.state.params(), self.online_offers(&look)?)
    }
}
