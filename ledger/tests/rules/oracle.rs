//! What a settlement must lead to, worked out batch by batch from the records before it: the slow, obvious way, sharing no
//! code with the rules and believing none of their counters.

use crate::market::address;
use holdfast_ledger::{Contract, Deferred, Phase, Slot, State};
use holdfast_por::{HolderChallenge, RoundSeed};
use holdfast_primitives::{Address, ContractNo, HolderNo, RoundNo};
use std::collections::{BTreeMap, BTreeSet};

/// One batch of one holder: holder, size, slot.
type Place = (HolderNo, u8, u32);

/// All money and all lists, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    pub balances: BTreeMap<Address, u128>,
    pub deposits: BTreeMap<HolderNo, u128>,
    pub locked: BTreeMap<HolderNo, u128>,
    pub used_bytes: BTreeMap<HolderNo, u128>,
    pub faulty: BTreeMap<HolderNo, usize>,
    pub escrows: BTreeMap<ContractNo, u128>,
    pub batches: BTreeMap<ContractNo, usize>,
    pub reserve: u128,
}

/// The books as the state's records have them.
pub fn books(state: &State) -> Books {
    let mut books = Books { reserve: state.chain().reserve.get().into(), ..Books::default() };
    for (_, account) in state.iter_accounts() {
        books.balances.insert(account.address, account.balance.get().into());
    }
    for (number, holder) in state.iter_holders() {
        books.deposits.insert(number, holder.deposit.get().into());
        books.locked.insert(number, holder.locked.get().into());
        books.used_bytes.insert(number, holder.used_bytes.into());
        books.faulty.insert(number, holder.faulty as usize);
    }
    for (number, contract) in state.iter_contracts() {
        books.escrows.insert(number, contract.escrow.get().into());
        books.batches.insert(number, contract.batches as usize);
    }
    books
}

/// The books after the block that settles the running round of `state`.
pub fn forecast(state: &State) -> Books {
    let mut oracle = Oracle::new(state);
    oracle.find_lost();
    oracle.pay();
    oracle.end();
    oracle.release();
    oracle.count_lists();
    oracle.unbond();
    oracle.books
}

struct Oracle<'a> {
    state: &'a State,
    round: RoundNo,
    books: Books,
    batches: BTreeMap<Place, Slot>,
    pay: BTreeMap<HolderNo, u128>,
    fines: BTreeMap<HolderNo, u128>,
    answered: BTreeMap<HolderNo, u128>,
}

impl<'a> Oracle<'a> {
    /// What validators took back comes when the round opens for which it was promised.
    fn unbond(&mut self) {
        for (_, validator) in self.state.iter_validators() {
            let due = validator.unbonding.iter().filter(|part| part.until <= self.round.next());
            let sum: u128 = due.map(|part| u128::from(part.amount.get())).sum();
            let address = self.state.account(validator.account).unwrap().address;
            *self.books.balances.get_mut(&address).unwrap() += sum;
        }
    }

    fn new(state: &'a State) -> Self {
        let mut batches = BTreeMap::new();
        for (holder, _) in state.iter_holders() {
            for batch_log2 in [20, 21] {
                for (slot, entry) in (0..).zip(state.slots(holder, batch_log2)) {
                    batches.insert((holder, batch_log2, slot), entry.clone());
                }
            }
        }
        let (round, books) = (state.chain().running.round, books(state));
        let (pay, fines, answered) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { state, round, books, batches, pay, fines, answered }
    }

