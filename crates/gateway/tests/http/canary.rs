//! The canary: every route, as every role, for an account that the key may touch and for one that
//! it may not. The routes come from the router's own table, so that a new one has to be placed here.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::tally::{Tally, answer, chat, event};

const ROLES: [&str; 5] = ["producer", "app", "finance", "operator", "analyst"];
const READERS: &[&str] = &["app", "finance", "operator", "analyst"];
const OPERATOR: &[&str] = &["operator"];
const MONEY: &[&str] = &["finance", "operator"];
const SENDERS: &[&str] = &["producer", "app", "operator"];
const HOLDERS: &[&str] = &["app", "operator"];

/// What stands where a foreign account must not be seen.
const CANARY: &str = "acct_canary";
const OWN: &str = "acct_own";

/// Which requests a bound key is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// `{id}` in the path is the account.
    Path,
    /// `?account=…` is the account, and without one it is about all.
    Filter,
    /// The body's `account` is the account, and without one it is about none.
    Body,
    /// Everything: refused to a bound key.
    All,
    /// No account at all.
    Nothing,
    /// Sending and explaining events: each event is judged; see the tests below.
    Events,
    /// A hold, whose account the ledger knows: a foreign one is as good as none; see `holds`.
    Holds,
    /// `?account=…` is the account whose prices they are, and without one they are the default's.
    Prices,
    /// Needs no key.
    Open,
}

/// The promise, in words of its own: who may use which route.
#[rustfmt::skip]
const PROMISE: &[(&str, &str, &[&str], About)] = &[
    ("POST", "/v1/events", SENDERS, About::Events),
    ("GET", "/v1/events", &ROLES, About::Events),
    ("POST", "/v1/ingest", SENDERS, About::Events),
    ("POST", "/v1/quote", READERS, About::Body),
    ("POST", "/v1/accounts/{id}/grants", MONEY, About::Path),
    ("POST", "/v1/accounts/{id}/adjustments", MONEY, About::Path),
    ("POST", "/v1/accounts/{id}/lots/{lot}/void", MONEY, About::Path),
    ("GET", "/v1/accounts/{id}/balance", READERS, About::Path),
    ("GET", "/v1/accounts/{id}/entries", READERS, About::Path),
    ("GET", "/v1/accounts/{id}/usage", READERS, About::Path),
    ("POST", "/v1/accounts/{id}/lots/{lot}/refund", MONEY, About::Path),
    ("POST", "/v1/accounts/{id}/entries/{entry}/reverse", MONEY, About::Path),
    ("POST", "/v1/accounts/{id}/plan", MONEY, About::Path),
    ("GET", "/v1/accounts/{id}/plan", READERS, About::Path),
    ("POST", "/v1/accounts/{id}/budgets", MONEY, About::Path),
    ("GET", "/v1/accounts/{id}/budgets", READERS, About::Path),
    ("DELETE", "/v1/accounts/{id}/budgets/{budget}", MONEY, About::Path),
    ("POST", "/v1/accounts/{id}/notices", MONEY, About::Path),
    ("GET", "/v1/accounts/{id}/holds", READERS, About::Path),
    ("GET", "/v1/accounts/{id}/lots", READERS, About::Path),
    ("POST", "/v1/holds", HOLDERS, About::Body),
    ("GET", "/v1/holds/{hold}", HOLDERS, About::Holds),
    ("POST", "/v1/holds/{hold}/extend", HOLDERS, About::Holds),
    ("POST", "/v1/holds/{hold}/capture", HOLDERS, About::Holds),
    ("POST", "/v1/holds/{hold}/settle", HOLDERS, About::Holds),
    ("DELETE", "/v1/holds/{hold}", HOLDERS, About::Holds),
    ("GET", "/v1/price-list", READERS, About::Prices),
    ("GET", "/v1/usage", READERS, About::Filter),
    ("GET", "/v1/rates", READERS, About::Nothing),
    ("GET", "/v1/rates/{kind}/{id}", READERS, About::Nothing),
    ("POST", "/v1/rates/versions", OPERATOR, About::All),
    ("POST", "/v1/rates/import/litellm", OPERATOR, About::Nothing),
    ("POST", "/v1/sql", &["operator", "analyst"], About::All),
    ("GET", "/v1/schema", &["operator", "analyst"], About::Nothing),
    ("GET", "/v1/export", &["finance", "operator", "analyst"], About::Filter),
    ("GET", "/v1/status", &["operator", "analyst"], About::All),
    ("GET", "/v1/dead-letters", OPERATOR, About::All),
    ("GET", "/v1/dead-letters/records", OPERATOR, About::All),
    ("POST", "/v1/dead-letters/retry", OPERATOR, About::All),
    ("GET", "/v1/dead-letters/{letter}", OPERATOR, About::All),
    ("GET", "/v1/unrated", OPERATOR, About::All),
    ("GET", "/v1/sources", OPERATOR, About::All),
    ("GET", "/v1/doctor", OPERATOR, About::All),
    // Another's entry is as good as none; see below.
    ("GET", "/v1/entries/{entry}", &ROLES, About::Events),
    ("GET", "/v1/freshness", &ROLES, About::Nothing),
    ("GET", "/v1/verify", OPERATOR, About::All),
    ("POST", "/v1/rerates/plan", OPERATOR, About::All),
    ("POST", "/v1/rerates", OPERATOR, About::All),
    ("GET", "/v1/metered-cost", OPERATOR, About::All),
    ("GET", "/v1/quarantine", OPERATOR, About::All),
    ("POST", "/v1/quarantine/{entry}/accept", OPERATOR, About::All),
    ("POST", "/v1/quarantine/{entry}/reject", OPERATOR, About::All),
    ("GET", "/v1/replay/raw", OPERATOR, About::All),
    ("POST", "/v1/replays/plan", OPERATOR, About::All),
    ("POST", "/v1/replays", OPERATOR, About::All),
    ("GET", "/v1/replays", OPERATOR, About::All),
    ("GET", "/v1/replays/{id}", OPERATOR, About::All),
    ("POST", "/v1/replays/{id}/advance", OPERATOR, About::All),
    ("POST", "/v1/replays/{id}/diff", OPERATOR, About::All),
    ("POST", "/v1/replays/{id}/swap", OPERATOR, About::All),
    ("POST", "/v1/replays/{id}/abort", OPERATOR, About::All),
    ("DELETE", "/v1/replays/{id}", OPERATOR, About::All),
    ("POST", "/v1/keys", OPERATOR, About::All),
    ("GET", "/v1/keys", OPERATOR, About::All),
    ("POST", "/v1/keys/{id}/rotate", OPERATOR, About::All),
    ("DELETE", "/v1/keys/{id}", OPERATOR, About::All),
    ("GET", "/v1/accounts/{id}/events", READERS, About::Path),
    ("POST", "/v1/webhooks", OPERATOR, About::All),
    ("GET", "/v1/webhooks", MONEY, About::All),
    ("DELETE", "/v1/webhooks/{id}", OPERATOR, About::All),
    ("POST", "/v1/webhooks/{id}/rotate", OPERATOR, About::All),
    ("POST", "/v1/webhooks/{id}/test", OPERATOR, About::All),
    ("GET", "/v1/webhooks/{id}/deliveries", MONEY, About::All),
    ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/replay", OPERATOR, About::All),
    ("GET", "/v1/accounts/{id}/notices", READERS, About::Path),
    ("GET", "/openapi.json", &[], About::Open),
    ("GET", "/healthz", &[], About::Open),
    ("GET", "/readyz", &[], About::Open),
    ("GET", "/metrics", &[], About::Open),
    ("GET", "/openapi.json", &[], About::Open),
];

