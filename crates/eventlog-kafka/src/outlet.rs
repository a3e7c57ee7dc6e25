//! A producer with its topics opened on first use; what appenders and transactional writers share.

use std::sync::Arc;

use domain::Topic;
use eventlog::{Append, LogError};

use crate::lane::number;
use crate::names::TopicNames;
use crate::native::{NativeProducer, NativeRecord, Reports};
use crate::probe::Probe;
use crate::settings::Properties;

/// Where producers are made from: settings that stay the same over a restart of the producer.
#[derive(Clone)]
pub(crate) struct OutletPlan {
    pub(crate) names: Arc<TopicNames>,
    pub(crate) probe: Arc<Probe>,
    pub(crate) properties: Properties,
    pub(crate) reports: Reports,
}

pub(crate) struct Outlet {
    plan: OutletPlan,
    pub(crate) producer: NativeProducer,
    /// By topic code, once looked up: a record to a partition that does not exist is a mistake of
    /// the caller, and no delivery report should have to say so.
    partitions: [Option<u32>; Topic::ALL.len()],
}

impl Outlet {
    pub(crate) fn open(plan: OutletPlan) -> Result<Self, LogError> {
        let producer = NativeProducer::create(plan.reports, &plan.properties)?;
        Ok(Self { plan, producer, partitions: [None; Topic::ALL.len()] })
    }

    /// Queues a record; `record_number` comes back with its report.
    pub(crate) fn produce(
        &mut self,
        record: Append<'_>,
        record_number: usize,
    ) -> Result<(), LogError> {
        let topic = usize::from(record.to.topic.code());
        let partitions = match self.partitions.get(topic).copied().flatten() {
            Some(partitions) => partitions,
            None => self.open_topic(record.to.topic)?,
        };
        if record.to.partition.0 >= partitions {
            return Err(LogError::Halt(format!(
                "there is no {}: the topic has {partitions} partitions",
                record.to
            )));
        }
        let native = NativeRecord {
            partition: number(record.to.partition),
            key: record.key,
            value: record.value,
            headers: record.headers,
            number: record_number,
        };
        self.producer.produce(topic, native).map_err(|failure| failure.into_log_error("appending"))
    }

    #[cold]
    fn open_topic(&mut self, topic: Topic) -> Result<u32, LogError> {
        let partitions = self.plan.probe.partitions(topic)?.ok_or_else(|| {
            LogError::Halt(format!(
                "there is no topic {}: create it first",
                self.plan.names.text(topic)
            ))
        })?;
        let index = usize::from(topic.code());
        self.producer
            .open_topic(index, self.plan.names.of(topic))
            .map_err(|failure| failure.into_log_error("opening a topic"))?;
        if let Some(known) = self.partitions.get_mut(index) {
            *known = Some(partitions);
        }
        Ok(partitions)
    }
}
