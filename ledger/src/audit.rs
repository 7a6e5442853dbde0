//! Auditing a settled round from public data: the round's record, the rows its roots commit to, the proofs while nodes
//! keep them, and for every challenged batch the evidence that it stood in the frozen list.
//!
//! The auditor believes the round's record (a state proof ties it to a certified state root) and nothing else. It draws
//! and verifies with the same code as the validators did.

mod error;
mod evidence;
mod holder;
mod payments;
mod rows;

pub use error::AuditError;
pub use evidence::{SlotEvidence, slot_evidence};
pub use holder::{HolderAudit, HolderClaim, LostBatch, audit_holder};
pub use payments::{PaymentClaim, audit_payments, audit_revenue};
pub use rows::audit_round_rows;
