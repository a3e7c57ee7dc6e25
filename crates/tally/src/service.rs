//! The services of a process: a thread each, a watchdog over all, and one place where whatever
//! happens to them is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::failure::{Failure, failed};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The exit code of a process that its watchdog ended (BSD's EX_SOFTWARE).
const STALLED_EXIT_CODE: i32 = 70;

/// What the main thread waits for.
#[derive(Debug)]
pub(crate) enum Event {
    /// A person or a supervisor wants the process to end.
    Interrupted,
    /// A service returned before it was told to.
    Ended { name: &'static str, why: String },
}

/// A service in its thread.
#[derive(Debug)]
struct Service {
    name: &'static str,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    pulse: Pulse,
}

/// By which a watchdog sees that a service lives.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    name: &'static str,
    heartbeat: Arc<AtomicU64>,
    /// Returned, and not expected to move on.
    ended: Arc<AtomicBool>,
    patience: Duration,
}

/// What [`Services::start`] needs to know of a service.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) heartbeat: Arc<AtomicU64>,
    /// Without progress for so long, the process ends.
    pub(crate) patience: Duration,
}

/// The services of this process, in the order in which they were started.
#[derive(Debug)]
pub(crate) struct Services {
    running: Vec<Service>,
    tell: Sender<Event>,
    told: Receiver<Event>,
    /// Set while the process ends, so that a service that returns is expected to.
    ending: Arc<AtomicBool>,
}

impl Services {
    pub(crate) fn new() -> Self {
        let (tell, told) = channel();
        Self { running: Vec::new(), tell, told, ending: Arc::default() }
    }

    /// Where others report what happened.
    pub(crate) fn teller(&self) -> Sender<Event> {
        self.tell.clone()
    }

    /// Runs a service in a thread of its own until it is told to stop.
    pub(crate) fn start<E: std::fmt::Display>(
        &mut self,
        named: Named,
        run: impl FnOnce(&AtomicBool) -> Result<(), E> + Send + 'static,
    ) -> Result<(), Failure> {
        let Named { name, heartbeat, patience } = named;
        let stop = Arc::new(AtomicBool::new(false));
        let pulse = Pulse { name, heartbeat, ended: Arc::default(), patience };
        let (stop_here, ended) = (Arc::clone(&stop), Arc::clone(&pulse.ended));
        let (tell, ending) = (self.tell.clone(), Arc::clone(&self.ending));
        let body = move || {
            // A panic is an end as well, and must be told.
            let outcome =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&stop_here)));
            ended.store(true, Ordering::Release);
            let why = match outcome {
                Ok(Ok(())) if ending.load(Ordering::Acquire) => return,
                Ok(Ok(())) => "it returned without being told to".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".to_owned(),
            };
            tracing::error!(service = name, %why, "service ended");
            if tell.send(Event::Ended { name, why }).is_err() {
                tracing::debug!(service = name, "nobody waits any more");
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(failed(format!("starting the {name}")))?;
        self.running.push(Service { name, stop, thread, pulse });
        Ok(())
    }

    /// Ends the process when a service makes no progress. Nothing that has a stuck thread can be
    /// ended in order; what was acknowledged is in the log.
    pub(crate) fn watch(&self) -> Result<(), Failure> {
        let pulses = self.pulses();
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                let mut watch = Watch::new(&pulses, Instant::now());
                loop {
                    std::thread::sleep(LOOK_EVERY);
                    if let Some(name) = watch.stalled(&pulses, Instant::now()) {
                        tracing::error!(service = name, "no progress; ending the process");
                        std::process::exit(STALLED_EXIT_CODE);
                    }
                }
            })
            .map(drop)
            .map_err(failed("starting the watchdog"))
    }

    pub(crate) fn pulses(&self) -> Vec<Pulse> {
        self.running.iter().map(|service| service.pulse.clone()).collect()
    }

    /// The next event, when there is one within `wait`.
    pub(crate) fn next(&self, wait: Duration) -> Option<Event> {
        self.told.recv_timeout(wait).ok()
    }

    /// Tells the services to stop and waits for each, in the order in which they were started: what
    /// writes before what reads. Returns how those ended that did not end well.
    pub(crate) fn stop(self) -> Vec<String> {
        self.ending.store(true, Ordering::Release);
        for service in self.running {
            service.stop.store(true, Ordering::Release);
            if service.thread.join().is_err() {
                tracing::error!(service = service.name, "the thread panicked");
            }
        }
        self.told
            .try_iter()
            .filter_map(|event| match event {
                Event::Ended { name, why } => Some(format!("the {name} stopped: {why}")),
                Event::Interrupted => None,
            })
            .collect()
    }
}