    /// Marks what failed, counts the openings that came, and works out the fines.
    fn find_lost(&mut self) {
        let params = self.state.params();
        for (number, holder) in self.state.iter_holders() {
            let Some(frozen) = &holder.frozen else { continue };
            let came = self.came(number, frozen.challenges);
            let revenue = u128::from(frozen.revenue.get());
            if came.iter().all(|good| good.is_none()) {
                self.fines.insert(number, (revenue * u128::from(params.missed_round_fine_percent)).div_ceil(100));
                continue;
            }
            self.answered.insert(number, came.iter().flatten().count() as u128);
            let challenge = self.challenge(number);
            let mut failing_of_sound = 0;
            let mut lost = BTreeSet::new();
            for (position, good) in challenge.positions().zip(&came) {
                let place = (number, position.batch_log2, u32::try_from(position.slot).unwrap());
                if *good != Some(true) && self.batches[&place].faulty_since.is_none() {
                    failing_of_sound += 1;
                    lost.insert(place);
                }
            }
            let each = revenue.div_ceil(u128::from(frozen.challenges)) * u128::from(params.opening_fine_multiple);
            self.fines.insert(number, each * failing_of_sound);
            for place in lost {
                self.batches.get_mut(&place).unwrap().faulty_since = Some(self.round);
            }
        }
    }

    /// Per challenge: `None` if its part never came, else whether the opening was good.
    fn came(&self, holder: HolderNo, challenges: u32) -> Vec<Option<bool>> {
        let parts = self.state.progress(holder).map_or(&[][..], |progress| &progress.parts);
        let part_openings = self.state.params().proof_part_openings;
        let good = |j: u32| {
            let part = parts.get((j / part_openings) as usize)?.as_ref()?;
            Some(!part.failed.contains(&j))
        };
        (0..challenges).map(good).collect()
    }

    fn challenge(&self, number: HolderNo) -> HolderChallenge {
        let holder = self.state.holder(number).unwrap();
        let frozen = holder.frozen.as_ref().unwrap();
        let address = self.state.account(holder.account).unwrap().address;
        let Phase::Proving { seed, .. } = self.state.chain().running.phase else { panic!("no seed") };
        let chain = self.state.chain().chain;
        let of = RoundSeed { chain, round: self.round, seed, holder: address, set_root: frozen.set_root };
        let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
        HolderChallenge::new(of, &classes, frozen.challenges).unwrap()
    }

    fn pay(&mut self) {
        for (number, contract) in self.state.iter_contracts() {
            let is_due = contract.first_round <= self.round && self.round < contract.end_round;
            let sound =
                self.batches.values().filter(|slot| slot.contract == number && slot.faulty_since.is_none()).count();
            if is_due && self.answered.contains_key(&contract.holder) {
                self.pay_contract(number, contract, sound as u128);
            }
        }
        let mut pot = 0;
        for (number, holder) in self.state.iter_holders() {
            if holder.frozen.is_none() {
                continue;
            }
            let answered = self.answered.get(&number).copied().unwrap_or(0);
            let mut fee = answered * u128::from(self.state.params().proof_fee.get());
            let mut pay = self.pay.get(&number).copied().unwrap_or(0);
            let deposit = self.books.deposits.get_mut(&number).unwrap();
            let from_pay = fee.min(pay);
            (pay, fee) = (pay - from_pay, fee - from_pay);
            let from_deposit = fee.min(*deposit);
            *deposit -= from_deposit;
            pot += from_pay + from_deposit;
            let fine = self.fines[&number].min(*deposit);
            *deposit -= fine;
            self.books.reserve += fine;
            let account = self.state.account(holder.account).unwrap().address;
            *self.books.balances.get_mut(&account).unwrap() += pay;
        }
        self.pay_verifiers(pot);
    }

    fn pay_contract(&mut self, number: ContractNo, contract: &Contract, sound: u128) {
        let paid = sound * u128::from(contract.price.get());
        *self.books.escrows.get_mut(&number).unwrap() -= paid;
        let relay_fee = paid * u128::from(self.state.params().relay_fee_bps) / 10_000;
        let hops = contract.footprint.len() as u128;
        for (index, hop) in contract.footprint.iter().enumerate() {
            let share = relay_fee / hops + if index == 0 { relay_fee % hops } else { 0 };
            let address = self.state.account(*hop).unwrap().address;
            *self.books.balances.get_mut(&address).unwrap() += share;
        }
        *self.pay.entry(contract.holder).or_default() += paid - relay_fee;
    }

