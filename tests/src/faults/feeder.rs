//! The producer: sends a load at its pace, whatever happens to the broker, and keeps a little traffic
//! going until it is told to stop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use domain::{Partition, Topic, TopicPartition, partition_of};
use eventlog::EventLog;
use eventlog_kafka::KafkaLog;

use crate::ledger_tail::LedgerTail;
use crate::load::{Load, Meaning};
use crate::random::Random;
use crate::service::send;

const LINES_PER_FLUSH_MIN: usize = 60;
const LINES_PER_FLUSH_MAX: usize = 500;
/// A broker may be away for so long.
/// A request that takes longer is sent again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(180);
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// Between the first lines, which only show that everybody works.
const TRICKLE_PAUSE: Duration = Duration::from_millis(200);
/// Between the lines that are sent again, once all were sent.
const AFTERWARDS_PAUSE: Duration = Duration::from_millis(60);
const AFTERWARDS_LINES: usize = 8;

#[derive(Debug)]
struct Shared {
    sent: AtomicUsize,
    under_way: AtomicBool,
    stop: AtomicBool,
    /// It gave up, or has sent everything and stopped.
    ended: AtomicBool,
    failed: Mutex<Option<anyhow::Error>>,
}

/// The API that a part of the load is sent through.
#[derive(Clone, Debug)]
pub struct Posting {
    pub url: String,
    pub key_file: PathBuf,
}

/// A thread that sends.
#[derive(Debug)]
pub struct Feeder {
    shared: Arc<Shared>,
    bursts: Sender<Vec<usize>>,
    thread: Option<JoinHandle<()>>,
    total: usize,
}

impl Feeder {
    /// Sends the load's catalogue at once, then a trickle, and the rest over `within` as soon as it is told that
    /// everybody works: however long a loaded machine takes to start, the faults meet the load.
    pub fn start(
        log: Arc<KafkaLog>,
        load: Arc<Load>,
        within: Duration,
        posting: Option<Posting>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            sent: AtomicUsize::new(0),
            under_way: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            failed: Mutex::new(None),
        });
        let (bursts, queue) = channel();
        let total = load.lines.len();
        let for_thread = Arc::clone(&shared);
        let client = testkit::http_client(ANSWER_PATIENCE)?;
        let thread = thread::spawn(move || {
            let work = Work { log, load, shared: &for_thread, queue, posting, client };
            if let Err(error) = work.run(within) {
                *for_thread.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            for_thread.ended.store(true, Ordering::Release);
        });
        Ok(Self { shared, bursts, thread: Some(thread), total })
    }

    /// Everybody works: the load's time begins.
    pub fn hurry(&self) {
        self.shared.under_way.store(true, Ordering::Release);
    }

    /// Lines of the load that were sent.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::Acquire)
    }

    /// Whether every line was sent.
    pub fn is_through(&self) -> bool {
        self.sent() >= self.total
    }

    /// Sends these lines once more, all of which were sent before.
    ///
    /// # Errors
    /// When the producer has ended.
    pub fn again(&self, lines: Vec<usize>) -> anyhow::Result<()> {
        self.bursts.send(lines).map_err(|_| anyhow!("the producer ended"))
    }

    /// # Errors
    /// What it could not send.
    pub fn must_run(&self) -> anyhow::Result<()> {
        let failed = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)
    }

    /// Sends what is left of the load, and ends.
    ///
    /// # Errors
    /// What it could not send.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow!("the producer panicked"))?;
        }
        self.must_run()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// From so many lines sent to all of them, evenly over a time.
struct Pace {
    began: Instant,
    sent: usize,
    total: usize,
    within: Duration,
}

impl Pace {
    fn early_by(&self, sent: usize) -> Duration {
        let share = (sent - self.sent) as f64 / (self.total - self.sent).max(1) as f64;
        self.within.mul_f64(share).saturating_sub(self.began.elapsed())
    }
}

struct Work<'s> {
    log: Arc<KafkaLog>,
    load: Arc<Load>,
    shared: &'s Shared,
    queue: Receiver<Vec<usize>>,
    posting: Option<Posting>,
    client: reqwest::blocking::Client,
}

