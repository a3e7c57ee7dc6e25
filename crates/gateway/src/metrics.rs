//! The gateway's metrics. A test pins the names: renaming one is a change that dashboards see.

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use replay::Report;

/// What the gateway tells of itself.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    /// Requests by route and status.
    pub requests: IntCounterVec,
    /// Seconds from a request's first byte to its answer's, by route.
    pub request_seconds: HistogramVec,
    /// Events and lines by what became of them: accepted or refused.
    pub events: IntCounterVec,
    /// Refused events by reason code.
    pub refusals: IntCounterVec,
    /// Commands by how they ended: applied, repeated, refused, bad_command, undecided.
    pub commands: IntCounterVec,
    /// What the last verification that looked at it found broken, by invariant and evidence.
    pub verify_broken: IntGaugeVec,
    /// How much it looked at.
    pub verify_checked: IntGaugeVec,
    /// When the last verification ended, in seconds since 1970, plain and deep.
    pub verify_ended: IntGaugeVec,
    /// Entries and endings that the last raw replay decided otherwise.
    pub raw_replay_different: IntGauge,
}

impl GatewayMetrics {
    /// Tells what a verification found.
    pub(crate) fn verified(&self, report: &Report, depth: &str, now_seconds: i64) {
        let mut sums = std::collections::BTreeMap::<(u8, &str), (u64, u64)>::new();
        for check in &report.checks {
            let sum = sums.entry((check.invariant, check.evidence.word())).or_default();
            sum.0 += check.broken;
            sum.1 += check.checked;
        }
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for ((invariant, evidence), (broken, checked)) in sums {
            let labels = [&invariant.to_string(), evidence];
            self.verify_broken.with_label_values(&labels).set(gauge(broken));
            self.verify_checked.with_label_values(&labels).set(gauge(checked));
        }
        self.verify_ended.with_label_values(&[depth]).set(now_seconds);
    }
}

impl GatewayMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let seconds = HistogramOpts::new(
            "tally_gateway_request_seconds",
            "seconds from a request's first byte to its answer's",
        )
        .buckets(prometheus::exponential_buckets(0.0005, 2.5, 13)?);
        Ok(Self {
            requests: counter(
                "tally_gateway_requests_total",
                "requests by route and status",
                &["route", "status"],
            )?,
            request_seconds: register(registry, HistogramVec::new(seconds, &["route"])?)?,
            events: counter(
                "tally_gateway_events_total",
                "events by what became of them",
                &["outcome"],
            )?,
            refusals: counter(
                "tally_gateway_refusals_total",
                "refused events by reason",
                &["reason"],
            )?,
            commands: counter(
                "tally_gateway_commands_total",
                "commands by how they ended",
                &["outcome"],
            )?,
            verify_broken: gauge(
                "tally_verify_broken",
                "what the last verification found broken, by invariant and evidence",
                &["invariant", "evidence"],
            )?,
            verify_checked: gauge(
                "tally_verify_checked",
                "how much the last verification looked at, by invariant and evidence",
                &["invariant", "evidence"],
            )?,
            verify_ended: gauge(
                "tally_verify_last_run_timestamp_seconds",
                "when the last verification ended, by depth",
                &["depth"],
            )?,
            raw_replay_different: register(
                registry,
                IntGauge::new(
                    "tally_raw_replay_different",
                    "entries and endings that the last raw replay decided otherwise",
                )?,
            )?,
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
        let metrics = GatewayMetrics::new(&registry).unwrap();
        metrics.requests.with_label_values(&["/v1/events", "202"]).inc();
        metrics.request_seconds.with_label_values(&["/v1/events"]).observe(0.1);
        metrics.events.with_label_values(&["accepted"]).inc();
        metrics.refusals.with_label_values(&["no_items"]).inc();
        metrics.commands.with_label_values(&["applied"]).inc();
        let mut check = replay::Check::new(7, "sums");
        check.note(Some("no".to_owned()));
        check.note(None);
        metrics.verified(&Report { checks: vec![check.clone(), check] }, "deep", 5);
        let found = |gauge: &IntGaugeVec| gauge.with_label_values(&["7", "ledger"]).get();
        assert_eq!((found(&metrics.verify_broken), found(&metrics.verify_checked)), (2, 4));
        let names: Vec<String> =
            registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "tally_gateway_commands_total",
                "tally_gateway_events_total",
                "tally_gateway_refusals_total",
                "tally_gateway_request_seconds",
                "tally_gateway_requests_total",
                "tally_raw_replay_different",
                "tally_verify_broken",
                "tally_verify_checked",
                "tally_verify_last_run_timestamp_seconds",
            ]
        );
    }
}
