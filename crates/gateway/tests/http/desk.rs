//! On call: dead letters that are sent again, what waits for a price, producers, the doctor.

use bytes::Bytes;
use domain::{Offset, Partition, Reason, Topic, TopicPartition, partition_of};
use eventlog::Append;
use serde_json::{Value, json};
use wire::DeadLetter;

use crate::tally::{PARTITIONS, Tally, answer, chat, event, now, problem};

impl Tally {
    /// Appends a record beside the API, as a producer on Kafka or another release would.
    fn append(&self, to: TopicPartition, key: &[u8], value: &[u8]) -> Offset {
        let mut appender = self.log.appender().unwrap();
        appender.append(Append { to, key, value, headers: &[] }).unwrap();
        appender.flush().unwrap()[0]
    }

    /// A letter that an older release could not read, though this one can.
    fn put_aside(&self, event: &Value, reason: Reason) -> String {
        let record = Bytes::from(event.to_string());
        let at = TopicPartition { topic: Topic::UsageRaw, partition: Partition(1) };
        let letter = DeadLetter {
            reason,
            field: "data.items[0].tokens.thoughts".into(),
            value: "7".into(),
            at,
            offset: Offset(4_000),
            received_at: now(),
            account: event["subject"].as_str().map(Into::into),
            source: event["source"].as_str().map(Into::into),
            id: None,
            record: record.to_vec().into(),
        };
        let mut bytes = Vec::new();
        wire::encode_dead_letter(&letter, &mut bytes);
        let to = TopicPartition { topic: Topic::DeadLetters, partition: at.partition };
        format!("1-{}", self.append(to, b"a", &bytes))
    }

    fn retry(&self, body: &Value) -> Value {
        answer(200, self.post("/v1/dead-letters/retry").body(body.to_string()).send().unwrap())
    }
}

#[test]
fn a_letter_that_can_be_read_now_is_charged_once_however_often_it_is_sent() {
    let tally = Tally::start().with_rates();
    let good = chat("a", "late", 2_000);
    let letter = tally.put_aside(&good, Reason::UnknownPool);
    let mut bad = chat("a", "bad", 10);
    bad["data"]["items"][0]["tokens"]["input"] = json!(-1);
    let ingested = tally.post("/v1/ingest?wait_s=20").body(bad.to_string()).send().unwrap();
    assert_eq!(answer(200, ingested)["outcomes"], json!({ "dead_letter": 1 }));

    let listed = tally.got("/v1/dead-letters");
    assert_eq!((&listed["open"], &listed["retried"]), (&json!(2), &json!(0)), "{listed}");
    let group = |listed: &Value, code: &str| -> Value {
        let groups = listed["groups"].as_array().unwrap();
        groups.iter().find(|group| group["code"] == code).unwrap().clone()
    };
    let readable = group(&listed, "unknown_pool");
    assert_eq!(readable["next"], "tally dlq retry --code unknown_pool --source test");
    assert_eq!((&readable["schema"], &readable["source"]), (&json!("json"), &json!("test")));
    assert_eq!(readable["example"]["letter"], letter);
    // The source of what cannot be read is read all the same.
    let unreadable = group(&listed, "bad_token_count");
    assert_eq!(unreadable["source"], "test");
    let next = unreadable["next"].as_str().unwrap();
    assert!(next.starts_with("tally dlq show "), "{next}");
    let shown = tally.got(&format!("/v1/dead-letters/{}", &next["tally dlq show ".len()..]));
    assert_eq!(shown["text"], bad.to_string());
    assert_eq!((&shown["id"], &shown["account"]), (&json!("bad"), &json!("a")));
    assert_eq!(shown["today"]["code"], "bad_token_count");
    let by_input = shown["input"].as_str().unwrap().replace('[', "%5B").replace(']', "%5D");
    let again = tally.got(&format!("/v1/dead-letters/{}", by_input.replace('@', "%40")));
    assert_eq!(again["letter"], shown["letter"]);
    for filter in ["code=unknown_pool", "schema=json&code=unknown_pool", "state=open&source=test"] {
        let found = tally.got(&format!("/v1/dead-letters?{filter}"));
        assert!(found["open"].as_u64().unwrap() > 0, "{filter}: {found}");
    }
    assert_eq!(tally.got("/v1/dead-letters?source=other")["open"], 0);

    // Nothing is sent unless it is said.
    for _ in 0..2 {
        let foreseen = tally.retry(&json!({}));
        assert_eq!(foreseen["outcomes"], json!({ "debit": 1, "not_sent": 1 }), "{foreseen}");
        assert_eq!(foreseen["letters"][0]["would"]["credits"], json!("2"), "{foreseen}");
    }
    let sent = tally.retry(&json!({ "dry_run": false, "actor": "ada" }));
    assert_eq!(sent["outcomes"], json!({ "debit": 1, "not_sent": 1 }), "{sent}");
    let ended = &sent["letters"][0]["ended"];
    assert_eq!(ended["credits"], "2");
    let listed = tally.got("/v1/dead-letters");
    assert_eq!((&listed["open"], &listed["retried"]), (&json!(1), &json!(1)), "{listed}");
    assert_eq!(tally.retry(&json!({ "code": "unknown_pool" }))["letters"], json!([]));

    // Again, by name: its identity is known.
    let named = json!({ "letter": letter, "dry_run": false });
    let again = tally.retry(&named);
    assert_eq!(again["outcomes"], json!({ "duplicate": 1 }), "{again}");
    assert_eq!(again["letters"][0]["ended"]["entry"], ended["entry"]);
    tally.wait_for_projection();
    let foreseen = tally.retry(&json!({ "letter": letter }));
    assert_eq!(foreseen["letters"][0]["would"]["outcome"], "duplicate", "{foreseen}");
    let retry = &tally.got(&format!("/v1/dead-letters/{letter}"))["retry"];
    assert_eq!(
        (&retry["times"], &retry["offset"]),
        (&json!(2), &again["letters"][0]["ended"]["offset"])
    );

    // What was sent is the record as it was, and says where it comes from.
    let home = partition_of("a", PARTITIONS);
    let at = TopicPartition { topic: Topic::UsageRaw, partition: home };
    let offset = Offset(ended["offset"].as_i64().unwrap());
    let mut reader = tally.log.reader(&[(at, offset)]).unwrap();
    let mut headers = Vec::new();
    reader
        .poll(1, std::time::Duration::from_secs(5), &mut |record| {
            assert_eq!(record.value, good.to_string().as_bytes());
            for name in [
                "tally-dead-letter",
                "tally-origin-topic",
                "tally-origin-partition",
                "tally-origin-offset",
                "tally-retried-by",
            ] {
                let value = record.headers.header(name).unwrap();
                headers.push(String::from_utf8(value.to_vec()).unwrap());
            }
        })
        .unwrap();
    assert_eq!(headers, [letter.as_str(), "usage.raw", "1", "4000", "ada"]);

    let balance = tally.got("/v1/accounts/a/balance");
    assert_eq!(balance["overage"], "2", "charged once: {balance}");
    let status = tally.got("/v1/status");
    assert_eq!((&status["dead_letters"], &status["dead_letters_retried"]), (&json!(1), &json!(1)));
    assert_eq!(tally.got("/v1/verify")["holds"], true);
    let retried = json!({ "query": "SELECT count() AS n, uniqExact(raw_offset) AS places FROM dead_letter_retries",
        "format": "json" });
    let rows = tally.post("/v1/sql").body(retried.to_string()).send().unwrap().text().unwrap();
    assert_eq!(rows, "{\"n\":2,\"places\":2}\n");
}

