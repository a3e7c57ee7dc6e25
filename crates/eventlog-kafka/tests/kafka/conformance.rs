//! The suite that every log passes, on a real broker.

use std::sync::Arc;
use std::time::Duration;

use eventlog::EventLog;
use eventlog::conformance::{CHECKS, Capabilities, Stage};
use eventlog_kafka::{KafkaLog, KafkaSettings};

/// Checks that run side by side; they are mostly waiting for group rebalances.
const THREADS: usize = 4;

#[test]
fn kafka_keeps_every_promise() {
    let bootstrap = testkit::Kafka::shared().unwrap().bootstrap();
    let capabilities = Capabilities { several_members: true, patience: Duration::from_secs(120) };
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some((name, check)) = CHECKS.get(index) else { break };
                    // Each check has a log of its own: topics, groups and writers under its name.
                    let mut settings = KafkaSettings::single_broker(&bootstrap);
                    settings.prefix = format!("{name}.");
                    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(settings).unwrap());
                    let started = std::time::Instant::now();
                    println!("conformance: {name}");
                    check(&Stage { log, capabilities });
                    println!("conformance: {name} passed in {:?}", started.elapsed());
                }
            });
        }
    });
}