/// A request to a route, about an account or about none. Writes are not well formed, so that
/// whoever gets past the rule changes nothing.
fn request(
    tally: &Tally,
    (method, path, about): (&str, &str, About),
    account: Option<&str>,
    key: Option<&str>,
) -> Response {
    let id = if about == About::Path { account.unwrap_or("none") } else { "none" };
    let mut path = path.replace("{id}", id).replace("{lot}", "1").replace("{kind}", "rate_card");
    let mut body = json!({});
    match (about, account) {
        (About::Filter | About::Prices, Some(account)) => {
            path.push_str(&format!("?account={account}"))
        }
        (About::Body, Some(account)) => {
            body = json!({ "account": account, "feature": "chat",
                "items": [{ "model": "small", "tokens": { "input": 10 } }] });
        }
        _ => {}
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = tally.ask(method.clone(), &path, key);
    let request = if method == Method::POST { request.body(body.to_string()) } else { request };
    request.send().unwrap()
}

/// Status and body.
fn told(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().unwrap())
}

/// A tally with usage and credits of both accounts.
fn tally() -> Tally {
    let tally = Tally::start().with_rates();
    for account in [OWN, CANARY] {
        let grant = json!({ "amount": "100", "category": "promotional", "reason": account });
        tally.posted(201, &format!("/v1/accounts/{account}/grants"), &grant);
    }
    let sent = tally.send(&[chat(OWN, "own", 1_000), chat(CANARY, "secret", 7_000)]);
    assert!(sent.iter().all(|event| event["outcome"] == "debit"), "{sent:?}");
    tally.wait_for_projection();
    tally
}

