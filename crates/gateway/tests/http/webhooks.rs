//! Alerts from the ledger to an endpoint, over the real charger and notifier; and the routes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use notifier::{Notifier, NotifierMetrics, NotifierSettings, Reach, sign};
use prometheus::Registry;
use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::tally::{Tally, answer, now};

const PATIENCE: Duration = Duration::from_secs(30);

/// The headers and the body of a request.
type Seen = (BTreeMap<String, String>, String);

/// Answers every request with the status that is set.
fn endpoint(status: &Arc<AtomicU16>) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    let (sender, seen) = channel();
    let status = Arc::clone(status);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut headers = BTreeMap::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else {
                    if line == "\r\n" {
                        break;
                    }
                    continue;
                };
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
            let mut body = vec![0; headers["content-length"].parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let status = status.load(Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\nheard");
            stream.write_all(answer.as_bytes()).unwrap();
            sender.send((headers, String::from_utf8(body).unwrap())).unwrap();
        }
    });
    (url, seen)
}

fn signed(secrets: &[&str], (headers, body): &Seen) -> bool {
    let timestamp_s = headers["webhook-timestamp"].parse().unwrap();
    let expected =
        sign(secrets.iter().copied(), &headers["webhook-id"], timestamp_s, body.as_bytes());
    headers["webhook-signature"] == expected
}

/// A problem with this status.
fn problem(status: u16, response: Response) -> Value {
    let (found, body) = crate::tally::problem(response);
    assert_eq!(found, status, "{body}");
    body
}

fn delete(tally: &Tally, status: u16, path: &str) -> Value {
    answer(status, tally.ask(Method::DELETE, path, Some(tally.operator_key())).send().unwrap())
}

#[test]
fn an_alert_goes_from_the_ledger_to_its_endpoint() {
    let tally = Tally::start().with_rates();
    let status = Arc::new(AtomicU16::new(200));
    let (url, seen) = endpoint(&status);
    let made = tally.posted(
        201,
        "/v1/webhooks",
        &json!({ "url": url, "events": ["balance.low"], "accounts": ["acct"], "description": "on call" }),
    );
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let notifier = Notifier::new(
        Arc::clone(&tally.log),
        NotifierSettings {
            reach: Reach { allow_private: true, ..Reach::default() },
            ..NotifierSettings::default()
        },
        NotifierMetrics::new(&Registry::new()).unwrap(),
        Arc::new(now),
    );
    let stopping = Arc::clone(&stop);
    let running = std::thread::spawn(move || notifier.run(&stopping).unwrap());

    for account in ["acct", "acct_other"] {
        let grant = json!({ "amount": "100", "category": "promotional", "reason": "test" });
        tally.posted(201, &format!("/v1/accounts/{account}/grants"), &grant);
        tally.posted(
            201,
            &format!("/v1/accounts/{account}/notices"),
            &json!({ "low_balance": "50" }),
        );
        let taken = json!({ "amount": "-60", "reason": "test" });
        tally.posted(201, &format!("/v1/accounts/{account}/adjustments"), &taken);
    }
    let alert = seen.recv_timeout(PATIENCE).unwrap();
    assert!(signed(&[secret], &alert), "{alert:?}");
    let body: Value = serde_json::from_str(&alert.1).unwrap();
    assert_eq!(body["data"], json!({ "below": "50", "available": "40" }));
    assert_eq!((&body["type"], &body["account"]), (&json!("balance.low"), &json!("acct")));
    let events = tally.got("/v1/accounts/acct/events");
    assert_eq!(events["events"], json!([body]));
    assert_eq!(tally.got("/v1/accounts/acct/events?limit=1")["complete"], true);
    assert_eq!(tally.got("/v1/accounts/acct_none/events")["events"], json!([]));

    // The delivery, when its record is written; and once more on request.
    let deliveries = format!("/v1/webhooks/{id}/deliveries");
    let delivered = || tally.got(&deliveries)["deliveries"][0]["state"] == "delivered";
    testkit::wait_until(PATIENCE, delivered).unwrap();
    let rows = tally.got(&deliveries);
    assert_eq!(rows["deliveries"].as_array().unwrap().len(), 1, "{rows}");
    let row = &rows["deliveries"][0];
    assert_eq!(
        (&row["last_status"], &row["attempts"], &row["event"]),
        (&json!(200), &json!(1), &body["id"])
    );
    let replay = format!("{deliveries}/{}/replay", row["delivery"].as_str().unwrap());
    status.store(503, Ordering::SeqCst);
    assert_eq!(tally.posted(202, &replay, &json!({}))["state"], "pending");
    let again = seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&again.0["webhook-id"], &again.1), (&alert.0["webhook-id"], &alert.1));
    let failed = || tally.got(&deliveries)["deliveries"][0]["last_status"] == 503;
    testkit::wait_until(PATIENCE, failed).unwrap();
    let pending = tally.got(&format!("{deliveries}?state=pending"));
    assert!(pending["deliveries"][0]["next_at"].is_string(), "{pending}");
    assert_eq!(tally.got(&format!("{deliveries}?state=delivered"))["deliveries"], json!([]));
    assert_eq!(
        problem(404, tally.post(&format!("{deliveries}/dlv_0-999/replay")).send().unwrap())["type"],
        "unknown_delivery"
    );

    stop.store(true, Ordering::SeqCst);
    running.join().unwrap();
}

