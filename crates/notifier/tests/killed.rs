//! The notifier on the embedded log, in a process of its own that is killed; and an endpoint that
//! fails, hangs, and then works.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{EntryNumber, Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{Append, EmbeddedLog, EventLog, TopicSpec};
use ledger::{AccountEvent, Happening};
use notifier::{
    DELIVERIES, Delivery, DeliveryState, Notifier, NotifierMetrics, NotifierSettings, Reach, sign,
};
use wire::{AccessChange, AccessRecord, DeliveryRecord, EventPlace, WebhookSecret, WebhookSet};

const PARTITIONS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(60);
const FOLDER: &str = "NOTIFIER_TEST_FOLDER";
const BEGAN: &str = "NOTIFIER_TEST_BEGAN";
/// How much faster than the machine's the notifier's clock goes, so that 5 s are 5 ms.
const HASTE: i64 = 1_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn machine_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// Not a test of its own: what the killed process runs, until its standard input ends.
#[test]
#[ignore = "run by the others"]
fn in_a_process_of_its_own() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let began = Timestamp::from_micros(std::env::var(BEGAN).unwrap().parse().unwrap());
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(Path::new(&folder)).unwrap());
    let settings = NotifierSettings {
        reach: Reach { allow_private: true, ..Reach::default() },
        timeout: Duration::from_millis(500),
        ..NotifierSettings::default()
    };
    let metrics = NotifierMetrics::new(&prometheus::Registry::new()).unwrap();
    let now = Arc::new(move || began.plus_micros(machine_now().since(began) * HASTE));
    let notifier = Notifier::new(log, settings, metrics, now);
    let stop = Arc::new(AtomicBool::new(false));
    let here = Arc::clone(&stop);
    std::thread::spawn(move || {
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        here.store(true, Ordering::Relaxed);
    });
    notifier.run(&stop).unwrap();
}

fn start(folder: &Path, began: Timestamp) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(BEGAN, began.micros().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// In order: what is under way ends, and is written.
fn stop(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[derive(Clone, Debug)]
struct Seen {
    id: String,
    timestamp_s: i64,
    signature: String,
    body: String,
    stream: Arc<TcpStream>,
}

impl Seen {
    fn answer(&self, status: u16) {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
        // Whoever asked may have been killed.
        (&*self.stream).write_all(answer.as_bytes()).unwrap_or_default();
    }
}

/// Hands every request over; whoever takes it answers it, or does not.
fn receive(listener: TcpListener, seen: Sender<Seen>) {
    for stream in listener.incoming() {
        let stream = Arc::new(stream.unwrap());
        let seen = seen.clone();
        std::thread::spawn(move || {
            if let Some(one) = read(stream) {
                seen.send(one).unwrap_or_default();
            }
        });
    }
}

fn read(stream: Arc<TcpStream>) -> Option<Seen> {
    let mut reader = BufReader::new(&*stream);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        id: headers.get("webhook-id")?.clone(),
        timestamp_s: headers.get("webhook-timestamp")?.parse().ok()?,
        signature: headers.get("webhook-signature")?.clone(),
        body: String::from_utf8(body).ok()?,
        stream: Arc::clone(&stream),
    })
}

fn append(log: &dyn EventLog, to: TopicPartition, value: &[u8]) {
    let mut appender = log.appender().unwrap();
    appender.append(Append { to, key: b"key", value, headers: &[] }).unwrap();
    appender.flush().unwrap();
}

fn set_endpoint(log: &dyn EventLog, url: &str, at: Timestamp) {
    let set = WebhookSet {
        webhook: "wh_1".to_owned(),
        url: url.to_owned(),
        secrets: vec![WebhookSecret { secret: SECRET.to_owned(), until: None }],
        events: Vec::new(),
        accounts: None,
        enabled: true,
        description: String::new(),
    };
    let mut value = Vec::new();
    let change = AccessChange::WebhookSet(set);
    wire::encode_access(&AccessRecord { at, by: "test".to_owned(), change }, &mut value);
    let access = TopicPartition { topic: Topic::Access, partition: Partition(0) };
    append(log, access, &value);
}

