//! Measures memory per identity and the processor time of each operation. With a number of hot identities
//! in millions, and of cold ones, as arguments:
//!
//! ```text
//! cargo run --release -p identity --example measure -- 10 20
//! ```

use std::error::Error;
use std::time::Duration;

use domain::{ContentHash, Day, IdentityKey, Offset, Partition};
use identity::{IdentityIndex, RunFolder, Search, Seen, Settings};

const ASKED: u64 = 1_000_000;
/// How many keys are touched together.
const BATCH: usize = 64;
const PERSISTS_PER_DAY: u64 = 10;

/// Uniform, as a hash is: two rounds of SplitMix64.
fn key(number: u64) -> IdentityKey {
    let half = |salt: u64| {
        let mut bits =
            number.wrapping_mul(2).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(bits ^ (bits >> 31))
    };
    IdentityKey(half(0) << 64 | half(1))
}

/// Time that this thread was on a processor: what other programs take does not count.
#[derive(Clone, Copy)]
struct CpuTime(Duration);

impl CpuTime {
    fn now() -> Self {
        let nanos = std::fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .and_then(|text| text.split(' ').next().and_then(|nanos| nanos.parse().ok()));
        Self(Duration::from_nanos(nanos.unwrap_or(0)))
    }

    fn elapsed(self) -> Duration {
        Self::now().0 - self.0
    }
}

fn millions(argument: Option<String>) -> Result<u64, Box<dyn Error>> {
    Ok(argument.ok_or("how many millions?")?.parse::<u64>()? * 1_000_000)
}

struct Measured {
    index: IdentityIndex,
    today: Day,
}

impl Measured {
    /// The mean of many lookups, each with a key of its own.
    fn lookups(
        &self,
        what: &str,
        touched: bool,
        keys: impl Fn(u64) -> u64,
        count: u64,
    ) -> Result<(), Box<dyn Error>> {
        let search = Search::Horizon { today: self.today };

        // Keys are made beforehand. Lookups follow each other closely, so they overlap.
        let keys: Vec<IdentityKey> = (0..count).map(|number| key(keys(number))).collect();
        let mut found = 0;
        let start = CpuTime::now();
        for batch in keys.chunks(BATCH) {
            if touched {
                self.index.touch(batch);
            }
            for key in batch {
                // Copying the whole answer would wait for its stores, and nothing would overlap.
                found += self.index.find(*key, search)?.map_or(0, |seen| seen.content.0 & 1);
            }
        }
        report(what, start.elapsed(), count);
        println!("    (an odd content was found for {found} of {count})");
        Ok(())
    }
}

fn report(what: &str, elapsed: Duration, count: u64) {
    println!(
        "{what}: {:.1} ns each, {:.1} ms in all",
        elapsed.as_nanos() as f64 / count as f64,
        elapsed.as_secs_f64() * 1e3
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (hot, cold) = (millions(arguments.next())?, millions(arguments.next())?);
    let folder = tempfile::tempdir()?;
    let settings = Settings { hot_ids_max: hot as usize, ..Settings::default() };
    let runs = || RunFolder::open(folder.path(), Partition(0));
    let mut index = IdentityIndex::new(settings, runs()?);
    let per_day = ((hot + cold) / 30).max(1);
    let day = |entry: u64| Day(20_000 + (entry / per_day) as i32);

    let (mut inserting, mut persisting, mut merging) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut slowest_persist, mut collecting) = (Duration::ZERO, Duration::ZERO);
    let mut merged_ids = 0;
    let total = hot + cold;
    let mut batch = CpuTime::now();
    for entry in 0..total {
        let seen =
            Seen { content: ContentHash(entry), entry: Offset(entry as i64), day: day(entry) };
        index.insert(key(entry), seen);
        if (entry + 1) % (per_day / PERSISTS_PER_DAY) == 0 || entry + 1 == total {
            inserting += batch.elapsed();
            let start = CpuTime::now();
            let fresh = index.collect(Offset(entry as i64 + 1))?;
            collecting = collecting.max(start.elapsed());
            let written = fresh.write(index.folder())?;
            index.adopt(written)?;
            slowest_persist = slowest_persist.max(start.elapsed());
            persisting += start.elapsed();
            let start = CpuTime::now();
            while let Some(plan) = index.plan_merge() {
                merged_ids += plan.ids();
                index.adopt_merge(plan.execute(index.folder())?)?;
            }
            index.folder().collect_garbage(&[&index.manifest()])?;
            merging += start.elapsed();
            batch = CpuTime::now();
        }
    }
    report("insert (with growth, retiring and making a key)", inserting, total);
    report("persist", persisting, total);
    println!(
        "longest persist: {:.1} ms, of which gathering {:.1} ms",
        slowest_persist.as_secs_f64() * 1e3,
        collecting.as_secs_f64() * 1e3
    );
    report("merge", merging, merged_ids.max(1));
    println!("each identity was merged {:.2} times", merged_ids as f64 / total as f64);

    let measured = Measured { today: day(total), index };
    let show = |measured: &Measured| {
        let statistics = measured.index.statistics();
        println!("{statistics:?}");
        println!(
            "{:.1} bytes per hot id, {:.2} per cold id",
            statistics.hot_bytes as f64 / statistics.hot_ids.max(1) as f64,
            (statistics.directory_bytes + statistics.fence_bytes) as f64
                / statistics.cold_ids.max(1) as f64,
        );
    };
    show(&measured);
    // A stride that shares no factor with the counts visits each once, in no order.
    measured.lookups("hot hit", false, |n| total - 1 - n * 7_919 % hot, ASKED)?;
    measured.lookups("hot hit, touched before", true, |n| total - 1 - n * 7_919 % hot, ASKED)?;
    measured.lookups("miss", false, |n| total + n, ASKED)?;
    measured.lookups("miss, touched before", true, |n| total + ASKED + n, ASKED)?;
    if cold > 0 {
        measured.lookups("cold hit, in the page cache", false, |n| n * 7_919 % cold, ASKED / 5)?;
    }
    let manifest = measured.index.manifest();
    let Measured { index, .. } = measured;
    drop(index);
    let start = CpuTime::now();
    let index = IdentityIndex::restore(settings, runs()?, &manifest)?;
    report("restore", start.elapsed(), total);
    let mut measured = Measured { today: day(total), index };
    show(&measured);
    measured.lookups("miss after restore", false, |n| total + n, ASKED)?;
    let fresh = 50_000;
    for entry in total..total + fresh {
        let seen =
            Seen { content: ContentHash(entry), entry: Offset(entry as i64), day: day(entry) };
        measured.index.insert(key(entry), seen);
    }
    let start = CpuTime::now();
    measured.index.rollback(Offset(total as i64))?;
    report("rollback of 50,000", start.elapsed(), fresh);
    Ok(())
}
