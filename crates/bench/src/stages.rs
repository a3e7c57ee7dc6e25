//! The steps of charging one event, each alone over a few hundred events at a time, so that a clock reading costs nothing
//! per event. Together they take less than the whole: the next step's code and data are in the cache.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, anyhow};
use domain::{EntryNumber, IdentityKey, Offset, Partition, RateLine, Topic, partition_of};
use flow::Chain;
use identity::{IdentityIndex, RunFolder, Search, Seen};
use ledger::decide::{self, Charge, Facts, Moment};
use ledger::{Cause, Entry, PartitionState};
use rating::Rating;
use wire::Decoded;

use crate::core_alone::{Inputs, Records};
use crate::machine::thread_cpu;
use crate::workload::{Workload, account_name, grant};

const TOGETHER: usize = 256;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Decode,
    Find,
    Rate,
    Decide,
    Remember,
    Encode,
    Chain,
}

pub(crate) const STEPS: [Step; 7] =
    [Step::Decode, Step::Find, Step::Rate, Step::Decide, Step::Remember, Step::Encode, Step::Chain];

impl Step {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode, with the content hash",
            Self::Find => "partition, identity: hash and look up",
            Self::Rate => "rate",
            Self::Decide => "decide and apply",
            Self::Remember => "identity: hash again and insert",
            Self::Encode => "encode the entry",
            Self::Chain => "chain hash",
        }
    }
}

/// Processor time of each step, over all events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps([Duration; STEPS.len()]);

impl Steps {
    pub(crate) fn of(&self, step: Step) -> Duration {
        self.0.get(step as usize).copied().unwrap_or_default()
    }

    fn time<T>(&mut self, step: Step, work: impl FnOnce() -> T) -> T {
        let before = thread_cpu();
        let made = work();
        if let Some(sum) = self.0.get_mut(step as usize) {
            *sum += thread_cpu().saturating_sub(before);
        }
        made
    }
}

/// One partition's state, as the core has it.
struct Fold {
    state: PartitionState,
    identity: IdentityIndex,
    chain: Chain,
    ledger: Vec<u8>,
}

pub(crate) fn measure(workload: &Workload, inputs: &Inputs) -> anyhow::Result<Steps> {
    let folder = testkit::temp_dir()?;
    let mut steps = Steps::default();
    for (number, records) in (0..).zip(&inputs.usage) {
        let partition = Partition(number);
        let runs = RunFolder::open(folder.path().join(number.to_string()), partition)?;
        let mut fold = Fold {
            state: PartitionState::default(),
            identity: IdentityIndex::new(identity::Settings::default(), runs),
            chain: Chain::after(&[0; 32]),
            ledger: Vec::new(),
        };
        grant_all(workload, partition, &mut fold.state)?;
        partition_steps(workload, records, &mut fold, &mut steps)?;
    }
    Ok(steps)
}

fn grant_all(
    workload: &Workload,
    partition: Partition,
    state: &mut PartitionState,
) -> anyhow::Result<()> {
    for name in (0..u64::from(workload.accounts)).map(account_name) {
        if partition_of(&name, workload.partitions) == partition {
            let command = grant(&name, "bench-grant");
            let content = wire::command_content(&command);
            let moment = moment(workload, state.next_number(), Topic::LedgerCommands, 0);
            let entry =
                decide::command(state.account(&name), &command, content, Facts::default(), moment)
                    .map_err(|reason| anyhow!("grant refused: {reason:?}"))?;
            state.apply(&entry)?;
        }
    }
    Ok(())
}

fn partition_steps(
    workload: &Workload,
    records: &Records,
    fold: &mut Fold,
    steps: &mut Steps,
) -> anyhow::Result<()> {
    let catalogue = &workload.prices.catalogue;
    let search = Search::Horizon { today: workload.now().day() };
    let all: Vec<&[u8]> = records.iter().collect();
    for (chunk_number, chunk) in all.chunks(TOGETHER).enumerate() {
        let decoded: Vec<Decoded<'_>> = steps
            .time(Step::Decode, || {
                chunk.iter().map(|record| wire::decode_usage(record)).collect::<Result<_, _>>()
            })
            .map_err(|fault| anyhow!("{fault:?}"))?;
        let found = steps.time(Step::Find, || {
            decoded.iter().try_fold(0, |found, decoded| {
                let event = &decoded.event;
                black_box(partition_of(&event.account, workload.partitions));
                let key = IdentityKey::new(&event.account, &event.source, &event.id);
                fold.identity.find(key, search).map(|seen| found + usize::from(seen.is_some()))
            })
        })?;
        anyhow::ensure!(found == 0, "{found} events were taken before");
        let ratings: Vec<Rating> = steps
            .time(Step::Rate, || {
                decoded
                    .iter()
                    .map(|decoded| rating::rate(catalogue, &decoded.event, None))
                    .collect::<Result<_, _>>()
            })
            .map_err(|unrated| anyhow!("{unrated:?}"))?;
        let first = chunk_number * TOGETHER;
        let entries: Vec<Entry<'_>> = steps.time(Step::Decide, || {
            let mut entries = Vec::with_capacity(TOGETHER);
            for (index, (decoded, rating)) in decoded.into_iter().zip(ratings).enumerate() {
                let offset = i64::try_from(first + index)?;
                let number = fold.state.next_number();
                let moment = moment(workload, number, Topic::UsageRaw, offset);
                let account = fold.state.account(&decoded.event.account);
                let entry = decide::debit(account, charge(workload, decoded, rating), moment);
                fold.state.apply(&entry)?;
                entries.push(entry);
            }
            anyhow::Ok(entries)
        })?;
        steps.time(Step::Remember, || {
            for entry in &entries {
                let remember = *entry.remember().first().context("a debit has an identity")?;
                let place = Offset(i64::try_from(remember.entry.0)?);
                let day = entry.recorded_at.day();
                let seen = Seen { content: remember.content, entry: place, day };
                fold.identity.insert(remember.key, seen);
            }
            anyhow::Ok(())
        })?;
        fold.ledger.clear();
        steps.time(Step::Encode, || {
            for entry in &entries {
                wire::encode_entry(entry, &mut fold.ledger);
            }
        });
        steps.time(Step::Chain, || {
            fold.chain.records_together(&fold.ledger, entries.len() as u64);
        });
    }
    Ok(())
}

fn moment(workload: &Workload, number: EntryNumber, topic: Topic, offset: i64) -> Moment {
    let cause = Cause::Input { topic, offset: Offset(offset) };
    Moment { number, ledger_time: workload.now(), cause }
}

/// As the charger makes it of a rating.
fn charge<'a>(workload: &Workload, decoded: Decoded<'a>, rating: Rating) -> Charge<'a> {
    let lines = rating.lines.iter().map(RateLine::from);
    Charge {
        event: decoded.event,
        content: decoded.content,
        plan: None,
        rate_card: rating.rate_card,
        catalogue: workload.prices.next,
        lines: lines.collect(),
        credits: rating.credits,
        residual: rating.residual,
        resolves: None,
        hold: None,
        repays: true,
    }
}
