//! Lists come in pages, so that no answer outgrows its limit.

use crate::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows in one page, at most.
pub const PAGE_ROWS_MAX: u32 = 1_000;
/// Rows in one page unless the caller asks otherwise.
pub const PAGE_ROWS: u32 = 100;

/// Some of the rows of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// Rows of the whole list.
    pub total: u64,
    /// Place of the first row of this page in the list.
    pub first: u64,
    /// The rows.
    pub rows: Vec<T>,
    /// Place of the first row of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageAsk {
    /// Place of the first row.
    #[serde(default)]
    pub first: u64,
    /// How many at most: 1 to 1,000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl PageAsk {
    /// The rows from `first` on.
    pub const fn from(first: u64) -> Self {
        Self { first, limit: None }
    }

    /// The same with another limit.
    pub const fn limit(self, rows: u32) -> Self {
        Self { first: self.first, limit: Some(rows) }
    }

    /// Cuts the page out of a list of `total` rows, asking `row` for each of its places.
    pub(crate) fn cut<T>(
        this: Option<Self>,
        total: u64,
        row: impl FnMut(u64) -> Result<T, Failure>,
    ) -> Result<Page<T>, Failure> {
        let ask = this.unwrap_or_default();
        let limit = ask.limit.unwrap_or(PAGE_ROWS);
        if limit == 0 || limit > PAGE_ROWS_MAX {
            return Err(Failure::PageLimit { asked: limit, limit: PAGE_ROWS_MAX });
        }
        let end = ask.first.saturating_add(u64::from(limit)).min(total);
        let rows = (ask.first..end).map(row).collect::<Result<Vec<T>, Failure>>()?;
        Ok(Page { total, first: ask.first, rows, next: (end < total && ask.first < total).then_some(end) })
    }
}