#[test]
fn an_endpoint_is_made_tried_rotated_and_removed() {
    let tally = Tally::start();
    let status = Arc::new(AtomicU16::new(204));
    let (url, seen) = endpoint(&status);
    let made = tally.posted(201, "/v1/webhooks", &json!({ "url": url }));
    let (id, first) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let of_it = |rest: &str| format!("/v1/webhooks/{id}{rest}");
    let listed = tally.got("/v1/webhooks");
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 1);
    assert_eq!(listed["webhooks"][0]["events"], Value::Null);
    assert!(!listed.to_string().contains(first.trim_start_matches("whsec_")));

    let tried = tally.posted(200, &of_it("/test"), &json!({}));
    assert_eq!((&tried["delivered"], &tried["status"]), (&json!(true), &json!(204)));
    let ping = seen.recv_timeout(PATIENCE).unwrap();
    assert!(signed(&[first], &ping));
    assert_eq!(serde_json::from_str::<Value>(&ping.1).unwrap()["type"], "ping");
    status.store(500, Ordering::SeqCst);
    let tried = tally.posted(200, &of_it("/test"), &json!({}));
    assert_eq!((&tried["delivered"], &tried["body"]), (&json!(false), &json!("heard")));
    assert!(seen.recv_timeout(PATIENCE).is_ok());

    // Both sign while the overlap lasts; then, with none, the new one alone.
    let second =
        tally.posted(200, &of_it("/rotate"), &json!({}))["secret"].as_str().unwrap().to_owned();
    tally.posted(200, &of_it("/test"), &json!({}));
    assert!(signed(&[&second, first], &seen.recv_timeout(PATIENCE).unwrap()));
    let third = tally.posted(200, &of_it("/rotate"), &json!({ "overlap_s": 0 }));
    tally.posted(200, &of_it("/test"), &json!({}));
    assert!(signed(&[third["secret"].as_str().unwrap()], &seen.recv_timeout(PATIENCE).unwrap()));

    delete(&tally, 200, &of_it(""));
    assert_eq!(tally.got("/v1/webhooks")["webhooks"], json!([]));
    let gone = tally.ask(Method::DELETE, &of_it(""), Some(tally.operator_key())).send().unwrap();
    assert_eq!(problem(404, gone)["type"], "unknown_webhook");
}

#[test]
fn what_is_no_endpoint_is_refused() {
    let tally = Tally::start();
    let url = "https://example.com/alerts";
    for (status, body, field) in [
        (400, json!({}), "url"),
        (422, json!({ "url": "example.com" }), "url"),
        (422, json!({ "url": "https://user:pass@example.com" }), "url"),
        (422, json!({ "url": "ftp://example.com" }), "url"),
        (400, json!({ "url": url, "events": ["balance.lo"] }), "events"),
        (400, json!({ "url": url, "events": [] }), "events"),
        (400, json!({ "url": url, "accounts": [] }), "accounts"),
        (400, json!({ "url": url, "accounts": "acct" }), "accounts"),
        (400, json!({ "url": url, "descripton": "x" }), "descripton"),
    ] {
        let refused = tally.post("/v1/webhooks").body(body.to_string()).send().unwrap();
        assert_eq!(problem(status, refused)["field"], field, "{body}");
    }
    assert_eq!(tally.got("/v1/webhooks")["webhooks"], json!([]));
}
