//! Follows the topic `access`: which endpoints there are.

use std::time::{Duration, Instant};

use access::{Access, Webhook};
use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{EventLog, LogError, Reader};
use wire::RecordError;

use crate::service::NotifierError;

const ACCESS: TopicPartition = TopicPartition { topic: Topic::Access, partition: Partition(0) };
const RECORDS_PER_POLL: usize = 1_000;
const POLL_WAIT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);
/// The clock that dates an endpoint and the one that dates an event may differ by so much. An
/// endpoint may be told of what happened this shortly before it was made; it misses nothing after.
const CLOCK_MARGIN_MICROS: i64 = 10_000_000;

pub(crate) struct Endpoints {
    reader: Box<dyn Reader>,
    access: Access,
}

impl Endpoints {
    pub(crate) fn start(log: &dyn EventLog) -> Result<Self, NotifierError> {
        let bounds = log.bounds(ACCESS)?;
        let reader = log.reader(&[(ACCESS, bounds.start)])?;
        let mut endpoints = Self { reader, access: Access::default() };
        endpoints.catch_up(log)?;
        Ok(endpoints)
    }

    /// Reads on to the end that there is now: an endpoint that was made before an event happened is
    /// known before the event is looked at.
    pub(crate) fn catch_up(&mut self, log: &dyn EventLog) -> Result<(), NotifierError> {
        let end = log.bounds(ACCESS)?.end;
        let deadline = Instant::now() + PATIENCE;
        while self.reader.position(ACCESS) < end {
            self.poll(POLL_WAIT)?;
            if Instant::now() > deadline {
                return Err(LogError::Unavailable("access was not read to its end".into()).into());
            }
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<(), NotifierError> {
        let mut failed: Option<(Offset, RecordError)> = None;
        let access = &mut self.access;
        self.reader.poll(RECORDS_PER_POLL, wait, &mut |record| match wire::decode_access(
            record.value,
        ) {
            Ok(change) if failed.is_none() => access.apply(change),
            Ok(_) => {}
            Err(why) => {
                failed.get_or_insert((record.offset, why));
            }
        })?;
        match failed {
            Some((offset, why)) => Err(NotifierError::Record { at: ACCESS, offset, why }),
            None => Ok(()),
        }
    }

    pub(crate) fn get(&self, webhook: &str) -> Option<&Webhook> {
        self.access.webhook(webhook)
    }

    /// Those that an event goes to. No list of types means all of them.
    pub(crate) fn wanting(
        &self,
        kind: &str,
        account: &str,
        appended_at: Timestamp,
    ) -> impl Iterator<Item = &str> {
        let wants = move |webhook: &Webhook| {
            let of_kind = webhook.events.is_empty() || webhook.events.iter().any(|one| one == kind);
            let of_account = webhook
                .accounts
                .as_ref()
                .is_none_or(|accounts| accounts.iter().any(|one| one == account));
            let made_before = appended_at >= webhook.created_at.plus_micros(-CLOCK_MARGIN_MICROS);
            webhook.enabled && of_kind && of_account && made_before
        };
        self.access.webhooks().filter(move |(_, webhook)| wants(webhook)).map(|(id, _)| id)
    }
}
