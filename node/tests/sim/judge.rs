//! The judge: sees every block that an honest node commits, and finds out by itself whether it may stand. It keeps a
//! chain of its own from the genesis on, made of the committed bytes and nothing else.

use bytes::Bytes;
use holdfast_consensus::Evidence;
use holdfast_ledger::{Event, FullBlock, Standing, State, check_block};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, BlockHash, Certificate, StateRoot, TimeMs, TxId, decode_exact};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What was decided at one height.
struct Decided {
    hash: BlockHash,
    root: StateRoot,
}

/// Knows what was committed, and what is wrong with it.
pub struct Judge {
    state: State,
    hash: BlockHash,
    chain: Vec<Decided>,
    /// Each node's height, honest ones only.
    heights: BTreeMap<usize, u64>,
    dishonest: BTreeSet<Address>,
    txs: HashSet<TxId>,
    sequences: BTreeMap<Address, u64>,
    rounds_settled: u64,
    /// Blocks after which somebody else decides.
    set_changes: u64,
    slashed: u64,
    jailed: u64,
    evidence: u64,
    faults: Vec<String>,
}

impl Judge {
    pub fn new(genesis: State, honest: impl Iterator<Item = usize>, dishonest: BTreeSet<Address>) -> Self {
        Self {
            state: genesis,
            hash: BlockHash::ZERO,
            chain: Vec::new(),
            heights: honest.map(|node| (node, 0)).collect(),
            dishonest,
            txs: HashSet::new(),
            sequences: BTreeMap::new(),
            rounds_settled: 0,
            set_changes: 0,
            slashed: 0,
            jailed: 0,
            evidence: 0,
            faults: Vec::new(),
        }
    }

    /// The first thing that is wrong.
    pub fn fault(&self) -> Option<String> {
        self.faults.first().cloned()
    }

    pub const fn heights(&self) -> &BTreeMap<usize, u64> {
        &self.heights
    }

    pub const fn height(&self) -> u64 {
        self.chain.len() as u64
    }

    pub fn txs(&self) -> u64 {
        self.txs.len() as u64
    }

    pub const fn rounds_settled(&self) -> u64 {
        self.rounds_settled
    }

    pub const fn set_changes(&self) -> u64 {
        self.set_changes
    }

    pub const fn slashed(&self) -> u64 {
        self.slashed
    }

    pub const fn jailed(&self) -> u64 {
        self.jailed
    }

    pub const fn evidence(&self) -> u64 {
        self.evidence
    }

    /// An honest node commits a block and comes to a state root.
    pub fn committed(&mut self, node: usize, block: &Bytes, certificate: &Certificate, root: StateRoot) {
        let height = certificate.height.get();
        let before = self.heights.insert(node, height).unwrap_or_default();
        if before + 1 != height {
            self.faults.push(format!("node {node} committed height {height} after {before}"));
        }
        if height == self.chain.len() as u64 + 1
            && let Err(reason) = self.extend(block, certificate)
        {
            self.faults.push(format!("height {height}: {reason}"));
            return;
        }
        let Some(decided) = self.chain.get(height as usize - 1) else {
            return self.faults.push(format!("node {node} committed height {height} before anybody the one below"));
        };
        if decided.hash != certificate.block {
            let (first, second) = (decided.hash, certificate.block);
            self.faults.push(format!("node {node} disagrees at height {height}: {first} and {second}"));
        } else if decided.root != root {
            self.faults.push(format!("node {node} came to another state at height {height}"));
        }
    }

    /// An honest node accuses somebody.
    pub fn accused(&mut self, evidence: &Evidence) {
        for item in &evidence.items {
            self.evidence += 1;
            if let Err(error) = item.verify(&self.state.chain().chain) {
                self.faults.push(format!("evidence that proves nothing: {error}"));
            }
            if !self.dishonest.contains(item.validator()) {
                self.faults.push(format!("honest {} is accused", item.validator()));
            }
        }
    }

    fn extend(&mut self, block: &Bytes, certificate: &Certificate) -> Result<(), String> {
        let chain = self.state.chain();
        certificate.verify(&chain.chain, &chain.validators).map_err(|error| error.to_string())?;
        let full: FullBlock = decode_exact(block, BLOCK_BYTES_MAX).map_err(|error| error.to_string())?;
        // Clocks are the validators' business; everything else is checked again, from the bytes.
        let late = TimeMs::new(u64::MAX / 2);
        let checked = check_block(&self.state, self.hash, full, late).map_err(|error| error.to_string())?;
        let applied = checked.apply();
        if applied.hash != certificate.block {
            return Err("the certificate is for another block".to_owned());
        }
        self.count_txs(&applied.full)?;
        let count = |wanted: fn(&Event) -> bool| applied.events.iter().filter(|event| wanted(event)).count() as u64;
        self.rounds_settled += count(|event| matches!(event, Event::RoundSettled(_)));
        self.set_changes += count(|event| matches!(event, Event::ValidatorsChanged { .. }));
        self.slashed += count(|event| matches!(event, Event::Slashed { .. }));
        self.jailed += count(|event| matches!(event, Event::Jailed { .. }));
        let root = applied.state.root();
        (self.state, self.hash) = (applied.state, applied.hash);
        self.chain.push(Decided { hash: self.hash, root });
        self.count_money()?;
        self.look_for_injustice()
    }

    /// Whoever is banned has contradicted itself.
    fn look_for_injustice(&self) -> Result<(), String> {
        for (_, record) in self.state.iter_validators().filter(|(_, record)| record.standing == Standing::Banned) {
            let banned = self.state.account(record.account).ok_or("a validator without an account")?.address;
            if !self.dishonest.contains(&banned) {
                return Err(format!("honest {banned} was banned"));
            }
        }
        Ok(())
    }

    /// No transaction twice, and each sender's numbers without a gap.
    fn count_txs(&mut self, full: &FullBlock) -> Result<(), String> {
        for signed in full.block.txs.iter() {
            let (id, tx) = (signed.id(), &signed.tx);
            if !self.txs.insert(id) {
                return Err(format!("transaction {id} is there twice"));
            }
            if tx.body.is_free() {
                continue;
            }
            let due = self.sequences.entry(tx.sender).or_default();
            if tx.sequence != *due {
                return Err(format!("{} has number {} where {due} is due", tx.sender, tx.sequence));
            }
            *due += 1;
        }
        Ok(())
    }

    /// All money, wherever it lies, is what was made: counted from the records, by none of the rules.
    fn count_money(&self) -> Result<(), String> {
        let state = &self.state;
        let balances = state.iter_accounts().map(|(_, account)| account.balance);
        let deposits = state.iter_holders().map(|(_, holder)| holder.deposit);
        let escrows = state.iter_contracts().map(|(_, contract)| contract.escrow);
        let bonds = state.iter_validators().map(|(_, validator)| validator.liable());
        let everything = balances.chain(deposits).chain(escrows).chain(bonds).chain([state.chain().reserve]);
        let counted: u128 = everything.map(|amount| u128::from(amount.get())).sum();
        let made = u128::from(state.chain().supply.get());
        if counted == made { Ok(()) } else { Err(format!("{counted} grains counted, {made} were made")) }
    }
}