fn key(tally: &Tally, role: &str, bounds: Value) -> String {
    let mut terms = json!({ "name": format!("{role} key"), "role": role });
    for (name, value) in bounds.as_object().unwrap() {
        terms[name] = value.clone();
    }
    tally.key(terms)["key"].as_str().unwrap().to_owned()
}

fn keys(tally: &Tally, bounds: &Value) -> Vec<(&'static str, String)> {
    ROLES.map(|role| (role, key(tally, role, bounds.clone()))).to_vec()
}

#[test]
fn every_route_stands_in_the_promise() {
    let name = |method: &str, path: &str| format!("{method} {path}");
    let routes: BTreeSet<String> =
        gateway::route_table().iter().map(|row| name(row.method.as_str(), row.path)).collect();
    let promised: BTreeSet<String> =
        PROMISE.iter().map(|(method, path, ..)| name(method, path)).collect();
    assert_eq!(routes, promised);
    // The table that is published says the same of the roles.
    for row in gateway::route_table() {
        let (_, _, roles, _) = PROMISE
            .iter()
            .find(|(method, path, ..)| *method == row.method.as_str() && *path == row.path)
            .unwrap();
        let published: BTreeSet<&str> = row.roles.iter().map(|role| role.word()).collect();
        assert_eq!(published, roles.iter().copied().collect(), "{row:?}");
    }
}

#[test]
fn no_key_opens_what_it_is_not_for() {
    let tally = tally();
    let (free, bound) = (keys(&tally, &json!({})), keys(&tally, &json!({ "accounts": [OWN] })));
    let gone = tally.key(json!({ "name": "gone", "role": "operator" }));
    let path = format!("/v1/keys/{}", gone["id"].as_str().unwrap());
    let operator = tally.operator_key().to_owned();
    answer(200, tally.ask(Method::DELETE, &path, Some(&operator)).send().unwrap());
    let gone = gone["key"].as_str().unwrap();
    let mut wrong = operator.clone();
    wrong.replace_range(wrong.len() - 1.., if wrong.ends_with('A') { "B" } else { "A" });
    let short = &operator[..operator.len() - 1];

    let mut unauthenticated = BTreeSet::new();
    let mut forbidden = BTreeSet::new();
    for (method, path, roles, about) in PROMISE.iter().copied() {
        let route = (method, path, about);
        let ask = |account, key| told(request(&tally, route, account, key));
        if about == About::Open {
            assert_eq!(ask(None, None).0, 200, "{path}");
            continue;
        }
        for key in [None, Some(""), Some("x"), Some(short), Some(&*wrong), Some(gone)] {
            for account in [None, Some(OWN), Some(CANARY), Some("acct_nobody")] {
                let (status, body) = ask(account, key);
                assert_eq!(status, 401, "{route:?} {key:?}: {body}");
                unauthenticated.insert(body);
            }
        }
        for (role, key) in &free {
            let (status, body) = ask(Some(OWN), Some(key));
            match roles.contains(role) {
                true => assert!(![401, 403, 405].contains(&status), "{route:?} {role}: {body}"),
                false => assert_eq!(status, 403, "{route:?} {role}: {body}"),
            }
            if status == 403 {
                forbidden.insert(body);
            }
        }
        for (role, key) in &bound {
            let may = roles.contains(role);
            let expected: &[(Option<&str>, bool)] = match about {
                About::Path => {
                    &[(Some(OWN), may), (Some(CANARY), false), (Some("acct_nobody"), false)]
                }
                About::Filter => &[
                    (Some(OWN), may),
                    (None, false),
                    (Some(CANARY), false),
                    (Some("acct_nobody"), false),
                ],
                About::Body | About::Prices => {
                    &[(Some(OWN), may), (None, may), (Some(CANARY), false)]
                }
                About::All => &[(None, false)],
                About::Nothing | About::Events | About::Holds => &[(None, may)],
                About::Open => &[],
            };
            for (account, allowed) in expected {
                let (status, body) = ask(*account, Some(key));
                match allowed {
                    true => assert!(![401, 403].contains(&status), "{route:?} {role}: {body}"),
                    false => {
                        assert_eq!(status, 403, "{route:?} {role} {account:?}: {body}");
                        forbidden.insert(body.clone());
                    }
                }
                assert!(!body.contains("canary"), "{route:?} {role} {account:?}: {body}");
            }
        }
    }
    // One body each: nothing can be learnt from a difference.
    assert_eq!(unauthenticated.len(), 1, "{unauthenticated:?}");
    assert_eq!(forbidden.len(), 1, "{forbidden:?}");
}

