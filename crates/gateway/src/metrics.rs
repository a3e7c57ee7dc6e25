//! The gateway's metrics. A test pins the names: renaming one is a change that dashboards see.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

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
            ]
        );
    }
}
