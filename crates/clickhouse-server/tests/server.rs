//! A real server from libchdb, through its launcher, over HTTP and across `kill -9`.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::OnceLock;

use clickhouse_server::{Launcher, Server, Settings};

fn start(directory: &Path) -> Server {
    static LIBRARY: OnceLock<std::path::PathBuf> = OnceLock::new();
    let library = LIBRARY
        .get_or_init(|| fetch::clickhouse_library(&mut |line| eprintln!("{line}")).unwrap())
        .clone();
    let launcher = Launcher::Library {
        library,
        program: env!("CARGO_BIN_EXE_clickhouse-serve").into(),
        arguments: Vec::new(),
    };
    let settings = Settings {
        directory: directory.to_owned(),
        http_port: subprocess::free_port().unwrap(),
        native_port: subprocess::free_port().unwrap(),
        memory_mb_max: 1_024,
    };
    Server::start(launcher, settings).unwrap()
}

/// The body of the answer; panics with it unless the status is 200.
fn query(server: &Server, parameters: &str, sql: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port())).unwrap();
    write!(
        stream,
        "POST /?{parameters} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{sql}",
        sql.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.lines().next().unwrap().contains(" 200 "), "{sql}: {answer}");
    body.trim_end().to_owned()
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_so_does_deduplication() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    query(&server, "", "CREATE DATABASE shop");
    query(
        &server,
        "",
        "CREATE TABLE shop.sales (id UInt64, amount Decimal(38, 12)) ENGINE = MergeTree ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 1000",
    );
    let insert = |server: &Server, token: &str, rows: &str| {
        query(
            server,
            &format!("async_insert=0&insert_deduplication_token={token}"),
            &format!("INSERT INTO shop.sales VALUES {rows}"),
        );
    };
    let total = |server: &Server| {
        query(server, "", "SELECT count(), sum(amount), toTypeName(sum(amount)) FROM shop.sales")
    };
    insert(&server, "first", "(1, '0.000000000001'), (2, '99999999999999999999999999.5')");
    let expected = "2\t99999999999999999999999999.500000000001\tDecimal(38, 12)";
    assert_eq!(total(&server), expected);

    let before = server.pid();
    server.kill().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    assert_ne!(server.pid(), before);
    assert_eq!(total(&server), expected);
    insert(&server, "first", "(1, '0.000000000001'), (2, '99999999999999999999999999.5')");
    assert_eq!(total(&server), expected, "the repeated token inserts nothing");
    insert(&server, "second", "(3, '0.5')");
    assert_eq!(total(&server), "3\t100000000000000000000000000.000000000001\tDecimal(38, 12)");

    server.stop().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    assert_eq!(query(&server, "", "SELECT count() FROM shop.sales"), "3");
}

#[test]
fn its_limits_are_in_force_and_its_log_tables_absent() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let setting = |name: &str| {
        query(
            &server,
            "",
            &format!("SELECT value FROM system.server_settings WHERE name = '{name}'"),
        )
    };
    assert_eq!(setting("max_server_memory_usage"), "1073741824");
    assert_eq!(setting("mark_cache_size"), "67108864");
    assert_eq!(query(&server, "", "SELECT timezone()"), "UTC");
    assert_eq!(
        query(
            &server,
            "",
            "SELECT name FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'"
        ),
        ""
    );
}

/// Parts are merged in the background, as in any server: with deltas inserted per batch, reads would slow down otherwise.
#[test]
fn parts_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    query(&server, "", "CREATE DATABASE shop");
    query(&server, "", "CREATE TABLE shop.sales (id UInt64) ENGINE = MergeTree ORDER BY id");
    for id in 0..30 {
        query(&server, "async_insert=0", &format!("INSERT INTO shop.sales VALUES ({id})"));
    }
    subprocess::wait_until(std::time::Duration::from_secs(30), || {
        let parts = query(
            &server,
            "",
            "SELECT count() FROM system.parts WHERE active AND database = 'shop'",
        );
        parts.parse::<u32>().unwrap() < 15
    })
    .unwrap();
    assert_eq!(query(&server, "", "SELECT count() FROM shop.sales"), "30");
}
