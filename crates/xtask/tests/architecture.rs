//! The arrows between the crates, held over `cargo metadata`. The tables are the documentation: a new edge is a decision, made
//! here.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What each crate may depend on, of ours, outside its tests. From the meaning of the words down to the program.
#[rustfmt::skip]
const ALLOWED: &[(&str, &[&str])] = &[
    // What the words mean. Pure: no clock, no file, no network, no settings.
    ("domain", &[]),
    ("calendar", &["domain"]),
    ("rating", &["calendar", "domain"]),
    ("ledger", &["calendar", "domain"]),
    ("wire", &["calendar", "domain", "ledger", "rating"]),
    // Prices a second time, sharing nothing with `rating`.
    ("reckoner", &["domain"]),
    ("access", &["domain", "wire"]),
    ("projection", &["calendar", "domain", "ledger", "rating", "wire"]),
    ("flow", &["domain", "ledger", "rating", "wire"]),
    // A vendor's bill beside what was metered. It knows no log and no ClickHouse.
    ("reconcile", &["calendar", "domain", "rating"]),
    // Files.
    ("identity", &["domain", "sabotage"]),
    ("eventlog", &["domain"]),
    // The two servers that we talk to, one crate each.
    ("eventlog-kafka", &["domain", "eventlog", "sabotage"]),
    ("warehouse", &["clickhouse-server", "domain", "fetch", "projection", "sabotage", "subprocess", "trust"]),
    // Services. None knows which event log it runs on; none is called by another, but all fold the catalogue.
    ("catalog", &["domain", "eventlog", "ledger", "rating", "wire"]),
    // Reading the ledger from its log.
    ("ledger-log", &["domain", "eventlog", "wire"]),
    ("charger", &[
        "catalog", "domain", "eventlog", "flow", "identity", "ledger", "ledger-log", "rating", "sabotage",
        "wire",
    ]),
    ("projector", &[
        "catalog", "domain", "eventlog", "flow", "ledger", "projection", "rating", "sabotage", "warehouse",
        "wire",
    ]),
    // Its sender and its fold of deliveries serve the API as well.
    ("notifier", &["access", "domain", "eventlog", "ledger", "trust", "wire"]),
    ("gateway", &[
        "access", "calendar", "catalog", "domain", "eventlog", "flow", "ledger", "ledger-log", "notifier",
        "projection", "rating", "reconcile", "replay", "rerun", "sabotage", "trust", "warehouse", "wire",
    ]),
    ("replay", &[
        "catalog", "domain", "eventlog", "flow", "identity", "ledger", "projection", "rating", "reckoner",
        "warehouse", "wire",
    ]),
    // The charger's own core, deciding again.
    ("rerun", &[
        "catalog", "charger", "domain", "eventlog", "flow", "ledger", "ledger-log", "replay", "wire",
    ]),
    // The one program: it alone chooses the event log and puts the services together.
    ("tally", &[
        "calendar", "catalog", "charger", "clickhouse-server", "domain", "eventlog", "eventlog-kafka", "fetch", "flow",
        "gateway", "identity", "ledger", "notifier", "projection", "projector", "rating", "reconcile",
        "replay", "subprocess", "trust", "warehouse", "wire",
    ]),
    // Crashes and rebalances over the core, on the in-memory log.
    ("simulator", &[
        "calendar", "catalog", "charger", "domain", "eventlog", "flow", "identity", "ledger", "projection", "rating",
        "replay", "rerun", "sabotage", "wire",
    ]),
    // Measures the real thing, on real servers.
    ("bench", &[
        "catalog", "charger", "domain", "eventlog", "eventlog-kafka", "flow", "gateway", "identity",
        "ledger", "projection", "projector", "rating", "replay", "testkit", "warehouse", "wire",
    ]),
    // Everything together, killed again and again.
    ("e2e", &[
        "catalog", "charger", "domain", "eventlog", "eventlog-kafka", "flow", "identity", "ledger",
        "gateway", "projection", "projector", "rating", "replay", "rerun", "sabotage", "subprocess", "testkit",
        "trust", "warehouse",
        "wire",
    ]),
    // TLS: whom to believe, and who we are.
    ("trust", &[]),
    // Third-party programs: finding and installing them, running them. They know nothing of tally.
    ("subprocess", &[]),
    // Breaks and kill points: nothing, in a shipped build.
    ("sabotage", &[]),
    ("fetch", &[]),
    ("clickhouse-server", &["subprocess"]),
    ("testkit", &["clickhouse-server", "fetch", "subprocess", "trust"]),
    ("xtask", &["fetch"]),
];

/// A crate of others that only these of ours may depend on, outside their tests: what it does has one home.
const ONLY_USERS: &[(&str, &[&str])] = &[
    ("rdkafka", &["eventlog-kafka"]),
    ("rdkafka-sys", &["eventlog-kafka"]),
    ("clickhouse", &["warehouse"]),
    ("libloading", &["clickhouse-server"]),
    ("redb", &["eventlog"]),
    ("csv", &["reconcile"]),
    // Time zones have one home, so that their database has one version.
    ("jiff", &["calendar"]),
    // `tally run` answers /metrics and /healthz for services that have no API.
    ("axum", &["gateway", "tally"]),
    // One TLS stack, and one place that says whom to believe.
    ("tokio-rustls", &["gateway", "notifier", "testkit"]),
    ("rustls", &["trust"]),
    ("rustls-native-certs", &["trust"]),
    // Errors are types; `anyhow` is for a program's last line.
    ("anyhow", &["tally", "bench", "simulator", "e2e"]),
];

