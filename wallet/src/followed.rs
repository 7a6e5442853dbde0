//! Who decided each height, followed from something trusted: the genesis, or a block that somebody trusted named.
//!
//! Light clients and auditors verify headers with this, so a witness can neither invent validators nor hide that they
//! changed: every change is signed by those who decided before it.

use holdfast_ledger::{FollowError, Header, Step, Trusted};
use holdfast_primitives::{Certificate, Height, ValidatorSet};

/// The validators of every height after the one that is trusted.
#[derive(Clone, Debug)]
pub struct Followed {
    trusted: Trusted,
    /// From which height on which set decides, ascending; the first begins after what was trusted at first.
    eras: Vec<(Height, ValidatorSet)>,
}

impl Followed {
    /// Begins where something is trusted.
    pub fn from(trusted: Trusted) -> Self {
        let eras = vec![(trusted.height.next(), trusted.validators.clone())];
        Self { trusted, eras }
    }

    /// The newest block that is certain, and who decides the next.
    pub const fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// How often the validators changed since.
    pub fn changes(&self) -> usize {
        self.eras.len() - 1
    }

    /// Goes one step on.
    ///
    /// # Errors
    /// The first thing about it that does not hold; nothing has changed then.
    pub fn follow(&mut self, step: &Step) -> Result<(), FollowError> {
        let next = self.trusted.follow(step)?;
        if next.validators != self.trusted.validators {
            self.eras.push((next.height.next(), next.validators.clone()));
        }
        self.trusted = next;
        Ok(())
    }

    /// Who decided the block at `height`, as far as the changes are known; `None` for what was before.
    pub fn set_at(&self, height: Height) -> Option<&ValidatorSet> {
        let after = self.eras.partition_point(|(first, _)| *first <= height);
        self.eras[..after].last().map(|(_, set)| set)
    }

    /// Whether those who decided this height signed this header.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn certify(&self, header: &Header, certificate: &Certificate) -> Result<(), FollowError> {
        let (height, trusted) = (header.height, self.trusted.height);
        let set = self.set_at(height).ok_or(FollowError::NotLater { found: height, trusted })?;
        // As if what is trusted were the block before.
        let height = height.previous().unwrap_or(Height::GENESIS);
        let before = Trusted { height, validators: set.clone(), ..self.trusted.clone() };
        match before.advance(header, certificate, None) {
            Err(FollowError::NextSetMissing { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
