//! The notifier's metrics. A test pins the names: renaming one is a change that alerts see.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// What the notifier tells of itself.
#[derive(Clone, Debug)]
pub struct NotifierMetrics {
    /// Tries by outcome: delivered, refused, unanswered, not_sent.
    pub attempts: IntCounterVec,
    /// Deliveries that were given up.
    pub given_up: IntCounter,
    /// Deliveries that wait or are under way.
    pub pending: IntGauge,
    /// Since when the oldest of them waits, in seconds.
    pub oldest_pending: Gauge,
    /// From a request's start to its answer, in seconds.
    pub attempt_seconds: Histogram,
}

impl NotifierMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = HistogramOpts::new(
            "tally_notifier_attempt_seconds",
            "seconds from a request to a webhook endpoint to its answer",
        )
        .buckets(prometheus::exponential_buckets(0.005, 2.5, 10)?);
        let attempts = IntCounterVec::new(
            Opts::new("tally_notifier_attempts_total", "tries to deliver an alert, by outcome"),
            &["outcome"],
        )?;
        Ok(Self {
            attempts: register(registry, attempts)?,
            given_up: register(
                registry,
                IntCounter::new("tally_notifier_given_up_total", "deliveries that were given up")?,
            )?,
            pending: register(
                registry,
                IntGauge::new("tally_notifier_pending", "deliveries that wait or are under way")?,
            )?,
            oldest_pending: register(
                registry,
                Gauge::new(
                    "tally_notifier_oldest_pending_seconds",
                    "since when the oldest pending delivery waits",
                )?,
            )?,
            attempt_seconds: register(registry, Histogram::with_opts(seconds)?)?,
        })
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_these() {
        let registry = Registry::new();
        let metrics = NotifierMetrics::new(&registry).unwrap();
        metrics.attempts.with_label_values(&["delivered"]).inc();
        let names: Vec<String> =
            registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "tally_notifier_attempt_seconds",
                "tally_notifier_attempts_total",
                "tally_notifier_given_up_total",
                "tally_notifier_oldest_pending_seconds",
                "tally_notifier_pending",
            ]
        );
    }
}
