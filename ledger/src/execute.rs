//! From a state and a block's contents to the next state, the changes and the events. Building and checking a block both
//! run this, so they cannot disagree.
//!
//! Order within a block: the round takes its step ([`crate::round`]), the transactions run one by one, the proposer gets
//! the fees, the state is sealed. A transaction is checked against the state as the ones before it left it; only then
//! does it change anything, and what was checked holds by construction: a broken precondition is a bug here and panics.

mod extend;
pub(crate) mod holder;
pub(crate) mod ledger;
mod prove;
mod register;
pub(crate) mod release;
mod stake;

use crate::block::Event;
use crate::check::SoundTx;
use crate::check::standing::{self, Pending};
use crate::diff::Diff;
use crate::error::TxError;
use crate::records::Revoked;
use crate::round;
use crate::state::State;
use crate::tx::TxBody;
use holdfast_primitives::{AccountNo, Address, Amount, Bounded, Height, TimeMs};
use ledger::{account_or_new, credit, debit};
use std::borrow::Borrow;

/// What a block's transactions run under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: TimeMs,
    /// Who gets the fees.
    pub proposer: Address,
    /// The beacon after this block.
    pub beacon: [u8; 32],
}

/// A block that is being executed.
pub(crate) struct Execution {
    pub(crate) state: State,
    pub(crate) context: BlockContext,
    pub(crate) proposer: AccountNo,
    pub(crate) events: Vec<Event>,
    /// Whether somebody's bond or standing changed, so that the next block's validators have to be found anew.
    pub(crate) stake_changed: bool,
    fees: Amount,
}

/// What a block leads to.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The state after the block, sealed.
    pub state: State,
    /// What changed in it.
    pub diff: Diff,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Executes transactions on top of `parent`.
///
/// # Errors
/// The place of the first transaction that breaks a rule, and the rule.
pub fn execute<T: Borrow<SoundTx>>(
    parent: &State,
    context: BlockContext,
    txs: &[T],
) -> Result<Executed, (usize, TxError)> {
    let mut execution = Execution::begin(parent, context);
    for (index, tx) in txs.iter().enumerate() {
        execution.run(tx.borrow()).map_err(|error| (index, error))?;
    }
    Ok(execution.finish())
}

impl Execution {
    /// Opens the block: moves the chain's tip and lets the round take its step.
    pub(crate) fn begin(parent: &State, context: BlockContext) -> Self {
        let mut state = parent.clone();
        let proposer = account_or_new(&mut state, &context.proposer);
        let mut execution =
            Self { state, context, proposer, events: Vec::new(), stake_changed: false, fees: Amount::ZERO };
        let round = execution.state.chain().running.round;
        crate::stake::begin(&mut execution);
        round::step(&mut execution);
        if execution.state.chain().running.round != round {
            crate::stake::open_round(&mut execution);
        }
        let chain = execution.state.chain_mut();
        (chain.height, chain.time, chain.beacon) = (context.height, context.time, context.beacon);
        execution
    }

    /// Checks a transaction and executes it.
    ///
    /// # Errors
    /// The first rule that it breaks; nothing has changed then.
    pub(crate) fn run(&mut self, sound: &SoundTx) -> Result<(), TxError> {
        let tx = &sound.signed().tx;
        let pending = Pending::none(&self.state, &tx.sender);
        standing::check(&self.state, self.context.height, sound, &pending)?;
        self.events.push(Event::Executed { tx: sound.id(), fee: tx.fee });
        let (sender, _) = self.state.account_by_address(&tx.sender).expect("the check found the sender");
        if let TxBody::Prove { part, openings_digest } = &tx.body {
            prove::execute(self, sound, part, *openings_digest);
            return Ok(());
        }
        if let TxBody::Accuse { misbehaviour } = &tx.body {
            stake::accuse(self, misbehaviour);
            return Ok(());
        }
        self.charge(sender, tx.fee);
        match &tx.body {
            TxBody::Transfer { to, amount, .. } => self.transfer(sender, to, *amount),
            TxBody::HolderJoin { .. } => holder::join(self, sender, &tx.body),
            TxBody::HolderUpdate { .. } => holder::update(self, sender, &tx.body),
            TxBody::Register(register) => register::execute(self, sender, register),
            TxBody::Release { ordinals, catalog_head } => {
                release::execute(self, sender, ordinals, catalog_head.as_ref())
            }
            TxBody::Extend { contracts, end_round } => extend::execute(self, sender, contracts, *end_round),
            TxBody::DeclareFaulty { batches } => holder::declare(self, sender, batches),
            TxBody::Revoke { revoked } => self.revoke(sender, *revoked),
            TxBody::Bond { .. } | TxBody::Unbond { .. } | TxBody::Unjail | TxBody::Ready { .. } => {
                stake::execute(self, sender, &tx.body);
            }
            TxBody::Prove { .. } | TxBody::Accuse { .. } => unreachable!("what pays no fee returned above"),
        }
        Ok(())
    }

    /// Closes the block: pays the proposer and seals the state.
    pub(crate) fn finish(mut self) -> Executed {
        if !self.fees.is_zero() {
            credit(&mut self.state, self.proposer, self.fees);
        }
        if self.stake_changed {
            crate::stake::elect(&mut self);
        }
        let diff = self.state.seal();
        Executed { state: self.state, diff, events: self.events }
    }

    /// Remembers that a permission was taken back, and forgets those that would have ended by now.
    fn revoke(&mut self, sender: AccountNo, revoked: Revoked) {
        let now = self.context.time;
        let account = self.state.account_mut(sender);
        let mut list: Vec<Revoked> = account.revoked.iter().copied().filter(|known| known.until > now).collect();
        list.push(revoked);
        list.sort_by_key(|known| (known.until, known.grant));
        account.revoked = Bounded::new(list).expect("the check left room for one more");
    }

    fn charge(&mut self, sender: AccountNo, fee: Amount) {
        debit(&mut self.state, sender, fee);
        self.state.account_mut(sender).sequence += 1;
        self.fees = self.fees.checked_add(fee).expect("fees are parts of the supply");
    }

    fn transfer(&mut self, from: AccountNo, to: &Address, amount: Amount) {
        let to = account_or_new(&mut self.state, to);
        debit(&mut self.state, from, amount);
        credit(&mut self.state, to, amount);
        self.events.push(Event::Transferred { from, to, amount });
    }
}
