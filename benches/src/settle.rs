//! Settling a round of 4,000,000 batches: 1,000 holders, 10,000 contracts, and the worst case of a contract per batch.
//! Durable (one synced write to the chain database) and with the state root.

use crate::harness::{RUNS, Report, interleave, measure};
use anyhow::{Context as _, Result, ensure};
use borsh::BorshSerialize;
use holdfast_genesis::preset;
use holdfast_ledger::{
    Account, Applied, ChainRecord, Contract, Frozen, Genesis, GenesisValidator, Holder, LoadError, MerkleVec,
    PartOutcome, Phase, Profile, ProofProgress, Proposer, RunningRound, Slot, State, StateSource, Table, build_block,
};
use holdfast_por::{BatchMeta, ClassList, challenge_count, set_root};
use holdfast_primitives::{
    AccountNo, Address, Amount, BlockHash, Bounded, Certificate, ContractNo, Digest, Height, HolderNo, NetworkPrefix,
    RoundNo, SecretKey, SegmentNo, TimeMs, Validator, ValidatorSet, VrfSecretKey,
};
use holdfast_store::{ChainDb, CommitInput};

const BATCHES: u32 = 4_000_000;
const HOLDERS: u32 = 1_000;
const PRICE: Amount = Amount::grains(1_000_000);
const GIBIBYTE: f64 = 1_073_741_824.0;
const START: TimeMs = TimeMs::new(1_790_000_000_000);

/// Five runs; one of the worst case, which is long.
pub fn run(report: &Report) -> Result<()> {
    for contracts in [10_000, BATCHES] {
        let world = World::new(contracts)?;
        let name = |part: &str| format!("settle {BATCHES} batches, {contracts} contracts: {part}");
        let runs = if contracts == BATCHES { 1 } else { RUNS };
        let runs = interleave(report, &format!("settle {contracts}"), runs, || world.settle())?;
        report.figure(name("state and root"), runs.median(|run| run.sides.0), "CPU-s", None, "");
        report.figure(name("durable write"), runs.median(|run| run.sides.1), "CPU-s", None, "");
        let all = |sides: (f64, f64)| sides.0 + sides.1;
        let ratio = runs.median(|run| all(run.sides) / run.sha256(GIBIBYTE));
        report.figure(name("all"), runs.median(|run| all(run.sides)), "CPU-s", Some(ratio), "SHA-256 of 1 GiB");
    }
    Ok(())
}

/// A chain in the middle of a round in which every holder has proved everything.
struct World {
    genesis: Genesis,
    contracts: u32,
    vrf: VrfSecretKey,
    proposer: Address,
    state: State,
}

impl World {
    fn new(contracts: u32) -> Result<Self> {
        let key = SecretKey::from_seed([1; 32]);
        let vrf = VrfSecretKey::from_seed([2; 32]);
        let validator = GenesisValidator { address: key.address(), vrf: vrf.public(), bond: Amount::hold(100) };
        let genesis = Genesis {
            name: Bounded::new(b"bench".to_vec())?,
            time: START,
            params: preset(NetworkPrefix::Devnet),
            accounts: Bounded::new(vec![(key.address(), Amount::hold(1_000_000_000))])?,
            validators: Bounded::new(vec![validator])?,
            seed: [3; 32],
        };
        let source = Source { genesis: &genesis, contracts };
        let state = State::load(&genesis, &source)?;
        Ok(Self { contracts, vrf, proposer: key.address(), state, genesis })
    }

    /// CPU-seconds of executing the settling block, and of committing it.
    fn settle(&self) -> Result<(f64, f64)> {
        let folder = tempfile::tempdir()?;
        let db = ChainDb::open(folder.path(), &self.genesis)?;
        let proposer = Proposer { address: self.proposer, vrf: &self.vrf };
        let due = self.state.chain().running.due;
        let (executed, applied) = measure(|| {
            let built = build_block(&self.state, BlockHash::ZERO, std::iter::empty(), proposer, due, usize::MAX);
            Ok(built.checked.apply())
        })?;
        self.check(&applied)?;
        let certificate =
            Certificate { height: Height::new(1), round: 0, block: applied.hash, signatures: Bounded::empty() };
        let input = CommitInput { applied: &applied, certificate: &certificate, evidence: &[] };
        let (committed, _) = measure(|| Ok(db.commit(input)?))?;
        Ok((executed, committed))
    }

    fn check(&self, applied: &Applied) -> Result<()> {
        let record = applied.state.round(RoundNo::new(0)).context("the round was settled")?;
        let due = PRICE.checked_mul(u64::from(BATCHES))?;
        ensure!(record.paid == due, "every batch was paid: {} of {due}", record.paid);
        ensure!(record.holders == HOLDERS && record.missed == 0, "every holder proved");
        let escrow = Amount::checked_sum(applied.state.iter_contracts().map(|(_, contract)| contract.escrow))?;
        ensure!(escrow == due.checked_mul(99)?, "escrows paid for one round of a hundred");
        ensure!(applied.state.iter_contracts().count() == self.contracts as usize, "no contract ended");
        Ok(())
    }
}

/// What is done with each key and value.
type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError>;

/// The records of that chain, made up as they are asked for.
struct Source<'a> {
    genesis: &'a Genesis,
    contracts: u32,
}

