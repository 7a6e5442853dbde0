//! Answers of the `stake` namespace.

use super::{SetView, StakeApiServer, StakeView};
use crate::backend::{Backend, here};
use crate::error::Failure;
use crate::look::Look;
use crate::text::AddressText;
use crate::{Page, PageAsk};
use holdfast_ledger::ValidatorRecord;
use holdfast_primitives::ValidatorNo;
use std::sync::Arc;

/// The validators' counter.
pub(crate) struct StakeNamespace {
    backend: Arc<dyn Backend>,
}

impl StakeNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }
}

impl StakeApiServer for StakeNamespace {
    fn set(&self) -> Result<SetView, Failure> {
        let look = Look::at_tip(self.backend.as_ref());
        Ok(SetView::of(look.state.chain(), look.prefix()))
    }

    fn validators(&self, page: Option<PageAsk>) -> Result<Page<StakeView>, Failure> {
        let look = Look::at_tip(self.backend.as_ref());
        PageAsk::cut(page, look.state.validators() as u64, |place| {
            let number = ValidatorNo::new(place as u32);
            let broken = || Failure::broken_link("validator", number.get());
            view(&look, number, look.state.validator(number).ok_or_else(broken)?)
        })
    }

    fn validator(&self, address: AddressText) -> Result<StakeView, Failure> {
        let look = Look::at_tip(self.backend.as_ref());
        let found = look.state.validator_by_address(&here(address, look.prefix())?);
        let (number, record) = found.ok_or(Failure::NotAValidator { address })?;
        view(&look, number, record)
    }
}

fn view(look: &Look, number: ValidatorNo, record: &ValidatorRecord) -> Result<StakeView, Failure> {
    let address = look.address_of(record.account)?;
    let power = look.state.chain().validators.get(&address).map_or(0, |seat| seat.power);
    Ok(StakeView::of(number, record, look.text(address), power))
}
