//! The commands about what accounts may spend: what they ask of the API, what they print, and how
//! they end.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests for tests")]

mod api;
mod kafka;
mod on_call;
mod runbooks;

use serde_json::{Value, json};

use api::{Answer, answer, tally};

fn reserved() -> Answer {
    answer(
        201,
        json!({"hold": "hold_3-8812", "account": "acct/42", "amount": "12.5", "captured": "0",
            "state": "open", "expires_at": "2026-11-20T12:01:00Z", "available": "87.5"}),
    )
}

#[test]
fn a_hold_is_asked_for_under_an_id_that_is_printed() {
    let ran = tally(&["hold", "reserve", "acct/42", "12.50", "--expires-in", "60s"], &[reserved()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let [came] = ran.came.as_slice() else { panic!("{ran:?}") };
    assert_eq!(came.line, "POST /v1/holds");
    assert_eq!(came.body, json!({"account": "acct/42", "amount": "12.5", "expires_in_s": 60}));
    assert!(came.key().starts_with("hold-") && came.key().len() > 16, "{ran:?}");
    assert_eq!(
        ran.out,
        format!(
            "applied: hold_3-8812 holds 12.5 credits of acct/42 until 2026-11-20T12:01:00Z (id {})\n\
             available now: 87.5 credits\n",
            came.key()
        )
    );
    let again = tally(&["hold", "reserve", "acct/42", "12.50"], &[reserved()]);
    assert_ne!(again.came[0].key(), came.key(), "an id that is made is made once");
}

#[test]
fn the_same_id_again_says_that_it_was_applied_already() {
    let arguments = ["hold", "reserve", "acct/42", "12.5", "--id", "call-7"];
    let repeated = Answer { replayed: true, ..reserved() };
    let ran = tally(&arguments, std::slice::from_ref(&repeated));
    assert_eq!((ran.code, ran.came[0].key()), (0, "call-7"));
    assert!(ran.out.starts_with("already applied: hold_3-8812 holds"), "{ran:?}");
    assert!(ran.out.contains("available then: 87.5"), "{ran:?}");

    let as_json = tally(&[&arguments[..], &["--json"]].concat(), &[repeated]).json();
    assert_eq!(as_json["already_applied"], true);
    assert_eq!(as_json["id"], "call-7");
    assert_eq!(as_json["hold"], "hold_3-8812");
}

fn refused() -> Answer {
    answer(
        402,
        json!({"type": "insufficient_credits", "title": "Payment Required", "limit": "balance",
            "shortfall": "2.5", "available": "10", "resets_at": "2026-12-01T00:00:00Z"}),
    )
}

#[test]
fn a_refusal_is_a_sentence_and_exit_code_1() {
    let ran = tally(&["hold", "reserve", "acct_42", "12.5"], &[refused()]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert_eq!(
        ran.err,
        "tally: the balance leaves 10 credits, 2.5 too few; the plan renews at 2026-12-01T00:00:00Z\n  \
         code:  insufficient_credits\n"
    );
    let again = Answer { replayed: true, ..refused() };
    let ran = tally(&["hold", "reserve", "acct_42", "12.5", "--id", "a"], &[again]);
    assert!(ran.err.contains("another --id asks again"), "{ran:?}");

    let ran = tally(&["hold", "reserve", "acct_42", "12.5", "--json"], &[refused()]);
    assert_eq!((ran.code, ran.json()), (1, json!({"error": refused().body})));
}

#[test]
fn wrong_usage_asks_nothing_and_is_exit_code_2() {
    for (line, said) in [
        ("hold reserve acct_42", "AMOUNT"),
        ("hold reserve acct_42 5 --item model=m,input=1", "cannot be used with"),
        ("hold reserve acct_42 0", "above zero"),
        ("quote acct_42", "--item"),
        ("quote acct_42 --model m", "--characters"),
        ("quote --file nowhere.json", "nowhere.json"),
        ("refund acct_42 7 5 --money 1 --currency USD --reason=", "it must say something"),
        ("reverse acct_42 3-88 --reason=", "it must say something"),
        ("adjust acct_42 5 --reason=", "it must say something"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ran = tally(&arguments, &[]);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(ran.err.contains(said), "{line}: {ran:?}");
        assert!(ran.came.is_empty(), "{line}: {ran:?}");
    }
}

/// What each change asks for: a method, a path, a body.
#[test]
fn every_change_goes_where_the_api_takes_it() {
    let done = json!({"entry": "3-88", "balance": {"available": "1"}});
    for (line, to, body) in [
        (
            "hold extend hold_3-8812 --expires-in 5m",
            "POST /v1/holds/hold_3-8812/extend",
            json!({"expires_in_s": 300}),
        ),
        (
            "hold capture hold_3-8812 3.0",
            "POST /v1/holds/hold_3-8812/capture",
            json!({"amount": "3"}),
        ),
        ("hold settle hold_3-8812 0", "POST /v1/holds/hold_3-8812/settle", json!({"amount": "0"})),
        ("hold settle hold_3-8812", "POST /v1/holds/hold_3-8812/settle", json!({})),
        ("hold release hold_3-8812", "DELETE /v1/holds/hold_3-8812", json!({})),
        (
            "plan assign acct_42 pro",
            "POST /v1/accounts/acct_42/plan",
            json!({"plan": "pro", "when": "fitting"}),
        ),
        (
            "budget set acct_42 growth --limit 5 --period day --soft",
            "POST /v1/accounts/acct_42/budgets",
            json!({"id": "growth", "limit": "5", "period": "day", "hard": false}),
        ),
        ("budget remove acct_42 a/b", "DELETE /v1/accounts/acct_42/budgets/a%2Fb", json!({})),
        (
            "topup acct_42 1000 --paid 10.00 --currency USD --expires 2027-01-01T00:00:00Z",
            "POST /v1/accounts/acct_42/grants",
            json!({"amount": "1000", "category": "purchased", "paid": {"amount": "10", "currency": "USD"},
                "expires": "2027-01-01T00:00:00Z"}),
        ),
        (
            "refund acct_42 7 500 --money 5.00 --currency USD",
            "POST /v1/accounts/acct_42/lots/7/refund",
            json!({"amount": "500", "money": {"amount": "5", "currency": "USD"}}),
        ),
        ("reverse acct_42 3-8812", "POST /v1/accounts/acct_42/entries/3-8812/reverse", json!({})),
    ] {
        let arguments: Vec<&str> = line
            .split(' ')
            .chain(["--id", "k-1", "--reason", "ticket 812", "--actor", "ada"])
            .collect();
        let ran = tally(&arguments, &[answer(201, done.clone())]);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        let [came] = ran.came.as_slice() else { panic!("{line}: {ran:?}") };
        assert_eq!((came.line.as_str(), came.key()), (to, "k-1"), "{line}");
        let mut expected: Value = body;
        expected["reason"] = json!("ticket 812");
        expected["actor"] = json!("ada");
        assert_eq!(came.body, expected, "{line}");
        assert!(
            ran.out.starts_with("applied: ") && ran.out.contains("(id k-1)"),
            "{line}: {ran:?}"
        );
    }
}

#[test]
fn a_budget_without_a_name_has_that_of_its_request() {
    let arguments =
        ["budget", "set", "acct_42", "--limit", "5", "--period", "day", "--id", "growth"];
    let ran = tally(
        &arguments,
        &[answer(201, json!({"id": "growth", "budget": "growth", "limit": "5", "period": "day"}))],
    );
    assert_eq!((ran.code, &ran.came[0].body["id"]), (0, &json!("growth")));
}

#[test]
fn one_notice_keeps_the_other() {
    let before = json!({"low_balance": "100", "top_up": null});
    let arguments = ["topup", "auto", "acct_42", "--below", "50", "--amount", "1000"];
    let ran = tally(&arguments, &[answer(200, before), answer(201, json!({"entry": "3-9"}))]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.came.iter().map(|came| came.line.as_str()).collect();
    assert_eq!(lines, ["GET /v1/accounts/acct_42/notices", "POST /v1/accounts/acct_42/notices"]);
    assert_eq!(
        ran.came[1].body,
        json!({"low_balance": "100", "top_up": {"below": "50", "amount": "1000"}})
    );
    assert!(
        ran.out.starts_with("applied: acct_42 wants 1000 credits when it falls below 50"),
        "{ran:?}"
    );
}

#[test]
fn questions_ask_with_what_they_were_given() {
    for (line, asked) in [
        ("balance acct_42", "GET /v1/accounts/acct_42/balance"),
        ("balance acct_42 --strict", "GET /v1/accounts/acct_42/balance?consistency=strict"),
        ("lots acct_42", "GET /v1/accounts/acct_42/lots"),
        ("lots acct_42 --all", "GET /v1/accounts/acct_42/lots?all=true"),
        ("hold show hold_3-8812", "GET /v1/holds/hold_3-8812"),
        ("hold list acct_42 --state open", "GET /v1/accounts/acct_42/holds?state=open"),
        ("budget list acct_42", "GET /v1/accounts/acct_42/budgets"),
        ("plan list", "GET /v1/rates"),
        ("plan price-list pro", "GET /v1/price-list?plan=pro"),
        ("plan price-list --account acct_42", "GET /v1/price-list?account=acct_42"),
    ] {
        let body = json!({"x": "1"});
        let arguments: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        let ran = tally(&arguments, &[answer(200, body.clone())]);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        let lines: Vec<&str> = ran.came.iter().map(|came| came.line.as_str()).collect();
        assert_eq!(lines, [asked], "{line}");
        assert_eq!(ran.json()["x"], body["x"], "{line}");
    }
}

#[test]
fn a_plan_is_shown_with_what_is_left_of_it() {
    let plan = json!({"account": "acct_42", "plan": "pro", "allowance": "20000", "trial": false,
        "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
        "scheduled": {"plan": "free", "at": "2026-12-01T00:00:00Z"}, "renews_at": "2026-12-01T00:00:00Z"});
    let balance = json!({"used": "19940", "remaining": "60", "on_exhausted": "overage"});
    let arguments = ["plan", "show", "acct_42", "--strict"];
    let ran = tally(&arguments, &[answer(200, balance), answer(200, plan)]);
    let lines: Vec<&str> = ran.came.iter().map(|came| came.line.as_str()).collect();
    assert_eq!(
        lines,
        ["GET /v1/accounts/acct_42/balance?consistency=strict", "GET /v1/accounts/acct_42/plan"]
    );
    assert_eq!(
        ran.out,
        "acct_42\n\n  plan pro, period 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z\n  \
         19940 of 20000 used, 60 remaining\n  plan free begins at 2026-12-01T00:00:00Z\n  \
         at zero, usage goes on as overage, which is billed\n"
    );
}

#[test]
fn a_quote_asks_with_its_items() {
    let line = "quote acct_42 --item model=m,input=5,output=2 --item meter=email_send,quantity=1 --feature chat";
    let arguments: Vec<&str> = line.split(' ').collect();
    let ran = tally(&arguments, &[answer(200, json!({"credits": "1", "rate_card": "standard"}))]);
    assert_eq!((ran.code, ran.came[0].line.as_str()), (0, "POST /v1/quote"));
    assert_eq!(
        ran.came[0].body,
        json!({"account": "acct_42", "feature": "chat", "items": [
            {"model": "m", "tokens": {"input": 5, "output": 2}},
            {"meter": "email_send", "quantity": "1"}]})
    );
}

#[test]
fn an_event_of_a_file_is_quoted_for_its_own_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.json");
    let event = json!({"specversion": "1.0", "subject": "acct_42", "data": {}});
    std::fs::write(&path, event.to_string()).unwrap();
    let file = path.to_str().unwrap();
    let quoted = answer(200, json!({"credits": "1", "rate_card": "standard"}));
    for arguments in [&["quote", "--file", file][..], &["quote", "acct_42", "--file", file]] {
        let ran = tally(arguments, std::slice::from_ref(&quoted));
        assert_eq!((ran.code, &ran.came[0].body), (0, &json!({"event": event})));
    }
    let ran = tally(&["quote", "acct_43", "--file", file], &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("its subject is \"acct_42\", not \"acct_43\""), "{ran:?}");
}

#[test]
fn publishing_a_plan_is_publishing_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pro.toml");
    std::fs::write(&path, "id = \"pro\"\n").unwrap();
    let published = json!({"id": "pro", "kind": "plan", "version": 1, "already_published": false});
    let ran = tally(&["plan", "publish", path.to_str().unwrap()], &[answer(201, published)]);
    assert_eq!((ran.code, ran.came[0].line.as_str()), (0, "POST /v1/rates/versions"));
    assert_eq!(ran.came[0].body["toml"], "id = \"pro\"\n");
    assert!(ran.out.starts_with("plan \"pro\" version 1: published"), "{ran:?}");
}
