//! Damage to the files, and misuse: an error that says what to do, and never a wrong answer.

// Clippy's own allowance for tests does not reach what they call.
#![allow(clippy::unwrap_used)]

mod folder;

use std::fs;
use std::path::{Path, PathBuf};

use domain::{ContentHash, Day, IdentityKey, Offset, Partition};
use identity::{
    IdentityError, IdentityIndex, IndexManifest, RunFolder, Search, Seen, Settings, Snapshot,
    SnapshotStore,
};
use proptest::prelude::*;

const IDS: i64 = 1_200;
/// The last of them is in memory after a restore; the first two are beyond the horizon.
const DAYS: i64 = 6;
const SETTINGS: Settings = Settings { hot_ids_max: 250, horizon_days: 3 };

fn key(entry: i64) -> IdentityKey {
    IdentityKey((entry as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn seen(entry: i64) -> Seen {
    Seen {
        content: ContentHash(entry as u64 ^ 0xabcd),
        entry: Offset(entry),
        day: Day((entry * DAYS / IDS) as i32),
    }
}

fn runs(path: &Path) -> RunFolder {
    RunFolder::open(path, Partition(1)).unwrap()
}

fn build(path: &Path) -> IndexManifest {
    let mut index = IdentityIndex::new(SETTINGS, runs(path));
    for entry in 0..IDS {
        index.insert(key(entry), seen(entry));
    }
    index.persist(Offset(IDS)).unwrap()
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(path).unwrap().map(|item| item.unwrap().path()).collect();
    files.sort();
    files
}

/// Asks for every identity, and for some that were never taken.
fn ask_all(index: &IdentityIndex) -> Result<(), IdentityError> {
    for entry in 0..IDS + 100 {
        let expected = (entry < IDS).then(|| seen(entry));
        assert_eq!(index.find(key(entry), Search::Everything)?, expected);
        let today = Day(DAYS as i32 - 1);
        let recent = expected.filter(|seen| seen.day.0 >= today.0 - 3);
        assert_eq!(index.find(key(entry), Search::Horizon { today })?, recent);
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip { bit: u8 },
    Truncate,
    Grow,
    Delete,
    Swap,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    #[test]
    fn damage_is_found_and_never_answers(
        file in 0..DAYS as usize,
        place in 0.0..1.0_f64,
        damage in prop_oneof![
            4 => (0..8_u8).prop_map(|bit| Damage::Flip { bit }),
            1 => Just(Damage::Truncate),
            1 => Just(Damage::Grow),
            1 => Just(Damage::Delete),
            1 => Just(Damage::Swap),
        ],
    ) {
        let temporary = folder::in_memory();
        let manifest = build(temporary.path());
        let files = files(temporary.path());
        prop_assert_eq!(files.len(), DAYS as usize);
        let path = &files[file];
        let mut bytes = fs::read(path).unwrap();
        let at = (bytes.len() as f64 * place) as usize;
        match damage {
            Damage::Flip { bit } => {
                bytes[at] ^= 1 << bit;
                fs::write(path, bytes).unwrap();
            }
            Damage::Truncate => fs::write(path, &bytes[..at]).unwrap(),
            Damage::Grow => fs::write(path, [bytes, vec![0; 1]].concat()).unwrap(),
            Damage::Delete => fs::remove_file(path).unwrap(),
            Damage::Swap => drop(fs::copy(&files[(file + 1) % files.len()], path).unwrap()),
        }
        let restored = IdentityIndex::restore(SETTINGS, runs(temporary.path()), &manifest);
        let is_archived = file < 2;
        let error = match restored {
            Err(error) => error,
            Ok(index) => {
                prop_assert!(is_archived, "damage within the horizon is found by the restore");
                ask_all(&index).expect_err("asked for everything, damage is met")
            }
        };
        prop_assert!(error.is_rebuilt_by_fold(), "{}", error);
        let is_missing = matches!(error, IdentityError::Missing { .. });
        prop_assert_eq!(is_missing, matches!(damage, Damage::Delete), "{}", error);
    }
}

#[test]
fn undamaged_files_answer_everything() {
    let temporary = folder::in_memory();
    let manifest = build(temporary.path());
    let index = IdentityIndex::restore(SETTINGS, runs(temporary.path()), &manifest).unwrap();
    ask_all(&index).unwrap();
    assert_eq!(index.statistics().hot_ids, 200);
    assert_eq!(index.statistics().cold_ids, 600);
}

#[test]
fn runs_of_another_partition_are_refused() {
    let temporary = folder::in_memory();
    let manifest = build(temporary.path());
    let other = RunFolder::open(temporary.path(), Partition(2)).unwrap();
    let error = IdentityIndex::restore(SETTINGS, other, &manifest).unwrap_err();
    assert!(matches!(error, IdentityError::Corrupt { .. }));
}

#[test]
fn an_interrupted_write_leaves_nothing() {
    let temporary = folder::in_memory();
    let mut index = IdentityIndex::new(SETTINGS, runs(temporary.path()));
    index.insert(key(0), seen(0));
    let written = index.collect(Offset(1)).unwrap().write(index.folder()).unwrap();
    assert_eq!(files(temporary.path()).len(), 1);
    assert_eq!(index.folder().collect_garbage(&[&index.manifest()]).unwrap(), 0);
    drop(written);
    drop(index);
    runs(temporary.path());
    assert!(files(temporary.path()).is_empty());
}

#[test]
fn what_was_planned_on_other_runs_is_refused() {
    let temporary = folder::in_memory();
    let mut index = IdentityIndex::new(SETTINGS, runs(temporary.path()));
    for entry in 0..8 {
        index.insert(key(entry), seen(entry));
        index.persist(Offset(entry + 1)).unwrap();
    }
    let first = index.plan_merge().unwrap().execute(index.folder()).unwrap();
    let second = index.plan_merge().unwrap().execute(index.folder()).unwrap();
    index.adopt_merge(first).unwrap();
    assert!(matches!(index.adopt_merge(second), Err(IdentityError::Superseded)));
    let stale = index.collect(Offset(9)).unwrap().write(index.folder()).unwrap();
    index.persist(Offset(10)).unwrap();
    assert!(matches!(index.adopt(stale), Err(IdentityError::Superseded)));
}

#[test]
fn disorder_stops_persisting_and_not_answering() {
    let temporary = folder::in_memory();
    let mut index = IdentityIndex::new(SETTINGS, runs(temporary.path()));
    index.insert(key(5), seen(5));
    index.insert(key(4), seen(4));
    assert_eq!(index.find(key(4), Search::Everything).unwrap(), Some(seen(4)));
    let error = index.persist(Offset(6)).unwrap_err();
    assert!(matches!(error, IdentityError::OutOfOrder { .. }));
    assert!(!error.is_rebuilt_by_fold());
}

#[test]
fn nothing_goes_below_what_was_persisted() {
    let temporary = folder::in_memory();
    let mut index = IdentityIndex::new(SETTINGS, runs(temporary.path()));
    index.insert(key(5), seen(5));
    index.persist(Offset(6)).unwrap();
    assert!(matches!(index.rollback(Offset(5)), Err(IdentityError::BelowPersisted { .. })));
    assert!(matches!(index.persist(Offset(5)), Err(IdentityError::BelowPersisted { .. })));
    index.rollback(Offset(6)).unwrap();
    assert_eq!(index.find(key(5), Search::Everything).unwrap(), Some(seen(5)));
}

#[test]
fn a_snapshot_carries_the_index_over_a_restart() {
    let temporary = folder::in_memory();
    let store = SnapshotStore::open(temporary.path()).unwrap();
    let partition = Partition(1);
    let mut index = IdentityIndex::new(SETTINGS, store.run_folder(partition).unwrap());
    for step in 0..6 {
        for entry in step * 200..(step + 1) * 200 {
            index.insert(key(entry), seen(entry));
        }
        let identity = index.persist(Offset((step + 1) * 200)).unwrap();
        store.put(&Snapshot { partition, state: vec![step as u8; 10], identity }).unwrap();
        while let Some(plan) = index.plan_merge() {
            index.adopt_merge(plan.execute(index.folder()).unwrap()).unwrap();
        }
        store.collect_garbage(partition, &index.manifest()).unwrap();
    }
    drop(index);
    let snapshot = store.latest(partition).unwrap().snapshot.unwrap();
    assert_eq!(snapshot.ledger_offset(), Offset(IDS));
    let runs = store.run_folder(partition).unwrap();
    let index = IdentityIndex::restore(SETTINGS, runs, &snapshot.identity).unwrap();
    ask_all(&index).unwrap();
}
