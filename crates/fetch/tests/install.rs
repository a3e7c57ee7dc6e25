//! The real runtimes, from the machine's package registries, into the user's cache (where they mostly are already).

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

#[test]
fn the_clickhouse_library_is_there_and_the_second_time_at_once() {
    let library = fetch::clickhouse_library(&mut |line| eprintln!("{line}")).unwrap();
    assert!(library.metadata().unwrap().len() > 100_000_000);
    let started = Instant::now();
    fetch::clickhouse_library(&mut |line| panic!("{line}")).unwrap();
    assert!(started.elapsed().as_millis() < 50);
}

#[test]
fn the_kafka_jars_are_there_and_the_second_time_at_once() {
    let jars = fetch::kafka_libs(&mut |line| eprintln!("{line}")).unwrap();
    assert!(jars.read_dir().unwrap().count() > 30);
    let started = Instant::now();
    fetch::kafka_libs(&mut |line| panic!("{line}")).unwrap();
    assert!(started.elapsed().as_millis() < 50);
}

#[test]
fn there_is_a_java() {
    fetch::java().unwrap();
}
