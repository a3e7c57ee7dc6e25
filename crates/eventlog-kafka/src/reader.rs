//! A reader of committed records, outside any group.

use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, TopicPartition};
use eventlog::{LogError, Reader, Record};

use crate::lane::{FetchLane, InputFailure};
use crate::probe::Probe;

pub(crate) struct KafkaReader {
    lane: FetchLane,
    probe: Arc<Probe>,
}

impl KafkaReader {
    pub(crate) fn open(
        mut lane: FetchLane,
        probe: Arc<Probe>,
        from: &[(TopicPartition, Offset)],
    ) -> Result<Self, LogError> {
        for (at, wanted) in from {
            probe.check(*at, *wanted)?;
        }
        lane.start(from)?;
        Ok(Self { lane, probe })
    }
}

impl Reader for KafkaReader {
    fn poll(
        &mut self,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, LogError> {
        match self.lane.poll(records_max, wait, visit) {
            Ok(taken) => Ok(taken.records),
            Err(InputFailure::OutOfRange { at, wanted }) => {
                Err(self.probe.out_of_range(at, wanted))
            }
            Err(InputFailure::Failed(error)) => Err(error),
        }
    }

    fn position(&self, at: TopicPartition) -> Offset {
        self.lane.position(at).map_or(Offset::ZERO, |(next, _)| next)
    }
}
