//! One stay in the group: rounds of reading, writing, sending and committing, in this order. What
//! came of requests is written before anything is sent, and read back before it counts; a position
//! is committed last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender as Results, channel};
use std::time::{Duration, Instant};

use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{
    Append, Appender, Assignment, CommitOutcome, Lane, LogError, Member, MemberSpec, Position,
    Reader,
};
use tokio::runtime::Handle;
use wire::{AttemptOutcome, DeliveryChange, DeliveryRecord, EventPlace, RecordError};

use crate::body::{event_id, event_json};
use crate::endpoints::Endpoints;
use crate::outbox::{Outbox, Retry, Sending, Taken, Tried};
use crate::send::{Answer, Outgoing, Sender};
use crate::service::{DELIVERIES, Notifier, NotifierError};

const RECORDS_PER_POLL: usize = 1_000;
const IDLE_WAIT: Duration = Duration::from_millis(20);
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(60);
const COMMIT_EVERY: Duration = Duration::from_millis(250);
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// How long an orderly stop waits for requests under way.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A request, and what came back.
type Ended = (Sending, Answer);

pub(crate) struct Session<'n> {
    notifier: &'n Notifier,
    runtime: Handle,
    sender: Sender,
    member: Box<dyn Member>,
    endpoints: Endpoints,
    /// Reads `webhook.deliveries` behind everybody who writes there, ourselves included.
    written: Box<dyn Reader>,
    appender: Box<dyn Appender>,
    outbox: Outbox,
    results: (Results<Ended>, Receiver<Ended>),
    under_way: usize,
    /// To be written in this round.
    records: Vec<DeliveryRecord>,
    committed: BTreeMap<Partition, Offset>,
    committed_at: Instant,
    measured_at: Option<Instant>,
}

impl<'n> Session<'n> {
    pub(crate) fn join(
        notifier: &'n Notifier,
        runtime: Handle,
        sender: Sender,
    ) -> Result<Self, NotifierError> {
        let log = notifier.log.as_ref();
        let member = log.join(&MemberSpec {
            group: notifier.settings.group.clone(),
            topics: vec![(Topic::AccountEvents, Lane::Bulk)],
            writer: None,
        })?;
        // What is before is read when a partition is taken over.
        let end = log.bounds(DELIVERIES)?.stable_end;
        Ok(Self {
            notifier,
            runtime,
            sender,
            member,
            endpoints: Endpoints::start(log)?,
            written: log.reader(&[(DELIVERIES, end)])?,
            appender: log.appender()?,
            outbox: Outbox::new(notifier.settings.limits),
            results: channel(),
            under_way: 0,
            records: Vec::new(),
            committed: BTreeMap::new(),
            committed_at: Instant::now(),
            measured_at: None,
        })
    }

    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<(), NotifierError> {
        while !stop.load(Ordering::Relaxed) {
            self.notifier.heartbeat.fetch_add(1, Ordering::Relaxed);
            self.round()?;
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.under_way > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((send, answer)) = self.results.1.recv_timeout(left) else { break };
            self.ended(&send, answer);
        }
        self.write()?;
        self.read_back(Duration::ZERO)?;
        self.commit()
    }

    fn round(&mut self) -> Result<(), NotifierError> {
        let mut events = Vec::new();
        let polled = self.member.poll(Lane::Bulk, RECORDS_PER_POLL, IDLE_WAIT, &mut |record| {
            let place = EventPlace { partition: record.at.partition, offset: record.offset };
            events.push((place, record.appended_at, Arc::<[u8]>::from(record.value)));
        })?;
        self.endpoints.catch_up(self.notifier.log.as_ref())?;
        let endpoints = &self.endpoints;
        self.outbox.retain(|webhook| endpoints.get(webhook).is_some());
        for (place, appended_at, event) in events {
            self.take(place, appended_at, event)?;
        }
        for assignment in polled.assignments {
            self.assign(assignment)?;
        }
        while let Ok((send, answer)) = self.results.1.try_recv() {
            self.ended(&send, answer);
        }
        self.write()?;
        self.read_back(Duration::ZERO)?;
        self.send_due();
        if self.committed_at.elapsed() >= COMMIT_EVERY {
            self.commit()?;
        }
        self.measure();
        Ok(())
    }

    fn take(
        &mut self,
        place: EventPlace,
        appended_at: Timestamp,
        event: Arc<[u8]>,
    ) -> Result<(), NotifierError> {
        let at = TopicPartition { topic: Topic::AccountEvents, partition: place.partition };
        let read = wire::decode_account_event(&event).map_err(|why| NotifierError::Record {
            at,
            offset: place.offset,
            why,
        })?;
        let wanting = self.endpoints.wanting(read.what.kind(), &read.account, appended_at);
        let wanting: Vec<&str> = wanting.collect();
        let (account, number) = (Arc::from(&*read.account), read.number);
        let taken = Taken { place, appended_at, account, number, event: Arc::clone(&event) };
        self.records.extend(self.outbox.take(&taken, &wanting, (self.notifier.now)()));
        Ok(())
    }

