//! What the core asks for, fulfilled: one function, an arm per wish.

use super::Common;
use super::breach::Stop;
use super::desk::{Desk, at_once};
use super::message::Message;
use super::queue::Task;
use crate::app::LedgerApp;
use crate::engine::convert;
use crate::engine::signing::{proposal_bytes, vote_bytes};
use crate::engine::types::{Holdfast, Vote, round_number, round_option};
use arc_malachitebft_core_consensus::Input;
use arc_malachitebft_core_consensus::{
    ConsensusMsg, Effect, LivenessMsg, Resumable, Resume, SignedConsensusMsg, VoteExtensionError,
};
use arc_malachitebft_core_types::{NilOrVal, SignedMessage, Timeout, TimeoutKind, Timeouts, ValueOrigin};
use arc_malachitebft_signing::{Verifier, VerifierExt};
use holdfast_primitives::{BlockHash, Purpose};

type Wish = Effect<Holdfast>;

impl<A: LedgerApp> Desk<A> {
    /// Does what the core asks for, unless the power fails first.
    pub(super) fn fulfil(&mut self, common: &mut Common, wish: Wish) -> Result<Resume<Holdfast>, Stop> {
        self.burn(common)?;
        match wish {
            Effect::CancelAllTimeouts(r) => {
                self.timers.clear();
                Ok(r.resume_with(()))
            }
            Effect::CancelTimeout(timeout, r) => {
                self.timers.retain(|(other, _)| *other != timeout);
                Ok(r.resume_with(()))
            }
            Effect::ScheduleTimeout(timeout, r) => {
                self.schedule(common, timeout);
                Ok(r.resume_with(()))
            }
            Effect::StartRound(height, round, _, _, r) => {
                self.flush();
                if height.0 == self.next.height {
                    self.next.round = round_number(round);
                }
                for value in self.kept_values(height.0, round) {
                    let input = Input::ProposedValue(value, ValueOrigin::Consensus);
                    self.later(common, 0, Task::Input(Box::new(input)));
                }
                Ok(r.resume_with(()))
            }
            Effect::GetValue(height, round, _, r) => {
                let takes = common.rng.between(1, 15);
                let task = Task::Propose { height: height.0.get(), round: round_number(round) };
                self.later(common, takes, task);
                Ok(r.resume_with(()))
            }
            Effect::RestreamProposal(height, round, valid_round, proposer, hash, r) => {
                let (round, valid_round) = (round_number(round), round_option(valid_round));
                self.restream(common, height.0, round, valid_round, proposer.0, &hash)?;
                Ok(r.resume_with(()))
            }
            Effect::PublishConsensusMsg(message, r) => {
                self.flush();
                self.publish(common, message)?;
                Ok(r.resume_with(()))
            }
            Effect::PublishLivenessMsg(message, r) => {
                common.net.publish(&mut common.queue, self.index, Message::Liveness(message));
                Ok(r.resume_with(()))
            }
            Effect::RepublishVote(vote, r) => {
                let message = Message::Liveness(LivenessMsg::Vote(vote));
                common.net.publish(&mut common.queue, self.index, message);
                Ok(r.resume_with(()))
            }
            Effect::RepublishRoundCertificate(certificate, r) => {
                let message = Message::Liveness(LivenessMsg::SkipRoundCertificate(certificate));
                common.net.publish(&mut common.queue, self.index, message);
                Ok(r.resume_with(()))
            }
            Effect::WalAppend(height, entry, r) => {
                if !self.recovering && self.is_validator {
                    self.wal.append(height.0, entry);
                }
                Ok(r.resume_with(()))
            }
            Effect::Decide(certificate, _, r) => {
                self.flush();
                self.commit(common, &certificate)?;
                self.tell_status(common);
                Ok(r.resume_with(()))
            }
            Effect::Finalize(_, _, evidence, r) => {
                self.finalize(common, convert::evidence(evidence));
                Ok(r.resume_with(()))
            }
            Effect::CertVerifiedSyncValue(response, _, r) => {
                let takes = common.rng.between(1, 15);
                self.later(common, takes, Task::JudgeSynced(Box::new(response)));
                Ok(r.resume_with(()))
            }
            Effect::CertRejectedSyncValue(_, _, _, r) => Ok(r.resume_with(())),
            other => self.sign_or_verify(other),
        }
    }

