//! The signatures in a transaction: the sender's, and in a registration those of the quotes, footprints and receipts.

use crate::check::{ShapedTx, SoundTx};
use crate::error::TxError;
use crate::statement::{hop_payloads, receipt_payload};
use crate::tx::{Register, TxBody};
use holdfast_primitives::{Address, BatchVerifier, ChainId, Purpose, Signature};

/// Verifies the signatures of many transactions together, and one by one only when one does not hold.
pub(crate) fn verify_all(chain: &ChainId, txs: Vec<ShapedTx>) -> Vec<Result<SoundTx, TxError>> {
    let mut batch = BatchVerifier::new();
    for tx in &txs {
        each_claim(tx, |claim| batch.push(&claim.signer, claim.purpose, chain, claim.payload, &claim.signature));
    }
    let all_hold = batch.verify().is_ok();
    txs.into_iter()
        .map(|tx| {
            if !all_hold {
                verify_singly(chain, &tx)?;
            }
            Ok(tx.into_sound())
        })
        .collect()
}

/// Who is said to have signed what.
struct Claim<'a> {
    signer: Address,
    purpose: Purpose,
    role: &'static str,
    payload: &'a [u8],
    signature: Signature,
}

fn verify_singly(chain: &ChainId, tx: &ShapedTx) -> Result<(), TxError> {
    let mut verdict = Ok(());
    each_claim(tx, |claim| {
        let holds = claim.signature.verify(&claim.signer, claim.purpose, chain, claim.payload).is_ok();
        if !holds && verdict.is_ok() {
            verdict = Err(TxError::BadSignature { signer: claim.signer, role: claim.role });
        }
    });
    verdict
}

fn each_claim(tx: &ShapedTx, mut visit: impl FnMut(Claim<'_>)) {
    let signed = tx.signed();
    visit(Claim {
        signer: signed.tx.sender,
        purpose: Purpose::Transaction,
        role: "sender",
        payload: tx.payload(),
        signature: signed.signature,
    });
    match &signed.tx.body {
        TxBody::Register(register) => each_claim_of_register(&signed.tx.sender, register, visit),
        TxBody::Accuse { misbehaviour } => {
            let signer = *misbehaviour.validator();
            for (purpose, payload, signature) in misbehaviour.statements() {
                visit(Claim { signer, purpose, role: "accused", payload: &payload, signature });
            }
        }
        _ => {}
    }
}

fn each_claim_of_register(owner: &Address, register: &Register, mut visit: impl FnMut(Claim<'_>)) {
    for (placement, metas) in register.placements.iter().zip(register.metas_by_placement()) {
        let terms = &placement.quote.terms;
        visit(Claim {
            signer: terms.holder,
            purpose: Purpose::Quote,
            role: "quote",
            payload: &terms.payload(),
            signature: placement.quote.signature,
        });
        let hops = hop_payloads(&terms.request, owner, &terms.holder, &placement.footprint);
        for (hop, (signer, payload)) in placement.footprint.iter().zip(hops) {
            let (purpose, signature) = (Purpose::FootprintHop, hop.signature);
            visit(Claim { signer, purpose, role: "footprint hop", payload: &payload, signature });
        }
        visit(Claim {
            signer: terms.holder,
            purpose: Purpose::Receipt,
            role: "receipt",
            payload: &receipt_payload(&terms.request, owner, placement.receipt.expires, &metas),
            signature: placement.receipt.signature,
        });
    }
}