    fn assign(&mut self, assignment: Assignment) -> Result<(), NotifierError> {
        match assignment {
            Assignment::Gained(partitions) => self.take_over(&partitions),
            Assignment::Revoked(partitions) => {
                self.commit()?;
                self.give_up(&partitions)
            }
            Assignment::Lost(partitions) => self.give_up(&partitions),
        }
    }

    fn give_up(&mut self, partitions: &[Partition]) -> Result<(), NotifierError> {
        for partition in partitions {
            self.outbox.release(*partition);
            self.committed.remove(partition);
        }
        Ok(self.member.release(partitions)?)
    }

    /// Makes again what is pending, of all records that there are, and then reads events on.
    fn take_over(&mut self, partitions: &[Partition]) -> Result<(), NotifierError> {
        let log = Arc::clone(&self.notifier.log);
        // Before these partitions are ours, so that the reader behind everybody passes over their
        // records; those up to there are read once, from the start.
        self.read_back(CATCH_UP_PATIENCE)?;
        let to = self.written.position(DELIVERIES);
        let mut starts = Vec::new();
        for &partition in partitions {
            let at = TopicPartition { topic: Topic::AccountEvents, partition };
            let start = log.bounds(at)?.start;
            let committed = self.member.committed(partition)?.into_iter().find_map(|one| one.next);
            if let Some(next) = committed.filter(|next| *next < start) {
                tracing::error!(%at, %next, %start, "events were deleted before they were delivered");
            }
            let from = committed.unwrap_or(start).max(start);
            self.outbox.gain(partition, from);
            self.committed.insert(partition, from);
            starts.push((partition, from));
        }
        let start = log.bounds(DELIVERIES)?.start;
        let mut reader = log.reader(&[(DELIVERIES, start)])?;
        let deadline = Instant::now() + CATCH_UP_PATIENCE;
        while reader.position(DELIVERIES) < to {
            let outbox = &mut self.outbox;
            let is_gained = |place: EventPlace| partitions.contains(&place.partition);
            fold(reader.as_mut(), IDLE_WAIT, &mut |offset, record| {
                if offset < to && is_gained(record.place) {
                    outbox.fold(&record);
                }
            })?;
            self.notifier.heartbeat.fetch_add(1, Ordering::Relaxed);
            late(deadline)?;
        }
        let endpoints = &self.endpoints;
        self.outbox.retain(|webhook| endpoints.get(webhook).is_some());
        for (partition, from) in starts {
            self.member.start(partition, &[(Topic::AccountEvents, from)])?;
            tracing::info!(%partition, %from, "partition taken over");
        }
        Ok(())
    }

    /// Folds what has been written. With patience: to the end that there is now.
    fn read_back(&mut self, patience: Duration) -> Result<(), NotifierError> {
        let end = match patience.is_zero() {
            true => Offset::ZERO,
            false => self.notifier.log.bounds(DELIVERIES)?.stable_end,
        };
        let deadline = Instant::now() + patience;
        let wait = if patience.is_zero() { Duration::ZERO } else { IDLE_WAIT };
        loop {
            let outbox = &mut self.outbox;
            let count = fold(self.written.as_mut(), wait, &mut |_, record| outbox.fold(&record))?;
            if count == 0 && self.written.position(DELIVERIES) >= end {
                return Ok(());
            }
            if !patience.is_zero() {
                late(deadline)?;
            }
        }
    }