#[test]
fn what_is_not_there_needs_a_key_as_well() {
    let tally = Tally::start();
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/v1/nothing"),
        (Method::GET, "/v1/accounts"),
        (Method::PUT, "/v1/events"),
        (Method::DELETE, "/v1/sql"),
        (Method::OPTIONS, "/v1/keys"),
    ] {
        let response = tally.ask(method.clone(), path, None).send().unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer", "{method} {path}");
        assert_eq!(response.status().as_u16(), 401, "{method} {path}");
        let known = tally.ask(method.clone(), path, Some(tally.operator_key())).send().unwrap();
        assert!([404, 405].contains(&known.status().as_u16()), "{method} {path}");
    }
    // A large body is read, so that the answer is seen; one of the operator's is not refused so.
    let large = "x".repeat(8_000_000);
    let sent = tally.ask(Method::POST, "/v1/ingest", None).body(large).send().unwrap();
    assert_eq!(sent.status().as_u16(), 401);
}

#[test]
fn an_event_outside_the_bounds_is_refused_by_itself() {
    let tally = tally();
    let bounds = json!({ "accounts": [OWN], "sources": ["test"] });
    let producer = key(&tally, "producer", bounds);
    let mut foreign_source = chat(OWN, "2", 10);
    foreign_source["source"] = json!("canary");
    let items = json!([{ "model": "small", "tokens": { "input": 10 } }]);
    let with_traffic = |id: &str, traffic: &str| {
        event(OWN, id, json!({ "feature": "chat", "traffic": traffic, "items": items }))
    };
    let events = json!([
        chat(OWN, "1", 10),
        foreign_source,
        chat(CANARY, "3", 10),
        with_traffic("4", "internal"),
        with_traffic("5", "test"),
        with_traffic("6", "customer"),
    ]);
    let request = tally.ask(Method::POST, "/v1/events", Some(&producer));
    let sent = request.header("Prefer", "wait=20").body(events.to_string()).send().unwrap();
    let sent = answer(202, sent);
    let ends: Vec<(&str, Option<&str>, Option<&str>)> = sent["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (event["outcome"].as_str().unwrap(), event["code"].as_str(), event["field"].as_str())
        })
        .collect();
    let refused = |field| ("refused", Some("not_allowed"), Some(field));
    let charged = ("debit", None, None);
    assert_eq!(
        ends,
        [
            charged,
            refused("source"),
            refused("subject"),
            refused("data.traffic"),
            refused("data.traffic"),
            charged
        ]
    );
    assert_eq!((&sent["accepted"], &sent["refused"]), (&json!(2), &json!(4)));

    // The same as lines: what cannot be read is refused as well, because it may be anybody's.
    let lines = format!(
        "{}\n{}\nnot json\n{}\n",
        chat(OWN, "7", 10),
        chat(CANARY, "8", 10),
        with_traffic("9", "internal")
    );
    let request = tally.ask(Method::POST, "/v1/ingest?wait_s=20", Some(&producer));
    let sent = answer(200, request.body(lines.clone()).send().unwrap());
    assert_eq!(sent["outcomes"], json!({ "debit": 1, "refused": 3 }));
    assert_eq!(sent["refused"][0]["field"], "subject");
    assert_eq!(sent["refused"][1]["code"], "unsupported_framing");
    assert_eq!(sent["refused"][2]["line"], 4);
    // An operator's lines go to the log as they are.
    let sent = answer(200, tally.post("/v1/ingest?wait_s=20").body(lines).send().unwrap());
    assert_eq!(sent["outcomes"], json!({ "debit": 2, "dead_letter": 1, "duplicate": 1 }));
}

/// A key that sends for customers cannot make their usage free by a word.
#[test]
fn a_forged_internal_is_not_free() {
    let tally = Tally::start().with_rates();
    let items = json!([{ "model": "small", "tokens": { "input": 1_000 } }]);
    let forged = |id: &str| {
        event(OWN, id, json!({ "feature": "chat", "traffic": "internal", "items": items }))
    };
    for (place, role) in ["producer", "app"].into_iter().enumerate() {
        let plain = key(&tally, role, json!({}));
        let id = format!("{role} {place}");
        let sent =
            tally.ask(Method::POST, "/v1/events", Some(&plain)).body(forged(&id).to_string());
        let sent = answer(202, sent.send().unwrap());
        assert_eq!(sent["events"][0]["code"], "not_allowed", "{sent}");
        assert_eq!(sent["events"][0]["value"], "internal", "{sent}");
        assert_eq!(
            tally.got(&format!("/v1/events?source=test&id={role}%20{place}"))["state"],
            "unknown"
        );
        let told = key(&tally, role, json!({ "traffic": ["internal"] }));
        let sent = tally.ask(Method::POST, "/v1/events", Some(&told)).body(forged(&id).to_string());
        assert_eq!(answer(202, sent.send().unwrap())["accepted"], 1);
    }
}

