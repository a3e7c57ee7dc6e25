//! Whatever is inserted, persisted, merged, rolled back, killed and restored: the answers are
//! those of a plain list of all that the ledger took.

// Clippy's own allowance for tests does not reach what they call.
#![allow(clippy::unwrap_used)]

mod folder;

use domain::{ContentHash, Day, IdentityKey, Offset, Partition};
use identity::{IdentityIndex, IndexManifest, RunFolder, Search, Seen, Settings};
use proptest::prelude::*;

const KEYS: u128 = 400;
const HORIZON_DAYS: u8 = 3;

/// All in two of the table's 512 shards, so that they fill. Half are spread like hashes; the
/// others share their first 64 bits, their home group and their control byte.
fn key(index: u128) -> IdentityKey {
    let shard = (index & 1) << 119;
    let spread = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 9;
    IdentityKey(shard | if index & 2 == 0 { spread } else { 5 << 90 | index << 7 })
}

#[derive(Clone, Debug)]
enum Step {
    Take { first: u128, count: u128, stride: u128 },
    OtherEntries(i64),
    Days(i32),
    Commit,
    Abort,
    Persist { memory_is_ahead: bool },
    Merge,
    Kill { of_an_older_manifest: bool },
    CollectGarbage,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS, 1..120_u128, 1..7_u128)
            .prop_map(|(first, count, stride)| Step::Take { first, count, stride }),
        1 => (1..1_000_i64).prop_map(Step::OtherEntries),
        3 => prop_oneof![9 => 1..=2, 1 => 200..600].prop_map(Step::Days),
        1 => Just(Step::Commit),
        2 => Just(Step::Abort),
        6 => any::<bool>().prop_map(|memory_is_ahead| Step::Persist { memory_is_ahead }),
        4 => Just(Step::Merge),
        2 => any::<bool>().prop_map(|of_an_older_manifest| Step::Kill { of_an_older_manifest }),
        1 => Just(Step::CollectGarbage),
    ]
}

struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    index: IdentityIndex,
    /// The ledger, as far as identities go.
    taken: Vec<(IdentityKey, Seen)>,
    /// How much of it is committed, and the offset and day after that.
    committed: (usize, Offset, Day),
    next: Offset,
    today: Day,
    manifests: [IndexManifest; 2],
}

impl World {
    fn new(hot_ids_max: usize) -> Self {
        let folder = folder::in_memory();
        let settings = Settings { hot_ids_max, horizon_days: HORIZON_DAYS };
        let runs = RunFolder::open(folder.path(), Partition(0)).unwrap();
        let today = Day(20_000);
        Self {
            folder,
            settings,
            index: IdentityIndex::new(settings, runs),
            taken: Vec::new(),
            committed: (0, Offset(0), today),
            next: Offset(0),
            today,
            manifests: [IndexManifest::empty(), IndexManifest::empty()],
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Take { first, count, stride } => {
                for index in 0..count {
                    let key = key((first + index * stride) % KEYS);
                    let seen = Seen {
                        content: ContentHash(self.next.0 as u64 * 31),
                        entry: self.next,
                        day: self.today,
                    };
                    self.index.insert(key, seen);
                    self.taken.push((key, seen));
                    self.next = self.next.next();
                }
            }
            Step::OtherEntries(count) => self.next.0 += count,
            Step::Days(days) => self.today.0 += days,
            Step::Commit => self.commit(),
            Step::Abort => {
                self.taken.truncate(self.committed.0);
                self.today = self.committed.2;
                self.index.rollback(self.committed.1).unwrap();
                // The offsets of an aborted transaction do not come back.
                self.next = self.next.next();
            }
            Step::Persist { memory_is_ahead } => {
                if !memory_is_ahead {
                    self.commit();
                }
                let manifest = self.index.persist(self.committed.1).unwrap();
                let decoded = IndexManifest::decode(&manifest.encode()).unwrap();
                assert_eq!(decoded, manifest);
                self.manifests = [decoded, self.manifests[0].clone()];
            }
            Step::Merge => {
                while let Some(plan) = self.index.plan_merge() {
                    let merged = plan.execute(self.index.folder()).unwrap();
                    self.index.adopt_merge(merged).unwrap();
                }
            }
            Step::Kill { of_an_older_manifest } => self.kill(usize::from(of_an_older_manifest)),
            Step::CollectGarbage => {
                let living = self.index.manifest();
                let [newer, older] = &self.manifests;
                self.index.folder().collect_garbage(&[&living, newer, older]).unwrap();
            }
        }
    }

    fn commit(&mut self) {
        self.committed = (self.taken.len(), self.next, self.today);
    }