#[test]
fn letters_come_page_by_page_and_wrong_questions_are_told() {
    let tally = Tally::start().with_rates();
    let letters: Vec<String> = (0..5)
        .map(|number| tally.put_aside(&chat("a", &number.to_string(), 1_000), Reason::UnknownPool))
        .collect();
    let (mut seen, mut from) = (Vec::new(), String::new());
    loop {
        let page = tally.got(&format!("/v1/dead-letters/records?limit=2{from}"));
        for letter in page["letters"].as_array().unwrap() {
            seen.push(letter["letter"].as_str().unwrap().to_owned());
            assert!(letter["base64"].as_str().unwrap().starts_with("ey"), "{letter}");
        }
        match page["next"].as_str() {
            Some(next) => from = format!("&from={next}"),
            None => break,
        }
    }
    assert_eq!(seen, letters);
    // So are those that are sent again; each goes once.
    let first = tally.retry(&json!({ "dry_run": false, "limit": 3 }));
    assert_eq!(first["outcomes"], json!({ "debit": 3 }));
    assert_eq!(first["next"], letters[3]);
    let rest = json!({ "dry_run": false, "limit": 3, "from": first["next"] });
    assert_eq!(tally.retry(&rest)["outcomes"], json!({ "debit": 2 }));
    assert_eq!(tally.retry(&rest)["letters"], json!([]));

    for (path, field) in [
        ("/v1/dead-letters?code=nothing", "code"),
        ("/v1/dead-letters?state=closed", "state"),
        ("/v1/dead-letters?since=yesterday", "since"),
        ("/v1/dead-letters?sauce=x", "sauce"),
        ("/v1/dead-letters/7", "letter"),
    ] {
        let (status, body) = problem(tally.get(path).send().unwrap());
        assert_eq!((status, &body["field"]), (400, &json!(field)), "{body}");
    }
    for path in ["/v1/dead-letters/0-99", "/v1/dead-letters/99-0"] {
        assert_eq!(problem(tally.get(path).send().unwrap()).1["type"], "unknown_letter");
    }
    for (body, field) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "code": "x" }), "code"),
        (json!({ "letter": "x" }), "letter"),
        (json!({ "dryrun": true }), "dryrun"),
    ] {
        let sent = tally.post("/v1/dead-letters/retry").body(body.to_string()).send().unwrap();
        assert_eq!(problem(sent).1["field"], field);
    }
}