#[test]
fn an_explanation_shows_own_accounts_and_sources_alone() {
    let tally = tally();
    // The same identity for two accounts: whoever may see both has to choose.
    let sent = tally.send(&[chat(OWN, "both", 1_000), chat(CANARY, "both", 7_000)]);
    assert!(sent.iter().all(|event| event["outcome"] == "debit"), "{sent:?}");
    let mut broken = chat(CANARY, "broken", 10);
    broken["data"]["items"][0]["tokens"]["input"] = json!(-1);
    let broken = broken.to_string();
    let ingested = tally.post("/v1/ingest?wait_s=20").body(broken).send().unwrap();
    assert_eq!(answer(200, ingested)["outcomes"], json!({ "dead_letter": 1 }));
    let path = |id: &str| format!("/v1/events?source=test&id={id}");
    let both = tally.get(&path("both")).send().unwrap();
    assert_eq!(both.status().as_u16(), 409);
    let secret = tally.got(&path("secret"))["entry"].as_str().unwrap().to_owned();

    // Before and after ClickHouse has them.
    for round in 0..2 {
        for role in ROLES {
            let bound = key(&tally, role, json!({ "accounts": [OWN] }));
            let ask = |path: &str| told(tally.ask(Method::GET, path, Some(&bound)).send().unwrap());
            let seen = |id: &str| {
                let (status, body) = ask(&path(id));
                assert_eq!(status, 200, "{role}: {body}");
                assert!(!body.contains(CANARY), "{role} {round}: {body}");
                serde_json::from_str::<Value>(&body).unwrap()
            };
            assert_eq!(seen("both")["account"], OWN, "{role}");
            assert_eq!(seen("own")["state"], "debit");
            for id in ["secret", "broken", "nothing"] {
                let found = seen(id);
                assert_eq!(found["state"], "unknown", "{role} {id}: {found}");
                assert_eq!(found["dead_letters"], json!([]));
            }
            let own = seen("own")["entry"].as_str().unwrap().to_owned();
            assert_eq!(ask(&format!("/v1/entries/{own}")).0, 200, "{role}");
            let (status, body) = ask(&format!("/v1/entries/{secret}"));
            assert_eq!(status, 404, "{role}: {body}");
            assert!(!body.contains(CANARY), "{role}: {body}");
            for account in [CANARY, "acct_nobody"] {
                let (status, _) = ask(&format!("{}&account={account}", path("secret")));
                assert_eq!(status, 403, "{role}");
            }
        }
        tally.wait_for_projection();
    }
    let elsewhere = key(&tally, "producer", json!({ "sources": ["/elsewhere"] }));
    let refused = tally.ask(Method::GET, &path("own"), Some(&elsewhere)).send().unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    let entry = format!("/v1/entries/{secret}");
    let refused = tally.ask(Method::GET, &entry, Some(&elsewhere)).send().unwrap();
    assert_eq!(refused.status().as_u16(), 404);
}

/// What a bound key reads of its own account is that account's alone.
#[test]
fn a_filter_is_a_filter() {
    let tally = tally();
    let analyst = key(&tally, "analyst", json!({ "accounts": [OWN] }));
    for path in [
        format!("/v1/usage?account={OWN}&by=account,feature"),
        format!("/v1/export?account={OWN}"),
        format!("/v1/accounts/{OWN}/entries"),
        format!("/v1/accounts/{OWN}/usage?by=account"),
    ] {
        let (status, body) = told(tally.ask(Method::GET, &path, Some(&analyst)).send().unwrap());
        assert_eq!(status, 200, "{path}: {body}");
        assert!(body.contains(OWN) && !body.contains(CANARY), "{path}: {body}");
    }
    // A name that only looks like the own one, and one that would be SQL.
    for account in
        ["acct_own%27%20OR%201%20--%20", "acct_own%00", "ACCT_OWN", "acct_own%2F..%2Facct_canary"]
    {
        let path = format!("/v1/accounts/{account}/balance");
        let response = tally.ask(Method::GET, &path, Some(&analyst)).send().unwrap();
        assert_eq!(response.status().as_u16(), 403, "{account}");
    }
}
