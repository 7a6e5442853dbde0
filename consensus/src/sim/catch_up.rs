//! How a node that is behind gets the blocks that others have decided.

use super::Common;
use super::breach::{Breach, Stop};
use super::desk::Desk;
use super::message::Message;
use super::queue::Task;
use crate::app::LedgerApp;
use crate::engine::convert;
use crate::engine::types::{Holdfast, Vote};
use arc_malachitebft_app::types::PeerId;
use arc_malachitebft_core_types::{SignedMessage, ValueResponse};
use arc_malachitebft_signing::Verifier;
use bytes::Bytes;
use holdfast_primitives::{Certificate, Height};
use std::sync::Arc;

/// Blocks in one answer.
const ANSWER_BLOCKS_MAX: usize = 4;
/// How often a node tells how far it is, besides at every commit.
const STATUS_MS: u64 = 1_000;
/// How long a node waits for an answer before it asks again.
const PATIENCE_MS: u64 = 400;

impl<A: LedgerApp> Desk<A> {
    /// Tells everybody how far this node is.
    pub(super) fn tell_status(&self, common: &mut Common) {
        let (tip, _) = self.app.tip();
        common.net.publish(&mut common.queue, self.index, Message::Status { tip });
    }

    /// Tells it now and then.
    pub(super) fn keep_telling(&self, common: &mut Common) {
        self.tell_status(common);
        self.later(common, STATUS_MS, Task::Status);
    }

    /// Notes a vote: it may show that others are ahead, and forgers may want it.
    pub(super) fn hear_vote(&mut self, vote: &SignedMessage<Holdfast, Vote>) {
        let said = &vote.message;
        let (voter, height) = (&said.validator.0, said.height.0);
        let counts = height >= self.next.height && self.next.validators.contains(voter);
        let signed = || super::desk::at_once(self.verifier.verify_signed_vote(said, &vote.signature, voter));
        if counts && signed().is_ok_and(|verdict| verdict.is_valid()) {
            self.seen = self.seen.max(height);
        }
        if !self.honest && *voter != self.signer.key.address() {
            self.heard = Some(vote.clone());
        }
    }

    /// Asks a peer for blocks if it has some that we lack.
    pub(super) fn ask_if_behind(&mut self, common: &mut Common, peer: usize, tip: Height) {
        let now = common.queue.now();
        if tip < self.next.height || now < self.ask_again_at {
            return;
        }
        self.ask_again_at = now + PATIENCE_MS;
        let message = Arc::new(Message::Ask { first: self.next.height });
        common.net.send(&mut common.queue, self.index, peer, &message);
    }

    /// Answers a peer that is behind.
    pub(super) fn answer(&self, common: &mut Common, peer: usize, first: Height) -> Result<(), Stop> {
        let mut blocks = Vec::new();
        let mut height = first;
        while blocks.len() < ANSWER_BLOCKS_MAX {
            let decided = self.app.decided(height).map_err(|error| Breach::App {
                node: self.index,
                action: "recall",
                height,
                reason: error.to_string(),
            })?;
            let Some(decided) = decided else { break };
            blocks.push(decided);
            height = height.next();
        }
        if !blocks.is_empty() {
            common.net.send(&mut common.queue, self.index, peer, &Arc::new(Message::Answer(blocks)));
        }
        Ok(())
    }

    /// Takes blocks that a peer says were decided.
    pub(super) fn take_blocks(&mut self, blocks: &[(Bytes, Certificate)]) {
        for (block, certificate) in blocks {
            if certificate.height >= self.next.height {
                self.seen = self.seen.max(certificate.height);
                self.fetched.insert(certificate.height, (block.clone(), certificate.clone()));
            }
        }
    }

    /// The fetched block of the next height.
    pub(super) fn fetched_block(&mut self) -> Option<ValueResponse<Holdfast>> {
        self.fetched = self.fetched.split_off(&self.next.height);
        let (block, certificate) = self.fetched.remove(&self.next.height)?;
        // Whom it came from is for the engine's scores only, which are not played: an empty identity multihash.
        let peer = PeerId::from_bytes(&[0, 0]).expect("two zero bytes are an empty identity multihash");
        Some(ValueResponse::new(peer, block, convert::to_engine(&certificate)))
    }
}
