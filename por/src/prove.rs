//! Building a proof from what lies on the holder's disk.

use crate::draw::{HolderChallenge, Position};
use crate::merkle::{GROUP_BYTES, GROUP_LEAVES};
use crate::proof::{ProofError, Slice};
use crate::scheme::Stored;
use std::io;

/// The holder's batches, as the prover reads them. A batch is named as the challenge names it: list and slot.
///
/// The prover reads in ascending order of (list, slot, leaf), but promises nothing: each call stands for itself.
pub trait BatchSource {
    /// Fills `out`, which is [`GROUP_BYTES`] long, with group `group` of a batch.
    fn read_group(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [u8]) -> io::Result<()>;

    /// Fills `out` with the kept hashes beside the group's way to the top: [`crate::Layers::path`], or the pieces of
    /// the layers file at [`crate::Layers::path_offsets`].
    fn read_path(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [[u8; 32]]) -> io::Result<()>;
}

/// A part's openings, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The openings in order of `j`, exactly [`HolderChallenge::openings_bytes`].
    pub openings: Vec<u8>,
    /// The challenges (`j`, ascending) whose batch could not be read; zeros stand in their place and they will be
    /// counted as missing.
    pub unreadable: Vec<u32>,
}

/// Opens `count` challenged leaves from `first_j` on. A batch that is lost or unreadable costs its own openings only.
pub fn prove_part(
    challenge: &HolderChallenge,
    first_j: u32,
    count: u32,
    source: &mut (impl BatchSource + ?Sized),
) -> Result<Proved, ProofError> {
    let mut slices = challenge.slices(first_j, count)?;
    let mut openings = vec![0; slices.last().map_or(0, |last| last.end)];
    slices.sort_unstable_by_key(|slice| slice.position);

    let mut group = vec![0; GROUP_BYTES];
    let mut unreadable = Vec::new();
    for slice in slices {
        if open_slice(challenge, &slice, source, &mut group, &mut openings[slice.start..slice.end]).is_err() {
            unreadable.push(slice.j);
        }
    }
    unreadable.sort_unstable();
    Ok(Proved { openings, unreadable })
}

/// Writes one opening over `room`, or leaves its zeros.
fn open_slice(
    challenge: &HolderChallenge,
    slice: &Slice,
    source: &mut (impl BatchSource + ?Sized),
    group: &mut [u8],
    room: &mut [u8],
) -> io::Result<()> {
    let Position { batch_log2, slot, leaf } = slice.position;
    let number = leaf / GROUP_LEAVES as u32;
    source.read_group(batch_log2, slot, number, group)?;
    let mut path = vec![[0; 32]; challenge.scheme().path_hashes(batch_log2)];
    source.read_path(batch_log2, slot, number, &mut path)?;
    challenge.scheme().open(batch_log2, leaf, Stored { group, path: &path }, room).map_err(io::Error::other)
}