    fn pay_verifiers(&mut self, pot: u128) {
        let verified = &self.state.chain().running.verified_by;
        let total: u128 = verified.iter().map(|(_, openings)| u128::from(*openings)).sum();
        let mut rest = pot;
        for (account, openings) in verified.iter().rev() {
            let share = pot * u128::from(*openings) / total;
            let is_first = *account == verified[0].0;
            let share = if is_first { rest } else { share };
            rest -= share;
            let address = self.state.account(*account).unwrap().address;
            *self.books.balances.get_mut(&address).unwrap() += share;
        }
        assert!(rest == 0, "the pot is shared out");
    }

    /// Contracts that pay for no later round take their batches along.
    fn end(&mut self) {
        let over: BTreeSet<ContractNo> = self
            .live()
            .filter(|(_, contract)| contract.end_round <= self.round.next())
            .map(|(number, _)| number)
            .collect();
        self.batches.retain(|_, slot| !over.contains(&slot.contract));
        for number in over {
            self.refund_all(number);
        }
    }

    fn release(&mut self) {
        let segments: BTreeSet<_> = self.state.deferred().map(|Deferred::Release { segment }| *segment).collect();
        let released: Vec<(Place, ContractNo)> = self
            .batches
            .iter()
            .filter(|(_, slot)| segments.contains(&slot.segment))
            .map(|(place, slot)| (*place, slot.contract))
            .collect();
        for (place, number) in released {
            self.batches.remove(&place);
            let contract = self.state.contract(number).unwrap();
            let next = self.round.next().max(contract.first_round);
            let refund = u128::from(contract.price.get()) * u128::from(contract.end_round.get() - next.get());
            *self.books.escrows.get_mut(&number).unwrap() -= refund;
            *self.books.balances.get_mut(&self.owner(contract)).unwrap() += refund;
            if !self.batches.values().any(|slot| slot.contract == number) {
                self.refund_all(number);
            }
        }
    }

    fn refund_all(&mut self, number: ContractNo) {
        let rest = std::mem::take(self.books.escrows.get_mut(&number).unwrap());
        let owner = self.owner(self.state.contract(number).unwrap());
        *self.books.balances.get_mut(&owner).unwrap() += rest;
    }

    /// What lies in the lists now, counted from nothing.
    fn count_lists(&mut self) {
        let books = &mut self.books;
        books.locked.values_mut().chain(books.used_bytes.values_mut()).for_each(|count| *count = 0);
        books.faulty.values_mut().chain(books.batches.values_mut()).for_each(|count| *count = 0);
        for ((holder, batch_log2, _), slot) in &self.batches {
            let collateral = self.state.contract(slot.contract).unwrap().collateral;
            *books.locked.get_mut(holder).unwrap() += u128::from(collateral.get());
            *books.used_bytes.get_mut(holder).unwrap() += 1u128 << batch_log2;
            *books.faulty.get_mut(holder).unwrap() += usize::from(slot.faulty_since.is_some());
            *books.batches.get_mut(&slot.contract).unwrap() += 1;
        }
    }

    fn live(&self) -> impl Iterator<Item = (ContractNo, &Contract)> {
        let held: BTreeSet<ContractNo> = self.batches.values().map(|slot| slot.contract).collect();
        self.state.iter_contracts().filter(move |(number, _)| held.contains(number))
    }

    fn owner(&self, contract: &Contract) -> Address {
        self.state.account(contract.owner).unwrap().address
    }
}

#[test]
fn the_oracle_can_tell_a_difference() {
    let mut market = crate::market::Market::stored();
    market.freeze_and_seed();
    let missed = forecast(&market.state);
    let proof = market.proof("carol");
    market.block(proof);
    let proved = forecast(&market.state);
    let carol = address("carol");
    assert!(proved.balances[&carol] > missed.balances[&carol]);
    assert!(proved.reserve < missed.reserve);
}
