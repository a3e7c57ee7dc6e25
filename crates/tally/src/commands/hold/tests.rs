use clap::Parser;

use super::*;
use crate::cli::spending::Spending;
use crate::cli::{Cli, Command};
use crate::commands::change::done;

fn parsed(line: &str) -> HoldReserve {
    match Cli::try_parse_from(line.split(' ')).unwrap().command {
        Command::Spending(Spending::Hold(Hold::Reserve(reserve))) => *reserve,
        other => panic!("{other:?}"),
    }
}

fn open() -> Value {
    json!({"hold": "hold_3-8812", "account": "acct_42", "amount": "12.500000000000",
        "captured": "3", "held": "9.5", "above": "0", "state": "open", "created_at": "2026-11-20T12:00:00Z",
        "expires_at": "2026-11-20T12:01:00Z", "ended_at": null, "user": "u_7", "team": "growth",
        "feature": "", "traffic": "customer", "actor": "chat (key:7wq2)"})
}

#[test]
fn a_reservation_is_what_the_api_takes() {
    let reserve =
        parsed("tally hold reserve acct_42 12.50 --expires-in 60s --team growth --shrink");
    assert_eq!(
        Value::Object(asked(&reserve)),
        json!({"account": "acct_42", "amount": "12.5", "expires_in_s": 60, "team": "growth",
            "on_insufficient": "shrink"})
    );
    let of_items = parsed(
        "tally hold reserve acct_42 --item model=m,input=1 --feature chat --traffic internal",
    );
    assert_eq!(
        Value::Object(asked(&of_items)),
        json!({"account": "acct_42", "items": [{"model": "m", "tokens": {"input": 1}}],
            "feature": "chat", "traffic": "internal"})
    );
}

#[test]
fn a_hold_granted_says_until_when_and_what_is_left() {
    let mut answer = json!({"hold": "hold_3-8812", "account": "acct_42", "amount": "12.5",
        "captured": "0", "state": "open", "expires_at": "2026-11-20T12:01:00Z", "asked": "12.5",
        "available": "87.5"});
    let said = reserved("acct_42", &answer);
    assert_eq!(
        done(answer.clone(), "hold-1", false).sentence(&said),
        "applied: hold_3-8812 holds 12.5 credits of acct_42 until 2026-11-20T12:01:00Z (id hold-1)\n\
         available now: 87.5 credits\n"
    );
    assert!(done(answer.clone(), "hold-1", true).sentence(&said).starts_with("already applied: "));
    answer["asked"] = json!("20.000");
    let shrunk = reserved("acct_42", &answer);
    assert!(shrunk.contains("12.5 credits of acct_42 (of 20 asked for)"), "{shrunk}");
}

#[test]
fn a_hold_shows_what_it_is_for_and_how_far_it_is() {
    assert_eq!(
        shown(&open()),
        "hold_3-8812: open, 12.5 credits of acct_42\n\n  captured 3 · still held 9.5\n  \
         made at 2026-11-20T12:00:00Z\n  ends by itself at 2026-11-20T12:01:00Z\n  \
         for user u_7 · team growth · traffic customer\n  by chat (key:7wq2)\n"
    );
    let mut settled = open();
    settled["state"] = json!("settled");
    settled["above"] = json!("1.5");
    settled["ended_at"] = json!("2026-11-20T12:00:30Z");
    let text = shown(&settled);
    assert!(text.contains("  ended at 2026-11-20T12:00:30Z\n"), "{text}");
    assert!(!text.contains("ends by itself"), "{text}");
    assert!(text.contains("above the hold 1.5"), "{text}");
}

#[test]
fn holds_are_listed_one_a_line() {
    let answer = json!({"holds": [open()],
        "freshness": {"as_of": "2026-11-20T12:00:00Z", "lag_s": "0.4"}});
    let expected = "\
hold         state  amount  captured  held  ends                  for
───────────  ─────  ──────  ────────  ────  ────────────────────  ─────────────────────────────────────────
hold_3-8812  open     12.5         3   9.5  2026-11-20T12:01:00Z  user u_7 · team growth · traffic customer

as of 2026-11-20T12:00:00Z, 0.4 s behind
";
    assert_eq!(listed("acct_42", &answer), expected);
    assert_eq!(listed("acct_42", &json!({"holds": []})), "acct_42 has no such holds\n");
}

#[test]
fn what_becomes_of_a_hold_is_a_sentence() {
    let mut answer = open();
    assert_eq!(
        captured(&answer, "hold_3-8812", "3".parse().unwrap()),
        "3 credits charged on hold_3-8812, 3 of 12.5 in all"
    );
    answer["state"] = json!("released");
    assert_eq!(
        ended(&answer, "hold_3-8812", "released"),
        "hold_3-8812 is released, 3 credits charged on it"
    );
    answer["freed"] = json!("9.500");
    answer["returned"] = json!("0");
    assert_eq!(
        ended(&answer, "hold_3-8812", "released"),
        "hold_3-8812 is released, 3 credits charged on it, 9.5 free again"
    );
}