    fn kill(&mut self, manifest: usize) {
        self.taken.truncate(self.committed.0);
        self.next = self.committed.1;
        self.today = self.committed.2;
        let manifest = &self.manifests[manifest];
        let runs = RunFolder::open(self.folder.path(), Partition(0)).unwrap();
        self.index = IdentityIndex::restore(self.settings, runs, manifest).unwrap();
        for (key, seen) in self.taken.iter().filter(|(_, seen)| seen.entry >= manifest.at) {
            self.index.insert(*key, *seen);
        }
    }

    fn check(&self, index: u128) {
        let key = key(index);
        let newest = self.taken.iter().rev().find(|(other, _)| *other == key);
        let everything = newest.map(|(_, seen)| *seen);
        let recent = everything.filter(|seen| seen.day.0 >= self.today.0 - i32::from(HORIZON_DAYS));
        let today = Search::Horizon { today: self.today };
        assert_eq!(self.index.find(key, today).unwrap(), recent, "{key:?} within the horizon");
        let found = self.index.find(key, Search::Everything).unwrap();
        assert_eq!(found, everything, "{key:?} in everything");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn answers_are_those_of_the_whole_ledger(
        hot_ids_max in prop_oneof![0..20_usize, 0..600_usize],
        steps in proptest::collection::vec((step(), 0..KEYS), 1..60),
    ) {
        let mut world = World::new(hot_ids_max);
        for (step, asked) in &steps {
            world.apply(step);
            for index in *asked..asked + 20 {
                world.check(index % KEYS);
            }
        }
        for index in 0..KEYS {
            world.check(index);
        }
    }
}

/// A persist while memory is days ahead, and then an abort: nothing may have been forgotten by the
/// days that never came to be.
#[test]
fn an_aborted_day_forgets_nothing() {
    let mut world = World::new(0);
    for step in [
        Step::Take { first: 0, count: 50, stride: 1 },
        Step::Commit,
        Step::Days(i32::from(HORIZON_DAYS) + 7),
        Step::Take { first: 100, count: 1, stride: 1 },
        Step::Persist { memory_is_ahead: true },
        Step::Take { first: 200, count: 100, stride: 1 },
        Step::Persist { memory_is_ahead: true },
        Step::Abort,
    ] {
        world.apply(&step);
        for index in 0..KEYS {
            world.check(index);
        }
    }
}

/// Two takings beyond the horizon, of which the filter in memory has kept only the older.
#[test]
fn the_newest_taking_counts_beyond_the_horizon_too() {
    let mut world = World::new(0);
    for step in [
        Step::Take { first: 266, count: 1, stride: 1 },
        Step::Persist { memory_is_ahead: false },
        Step::Days(1),
        Step::Take { first: 71, count: 40, stride: 5 },
        Step::Days(4),
        Step::Take { first: 187, count: 1, stride: 1 },
        Step::Persist { memory_is_ahead: false },
        Step::Take { first: 0, count: 100, stride: 1 },
    ] {
        world.apply(&step);
        for index in 0..KEYS {
            world.check(index);
        }
    }
}

/// A merge that drops repeated takings makes room in memory, but what has left it does not return.
#[test]
fn what_left_memory_stays_in_its_run() {
    let mut world = World::new(80);
    let mut steps = vec![
        Step::Take { first: 0, count: 75, stride: 1 },
        Step::Persist { memory_is_ahead: false },
    ];
    for _ in 0..8 {
        steps.push(Step::Take { first: 100, count: 1, stride: 1 });
        steps.push(Step::Persist { memory_is_ahead: false });
    }
    steps.extend([
        Step::Take { first: 200, count: 100, stride: 1 },
        Step::Merge,
        Step::Persist { memory_is_ahead: true },
    ]);
    for step in steps {
        world.apply(&step);
        for index in 0..KEYS {
            world.check(index);
        }
    }
}

/// A long life in one piece: a year of days, so that runs pile up, merge and pass the horizon.
#[test]
fn a_year_of_persists_stays_small_and_right() {
    let mut world = World::new(200);
    for turn in 0..365 * 4_u128 {
        world.apply(&Step::Take { first: turn * 37, count: 20, stride: 3 });
        world.apply(&Step::Persist { memory_is_ahead: false });
        world.apply(&Step::Merge);
        world.apply(&Step::CollectGarbage);
        if turn % 4 == 3 {
            world.apply(&Step::Days(1));
        }
        if turn % 97 == 0 {
            world.apply(&Step::Kill { of_an_older_manifest: turn % 2 == 0 });
        }
        world.check(turn % KEYS);
    }
    for index in 0..KEYS {
        world.check(index);
    }
    let statistics = world.index.statistics();
    assert!(statistics.runs < 50, "{statistics:?}");
    assert!(statistics.hot_ids < 600, "{statistics:?}");
    assert!(statistics.cold_ids < 600, "{statistics:?}");
    let files = std::fs::read_dir(world.folder.path()).unwrap().count();
    assert!(files <= statistics.runs + 40, "{files} files, {statistics:?}");
}