impl Source<'_> {
    /// Slot `slot` of any holder. Contracts take turns in blocks of equal length.
    fn slot(&self, holder: u32, slot: u32) -> Slot {
        let global = holder * (BATCHES / HOLDERS) + slot;
        let mut root = [7; 32];
        root[..4].copy_from_slice(&global.to_le_bytes());
        Slot {
            meta: BatchMeta { scheme: 1, batch_log2: 20, leaf_log2: 10, inner_code: 0, root },
            contract: ContractNo::new(global / (BATCHES / self.contracts)),
            segment: SegmentNo::new(0),
            index: 0,
            faulty_since: None,
        }
    }

    fn account(&self, number: u32) -> Account {
        let (address, holder) = match number {
            0 => (self.genesis.validators[0].address, None),
            _ => (synthetic(number), (number <= HOLDERS).then(|| HolderNo::new(number - 1))),
        };
        Account {
            address,
            balance: Amount::hold(1),
            sequence: 0,
            holder,
            validator: None,
            segments: 0,
            catalog_head: Bounded::empty(),
            revoked: Bounded::empty(),
        }
    }

    fn holder(&self, number: u32) -> Result<Holder> {
        let list = MerkleVec::load((0..BATCHES / HOLDERS).map(|slot| self.slot(number, slot)));
        let batches = u64::from(BATCHES / HOLDERS);
        let classes = vec![ClassList { batch_log2: 20, batches, list_root: list.root() }];
        let frozen = Frozen {
            round: RoundNo::new(0),
            set_root: set_root(&classes),
            classes: Bounded::new(classes.clone())?,
            challenges: challenge_count(batches, &self.genesis.params.challenge),
            revenue: PRICE.checked_mul(batches)?,
        };
        Ok(Holder {
            account: AccountNo::new(number + 1),
            quota_bytes: batches << 20,
            used_bytes: batches << 20,
            price: PRICE,
            accepting: true,
            profile: Profile::default(),
            deposit: Amount::hold(1_000),
            locked: Amount::hold(40),
            lists: Bounded::new(classes)?,
            frozen: Some(frozen),
            faulty: 0,
            rounds_proved: 0,
            rounds_missed: 0,
            earned: Amount::ZERO,
            fined: Amount::ZERO,
        })
    }

    fn contract(&self, number: u32) -> Result<Contract> {
        let batches = BATCHES / self.contracts;
        Ok(Contract {
            owner: AccountNo::new(HOLDERS + 1 + number % HOLDERS),
            holder: HolderNo::new(number / (self.contracts / HOLDERS)),
            batch_log2: 20,
            batches,
            faulty: 0,
            price: PRICE,
            collateral: PRICE,
            escrow: PRICE.checked_mul(u64::from(batches) * 100)?,
            first_round: RoundNo::new(0),
            end_round: RoundNo::new(100),
            end_round_max: RoundNo::new(200),
            footprint: Bounded::new(vec![AccountNo::new(0)])?,
        })
    }

    fn chain(&self) -> Result<ChainRecord> {
        let openings = u64::from(challenge_count(u64::from(BATCHES / HOLDERS), &self.genesis.params.challenge));
        let phase = Phase::Proving { seed_height: Height::GENESIS, seed: [9; 32] };
        let running = RunningRound {
            round: RoundNo::new(0),
            phase,
            freeze_height: Height::GENESIS,
            freeze_time: START,
            freeze_due: START,
            due: START.saturating_add(1_000),
            frozen_root: Digest::ZERO,
            verified_by: Bounded::new(vec![(AccountNo::new(0), openings * u64::from(HOLDERS))])?,
        };
        let GenesisValidator { address, vrf, .. } = self.genesis.validators[0];
        let validator = Validator { address, vrf, power: 100 };
        Ok(ChainRecord {
            chain: self.genesis.chain_id(),
            height: Height::GENESIS,
            time: START,
            beacon: [8; 32],
            validators: ValidatorSet::new(vec![validator]).context("one validator")?,
            protocol: 1,
            upgrade: None,
            heavy_nodes: Bounded::new(vec![AccountNo::new(0)])?,
            running,
            reserve: Amount::ZERO,
            supply: Amount::hold(1_000_000_000),
        })
    }

    fn progress(&self) -> ProofProgress {
        ProofProgress { parts: vec![Some(PartOutcome { openings_digest: Digest::new([6; 32]), failed: Vec::new() })] }
    }

    fn each(&self, table: Table, each: Each<'_>) -> Result<()> {
        let mut put = |number: u32, record: Vec<u8>| each(&number.to_be_bytes(), &record).map_err(anyhow::Error::from);
        match table {
            Table::Chain => put(0, bytes(&self.chain()?)),
            Table::Accounts => (0..=2 * HOLDERS).try_for_each(|number| put(number, bytes(&self.account(number)))),
            Table::Holders => (0..HOLDERS).try_for_each(|number| put(number, bytes(&self.holder(number)?))),
            Table::Contracts => (0..self.contracts).try_for_each(|number| put(number, bytes(&self.contract(number)?))),
            Table::Progress => (0..HOLDERS).try_for_each(|number| put(number, bytes(&self.progress()))),
            Table::Slots => (0..BATCHES).try_for_each(|global| {
                let (holder, slot) = (global / (BATCHES / HOLDERS), global % (BATCHES / HOLDERS));
                let key = [holder.to_be_bytes().as_slice(), &[20], &slot.to_be_bytes()].concat();
                each(&key, &bytes(&self.slot(holder, slot))).map_err(anyhow::Error::from)
            }),
            Table::Segments | Table::Rounds | Table::Deferred | Table::Validators => Ok(()),
        }
    }
}

impl StateSource for Source<'_> {
    fn scan(&self, table: Table, each: Each<'_>) -> Result<(), LoadError> {
        self.each(table, each).map_err(|error| LoadError::Source { table, source: error.into() })
    }
}

fn synthetic(number: u32) -> Address {
    let mut address = [4; 32];
    address[..4].copy_from_slice(&number.to_be_bytes());
    Address::new(address)
}

fn bytes(record: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(record).expect("a record encodes into memory")
}
