//! Answers of the `chain` namespace.

use super::{
    BlockNotice, BlockRef, BlockView, CertificateView, ChainApiServer, ChainStatus, EventView, GenesisView, HeaderView,
    ParamsView, RawBlock,
};
use crate::backend::Backend;
use crate::error::Failure;
use crate::follow::follow;
use crate::look::{Look, events_at};
use crate::round::PhaseName;
use crate::text::{Raw, Time};
use crate::{Page, PageAsk};
use holdfast_ledger::{Block, Header, Step};
use holdfast_primitives::Height;
use std::sync::Arc;
use upstream::core::{SubscriptionResult, async_trait};
use upstream::server::PendingSubscriptionSink;

/// The chain's counter.
pub(crate) struct ChainNamespace {
    backend: Arc<dyn Backend>,
}

impl ChainNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    fn look(&self) -> Look {
        Look::at_tip(self.backend.as_ref())
    }

    fn find_block(&self, look: &Look, at: BlockRef) -> Result<Block, Failure> {
        let height = look.resolve(self.backend.as_ref(), at)?;
        self.backend.block(height)?.ok_or(Failure::BlockUnknown { at })
    }
}

#[async_trait]
impl ChainApiServer for ChainNamespace {
    fn status(&self) -> Result<ChainStatus, Failure> {
        let (look, standing, genesis) = (self.look(), self.backend.standing(), self.backend.genesis());
        let (chain, params) = (look.state.chain(), look.state.params());
        Ok(ChainStatus {
            network: params.prefix,
            chain: chain.chain,
            name: String::from_utf8_lossy(&genesis.name).into_owned(),
            protocol_version: chain.protocol,
            node_version: standing.version.to_owned(),
            height: chain.height,
            block: look.hash,
            state_root: look.state_root(),
            time: Time::of(chain.time),
            round: chain.running.round,
            phase: PhaseName::of(&chain.running.phase),
            due: Time::of(chain.running.due),
            validators: chain.validators.len() as u32,
            holders: look.state.holders() as u32,
            peers: standing.peers,
            synced: standing.synced,
        })
    }

    fn genesis(&self) -> Result<GenesisView, Failure> {
        Ok(GenesisView::of(&self.backend.genesis()))
    }

    fn params(&self) -> Result<ParamsView, Failure> {
        Ok(ParamsView::of(self.look().state.params()))
    }

    fn header(&self, at: BlockRef) -> Result<HeaderView, Failure> {
        let look = self.look();
        let height = look.resolve(self.backend.as_ref(), at)?;
        let header = self.backend.header(height)?.ok_or(Failure::BlockUnknown { at })?;
        Ok(HeaderView::of(&header, look.prefix()))
    }

    fn block(&self, at: BlockRef) -> Result<BlockView, Failure> {
        let look = self.look();
        Ok(BlockView::of(&self.find_block(&look, at)?, look.prefix()))
    }

    fn block_raw(&self, at: BlockRef) -> Result<RawBlock, Failure> {
        let block = self.find_block(&self.look(), at)?;
        Ok(RawBlock { height: block.header.height, hash: block.header.hash(), raw: Raw::of(&block) })
    }

    fn certificate(&self, at: BlockRef) -> Result<CertificateView, Failure> {
        let look = self.look();
        let height = look.resolve(self.backend.as_ref(), at)?;
        let unknown = || Failure::BlockUnknown { at };
        let certificate = self.backend.certificate(height)?.ok_or_else(unknown)?;
        let validators = self.backend.validators(height)?.ok_or_else(unknown)?;
        Ok(CertificateView::of(&certificate, &validators, look.prefix()))
    }

    fn steps(&self, after: Height) -> Result<Vec<Raw<Step>>, Failure> {
        Ok(self.backend.steps(after)?.iter().map(Raw::of).collect())
    }

    fn step(&self, at: BlockRef) -> Result<Raw<Step>, Failure> {
        let look = self.look();
        let height = look.resolve(self.backend.as_ref(), at)?;
        let unknown = || Failure::BlockUnknown { at };
        let header = self.backend.header(height)?.ok_or_else(unknown)?;
        let certificate = self.backend.certificate(height)?.ok_or_else(unknown)?;
        let next = match height == look.height() {
            true => look.state.chain().validators.clone(),
            false => self.backend.validators(height.next())?.ok_or_else(unknown)?,
        };
        Ok(Raw::of(&Step { header, certificate, next: Some(next) }))
    }

    fn events(&self, at: BlockRef, page: Option<PageAsk>) -> Result<Page<EventView>, Failure> {
        let look = self.look();
        let height = look.resolve(self.backend.as_ref(), at)?;
        let events = self.backend.events(height)?.ok_or(Failure::BlockUnknown { at })?;
        PageAsk::cut(page, events.len() as u64, |place| {
            Ok(EventView::of(place, &events[place as usize], look.prefix()))
        })
    }

    async fn subscribe_blocks(&self, pending: PendingSubscriptionSink) -> SubscriptionResult {
        follow(pending, self.backend.clone(), |backend, height| Ok(vec![notice(backend, height)?])).await
    }
}

fn notice(backend: &dyn Backend, height: Height) -> Result<BlockNotice, Failure> {
    let unknown = || Failure::BlockUnknown { at: BlockRef::Height(height) };
    let Block { header, txs } = backend.block(height)?.ok_or_else(unknown)?;
    let events = events_at(backend, height)?;
    Ok(BlockNotice { header: view(backend, &header), txs: txs.len() as u32, events: events.len() as u32 })
}

fn view(backend: &dyn Backend, header: &Header) -> HeaderView {
    HeaderView::of(header, backend.genesis().params.prefix)
}
