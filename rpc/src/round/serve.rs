//! Answers of the `round` namespace. The rows of a round are events of the blocks that froze and settled it.

use super::{
    FaultView, FrozenRow, HolderRoundView, PaymentView, RecordView, ResultView, RoundApiServer, RoundNotice,
    RunningView,
};
use crate::backend::Backend;
use crate::error::Failure;
use crate::follow::follow;
use crate::look::{Look, events_at};
use crate::market::HolderRef;
use crate::text::Time;
use crate::{PAGE_ROWS, Page, PageAsk};
use holdfast_ledger::{Event, RoundRecord};
use holdfast_primitives::{Address, Amount, Digest, HolderNo, RoundNo};
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

    fn of_holder(&self, holder: HolderRef, page: Option<PageAsk>) -> Result<Page<HolderRoundView>, Failure> {
        let ask = page.unwrap_or_default();
        // Every round costs a look through all events of its settlement.
        if ask.limit.is_some_and(|limit| limit > PAGE_ROWS) {
            return Err(Failure::PageLimit { asked: ask.limit.unwrap_or_default(), limit: PAGE_ROWS });
        }
        let look = self.look();
        let (number, record) = look.holder(holder)?;
        let address = look.address_of(record.account)?;
        let rounds = look.state.rounds() as u64;
        let Page { total, first, rows, next } = PageAsk::cut(Some(ask), rounds, |back| {
            let record = look.settled(RoundNo::new(rounds - 1 - back))?;
            let events = events_at(self.backend.as_ref(), record.settle_height)?;
            Ok(of_holder(&look, record, &events, number, &address))
        })?;
        Ok(Page { total, first, rows: rows.into_iter().flatten().collect(), next })
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

/// What a settlement meant for one holder; `None` when it had nothing to prove.
fn of_holder(
    look: &Look,
    record: &RoundRecord,
    events: &[Event],
    number: HolderNo,
    address: &Address,
) -> Option<HolderRoundView> {
    let result = events.iter().filter_map(as_result).find(|row| row.holder == *address)?;
    let is_own = |payment: &&holdfast_ledger::Payment| {
        look.state.contract(payment.contract).is_some_and(|contract| contract.holder == number)
    };
    let paid = events.iter().flat_map(as_payments).filter(is_own);
    let fined = events.iter().filter_map(|event| match event {
        Event::Fined { holder, amount } if *holder == number => Some(*amount),
        _ => None,
    });
    let faults = events.iter().filter_map(|event| match *event {
        Event::BatchFaulty { holder, batch_log2, slot, segment, index } if holder == number => {
            Some(FaultView { batch_log2, slot, segment, index })
        }
        _ => None,
    });
    let sum =
        |amounts: &mut dyn Iterator<Item = Amount>| Amount::checked_sum(amounts).unwrap_or(Amount::grains(u64::MAX));
    Some(HolderRoundView {
        round: record.round,
        frozen: Time::of(record.freeze_time),
        challenges: result.challenges,
        missing: result.missing,
        missed: result.proof_digest == Digest::ZERO && result.challenges > 0,
        paid: sum(&mut paid.map(|payment| payment.paid.saturating_sub(payment.relay_fee))),
        fined: sum(&mut fined.into_iter()),
        faults: faults.collect(),
    })
}
