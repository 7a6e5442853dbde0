//! Ids by their beginning, and ids of the wrong kind.

use super::{network, rich, text};
use crate::common::wait_for;

#[test]
fn ids_are_taken_by_their_beginning_and_named_when_they_are_of_another_kind() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 3);
    let alice = rich(folder.path(), "alice", &network);
    let holders = alice.ask(&["status"])["holders"].clone();
    let holder = text(&holders[1]["address"]);
    let own = text(&alice.ask(&["wallet", "balance"])["address"]);
    let tx = text(&alice.ask(&["wallet", "send", &holder, "1HOLD", "--yes"])["tx"]);

    for beginning in [&holder[..15], &holder[4..14], &holder] {
        assert_eq!(alice.ask(&["hold", "earnings", beginning])["number"], 1, "{beginning}");
    }
    assert_eq!(alice.ask(&["tx", "show", &tx[..10]])["id"], tx.as_str());
    assert_eq!(alice.ask(&["tx", "wait", &tx[..10]])["tx"], tx.as_str());

    let (exit, several) = alice.fail(&["hold", "earnings", "dhf1"]);
    assert_eq!((exit, &several["code"]), (2, &"ambiguous-id".into()));
    assert!(holders.as_array().unwrap().iter().all(|row| text(&several["message"]).contains(&text(&row["address"]))));

    let block = text(&alice.ask(&["status", "--short"])["chain"]["block"]);
    let chain = text(&alice.ask(&["status", "--short"])["chain"]["chain"]);
    let wrong = |words: &[&str], says: &str| {
        let (exit, error) = alice.fail(words);
        assert_eq!((exit, &error["code"]), (2, &"wrong-kind".into()), "{words:?}: {error}");
        assert!(text(&error["message"]).contains(says), "{words:?}: {error}");
    };
    wrong(&["hold", "earnings", &tx], "a transaction's id; a holder's number or address was expected");
    wrong(&["hold", "earnings", &tx[..20]], "the beginning of a transaction's id");
    wrong(&["hold", "earnings", &own], "whose account is no holder");
    wrong(&["tx", "show", &holder], "an address of devnet; a transaction's id was expected");
    wrong(&["tx", "wait", &block], "the hash of block");
    wrong(&["tx", "show", &chain], "the chain's id");
    wrong(&["wallet", "send", &tx, "1HOLD", "--yes"], "a transaction's id; an address of devnet was expected");
    wrong(&["wallet", "balance", &tx], "a transaction's id");
    let (exit, usage) = alice.fail(&["tx", "show"]);
    assert_eq!((exit, &usage["code"]), (2, &"usage".into()), "{usage}");
    assert_eq!(alice.fail(&["tx", "show", "00000000"]).1["code"], "unknown-id");
    assert_eq!(alice.fail(&["hold", "earnings", "nobody"]).0, 10);
    // The beginning of an address is not enough where money goes.
    assert_eq!(alice.fail(&["wallet", "send", &holder[..20], "1HOLD", "--yes"]).0, 2);
    wait_for("nothing but one HOLD and a fee left", || {
        let balance = text(&alice.ask(&["wallet", "balance"])["balance"]).parse::<u64>().unwrap();
        (balance > 9_998_000_000_000).then_some(())
    });
}