#[test]
fn what_waits_for_a_price_says_what_would_cover_it() {
    let tally = Tally::start().with_rates();
    let unpriced = |id: &str, account: &str| {
        let items = json!([{ "meter": "pens", "quantity": "1" }]);
        event(account, id, json!({ "feature": "desk", "items": items }))
    };
    let sent = tally.send(&[unpriced("1", "a"), unpriced("2", "a"), unpriced("3", "b")]);
    assert!(sent.iter().all(|event| event["outcome"] == "unrated"), "{sent:?}");
    tally.wait_for_projection();
    let listed = tally.got("/v1/unrated");
    assert_eq!((&listed["events"], &listed["accounts"]), (&json!(3), &json!(2)), "{listed}");
    let group = &listed["groups"][0];
    assert_eq!((&group["code"], &group["meter"]), (&json!("no_rule"), &json!("pens")));
    assert_eq!((&group["events"], &group["accounts"]), (&json!(3), &json!(2)));
    assert_eq!(group["model"], Value::Null);
    assert_eq!(group["rate_card"], "standard");
    let cover = &group["covered_by"];
    assert_eq!(cover["document"], "rate card standard");
    assert!(cover["toml"].as_str().unwrap().contains("meter = \"pens\""), "{cover}");
    assert_eq!(tally.got("/v1/unrated?code=no_vendor_price")["groups"], json!([]));
    let doctor = tally.got("/v1/doctor");
    let findings = doctor["findings"].as_array().unwrap();
    let waits = findings.iter().find(|finding| finding["what_to_do"] == "tally unrated list");
    assert_eq!(waits.unwrap()["severity"], "warning", "{doctor}");
    assert_eq!(doctor["healthy"], true, "{doctor}");
    for check in
        ["topics", "services", "clickhouse", "tables", "disk", "clocks", "catalogue", "permissions"]
    {
        assert!(findings.iter().any(|finding| finding["check"] == check), "{check}: {doctor}");
    }
}

#[test]
fn each_producer_is_seen_with_what_it_does_wrong() {
    let tally = Tally::start().with_rates();
    let of = |source: &str, id: &str, tokens: u64| {
        let mut event = chat("a", id, tokens);
        event["source"] = json!(source);
        event
    };
    let mut early = of("hasty", "1", 10);
    early["time"] = json!(now().plus_micros(3_600_000_000).to_string());
    let mut ahead = of("hasty", "2", 10);
    ahead["time"] = json!(now().plus_micros(120_000_000).to_string());
    let mut held = of("neat", "3", 10);
    held["data"]["hold"] = json!("hold_0-99");
    let first = of("neat", "1", 10);
    tally.send(&[first.clone(), of("neat", "2", 10), early, ahead, held]);
    // Twice more, and another with another meaning.
    tally.send(&[first.clone(), first, of("neat", "2", 11)]);
    // In a partition that is not its account's: once new, once known.
    let home = partition_of("a", PARTITIONS);
    let wrong = Partition((home.0 + 1) % PARTITIONS);
    let at = TopicPartition { topic: Topic::UsageRaw, partition: wrong };
    let lost = of("lost", "1", 10).to_string();
    tally.append(at, b"a", lost.as_bytes());
    tally.append(at, b"a", lost.as_bytes());
    let mut broken = of("broken", "1", 10);
    broken["data"]["items"] = json!([]);
    tally.append(at, b"a", broken.to_string().as_bytes());
    tally.wait_for_projection();

    let told = tally.got("/v1/sources");
    let source = |name: &str| -> Value {
        let sources = told["sources"].as_array().unwrap();
        sources.iter().find(|source| source["source"] == name).unwrap().clone()
    };
    let neat = source("neat");
    let counts = |source: &Value| {
        [
            "events",
            "duplicates",
            "conflicts",
            "too_early",
            "misrouted",
            "dead_letters",
            "unmatched_holds",
        ]
        .map(|name| source[name].as_u64().unwrap())
    };
    assert_eq!(counts(&neat), [3, 2, 1, 0, 0, 0, 1], "{neat}");
    assert_eq!(neat["inputs"], 6);
    let hasty = source("hasty");
    assert_eq!(counts(&hasty), [1, 0, 0, 1, 0, 0, 0], "{hasty}");
    let ahead: f64 = hasty["clock"]["ahead_s_max"].as_str().unwrap().parse().unwrap();
    assert!((3_500.0..3_601.0).contains(&ahead), "{hasty}");
    let lost = source("lost");
    assert_eq!(counts(&lost), [1, 1, 0, 0, 2, 0, 0], "{lost}");
    assert_eq!(counts(&source("broken")), [0, 0, 0, 0, 0, 1, 0]);
    let one = tally.got("/v1/sources?source=lost");
    assert_eq!(one["sources"].as_array().unwrap().len(), 1);
    assert_eq!(counts(&one["sources"][0]), counts(&lost));
    let later = now().plus_micros(1_000_000).to_string();
    let none = tally.got(&format!("/v1/sources?since={later}"));
    assert_eq!(none["sources"], json!([]), "{none}");
}
