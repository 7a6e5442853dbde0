//! The parent as the one who knows where holders are now.

use super::client::ControlClient;
use crate::transfer::{Introducer, Introduction};
use async_trait::async_trait;
use holdfast_primitives::Address;

#[async_trait]
impl Introducer for ControlClient {
    /// As [`ControlClient::locate`] says. The ticket that comes with it is for reading, so the right to come in stays the
    /// transfer's own.
    async fn introduce(&self, holder: Address) -> Option<Introduction> {
        let located = self.locate(&[holder]).await.ok()?;
        let ticket = located.into_iter().next()?.ticket?;
        Some(Introduction { addr: ticket.statement.holder_addr, access: None })
    }
}
