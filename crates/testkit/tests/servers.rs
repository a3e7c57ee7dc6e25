//! The servers start, answer, and come back as they were.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::{ClickHouse, Kafka, KafkaOptions, wait_until};

fn port(bootstrap: &str) -> u16 {
    bootstrap.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn a_broker_is_killed_restarted_paused_and_stopped() {
    let started = Instant::now();
    let mut kafka = Kafka::start(KafkaOptions::default()).unwrap();
    eprintln!("start {:?}", started.elapsed());
    let bootstrap = kafka.bootstrap();
    let first = kafka.pid();

    kafka.kill().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port(&bootstrap))).is_err());
    let started = Instant::now();
    kafka.restart().unwrap();
    eprintln!("restart after kill {:?}", started.elapsed());
    assert_eq!(kafka.bootstrap(), bootstrap);
    assert_ne!(kafka.pid(), first);

    kafka.pause().unwrap();
    kafka.resume().unwrap();
    let started = Instant::now();
    kafka.stop().unwrap();
    eprintln!("stop {:?}", started.elapsed());
    assert!(TcpStream::connect(("127.0.0.1", port(&bootstrap))).is_err());
    let started = Instant::now();
    kafka.restart().unwrap();
    eprintln!("restart after stop {:?}", started.elapsed());
}

#[test]
fn the_shared_broker_is_one() {
    let pids: Vec<u32> = std::thread::scope(|scope| {
        let handles: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Kafka::shared().unwrap().pid())).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let options = KafkaOptions {
        properties: vec![("node.id".to_owned(), "not a number".to_owned())],
        ..KafkaOptions::default()
    };
    let error = Kafka::start(options).unwrap_err().to_string();
    assert!(error.contains("not a number"), "{error}");
}

#[test]
fn a_clickhouse_is_killed_and_restarted() {
    let started = Instant::now();
    let mut clickhouse = ClickHouse::start().unwrap();
    eprintln!("start {:?}", started.elapsed());
    let url = clickhouse.http_url();
    clickhouse.kill().unwrap();
    clickhouse.restart().unwrap();
    assert_eq!(clickhouse.http_url(), url);
    let port = clickhouse.native_port();
    wait_until(Duration::ZERO, || TcpStream::connect(("127.0.0.1", port)).is_ok()).unwrap();
}