    /// Makes everything durable that this round has to say.
    fn write(&mut self) -> Result<(), NotifierError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let mut value = Vec::new();
        for record in self.records.drain(..) {
            value.clear();
            wire::encode_delivery(&record, &mut value);
            let key = record.webhook.as_bytes();
            self.appender.append(Append { to: DELIVERIES, key, value: &value, headers: &[] })?;
        }
        self.appender.flush()?;
        Ok(())
    }

    fn send_due(&mut self) {
        let now = (self.notifier.now)();
        for send in self.outbox.due(now) {
            self.under_way += 1;
            let outgoing = match self.outgoing(&send) {
                Ok(outgoing) => outgoing,
                Err(why) => {
                    let outcome = AttemptOutcome::NotSent { why };
                    let tried = Tried { outcome, took_ms: 0, retry: Retry::Never };
                    self.note(&send, tried);
                    continue;
                }
            };
            let (sender, results) = (self.sender.clone(), self.results.0.clone());
            self.runtime.spawn(async move {
                let answer = sender.post(&outgoing).await;
                if results.send((send, answer)).is_err() {
                    tracing::debug!("the session is over; it is sent again by the next one");
                }
            });
        }
    }

    /// The request, or why it is not to be made.
    fn outgoing(&self, send: &Sending) -> Result<Outgoing, String> {
        let webhook = self.endpoints.get(&send.webhook).ok_or("the endpoint is gone")?;
        if !webhook.enabled {
            return Err("the endpoint is disabled".to_owned());
        }
        let event = wire::decode_account_event(&send.event.event)
            .map_err(|error| format!("its record cannot be read: {error}"))?;
        let body = event_json(&event, send.event.place.partition).map_err(|why| why.to_string())?;
        Ok(Outgoing {
            url: webhook.url.clone(),
            id: event_id(&event.account, event.number),
            body,
            secrets: webhook.secrets.clone(),
            at: (self.notifier.now)(),
        })
    }

    fn ended(&mut self, send: &Sending, answer: Answer) {
        self.notifier.metrics.attempt_seconds.observe(f64::from(answer.took_ms) / 1_000.0);
        if answer.outcome == (AttemptOutcome::Answered { status: 410 }) {
            // It says that it is gone for good; whether it is, is for a person to say.
            tracing::warn!(webhook = %send.webhook, "an endpoint answers 410 Gone: remove it, or mend it");
        }
        let retry = Retry::BySchedule { not_before: answer.retry_after };
        self.note(send, Tried { outcome: answer.outcome, took_ms: answer.took_ms, retry });
    }

    /// What came of a request, to be written in the next round.
    fn note(&mut self, send: &Sending, tried: Tried) {
        self.under_way -= 1;
        let record = self.outbox.finish(send, tried, (self.notifier.now)());
        self.count(&record);
        self.records.push(record);
    }

    fn count(&self, record: &DeliveryRecord) {
        let DeliveryChange::Attempted(attempt) = &record.change else { return };
        let delivered = attempt.outcome.is_delivered();
        let word = match &attempt.outcome {
            AttemptOutcome::Answered { .. } if delivered => "delivered",
            AttemptOutcome::Answered { .. } => "refused",
            AttemptOutcome::Unanswered { .. } => "unanswered",
            AttemptOutcome::NotSent { .. } => "not_sent",
        };
        self.notifier.metrics.attempts.with_label_values(&[word]).inc();
        if !delivered && attempt.next_at.is_none() {
            self.notifier.metrics.given_up.inc();
            let (webhook, delivery) = (&record.webhook, record.place);
            tracing::warn!(%webhook, %delivery, attempts = attempt.attempt, "an alert was given up");
        }
    }

    fn commit(&mut self) -> Result<(), NotifierError> {
        self.committed_at = Instant::now();
        let mut positions = Vec::new();
        for (&partition, &before) in &self.committed {
            let position = self.outbox.position(partition).filter(|position| *position != before);
            positions.extend(position.map(|next| Position {
                at: TopicPartition { topic: Topic::AccountEvents, partition },
                next,
                metadata: String::new(),
            }));
        }
        if positions.is_empty() {
            return Ok(());
        }
        match self.member.commit(&positions) {
            CommitOutcome::Committed => {
                for Position { at, next, .. } in positions {
                    self.outbox.committed(at.partition, next);
                    self.committed.insert(at.partition, next);
                }
                Ok(())
            }
            // An old position costs reading again, and nothing else.
            CommitOutcome::Aborted(why) | CommitOutcome::Unknown(why) => {
                tracing::debug!(%why, "the position was not committed; it will be with the next one");
                Ok(())
            }
            CommitOutcome::Fenced(why) => Err(NotifierError::Fenced(why)),
        }
    }

    fn measure(&mut self) {
        if self.measured_at.is_some_and(|at| at.elapsed() < MEASURE_EVERY) {
            return;
        }
        self.measured_at = Some(Instant::now());
        let (count, oldest) = self.outbox.waiting();
        let age = oldest.map_or(0, |since| (self.notifier.now)().since(since).max(0) / 1_000);
        let metrics = &self.notifier.metrics;
        metrics.pending.set(i64::try_from(count).unwrap_or(i64::MAX));
        metrics.oldest_pending.set(f64::from(u32::try_from(age).unwrap_or(u32::MAX)) / 1_000.0);
    }
}

/// Visits the next records of `webhook.deliveries`. Returns how many there were.
fn fold(
    reader: &mut dyn Reader,
    wait: Duration,
    visit: &mut dyn FnMut(Offset, DeliveryRecord),
) -> Result<usize, NotifierError> {
    let mut failed: Option<(Offset, RecordError)> = None;
    let count = reader.poll(RECORDS_PER_POLL, wait, &mut |record| match wire::decode_delivery(
        record.value,
    ) {
        Ok(delivery) if failed.is_none() => visit(record.offset, delivery),
        Ok(_) => {}
        Err(why) => {
            failed.get_or_insert((record.offset, why));
        }
    })?;
    match failed {
        Some((offset, why)) => Err(NotifierError::Record { at: DELIVERIES, offset, why }),
        None => Ok(count),
    }
}

fn late(deadline: Instant) -> Result<(), NotifierError> {
    match Instant::now() > deadline {
        true => {
            let why = "webhook.deliveries was not read to its end".to_owned();
            Err(LogError::Unavailable(why).into())
        }
        false => Ok(()),
    }
}
