//! What an account and an identity take in memory: bytes asked of the allocator, counted.

use anyhow::anyhow;
use domain::{ContentHash, IdentityKey, Offset, Partition, Topic};
use identity::{IdentityIndex, RunFolder, Seen};
use ledger::decide::{self, Facts, Moment};
use ledger::{Cause, PartitionState};

use crate::allocations::growth;
use crate::report::Report;
use crate::workload::{Workload, account_name, grant};

const ACCOUNTS: [u64; 2] = [100_000, 1_000_000];
const IDENTITIES: [u64; 3] = [1_000_000, 4_000_000, 10_000_000];

pub(crate) fn measure(workload: &Workload, report: &mut Report) -> anyhow::Result<()> {
    report.section("State in memory, one partition", &["what", "bytes each"]);
    for accounts in ACCOUNTS {
        let (state, bytes) = growth(|| granted(workload, accounts, 1));
        drop(state?);
        report.row([format!("account with one lot, {accounts} of them"), each(bytes, accounts)]);
    }
    let accounts = 100_000;
    let (state, bytes) = growth(|| granted(workload, accounts, 3));
    drop(state?);
    report.row([format!("account with three lots, {accounts} of them"), each(bytes, accounts)]);
    for identities in IDENTITIES {
        let (index, bytes) = growth(|| filled(workload, identities));
        drop(index?);
        report.row([format!("identity in memory, {identities} of them"), each(bytes, identities)]);
    }
    Ok(())
}

fn each(bytes: i64, count: u64) -> String {
    format!("{:.1}", bytes as f64 / count as f64)
}

fn granted(workload: &Workload, accounts: u64, lots: u64) -> anyhow::Result<PartitionState> {
    let mut state = PartitionState::default();
    for name in (0..accounts).map(account_name) {
        for lot in 0..lots {
            let id = format!("grant-{lot}");
            let command = grant(&name, &id);
            let moment = Moment {
                number: state.next_number(),
                ledger_time: workload.now(),
                cause: Cause::Input { topic: Topic::LedgerCommands, offset: Offset::ZERO },
            };
            let account = state.account(&name);
            let entry =
                decide::command(account, &command, ContentHash(0), Facts::default(), moment)
                    .map_err(|reason| anyhow!("grant refused: {reason:?}"))?;
            state.apply(&entry)?;
        }
    }
    Ok(state)
}

fn filled(workload: &Workload, identities: u64) -> anyhow::Result<IdentityIndex> {
    let folder = testkit::temp_dir()?;
    let runs = RunFolder::open(folder.path(), Partition(0))?;
    let mut index = IdentityIndex::new(identity::Settings::default(), runs);
    for number in 0..identities {
        let key = IdentityKey::new("acct", "/chat/eu-1", &format!("req_{number:016x}"));
        let entry = Offset(i64::try_from(number)?);
        index.insert(key, Seen { content: ContentHash(number), entry, day: workload.now().day() });
    }
    Ok(index)
}
