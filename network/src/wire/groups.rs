//! Which parts of a batch are there: one bit per group of 64 KiB.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::{BatchMeta, GROUP_BYTES, GROUP_LOG2};
use holdfast_primitives::limits::BATCH_LOG2_MAX;
use std::{fmt, io, ops::Range};

/// Groups of the largest batch.
pub const GROUPS_MAX: u32 = 1 << (BATCH_LOG2_MAX - GROUP_LOG2);

/// A set of groups of one batch. Borsh: `groups u32 | ceil(groups / 8) bytes`, group 0 in the lowest bit of the first
/// byte, bits past the last group zero.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupSet {
    groups: u32,
    bits: Vec<u8>,
}

impl GroupSet {
    /// No group of a batch of `groups`.
    ///
    /// # Panics
    /// When `groups` exceeds [`GROUPS_MAX`].
    pub fn empty(groups: u32) -> Self {
        assert!(groups <= GROUPS_MAX, "a batch has at most {GROUPS_MAX} groups, not {groups}");
        Self { groups, bits: vec![0; groups.div_ceil(8) as usize] }
    }

    /// Every group of a batch of `groups`.
    ///
    /// # Panics
    /// When `groups` exceeds [`GROUPS_MAX`].
    pub fn full(groups: u32) -> Self {
        let mut all = Self::empty(groups);
        all.insert(0..groups);
        all
    }

    /// How many groups the batch has; zero for sizes that no batch has.
    pub fn groups_of(meta: &BatchMeta) -> u32 {
        if meta.check().is_err() {
            return 0;
        }
        u32::try_from(meta.batch_bytes() / GROUP_BYTES as u64).unwrap_or(0)
    }

    /// How many groups the batch has.
    pub fn groups(&self) -> u32 {
        self.groups
    }

    /// How many are in the set.
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether all are.
    pub fn is_full(&self) -> bool {
        self.count() == self.groups
    }

    /// Whether `group` is.
    pub fn contains(&self, group: u32) -> bool {
        group < self.groups && self.bits[group as usize / 8] >> (group % 8) & 1 == 1
    }

    /// Whether any of `range` is.
    pub fn overlaps(&self, range: Range<u32>) -> bool {
        range.into_iter().any(|group| self.contains(group))
    }

    /// Adds a range; what lies past the batch's end is ignored.
    pub fn insert(&mut self, range: Range<u32>) {
        for group in range.start..range.end.min(self.groups) {
            self.bits[group as usize / 8] |= 1 << (group % 8);
        }
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u32>) {
        for group in range.start..range.end.min(self.groups) {
            self.bits[group as usize / 8] &= !(1 << (group % 8));
        }
    }

    /// What is missing, as ranges of at most `longest` groups that do not cross a multiple of `longest`.
    pub fn missing(&self, longest: u32) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for group in (0..self.groups).filter(|group| !self.contains(*group)) {
            match ranges.last_mut() {
                Some(last) if last.end == group && !group.is_multiple_of(longest) => last.end += 1,
                _ => ranges.push(group..group + 1),
            }
        }
        ranges
    }
}

impl fmt::Debug for GroupSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupSet({} of {})", self.count(), self.groups)
    }
}

impl BorshSerialize for GroupSet {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.groups.serialize(writer)?;
        writer.write_all(&self.bits)
    }
}

impl BorshDeserialize for GroupSet {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bad = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let groups = u32::deserialize_reader(reader)?;
        if groups > GROUPS_MAX {
            return Err(bad(format!("{groups} groups, the limit is {GROUPS_MAX}")));
        }
        let mut set = Self::empty(groups);
        reader.read_exact(&mut set.bits)?;
        let past_end = if groups % 8 == 0 { 0 } else { 0xffu8 << (groups % 8) };
        if set.bits.last().is_some_and(|byte| byte & past_end != 0) {
            return Err(bad("bits past the last group".to_owned()));
        }
        Ok(set)
    }
}
