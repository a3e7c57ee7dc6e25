//! Standing still at a batch boundary while tables are exchanged.
//!
//! A wish to pause stands in the journal of rebuilds (`replay_steps`), and so holds for every
//! projector, in every process and after every restart, until it is withdrawn there: nothing here
//! goes on by itself. What was begun is finished first. Then the position is committed without a
//! planned end, so that whoever takes the partition over begins exactly there, and only then is the
//! wish confirmed: from the confirmed offset on no row is written.
//!
//! Reading goes on up to the bound of what may wait. Dead letters are not rebuilt, and go on.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{Offset, Partition, Topic};
use eventlog::Position;
use warehouse::Pause;

use super::{ProjectorError, Session};
use crate::sink::Sink;
use crate::stream::Stream;

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The wishes to pause, as they were last looked up, and which partitions have answered them.
#[derive(Debug, Default)]
pub(super) struct Pausing {
    in_force: Vec<Pause>,
    confirmed: BTreeSet<(String, u64, u64, Partition)>,
    looked: Option<Duration>,
}

impl Pausing {
    /// Whether a stream may begin a batch now. One that was begun before is finished in any case.
    pub(super) fn allows(&self, stream: &Stream) -> bool {
        self.in_force.is_empty()
            || stream.at.topic != Topic::LedgerEntries
            || stream.planned_end.is_some()
    }

    /// Partitions have come: their last owner may have confirmed what is not known here yet.
    pub(super) fn look_again(&mut self) {
        self.looked = None;
    }

    fn is_confirmed(&self, pause: &Pause, partition: Partition) -> bool {
        self.confirmed.contains(&key(pause, partition))
    }
}

fn key(pause: &Pause, partition: Partition) -> (String, u64, u64, Partition) {
    (pause.replay.clone(), pause.epoch, pause.number, partition)
}

impl<S: Sink> Session<'_, S> {
    /// Looks the wishes up when it is time.
    pub(super) fn look_for_pauses(&mut self) -> Result<(), ProjectorError> {
        let now = self.started.elapsed();
        if self.pausing.looked.is_some_and(|looked| now.saturating_sub(looked) < LOOK_EVERY) {
            return Ok(());
        }
        let pauses = self.runtime.block_on(self.projector.sink.pauses())?;
        self.pausing.looked = Some(now);
        let is_new = |pause: &&Pause| {
            let known = &self.pausing.in_force;
            !known.iter().any(|it| (it.epoch, it.number) == (pause.epoch, pause.number))
        };
        for pause in pauses.iter().filter(is_new) {
            tracing::info!(replay = %pause.replay, epoch = pause.epoch, "pausing at a batch boundary");
        }
        if pauses.is_empty() && !self.pausing.in_force.is_empty() {
            tracing::info!("going on");
            self.pausing.confirmed.clear();
        }
        let seconds = pauses.iter().map(|pause| pause.seconds).max().unwrap_or(0);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.projector.metrics.paused_seconds.set(seconds);
        self.pausing.in_force = pauses;
        Ok(())
    }

    /// Says of every partition that stands still where it stands.
    pub(super) fn confirm_pauses(&mut self) -> Result<(), ProjectorError> {
        for pause in self.pausing.in_force.clone() {
            let standing: Vec<(Position, Partition, Offset)> = self
                .streams
                .values()
                .filter(|stream| {
                    stream.at.topic == Topic::LedgerEntries
                        && stream.planned_end.is_none()
                        && !self.pausing.is_confirmed(&pause, stream.at.partition)
                })
                .map(|stream| {
                    let (at, next) = (stream.at, stream.from);
                    (Position { at, next, metadata: String::new() }, at.partition, next)
                })
                .collect();
            if standing.is_empty() {
                continue;
            }
            let positions: Vec<Position> =
                standing.iter().map(|(position, ..)| position.clone()).collect();
            self.commit(&positions)?;
            let reached: Vec<(Partition, Offset)> =
                standing.iter().map(|(_, partition, next)| (*partition, *next)).collect();
            let who = format!("projector {}", std::process::id());
            let said = self.projector.sink.confirm_pause(&pause, &reached, &who);
            self.runtime.block_on(said)?;
            for (partition, _) in reached {
                self.pausing.confirmed.insert(key(&pause, partition));
            }
        }
        Ok(())
    }
}