const PURE: &[&str] = &[
    "domain",
    "calendar",
    "rating",
    "reckoner",
    "ledger",
    "flow",
    "wire",
    "access",
    "projection",
    "reconcile",
];

/// What a pure crate must not reach, however deep: clocks, randomness, files, threads of others, the network.
#[rustfmt::skip]
const IMPURE: &[&str] = &[
    "async-std", "axum", "chrono", "clickhouse", "getrandom", "hyper", "libloading", "mio", "notify",
    "object_store", "prometheus", "rand", "rand_core", "rdkafka", "rdkafka-sys", "redb", "reqwest",
    "socket2", "tempfile", "tokio", "tracing-subscriber", "walkdir",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

/// Of our crates: what each declares outside its tests.
fn declared(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let declared = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .map(|dependency| dependency.name.clone())
                .collect();
            (package.name.to_string(), declared)
        })
        .collect()
}

/// The breaches of the tables, in words.
fn breaches(declared: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut breaches = Vec::new();
    for (package, dependencies) in declared {
        let Some(allowed) = allowed.get(package.as_str()) else {
            breaches.push(format!("{package} stands in no row of ALLOWED: say where it belongs"));
            continue;
        };
        for dependency in dependencies {
            if declared.contains_key(dependency) && !allowed.contains(&dependency.as_str()) {
                breaches.push(format!("{package} must not depend on {dependency}"));
            }
            for (guarded, users) in ONLY_USERS {
                if dependency == guarded && !users.contains(&package.as_str()) {
                    breaches.push(format!(
                        "{package} must not depend on {guarded}: only {users:?} may"
                    ));
                }
            }
        }
    }
    breaches
}

#[test]
fn dependencies_point_one_way() {
    assert_eq!(breaches(&declared(&metadata())), Vec::<String>::new());
}

#[test]
fn a_wrong_arrow_a_second_user_and_an_unknown_crate_are_noticed() {
    let graph = |rows: &[(&str, &[&str])]| {
        rows.iter()
            .map(|(package, dependencies)| {
                (
                    (*package).to_owned(),
                    dependencies.iter().map(|name| (*name).to_owned()).collect(),
                )
            })
            .collect()
    };
    assert_eq!(
        breaches(&graph(&[("domain", &["serde"]), ("rating", &["domain"])])),
        Vec::<String>::new()
    );
    assert_eq!(
        breaches(&graph(&[("domain", &["rating"]), ("rating", &[])])),
        ["domain must not depend on rating"]
    );
    assert_eq!(breaches(&graph(&[("charger", &["rdkafka"])])).len(), 1);
    assert_eq!(breaches(&graph(&[("misc", &[])])).len(), 1);
}

#[test]
fn the_table_of_arrows_has_no_cycle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: Vec<_> = ALLOWED.to_vec();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(package, allowed)| {
            let ready = allowed.iter().all(|name| settled.contains(name));
            if ready {
                settled.insert(package);
            }
            !ready
        });
        assert!(waiting.len() < before, "a cycle, or a name that has no row, among {waiting:?}");
    }
}

/// Asked of `cargo tree`, which leaves the features that only tests switch on out of it; `cargo metadata` does not.
#[test]
fn the_pure_crates_reach_nothing_impure() {
    for package in PURE {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--edges", "normal", "--target", "all"])
            .args(["--prefix", "none", "--format", "{p}", "--package", package])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let reached: BTreeSet<&str> =
            tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(reached.contains(package));
        let impure: Vec<_> = IMPURE.iter().filter(|name| reached.contains(**name)).collect();
        assert!(impure.is_empty(), "{package} reaches {impure:?}");
    }
}

/// Breaks and kill points are for tests: nobody who builds the program gets them.
#[test]
fn the_shipped_program_cannot_be_sabotaged() {
    let features = |package: &str| {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--edges", "normal,features", "--target", "all"])
            .args(["--prefix", "none", "--package", package])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        String::from_utf8(tree.stdout).unwrap()
    };
    let armed = "sabotage feature \"armed\"";
    assert!(features("e2e").contains(armed), "the tests' own build has them");
    let tally = features("tally");
    assert!(tally.contains("sabotage") && !tally.contains(armed), "tally can be sabotaged");
}

/// Every crate keeps the workspace's lints, and the pure ones the ban on clocks, randomness and settings.
#[test]
fn every_crate_keeps_the_lints() {
    let ban =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../clippy-pure.toml")).unwrap();
    for package in metadata().workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{}: no workspace lints",
            package.name
        );
        if PURE.contains(&package.name.as_str()) {
            let own = package.manifest_path.with_file_name("clippy.toml");
            assert_eq!(fs::read_to_string(own).unwrap(), ban, "{}", package.name);
        }
    }
}

#[test]
fn the_pure_crates_deny_floats() {
    for package in metadata().workspace_packages() {
        if PURE.contains(&package.name.as_str()) {
            let library = package.manifest_path.with_file_name("src").join("lib.rs");
            let library = fs::read_to_string(library).unwrap();
            assert!(
                library.contains("#![deny(clippy::float_arithmetic)]"),
                "{}: floats are not denied",
                package.name
            );
        }
    }
}
