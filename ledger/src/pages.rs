//! A persistent vector: records in pages of 64, pages in a tree of fan-out 64, every page behind an `Arc`.
//!
//! A clone costs one counter and shares everything; a write copies only the pages on the way to its record, and only
//! while another clone still holds them. Every page remembers which of its children changed since that mark was last
//! cleared, and carries a summary `S` of its children (the Merkle vector keeps its inner hashes there).

use std::sync::Arc;

/// Children of a page.
pub(crate) const FAN: usize = 1 << FAN_LOG2;
/// log2 of [`FAN`].
pub(crate) const FAN_LOG2: u32 = 6;

/// The vector.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T, S> {
    root: Arc<Page<T, S>>,
    len: usize,
    levels: u32,
}

/// A page: bit `i` of `dirty` is set when child `i` changed, came or went.
#[derive(Clone, Debug)]
pub(crate) struct Page<T, S> {
    pub(crate) dirty: u64,
    pub(crate) summary: S,
    pub(crate) body: Body<T, S>,
}

/// What a page holds.
#[derive(Clone, Debug)]
pub(crate) enum Body<T, S> {
    Records(Vec<T>),
    Pages(Vec<Arc<Page<T, S>>>),
}

impl<T: Clone, S: Clone + Default> Pages<T, S> {
    pub(crate) fn new() -> Self {
        Self { root: Arc::new(Page::empty(0)), len: 0, levels: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Levels of pages above the pages of records.
    pub(crate) const fn levels(&self) -> u32 {
        self.levels
    }

    pub(crate) const fn root_mut(&mut self) -> &mut Arc<Page<T, S>> {
        &mut self.root
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.rest_of_page(index).first()
    }

    /// The page at `level` (0 holds records) that covers record `index`, which must exist.
    pub(crate) fn page(&self, level: u32, index: usize) -> &Page<T, S> {
        let mut page = &*self.root;
        for above in (level + 1..=self.levels).rev() {
            page = &page.pages()[child(index, above)];
        }
        page
    }

    /// The records from `index` to the end of its page; none past the end.
    pub(crate) fn rest_of_page(&self, index: usize) -> &[T] {
        if index >= self.len {
            return &[];
        }
        match &self.page(0, index).body {
            Body::Records(records) => &records[child(index, 0)..],
            Body::Pages(_) => unreachable!("level 0 holds records"),
        }
    }

    /// The record to change; it counts as changed from now on.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let mut page = Arc::make_mut(&mut self.root);
        let mut level = self.levels;
        loop {
            let slot = child(index, level);
            page.dirty |= 1 << slot;
            match &mut page.body {
                Body::Records(records) => return records.get_mut(slot),
                Body::Pages(pages) => page = Arc::make_mut(&mut pages[slot]),
            }
            level -= 1;
        }
    }

    pub(crate) fn push(&mut self, record: T) {
        if self.len == span(self.levels + 1) {
            let grown = Page { dirty: 1, summary: S::default(), body: Body::Pages(vec![Arc::clone(&self.root)]) };
            self.root = Arc::new(grown);
            self.levels += 1;
        }
        Arc::make_mut(&mut self.root).push(record, self.len, self.levels);
        self.len += 1;
    }

    /// Drops every record from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        if len == 0 {
            *self = Self::new();
            return;
        }
        Arc::make_mut(&mut self.root).truncate(len, self.levels);
        while self.levels > 0 && len <= span(self.levels) {
            let first = Arc::clone(&self.root.pages()[0]);
            self.root = first;
            self.levels -= 1;
        }
    }

    /// Calls `change` with every record; those for which it returns true count as changed.
    pub(crate) fn for_each_mut(&mut self, change: &mut impl FnMut(usize, &mut T) -> bool) {
        if self.len > 0 {
            Arc::make_mut(&mut self.root).for_each_mut(0, self.levels, change);
        }
    }

    /// The changed records in ascending order; none counts as changed any more.
    pub(crate) fn take_dirty(&mut self) -> Vec<(usize, &mut T)> {
        let mut found = Vec::new();
        if self.root.dirty != 0 {
            Arc::make_mut(&mut self.root).take_dirty(0, self.levels, &mut found);
        }
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).step_by(FAN).flat_map(|start| self.rest_of_page(start))
    }
}