impl Work<'_> {
    fn run(&self, within: Duration) -> anyhow::Result<()> {
        let total = self.load.lines.len();
        let mut pace = None;
        let at_once = (total / 500).clamp(LINES_PER_FLUSH_MIN, LINES_PER_FLUSH_MAX);
        let mut tail = None;
        let mut sent = 0;
        while sent < total {
            while let Ok(lines) = self.queue.try_recv() {
                self.deliver(&lines)?;
            }
            // A version of the rate card ends a batch: usage that it prices comes after its adoption. So does the
            // opening, of which no event may meet a half.
            let opening = self.load.opening;
            let end = if sent < opening { opening } else { total };
            let next = &self.load.lines[sent..end.min(sent + at_once)];
            let prices = |line: &crate::load::Line| line.meaning == Meaning::Catalogue;
            let count = match next.iter().position(prices) {
                Some(0) => 1,
                Some(before) => before,
                None => next.len(),
            };
            let published = count == 1 && prices(&next[0]);
            self.deliver(&(sent..sent + count).collect::<Vec<_>>())?;
            sent += count;
            self.shared.sent.store(sent, Ordering::Release);
            let later = published && self.load.terms.cards > 0 && sent > opening;
            if later || sent == opening {
                self.wait_for_adoption(&mut tail)?;
            }
            if pace.is_none() && self.shared.under_way.load(Ordering::Acquire) {
                pace = Some(Pace { began: Instant::now(), sent, total, within });
            }
            if !self.shared.stop.load(Ordering::Acquire) {
                thread::sleep(pace.as_ref().map_or(TRICKLE_PAUSE, |pace| pace.early_by(sent)));
            }
        }
        let mut random = Random::new(self.load.terms.seed);
        while !self.shared.stop.load(Ordering::Acquire) {
            while let Ok(lines) = self.queue.try_recv() {
                self.deliver(&lines)?;
            }
            let lines = (0..AFTERWARDS_LINES).map(|_| random.below(total as u64) as usize);
            self.deliver(&lines.filter(|line| self.may_repeat(*line)).collect::<Vec<_>>())?;
            thread::sleep(AFTERWARDS_PAUSE);
        }
        Ok(())
    }

    /// A version of the catalogue is published once.
    fn may_repeat(&self, line: usize) -> bool {
        self.load.lines[line].meaning != Meaning::Catalogue
    }

    /// Until the broker has them: some perhaps twice, as it happens to producers.
    fn deliver(&self, lines: &[usize]) -> anyhow::Result<()> {
        let (posted, produced): (Vec<usize>, Vec<usize>) =
            lines.iter().partition(|line| self.is_posted(**line));
        self.insist(|| self.try_post(&posted))?;
        self.insist(|| self.try_deliver(&produced))
    }

    fn insist(&self, send: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = send() {
            tracing::debug!(%error, "producing again");
            if Instant::now() > deadline {
                return Err(error.context("nobody takes the load"));
            }
            thread::sleep(RETRY_WAIT);
        }
        Ok(())
    }

    /// Every other event in JSON that goes to where its account lives, as the API would send it.
    fn is_posted(&self, number: usize) -> bool {
        let Some(line) = self.load.lines.get(number) else { return false };
        let is_event = matches!(line.meaning, Meaning::Event(_));
        let home = partition_of(&line.key, self.load.terms.partitions);
        self.posting.is_some()
            && is_event
            && number.is_multiple_of(2)
            && line.to.partition == home
            && line.value.starts_with(b"{")
    }

    /// Until the API has said that it has them.
    fn try_post(&self, lines: &[usize]) -> anyhow::Result<()> {
        let Some(posting) = self.posting.as_ref().filter(|_| !lines.is_empty()) else {
            return Ok(());
        };
        let key = std::fs::read_to_string(&posting.key_file)?;
        let mut body = Vec::new();
        for line in lines {
            body.extend_from_slice(&self.load.lines[*line].value);
            body.push(b'\n');
        }
        let request = self.client.post(format!("{}/v1/ingest", posting.url)).body(body);
        request.bearer_auth(key.trim()).send()?.error_for_status()?;
        Ok(())
    }

    fn try_deliver(&self, lines: &[usize]) -> anyhow::Result<()> {
        thread_local! {
            static APPENDER: std::cell::RefCell<Option<Box<dyn eventlog::Appender>>> =
                const { std::cell::RefCell::new(None) };
        }
        if lines.is_empty() {
            return Ok(());
        }
        APPENDER.with_borrow_mut(|slot| {
            let mut appender = match slot.take() {
                Some(appender) => appender,
                None => self.log.appender()?,
            };
            for line in lines {
                let planned = self.load.lines.get(*line).context("no such line")?;
                send(appender.as_mut(), *line, planned.to, &planned.key, &planned.value)?;
            }
            appender.flush()?;
            // Kept only when it is well.
            *slot = Some(appender);
            Ok(())
        })
    }

    fn wait_for_adoption(&self, tail: &mut Option<LedgerTail>) -> anyhow::Result<()> {
        let catalogue = TopicPartition { topic: Topic::RatesCatalog, partition: Partition(0) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let adopted = self.adopted(tail, catalogue);
            match adopted {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The broker may be away.
                Err(error) => {
                    tracing::debug!(%error, "asking again");
                    *tail = None;
                    thread::sleep(RETRY_WAIT);
                }
            }
            if Instant::now() > deadline || self.shared.stop.load(Ordering::Acquire) {
                bail!("a version of the rate card is not adopted");
            }
        }
    }

    fn adopted(
        &self,
        tail: &mut Option<LedgerTail>,
        catalogue: TopicPartition,
    ) -> anyhow::Result<bool> {
        let partitions = self.load.terms.partitions;
        let end = self.log.bounds(catalogue)?.stable_end;
        if tail.is_none() {
            *tail = Some(LedgerTail::open(self.log.as_ref(), partitions)?);
        }
        let Some(tail) = tail else { return Ok(false) };
        tail.read_on()?;
        let has = |partition| tail.adopted.get(&Partition(partition)).is_some_and(|at| *at >= end);
        Ok((0..partitions).all(has))
    }
}
