//! Where an owner's segments lie, how each of their pieces is doing, and until when they are paid: read off the ledger.

use crate::failure::Failure;
use crate::ids;
use holdfast_primitives::{ContractNo, HolderNo, RoundNo, TimeMs};
use holdfast_rpc::account::{MemberView, SegmentView};
use holdfast_rpc::market::ContractView;
use holdfast_rpc::{PAGE_ROWS_MAX, PageAsk};
use holdfast_wallet::Signer;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything of one owner that the ledger lists.
pub struct Holdings {
    segments: BTreeMap<u32, SegmentView>,
    contracts: BTreeMap<ContractNo, ContractView>,
    online: BTreeSet<u32>,
    accepting: BTreeSet<HolderNo>,
    round: RoundNo,
    now: TimeMs,
    round_ms: u64,
}

/// How a piece is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PieceState {
    /// In its holder's list, and nothing is known against it.
    Sound,
    /// In its holder's list, found or declared broken, and unpaid.
    Faulty,
    /// In nobody's list: let go, or its term is over.
    Gone,
}

/// One piece of a segment.
#[derive(Clone, Debug, Serialize)]
pub struct PieceView {
    /// The owner's own number of the segment.
    pub segment: u32,
    /// Its place in the segment.
    pub piece: u8,
    /// Who holds it.
    pub holder: u32,
    /// The holder's address.
    pub address: String,
    /// Whether the holder is connected now.
    pub online: bool,
    /// How the piece is doing.
    pub state: PieceState,
    /// The round since which it is faulty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faulty_since: Option<RoundNo>,
    /// Until when it is paid, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_until_ms: Option<TimeMs>,
}

impl Holdings {
    /// Asks the ledger.
    pub async fn load(signer: &Signer) -> Result<Self, Failure> {
        let status = signer.rpc().chain_status().await?;
        let holders = ids::all_holders(signer.rpc()).await?;
        let online = holders.iter().filter(|holder| holder.online).map(|holder| holder.number.get());
        let accepting = holders.iter().filter(|holder| holder.accepting).map(|holder| holder.number);
        let mut holdings = Self {
            segments: BTreeMap::new(),
            contracts: BTreeMap::new(),
            online: online.collect(),
            accepting: accepting.collect(),
            round: status.round,
            now: status.time.time(),
            round_ms: signer.params().round_ms,
        };
        if signer.account().await?.is_some() {
            holdings.load_segments(signer).await?;
            holdings.load_contracts(signer).await?;
        }
        Ok(holdings)
    }

    async fn load_segments(&mut self, signer: &Signer) -> Result<(), Failure> {
        let mut next = Some(0);
        while let Some(first) = next {
            let ask = PageAsk::from(first).limit(PAGE_ROWS_MAX);
            let page = signer.rpc().account_segments(signer.address_text(), Some(ask)).await?;
            self.segments.extend(page.rows.into_iter().map(|segment| (segment.ordinal, segment)));
            next = page.next;
        }
        Ok(())
    }

    async fn load_contracts(&mut self, signer: &Signer) -> Result<(), Failure> {
        let mut next = Some(0);
        while let Some(first) = next {
            let ask = PageAsk::from(first).limit(PAGE_ROWS_MAX);
            let page = signer.rpc().account_contracts(signer.address_text(), Some(ask)).await?;
            self.contracts.extend(page.rows.into_iter().map(|contract| (contract.number, contract)));
            next = page.next;
        }
        Ok(())
    }

    /// Until when all of these segments can be rebuilt from pieces that are paid for, about: of each the moment when fewer
    /// pieces are left than rebuild it, and of all the first. `None` for no segments.
    pub fn paid_until(&self, ordinals: impl IntoIterator<Item = u32>) -> Option<TimeMs> {
        ordinals.into_iter().map(|ordinal| self.segment_paid_until(ordinal)).min()
    }

    fn segment_paid_until(&self, ordinal: u32) -> TimeMs {
        let Some(segment) = self.segments.get(&ordinal) else { return TimeMs::new(0) };
        let contract = |member: &MemberView| self.contracts.get(&member.stored.as_ref()?.contract);
        let mut ends: Vec<RoundNo> = segment.members.iter().filter_map(contract).map(|found| found.end_round).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let needed = usize::from(segment.data).saturating_sub(1);
        ends.get(needed).map_or(TimeMs::new(0), |end| self.time_of(*end))
    }

    /// When a round begins, about.
    pub fn time_of(&self, round: RoundNo) -> TimeMs {
        self.now.saturating_add(round.since(self.round).saturating_mul(self.round_ms))
    }

    /// The running round.
    pub const fn round(&self) -> RoundNo {
        self.round
    }

    /// Whether a holder takes new batches, and longer terms.
    pub fn accepts(&self, holder: HolderNo) -> bool {
        self.accepting.contains(&holder)
    }

    /// The contracts that pay for pieces of these segments, each once.
    pub fn contracts_of(&self, ordinals: impl IntoIterator<Item = u32>) -> Vec<ContractView> {
        let segments = ordinals.into_iter().filter_map(|ordinal| self.segments.get(&ordinal));
        let stored = segments.flat_map(|segment| segment.members.iter().filter_map(|member| member.stored.as_ref()));
        let numbers: BTreeSet<ContractNo> = stored.map(|stored| stored.contract).collect();
        numbers.iter().filter_map(|number| self.contracts.get(number).cloned()).collect()
    }

    /// Reckons from here on as if a contract ended with `end_round`.
    pub fn extend(&mut self, number: ContractNo, end_round: RoundNo) {
        if let Some(contract) = self.contracts.get_mut(&number) {
            contract.end_round = end_round;
        }
    }

    /// How many more pieces of the worst of these segments may fail; negative when it cannot be rebuilt. `None` for none.
    pub fn spare(&self, ordinals: impl IntoIterator<Item = u32>) -> Option<i64> {
        let spare = |ordinal: u32| {
            let Some(segment) = self.segments.get(&ordinal) else { return -1 };
            let sound = segment.members.iter().filter(|member| state_of(member) == PieceState::Sound).count();
            i64::try_from(sound).unwrap_or(i64::MAX) - i64::from(segment.data)
        };
        ordinals.into_iter().map(spare).min()
    }

    /// Every piece of these segments.
    pub fn pieces(&self, ordinals: impl IntoIterator<Item = u32>) -> Vec<PieceView> {
        let segments = ordinals.into_iter().filter_map(|ordinal| self.segments.get(&ordinal));
        segments.flat_map(|segment| segment.members.iter().map(|member| self.piece(segment, member))).collect()
    }

    fn piece(&self, segment: &SegmentView, member: &MemberView) -> PieceView {
        let stored = member.stored.as_ref();
        let contract = stored.and_then(|stored| self.contracts.get(&stored.contract));
        PieceView {
            segment: segment.ordinal,
            piece: member.index,
            holder: member.holder.get(),
            address: member.address.to_string(),
            online: self.online.contains(&member.holder.get()),
            state: state_of(member),
            faulty_since: stored.and_then(|stored| stored.faulty_since),
            paid_until_ms: contract.map(|contract| self.time_of(contract.end_round)),
        }
    }
}

fn state_of(member: &MemberView) -> PieceState {
    match &member.stored {
        None => PieceState::Gone,
        Some(stored) if stored.faulty_since.is_some() => PieceState::Faulty,
        Some(_) => PieceState::Sound,
    }
}
