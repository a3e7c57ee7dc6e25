//! The commands for whoever is on call: what they ask of the API, what they print, and how they end.

use serde_json::{Value, json};

use crate::api::{Answer, answer, tally};

fn page(outcomes: Value, next: Option<&str>) -> Answer {
    let letter = json!({"letter": "3-17", "code": "unknown_pool", "source": "/a", "today": {},
        "would": {"outcome": "debit", "credits": "2"}, "ended": {"outcome": "debit", "credits": "2"}});
    answer(200, json!({"letters": [letter], "outcomes": outcomes, "next": next}))
}

#[test]
fn nothing_is_sent_again_without_yes() {
    let ran =
        tally(&["dlq", "retry", "--code", "unknown_pool"], &[page(json!({"debit": 1}), None)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let [came] = ran.came.as_slice() else { panic!("{ran:?}") };
    assert_eq!(came.line, "POST /v1/dead-letters/retry");
    assert_eq!(came.body, json!({"dry_run": true, "code": "unknown_pool"}));
    // The events' own identities make a repetition harmless.
    assert_eq!(came.key(), "");
    assert!(ran.out.ends_with("nothing was sent; the same with --yes sends 1\n"), "{ran:?}");
}

#[test]
fn a_retry_goes_page_by_page_and_counts_all() {
    let pages =
        [page(json!({"debit": 1, "not_sent": 2}), Some("4-0")), page(json!({"debit": 3}), None)];
    let ran = tally(&["dlq", "retry", "--yes", "--source", "/a", "--json"], &pages);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.came[0].body, json!({"dry_run": false, "source": "/a"}));
    assert_eq!(ran.came[1].body, json!({"dry_run": false, "source": "/a", "from": "4-0"}));
    let told = ran.json();
    assert_eq!(told["outcomes"], json!({"debit": 4, "not_sent": 2}));
    assert_eq!(told["letters"].as_array().unwrap().len(), 2);
    assert_eq!(told["letters_not_listed"], 4);
}

#[test]
fn a_letter_that_was_named_and_not_sent_is_a_failure() {
    let still = page(json!({"not_sent": 1}), None);
    let ran = tally(&["dlq", "retry", "3-17", "--yes"], std::slice::from_ref(&still));
    assert_eq!((ran.code, ran.came[0].body["letter"].as_str()), (1, Some("3-17")), "{ran:?}");
    assert_eq!(tally(&["dlq", "retry", "3-17"], &[still]).code, 0);
}

#[test]
fn an_export_writes_every_page() {
    let of = |name: &str, next: Option<&str>| {
        answer(200, json!({"letters": [{"letter": name, "base64": "e30="}], "next": next}))
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl");
    let path = file.display().to_string();
    let ran = tally(
        &["dlq", "export", &path, "--state", "open"],
        &[of("0-1", Some("0-2")), of("0-2", None)],
    );
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, format!("2 letters to {path}\n").as_str()),
        "{ran:?}"
    );
    assert_eq!(ran.came[0].line, "GET /v1/dead-letters/records?state=open&limit=500");
    assert_eq!(ran.came[1].line, "GET /v1/dead-letters/records?state=open&limit=500&from=0-2");
    let written = std::fs::read_to_string(&file).unwrap();
    let names: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["letter"].clone())
        .collect();
    assert_eq!(names, ["0-1", "0-2"]);
}

#[test]
fn the_doctor_ends_by_what_it_found() {
    let found = |healthy: bool, severity: &str| {
        let finding = json!({"check": "disk", "severity": severity, "found": "full", "what_to_do": "add space"});
        let body = json!({"healthy": healthy, "version": env!("CARGO_PKG_VERSION"), "findings": [finding]});
        tally(&["doctor"], &[answer(200, body)])
    };
    let fine = found(true, "warning");
    assert_eq!(fine.code, 0, "{fine:?}");
    assert!(fine.out.ends_with("nothing is wrong; 1 to see to\n"), "{fine:?}");
    let wrong = found(false, "wrong");
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.out.contains("WRONG    disk         full\n"), "{wrong:?}");
}

#[test]
fn a_past_balance_that_does_not_add_up_is_a_failure() {
    let of = |agrees: Value| {
        let body = json!({"account": "a/b", "at": "2026-11-20T12:00:00Z", "known": true,
            "balance": {"available": "1"}, "checks": {"entries_add_up": true, "ledger_agrees": agrees}});
        tally(&["balance", "a/b", "--at", "2026-11-20T12:00:00Z"], &[answer(200, body)])
    };
    let fine = of(json!(true));
    assert_eq!(fine.code, 0, "{fine:?}");
    assert_eq!(fine.came[0].line, "GET /v1/accounts/a%2Fb/balance?at=2026-11-20T12%3A00%3A00Z");
    assert_eq!(of(Value::Null).code, 0);
    let broken = of(json!(false));
    assert_eq!(broken.code, 1, "{broken:?}");
    assert!(broken.out.contains("BROKEN the ledger's own record says the same\n"), "{broken:?}");
}

/// Where each question goes.
#[test]
fn every_question_goes_where_the_api_takes_it() {
    for (line, to) in [
        ("dlq list --state open --code bad_time", "GET /v1/dead-letters?code=bad_time&state=open"),
        ("dlq show usage.raw[3]@17", "GET /v1/dead-letters/usage.raw%5B3%5D%4017"),
        ("unrated list --code no_rule", "GET /v1/unrated?code=no_rule"),
        ("sources --top 5 --source /a", "GET /v1/sources?limit=5&source=%2Fa"),
        (
            "entries a --kind debit --before 9",
            "GET /v1/accounts/a/entries?limit=50&before=9&kind=debit",
        ),
        ("explain 3-8812", "GET /v1/entries/3-8812"),
        ("explain /a 1", "GET /v1/events?source=%2Fa&id=1"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ran = tally(&arguments, &[answer(200, json!({}))]);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        assert_eq!(ran.came[0].line, to, "{line}");
    }
    for line in [
        "dlq list --since noon",
        "sources --since noon",
        "entries a --from noon",
        "balance a --at noon",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ran = tally(&arguments, &[]);
        assert_eq!((ran.code, ran.came.len()), (2, 0), "{line}: {ran:?}");
        assert!(ran.err.contains("\"noon\""), "{line}: {ran:?}");
    }
}