    fn sign_or_verify(&self, wish: Wish) -> Result<Resume<Holdfast>, Stop> {
        let (verifier, signer) = (&self.verifier, &self.signer);
        let resume = match wish {
            Effect::SignVote(vote, r) => {
                let signature = signer.key.sign(Purpose::Vote, &signer.chain, &vote_bytes(&vote));
                r.resume_with(SignedMessage::new(vote, signature))
            }
            Effect::SignProposal(proposal, r) => {
                let signature = signer.key.sign(Purpose::Proposal, &signer.chain, &proposal_bytes(&proposal));
                r.resume_with(SignedMessage::new(proposal, signature))
            }
            Effect::VerifySignature(message, key, r) => {
                let SignedMessage { message, signature } = message;
                let verdict = match &message {
                    ConsensusMsg::Vote(vote) => at_once(verifier.verify_signed_vote(vote, &signature, &key)),
                    ConsensusMsg::Proposal(said) => at_once(verifier.verify_signed_proposal(said, &signature, &key)),
                };
                r.resume_with(verdict.is_ok_and(|verdict| verdict.is_valid()))
            }
            Effect::VerifyCommitCertificate(certificate, set, thresholds, r) => {
                r.resume_with(at_once(verifier.verify_commit_certificate(&Holdfast, &certificate, &set, thresholds)))
            }
            Effect::VerifyPolkaCertificate(certificate, set, thresholds, r) => {
                r.resume_with(at_once(verifier.verify_polka_certificate(&Holdfast, &certificate, &set, thresholds)))
            }
            Effect::VerifyRoundCertificate(certificate, set, thresholds, r) => {
                r.resume_with(at_once(verifier.verify_round_certificate(&Holdfast, &certificate, &set, thresholds)))
            }
            Effect::VerifyExtendedCommitCertificate(certificate, set, thresholds, policy, r) => r.resume_with(at_once(
                verifier.verify_extended_commit_certificate(&Holdfast, &certificate, &set, thresholds, policy),
            )),
            Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, r) => {
                r.resume_with(Err(VoteExtensionError::InvalidVoteExtension))
            }
            _ => Resume::Continue,
        };
        Ok(resume)
    }

    fn publish(&mut self, common: &mut Common, message: SignedConsensusMsg<Holdfast>) -> Result<(), Stop> {
        if self.honest {
            common.record.consensus(&message)?;
        } else {
            self.forge(common);
        }
        common.net.publish(&mut common.queue, self.index, Message::Consensus(message));
        Ok(())
    }

    /// A dishonest node also says in the name of others what they never said.
    fn forge(&self, common: &mut Common) {
        let Some(heard) = &self.heard else { return };
        if !common.rng.percent(common.faults.forge_percent) {
            return;
        }
        let value = match heard.message.value {
            NilOrVal::Nil => NilOrVal::Val(BlockHash::new([9; 32])),
            NilOrVal::Val(_) => NilOrVal::Nil,
        };
        let vote = Vote { value, ..heard.message.clone() };
        let forged = SignedConsensusMsg::Vote(SignedMessage::new(vote, heard.signature));
        common.net.publish(&mut common.queue, self.index, Message::Consensus(forged));
    }

    fn flush(&mut self) {
        if !self.recovering && self.is_validator {
            self.wal.flush();
        }
    }

    fn burn(&mut self, common: &Common) -> Result<(), Stop> {
        if common.queue.now() >= common.faults.until_ms {
            self.fuse = None;
        }
        match &mut self.fuse {
            Some(0) => Err(Stop::Crashed),
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn schedule(&mut self, common: &mut Common, timeout: Timeout) {
        let now = common.queue.now();
        let after = match timeout.kind {
            TimeoutKind::FinalizeHeight(_) => {
                let target = self.next.config.target.unwrap_or_default();
                self.entered.saturating_add(target.as_millis() as u64).saturating_sub(now)
            }
            _ => Timeouts::<Holdfast>::duration_for(&self.timeouts, timeout).as_millis() as u64,
        };
        let id = common.rng.next();
        self.timers.retain(|(other, _)| *other != timeout);
        self.timers.push((timeout, id));
        self.later(common, after, Task::Timer { id });
    }

    /// The timeout of a timer that is due, unless it was cancelled.
    pub(super) fn due_timer(&mut self, id: u64) -> Option<Timeout> {
        let place = self.timers.iter().position(|(_, other)| *other == id)?;
        Some(self.timers.remove(place).0)
    }
}