impl<T: Clone, S: Clone + Default> Page<T, S> {
    fn empty(level: u32) -> Self {
        let body = if level == 0 { Body::Records(Vec::new()) } else { Body::Pages(Vec::new()) };
        Self { dirty: 0, summary: S::default(), body }
    }

    fn pages(&self) -> &[Arc<Self>] {
        match &self.body {
            Body::Pages(pages) => pages,
            Body::Records(_) => unreachable!("only level 0 holds records"),
        }
    }

    fn push(&mut self, record: T, index: usize, level: u32) {
        let slot = child(index, level);
        self.dirty |= 1 << slot;
        match &mut self.body {
            Body::Records(records) => {
                grow(records, index < FAN);
                records.push(record);
            }
            Body::Pages(pages) => {
                if slot == pages.len() {
                    pages.push(Arc::new(Self::empty(level - 1)));
                }
                Arc::make_mut(&mut pages[slot]).push(record, index, level - 1);
            }
        }
    }

    /// Keeps the first `len` records below this page; `len` is not zero.
    fn truncate(&mut self, len: usize, level: u32) {
        let before = match &mut self.body {
            Body::Records(records) => {
                let before = records.len();
                records.truncate(len);
                before
            }
            Body::Pages(pages) => {
                let before = pages.len();
                pages.truncate(len.div_ceil(span(level)));
                let cut = len % span(level);
                if cut != 0 {
                    let last = pages.len() - 1;
                    self.dirty |= 1 << last;
                    Arc::make_mut(&mut pages[last]).truncate(cut, level - 1);
                }
                before
            }
        };
        let after = len.div_ceil(span(level));
        (after..before).for_each(|gone| self.dirty |= 1 << gone);
    }

    fn for_each_mut(&mut self, first: usize, level: u32, change: &mut impl FnMut(usize, &mut T) -> bool) -> bool {
        match &mut self.body {
            Body::Records(records) => {
                for (slot, record) in records.iter_mut().enumerate() {
                    self.dirty |= u64::from(change(first + slot, record)) << slot;
                }
            }
            Body::Pages(pages) => {
                for (slot, page) in pages.iter_mut().enumerate() {
                    let start = first + slot * span(level);
                    let changed = Arc::make_mut(page).for_each_mut(start, level - 1, change);
                    self.dirty |= u64::from(changed) << slot;
                }
            }
        }
        self.dirty != 0
    }

    fn take_dirty<'a>(&'a mut self, first: usize, level: u32, found: &mut Vec<(usize, &'a mut T)>) {
        let dirty = std::mem::take(&mut self.dirty);
        let is_dirty = |slot: &usize| dirty >> slot & 1 == 1;
        match &mut self.body {
            Body::Records(records) => {
                let changed = records.iter_mut().enumerate().filter(|(slot, _)| is_dirty(slot));
                found.extend(changed.map(|(slot, record)| (first + slot, record)));
            }
            Body::Pages(pages) => {
                for (slot, page) in pages.iter_mut().enumerate().filter(|(slot, _)| is_dirty(slot)) {
                    Arc::make_mut(page).take_dirty(first + slot * span(level), level - 1, found);
                }
            }
        }
    }
}

/// Which child of a page at `level` leads to record `index`.
const fn child(index: usize, level: u32) -> usize {
    index >> (FAN_LOG2 * level) & (FAN - 1)
}

/// Records below one child of a page at `level`.
pub(crate) const fn span(level: u32) -> usize {
    1 << (FAN_LOG2 * level)
}

/// Doubles the first page's room but never past a full page, so that full pages waste nothing and short lists little. A
/// list that has filled a page already gets its next one whole.
fn grow<T>(records: &mut Vec<T>, is_first: bool) {
    if records.len() == records.capacity() {
        let rest = FAN - records.len();
        records.reserve_exact(if is_first { records.len().max(4).min(rest) } else { rest });
    }
}
