//! Appending outside transactions, with the offset of every record.

use std::time::Duration;

use domain::Offset;
use eventlog::{Append, Appender, LogError};

use crate::outlet::Outlet;

/// Longer than a record lives in the producer, so that a flush ends with an answer for each.
const FLUSH_WAIT: Duration = Duration::from_secs(130);

pub(crate) struct KafkaAppender {
    outlet: Outlet,
    /// Records queued since the last flush.
    queued: usize,
    /// A flush gave up with records still under way; their late reports would be taken for others'.
    given_up: bool,
}

impl KafkaAppender {
    pub(crate) fn new(outlet: Outlet) -> Self {
        Self { outlet, queued: 0, given_up: false }
    }
}

impl Appender for KafkaAppender {
    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        if self.given_up {
            return Err(LogError::Unavailable("this appender gave up; make a new one".to_owned()));
        }
        self.outlet.produce(record, self.queued)?;
        self.queued += 1;
        Ok(())
    }

    /// After an error, records since the last flush may or may not be in the log: the client had
    /// stopped trying.
    fn flush(&mut self) -> Result<Vec<Offset>, LogError> {
        let producer = &self.outlet.producer;
        let flushed = producer.flush(FLUSH_WAIT);
        self.given_up |= flushed.is_err();
        let queued = std::mem::take(&mut self.queued);
        // Every report has been counted: a record leaves the queue only after its report.
        let offsets = producer.deliveries.take_offsets();
        if let Some(failure) = producer.deliveries.take_failure() {
            return Err(failure.into_log_error("appending"));
        }
        flushed.map_err(|failure| failure.into_log_error("flushing"))?;
        let offsets: Vec<Offset> = offsets.into_iter().flatten().collect();
        if offsets.len() == queued {
            Ok(offsets)
        } else {
            Err(LogError::Unavailable(format!(
                "{} of {queued} appended records were reported",
                offsets.len()
            )))
        }
    }
}
