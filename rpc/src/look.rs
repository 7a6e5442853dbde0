//! One consistent look at the newest state, and how its records name each other.

use crate::account::{MemberView, SegmentView};
use crate::backend::{Backend, Tip, here};
use crate::chain::BlockRef;
use crate::error::Failure;
use crate::market::{ContractView, HolderRef, HolderView};
use crate::text::AddressText;
use holdfast_ledger::{Account, Contract, Event, Header, Holder, RoundRecord, Segment, State};
use holdfast_primitives::{
    AccountNo, Address, BlockHash, ContractNo, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo, StateRoot,
};
use std::sync::Arc;

/// The newest state, held for the length of one call.
pub(crate) struct Look {
    pub hash: BlockHash,
    pub header: Option<Arc<Header>>,
    pub state: Arc<State>,
}

impl Look {
    pub fn at_tip(backend: &dyn Backend) -> Self {
        let Tip { hash, header, state } = backend.tip();
        Self { hash, header, state }
    }

    /// The root of the state: the header has it, so that it need not be hashed for every caller.
    pub fn state_root(&self) -> StateRoot {
        self.header.as_ref().map_or_else(|| self.state.root(), |header| header.state_root)
    }

    pub fn prefix(&self) -> NetworkPrefix {
        self.state.params().prefix
    }

    pub fn height(&self) -> Height {
        self.state.chain().height
    }

    /// An address as people of this network see it.
    pub fn text(&self, address: Address) -> AddressText {
        AddressText::new(address, self.prefix())
    }

    pub fn account(&self, given: AddressText) -> Result<(AccountNo, &Account), Failure> {
        let address = here(given, self.prefix())?;
        self.state.account_by_address(&address).ok_or(Failure::AccountUnknown { address: given })
    }

    pub fn holder(&self, by: HolderRef) -> Result<(HolderNo, &Holder), Failure> {
        match by {
            HolderRef::Number(number) => {
                let holder = self.state.holder(number).ok_or(Failure::HolderUnknown { number })?;
                Ok((number, holder))
            }
            HolderRef::Address(given) => {
                let address = here(given, self.prefix())?;
                self.state.holder_by_address(&address).ok_or(Failure::NotAHolder { address: given })
            }
        }
    }

    pub fn address_of(&self, number: AccountNo) -> Result<Address, Failure> {
        let account = self.state.account(number).ok_or_else(|| Failure::broken_link("account", number.get()))?;
        Ok(account.address)
    }

    pub fn holder_address(&self, number: HolderNo) -> Result<Address, Failure> {
        let holder = self.state.holder(number).ok_or_else(|| Failure::broken_link("holder", number.get()))?;
        self.address_of(holder.account)
    }

    pub fn holder_view(&self, backend: &dyn Backend, number: HolderNo, holder: &Holder) -> Result<HolderView, Failure> {
        let address = self.address_of(holder.account)?;
        Ok(HolderView::of(number, holder, self.text(address), backend.is_online(&address)))
    }

    pub fn contract_view(&self, number: ContractNo, contract: &Contract) -> Result<ContractView, Failure> {
        let (owner, holder) = (self.address_of(contract.owner)?, self.holder_address(contract.holder)?);
        Ok(ContractView::of(number, contract, owner, holder, self.prefix()))
    }

    pub fn segment_view(&self, number: SegmentNo, segment: &Segment) -> Result<SegmentView, Failure> {
        let member = |(index, member): (usize, &holdfast_ledger::Member)| {
            let slot = self.state.slot(member.holder, segment.batch_log2, member.slot);
            let address = self.text(self.holder_address(member.holder)?);
            Ok(MemberView::of(index as u8, member, address, slot))
        };
        let members = segment.members.iter().enumerate().map(member).collect::<Result<_, Failure>>()?;
        Ok(SegmentView::of(number, segment, members))
    }

    pub fn settled(&self, round: RoundNo) -> Result<&RoundRecord, Failure> {
        self.state.round(round).ok_or(Failure::RoundUnknown { round, needed: "settled" })
    }

    /// The block that froze the lists for `round`.
    pub fn freeze_height(&self, round: RoundNo) -> Result<Height, Failure> {
        let running = &self.state.chain().running;
        if running.round == round && running.phase != holdfast_ledger::Phase::Open {
            return Ok(running.freeze_height);
        }
        let record = self.state.round(round).ok_or(Failure::RoundUnknown { round, needed: "frozen" })?;
        Ok(record.freeze_height)
    }

    /// The height that a caller means.
    pub fn resolve(&self, backend: &dyn Backend, at: BlockRef) -> Result<Height, Failure> {
        match at {
            BlockRef::Latest => Ok(self.height()),
            BlockRef::Height(height) => Ok(height),
            BlockRef::Hash(hash) => backend.height_of(&hash)?.ok_or(Failure::BlockUnknown { at }),
        }
    }
}

/// What the block at `height` caused; the block must be final.
pub(crate) fn events_at(backend: &dyn Backend, height: Height) -> Result<Vec<Event>, Failure> {
    backend.events(height)?.ok_or(Failure::BlockUnknown { at: BlockRef::Height(height) })
}
