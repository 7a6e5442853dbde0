//! The erasure code, columnwise: a byte of a parity batch depends only on the bytes at the same place in the data
//! batches. So any byte range of a lost batch is rebuilt from the same range of any `k` others.
//!
//! Codec 1 is the classic systematic code over GF(2^8) with polynomial 29: rows of a Vandermonde matrix times the
//! inverse of its top square (Plank 1997 with the 2003 correction), the code of `reed-solomon-erasure` and of its Java
//! and Go relatives.

use crate::layout::Layout;
use reed_solomon_erasure::galois_8::ReedSolomon;
use thiserror::Error;

/// The code of one layout.
pub struct ErasureCode {
    layout: Layout,
    code: ReedSolomon,
}

/// Why columns cannot be coded or rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Another number of columns than the layout has.
    #[error("{found} columns, the segment has {expected}")]
    WrongCount {
        /// Columns given.
        found: usize,
        /// Columns expected.
        expected: usize,
    },
    /// Columns of unequal length.
    #[error("columns of {first} and of {other} bytes")]
    UnequalLengths {
        /// Bytes of the first column.
        first: usize,
        /// Bytes of one that differs.
        other: usize,
    },
    /// Too few columns are left.
    #[error("{present} batches of the segment can be read, {needed} are needed to rebuild the rest")]
    TooFew {
        /// Columns present.
        present: usize,
        /// Columns needed.
        needed: usize,
    },
}

impl ErasureCode {
    /// The code of `layout`.
    pub fn new(layout: Layout) -> Self {
        let code =
            ReedSolomon::new(layout.data(), layout.parity()).expect("a layout has 1 to 128 batches, some of each kind");
        Self { layout, code }
    }

    /// The layout it codes for.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Computes the parity columns of `k` data columns, all of one length, into `parity` (`m` columns of that length).
    pub fn encode_stripe<D, P>(&self, data: &[D], parity: &mut [P]) -> Result<(), CodeError>
    where
        D: AsRef<[u8]>,
        P: AsRef<[u8]> + AsMut<[u8]>,
    {
        require_count(data.len(), self.layout.data())?;
        require_count(parity.len(), self.layout.parity())?;
        let lengths = data.iter().map(|column| column.as_ref().len());
        let lengths = lengths.chain(parity.iter().map(|column| column.as_ref().len()));
        if require_equal(lengths)? == 0 {
            return Ok(());
        }
        self.code.encode_sep(data, parity).expect("the counts and lengths were checked above");
        Ok(())
    }

    /// The `k` data columns, from any `k` of the `k + m` (`None` where one is lost).
    pub fn reconstruct(&self, mut columns: Vec<Option<Vec<u8>>>) -> Result<Vec<Vec<u8>>, CodeError> {
        if self.require_enough(&columns)? == 0 {
            return Ok(vec![Vec::new(); self.layout.data()]);
        }
        self.code.reconstruct_data(&mut columns).expect("the counts and lengths were checked above");
        columns.truncate(self.layout.data());
        Ok(columns.into_iter().map(|column| column.expect("data columns were just rebuilt")).collect())
    }

    /// All `k + m` columns, from any `k` of them: what a repairer needs to rebuild a lost batch of either kind.
    pub fn reconstruct_all(&self, mut columns: Vec<Option<Vec<u8>>>) -> Result<Vec<Vec<u8>>, CodeError> {
        if self.require_enough(&columns)? == 0 {
            return Ok(vec![Vec::new(); self.layout.batches()]);
        }
        self.code.reconstruct(&mut columns).expect("the counts and lengths were checked above");
        Ok(columns.into_iter().map(|column| column.expect("all columns were just rebuilt")).collect())
    }

    /// The columns' common length.
    fn require_enough(&self, columns: &[Option<Vec<u8>>]) -> Result<usize, CodeError> {
        require_count(columns.len(), self.layout.batches())?;
        let present = columns.iter().flatten().count();
        if present < self.layout.data() {
            return Err(CodeError::TooFew { present, needed: self.layout.data() });
        }
        require_equal(columns.iter().flatten().map(Vec::len))
    }
}

fn require_count(found: usize, expected: usize) -> Result<(), CodeError> {
    if found == expected { Ok(()) } else { Err(CodeError::WrongCount { found, expected }) }
}

fn require_equal(mut lengths: impl Iterator<Item = usize>) -> Result<usize, CodeError> {
    let first = lengths.next().unwrap_or(0);
    match lengths.find(|other| *other != first) {
        Some(other) => Err(CodeError::UnequalLengths { first, other }),
        None => Ok(first),
    }
}
