//! What a snapshot is: the block after which the state stands, the proof that it was decided, and what the root is made of.

use crate::check_block::check_tx_root;
use crate::follow::{FollowError, Trusted};
use crate::merkle_vec::{Hash, vector_root};
use crate::state::{StateRoots, params_digest};
use crate::state_proof::PROVABLE_RECORD_BYTES_MAX;
use crate::{Block, BlockError, ChainRecord, Params, State, Table};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Bounded, Certificate, Height, StateRoot, ValidatorSet, decode_exact, merkle};
use thiserror::Error;

/// Bytes of the longest manifest: a block, a certificate, a set of validators, a chain record.
pub const MANIFEST_BYTES_MAX: usize = BLOCK_BYTES_MAX + 256 * 1024;
/// Tables that a manifest may list.
const TABLES_MAX: usize = 64;

/// The length of a table and the top of its tree: together they are its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TableTop {
    /// Records.
    pub len: u32,
    /// The node above all of them.
    pub top: Hash,
}

/// A snapshot, as the node that has it describes it. Comes from strangers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// The block after which the state stands. Its header names the state's root.
    pub block: Block,
    /// The quorum that decided it.
    pub certificate: Certificate,
    /// Who decides the next block, where the set changes after this one.
    pub next: Option<ValidatorSet>,
    /// What the state's root is made of.
    pub roots: StateRoots,
    /// The chain record, borsh.
    pub chain: Bounded<u8, PROVABLE_RECORD_BYTES_MAX>,
    /// The tables that are one vector each, in the order of [`Table::vectors`].
    pub tables: Bounded<TableTop, TABLES_MAX>,
}

/// A manifest that is true: a trusted set of validators decided the block, and everything in it leads to the state's root.
#[derive(Clone, Debug)]
pub struct CheckedManifest {
    manifest: Manifest,
    trusted: Trusted,
    record: ChainRecord,
}

/// Why a manifest is not true.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// The block was not decided by the trusted validators.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The transactions are not the header's.
    #[error("the block of the snapshot: {0}")]
    Block(#[from] BlockError),
    /// The roots are of another state.
    #[error("the roots make state {found}, the header says {expected}")]
    Roots {
        /// What the roots make.
        found: StateRoot,
        /// What the header names.
        expected: StateRoot,
    },
    /// The state is of a network with other rules.
    #[error("the state is of a network with other parameters than the genesis")]
    Params,
    /// The chain record does not hash to its root, or is none.
    #[error("the chain record is not the one of the state")]
    ChainRecord,
    /// Not one entry per table.
    #[error("{found} tables are listed, the state has {expected}")]
    Tables {
        /// Listed.
        found: usize,
        /// There are.
        expected: usize,
    },
    /// A table's length or top is not what its root says.
    #[error("the length or top of table {} is not what its root says", table.name())]
    Table {
        /// The table.
        table: Table,
    },
}

impl Manifest {
    /// Describes `state`, which must be sealed and stand after `block`.
    pub fn new(state: &State, block: Block, certificate: Certificate) -> Self {
        let header = &block.header;
        let next = (header.next_validators != header.validators).then(|| state.chain().validators.clone());
        let chain = borsh::to_vec(state.chain()).expect("a chain record encodes into memory");
        let chain = Bounded::new(chain).expect("a chain record is below PROVABLE_RECORD_BYTES_MAX");
        let tables = Table::vectors().map(|table| state.table_top(table)).collect();
        let tables = Bounded::new(tables).expect("there are fewer than TABLES_MAX tables");
        Self { block, certificate, next, roots: *state.roots(), chain, tables }
    }

    /// The height after which the state stands.
    pub fn height(&self) -> Height {
        self.block.header.height
    }

    /// Checks everything that can be checked before a record is there. `trusted` must be followed up to the last change
    /// of validators before the manifest's height.
    ///
    /// # Errors
    /// The first thing that is not true.
    pub fn check(self, trusted: &Trusted, params: &Params) -> Result<CheckedManifest, ManifestError> {
        let header = &self.block.header;
        let trusted = trusted.advance(header, &self.certificate, self.next.as_ref())?;
        check_tx_root(&self.block)?;
        let (found, expected) = (self.roots.root(), header.state_root);
        if found != expected {
            return Err(ManifestError::Roots { found, expected });
        }
        if self.roots.params != params_digest(params) {
            return Err(ManifestError::Params);
        }
        let record = self.check_chain_record(&trusted)?;
        self.check_tables()?;
        Ok(CheckedManifest { manifest: self, trusted, record })
    }

    fn check_chain_record(&self, trusted: &Trusted) -> Result<ChainRecord, ManifestError> {
        if merkle::leaf(&self.chain) != self.roots.chain {
            return Err(ManifestError::ChainRecord);
        }
        let record: ChainRecord =
            decode_exact(&self.chain, PROVABLE_RECORD_BYTES_MAX).map_err(|_| ManifestError::ChainRecord)?;
        if (record.chain, record.height) != (trusted.chain, trusted.height) {
            return Err(ManifestError::ChainRecord);
        }
        Ok(record)
    }

    fn check_tables(&self) -> Result<(), ManifestError> {
        let (found, expected) = (self.tables.len(), Table::vectors().count());
        if found != expected {
            return Err(ManifestError::Tables { found, expected });
        }
        for (table, listed) in Table::vectors().zip(self.tables.iter()) {
            if self.roots.vector(table) != Some(vector_root(u64::from(listed.len), &listed.top)) {
                return Err(ManifestError::Table { table });
            }
        }
        Ok(())
    }
}

impl CheckedManifest {
    /// The manifest itself.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The snapshot's block, trusted from now on, and who decides the next.
    pub const fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The chain record of the state.
    pub const fn chain_record(&self) -> &ChainRecord {
        &self.record
    }

    /// Length and root of a table that is one vector.
    ///
    /// # Panics
    /// When the table is the chain record or the lists.
    pub(crate) fn vector(&self, table: Table) -> (u64, Hash) {
        let place = Table::vectors().position(|listed| listed == table).expect("asked for a table that is one vector");
        let root = self.manifest.roots.vector(table).expect("a table that is one vector has a root");
        (u64::from(self.manifest.tables[place].len), root)
    }
}
