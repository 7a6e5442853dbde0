//! Answers of the `round` namespace. The rows of a round are events of the blocks that froze and settled it.

use super::{FrozenRow, PaymentView, RecordView, ResultView, RoundApiServer, RoundNotice, RunningView};
use crate::backend::Backend;
use crate::error::Failure;
use crate::follow::follow;
use crate::look::{Look, events_at};
use crate::{Page, PageAsk};
use holdfast_ledger::Event;
use holdfast_primitives::RoundNo;
use std::sync::Arc;
use upstream::core::{SubscriptionResult, async_trait};
use upstream::server::PendingSubscriptionSink;

/// The rounds' counter.
pub(crate) struct RoundNamespace {
    backend: Arc<dyn Backend>,
}

impl RoundNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    fn look(&self) -> Look {
        Look::at_tip(self.backend.as_ref())
    }

    /// What settled the round, in order.
    fn settlement(&self, look: &Look, round: RoundNo) -> Result<Vec<Event>, Failure> {
        events_at(self.backend.as_ref(), look.settled(round)?.settle_height)
    }
}

#[async_trait]
impl RoundApiServer for RoundNamespace {
    fn running(&self) -> Result<RunningView, Failure> {
        Ok(RunningView::of(&self.look().state.chain().running))
    }

    fn record(&self, round: RoundNo) -> Result<RecordView, Failure> {
        Ok(RecordView::of(self.look().settled(round)?))
    }

    fn latest(&self) -> Result<Option<RecordView>, Failure> {
        let look = self.look();
        let newest = (look.state.rounds() as u64).checked_sub(1).map(RoundNo::new);
        Ok(newest.and_then(|round| look.state.round(round)).map(RecordView::of))
    }

    fn results(&self, round: RoundNo, page: Option<PageAsk>) -> Result<Page<ResultView>, Failure> {
        let look = self.look();
        let events = self.settlement(&look, round)?;
        let rows: Vec<_> = events.iter().filter_map(as_result).collect();
        PageAsk::cut(page, rows.len() as u64, |place| Ok(ResultView::of(place, rows[place as usize], look.prefix())))
    }

    fn frozen(&self, round: RoundNo, page: Option<PageAsk>) -> Result<Page<FrozenRow>, Failure> {
        let look = self.look();
        let events = events_at(self.backend.as_ref(), look.freeze_height(round)?)?;
        let rows: Vec<_> = events.iter().filter_map(as_frozen).collect();
        PageAsk::cut(page, rows.len() as u64, |place| Ok(FrozenRow::of(place, rows[place as usize], look.prefix())))
    }

    fn payments(&self, round: RoundNo, page: Option<PageAsk>) -> Result<Page<PaymentView>, Failure> {
        let events = self.settlement(&self.look(), round)?;
        let rows: Vec<_> = events.iter().flat_map(as_payments).collect();
        PageAsk::cut(page, rows.len() as u64, |place| Ok(PaymentView::of(rows[place as usize])))
    }

    async fn subscribe_rounds(&self, pending: PendingSubscriptionSink) -> SubscriptionResult {
        follow(pending, self.backend.clone(), |backend, height| {
            Ok(events_at(backend, height)?.iter().filter_map(|event| RoundNotice::of(event, height)).collect())
        })
        .await
    }
}

pub(crate) const fn as_result(event: &Event) -> Option<&holdfast_ledger::RoundResult> {
    if let Event::HolderResult(row) = event { Some(row) } else { None }
}

pub(crate) const fn as_frozen(event: &Event) -> Option<&holdfast_ledger::FrozenHolder> {
    if let Event::HolderFrozen(row) = event { Some(row) } else { None }
}

fn as_payments(event: &Event) -> &[holdfast_ledger::Payment] {
    if let Event::Paid(payments) = event { payments } else { &[] }
}