/// An endpoint for everything, and so many alerts of two accounts in two partitions.
fn prepare(folder: &Path, url: &str, began: Timestamp, alerts: u64) {
    let log = EmbeddedLog::open(folder).unwrap();
    let specs =
        Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(PARTITIONS) });
    log.create_topics(&specs).unwrap();
    set_endpoint(&log, url, began);
    let mut value = Vec::new();
    for number in 1..=alerts {
        for partition in [Partition(0), Partition(1)] {
            let event = AccountEvent {
                account: format!("acct_{partition}").into(),
                number,
                entry: EntryNumber(number),
                at: began,
                what: Happening::BalanceExhausted { available: "-1.5".parse().unwrap() },
            };
            value.clear();
            wire::encode_account_event(&event, &mut value);
            append(&log, TopicPartition { topic: Topic::AccountEvents, partition }, &value);
        }
    }
}

fn deliveries(folder: &Path) -> BTreeMap<EventPlace, Delivery> {
    let log = EmbeddedLog::open(folder).unwrap();
    let mut reader = log.reader(&[(DELIVERIES, Offset::ZERO)]).unwrap();
    let mut all: BTreeMap<EventPlace, Delivery> = BTreeMap::new();
    loop {
        let count = reader
            .poll(1_000, Duration::from_millis(10), &mut |record| {
                let record: DeliveryRecord = wire::decode_delivery(record.value).unwrap();
                let after = Delivery::after(all.remove(&record.place), &record);
                all.insert(record.place, after);
            })
            .unwrap();
        if count == 0 {
            return all;
        }
    }
}

fn listen() -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts?of=tally", listener.local_addr().unwrap());
    let (sender, seen) = channel();
    std::thread::spawn(move || receive(listener, sender));
    (url, seen)
}

#[test]
fn what_fails_and_hangs_is_delivered_once_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let began = machine_now();
    let (url, seen) = listen();
    prepare(&log, &url, began, 5);

    // Everything fails or hangs; and in the middle of it comes the kill.
    let mut child = start(&log, began);
    let mut hanging = Vec::new();
    for place in 0..25 {
        let one = seen.recv_timeout(PATIENCE).unwrap();
        match place % 5 {
            4 => hanging.push(one),
            3 => one.answer(302),
            2 => one.answer(410),
            _ => one.answer(503),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(hanging);
    let before = deliveries(&log);
    assert!(before.values().all(|delivery| delivery.state.next_at().is_some()));
    assert!(before.values().any(|delivery| delivery.attempts > 1));

    // Now it works, at another address: what was under way at the kill still reaches the old one.
    let (url, seen) = listen();
    set_endpoint(&EmbeddedLog::open(&log).unwrap(), &url, machine_now());
    let child = start(&log, began);
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    while served.len() < 10 {
        let one = seen.recv_timeout(PATIENCE).unwrap();
        let signed = sign([SECRET], &one.id, one.timestamp_s, one.body.as_bytes());
        assert_eq!(one.signature, signed);
        assert!(one.timestamp_s >= began.micros() / 1_000_000);
        let body: serde_json::Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(
            (&body["id"], &body["type"]),
            (&one.id.as_str().into(), &"balance.exhausted".into())
        );
        assert_eq!(body["data"]["available"], "-1.5");
        one.answer(204);
        *served.entry(one.id).or_default() += 1;
    }
    stop(child);
    let after = deliveries(&log);
    assert_eq!(after.len(), 10);
    assert!(
        after.values().all(|delivery| delivery.state == DeliveryState::Delivered),
        "{after:#?}"
    );

    // And a third start has nothing to do.
    while let Ok(late) = seen.try_recv() {
        *served.entry(late.id).or_default() += 1;
    }
    stop(start(&log, began));
    assert!(seen.try_recv().is_err());
    assert!(served.values().all(|count| *count == 1), "{served:?}");
}

#[test]
fn killed_between_the_answer_and_the_record_it_comes_again_under_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let began = machine_now();
    let (url, seen) = listen();
    prepare(&log, &url, began, 1);

    let mut child = start(&log, began);
    let both = [(); 2].map(|()| seen.recv_timeout(PATIENCE).unwrap());
    // Killed before the answers are sent, so that no record can have been written of them.
    child.kill().unwrap();
    child.wait().unwrap();
    both.iter().for_each(|one| one.answer(200));

    let child = start(&log, began);
    let again = [(); 2].map(|()| seen.recv_timeout(PATIENCE).unwrap());
    again.iter().for_each(|one| one.answer(200));
    stop(child);
    let ids =
        |seen: &[Seen]| -> BTreeSet<String> { seen.iter().map(|one| one.id.clone()).collect() };
    assert_eq!(ids(&again), ids(&both));
    assert_eq!(ids(&again).len(), 2);
    assert!(seen.try_recv().is_err());
    assert!(deliveries(&log).values().all(|delivery| delivery.state == DeliveryState::Delivered));
}