impl Pulse {
    #[cfg(test)]
    fn of(name: &'static str, patience: Duration) -> Self {
        Self { name, heartbeat: Arc::default(), ended: Arc::default(), patience }
    }
}

/// What the watchdog remembers: per service its last beat, and since when it stands there.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Vec<(u64, Instant)>,
}

impl Watch {
    pub(crate) fn new(pulses: &[Pulse], now: Instant) -> Self {
        Self { seen: pulses.iter().map(|pulse| (pulse.beat(), now)).collect() }
    }

    /// The first service that has stood still for longer than its patience.
    pub(crate) fn stalled(&mut self, pulses: &[Pulse], now: Instant) -> Option<&'static str> {
        let mut stalled = None;
        for (pulse, (beat, since)) in pulses.iter().zip(&mut self.seen) {
            let current = pulse.beat();
            if current != *beat || pulse.ended.load(Ordering::Acquire) {
                (*beat, *since) = (current, now);
            } else if now.duration_since(*since) > pulse.patience {
                stalled = stalled.or(Some(pulse.name));
            }
        }
        stalled
    }
}

impl Pulse {
    fn beat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }
}

/// Sends [`Event::Interrupted`] at SIGINT and SIGTERM; a second signal ends the process at once.
pub(crate) fn watch_signals(tell: Sender<Event>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("waiting for signals"))?;
    // Installed before this returns: a signal that comes right after is not lost.
    let (mut interrupt, mut terminate) = {
        use tokio::signal::unix::{SignalKind, signal};
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt()).map_err(failed("waiting for SIGINT"))?,
            signal(SignalKind::terminate()).map_err(failed("waiting for SIGTERM"))?,
        )
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let mut signals = 0_u32;
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    signals += 1;
                    if signals > 1 || tell.send(Event::Interrupted).is_err() {
                        std::process::exit(130);
                    }
                }
            });
        })
        .map(drop)
        .map_err(failed("waiting for signals"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_stands_still_is_noticed_and_one_that_ended_is_not() {
        let patience = Duration::from_secs(30);
        let pulses = [Pulse::of("charger", patience), Pulse::of("projector", patience * 2)];
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut watch = Watch::new(&pulses, start);
        assert_eq!(watch.stalled(&pulses, at(30)), None);
        pulses[0].heartbeat.fetch_add(1, Ordering::Relaxed);
        assert_eq!(watch.stalled(&pulses, at(31)), None);
        assert_eq!(watch.stalled(&pulses, at(61)), Some("projector"));
        pulses[1].ended.store(true, Ordering::Release);
        assert_eq!(watch.stalled(&pulses, at(61)), None);
        assert_eq!(watch.stalled(&pulses, at(62)), Some("charger"));
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_told() {
        let mut services = Services::new();
        let named = |name| Named { name, heartbeat: Arc::default(), patience: Duration::MAX };
        services.start(named("failing"), |_| Err("the disk is full")).unwrap();
        let event = services.next(Duration::from_secs(10));
        assert!(
            matches!(&event, Some(Event::Ended { name: "failing", why }) if why == "the disk is full"),
            "{event:?}"
        );
        services
            .start(named("obedient"), |stop| {
                while !stop.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                Ok::<(), String>(())
            })
            .unwrap();
        assert_eq!(services.stop(), Vec::<String>::new());
    }

    #[test]
    fn a_panic_is_an_end() {
        let mut services = Services::new();
        let named = Named { name: "panicking", heartbeat: Arc::default(), patience: Duration::MAX };
        services.start(named, |_| -> Result<(), String> { panic!("on purpose") }).unwrap();
        assert!(matches!(services.next(Duration::from_secs(10)), Some(Event::Ended { .. })));
    }
}
