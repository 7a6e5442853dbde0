//! Answers of the `account` namespace.

use super::{AccountApiServer, AccountView, SegmentView};
use crate::backend::Backend;
use crate::error::Failure;
use crate::look::Look;
use crate::market::ContractView;
use crate::text::AddressText;
use crate::{Page, PageAsk};
use std::sync::Arc;

/// The accounts' counter.
pub(crate) struct AccountNamespace {
    backend: Arc<dyn Backend>,
}

impl AccountNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }
}

impl AccountApiServer for AccountNamespace {
    fn get(&self, address: AddressText) -> Result<AccountView, Failure> {
        let look = Look::at_tip(self.backend.as_ref());
        let (number, account) = look.account(address)?;
        Ok(AccountView::of(number, account, look.prefix()))
    }

    fn segments(&self, address: AddressText, page: Option<PageAsk>) -> Result<Page<SegmentView>, Failure> {
        let look = Look::at_tip(self.backend.as_ref());
        let (owner, account) = look.account(address)?;
        PageAsk::cut(page, u64::from(account.segments), |ordinal| {
            let broken = || Failure::broken_link("segment ordinal", ordinal as u32);
            let number = look.state.segment_of(owner, ordinal as u32).ok_or_else(broken)?;
            look.segment_view(number, look.state.segment(number).ok_or_else(broken)?)
        })
    }

    fn contracts(&self, address: AddressText, page: Option<PageAsk>) -> Result<Page<ContractView>, Failure> {
        let look = Look::at_tip(self.backend.as_ref());
        let (owner, _) = look.account(address)?;
        let own: Vec<_> = look.state.iter_contracts().filter(|(_, contract)| contract.owner == owner).collect();
        PageAsk::cut(page, own.len() as u64, |place| {
            let (number, contract) = own[place as usize];
            look.contract_view(number, contract)
        })
    }
}
