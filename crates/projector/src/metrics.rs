//! The projector's metrics; a test pins the names.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// What the projector tells of itself.
#[derive(Clone, Debug)]
pub struct ProjectorMetrics {
    /// Rows stored, by table.
    pub rows: IntCounterVec,
    pub batches: IntCounter,
    /// From the first insert of a round to the last answer.
    pub insert_seconds: Histogram,
    /// Inserts whose outcome was not known, or that the server could not take then.
    pub retries: IntCounterVec,
    pub lag_records: IntGaugeVec,
    pub lag_milliseconds: IntGaugeVec,
    /// How long a wish to pause has been in force; 0 when there is none.
    pub paused_seconds: IntGauge,
}

impl ProjectorMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let gauges = |name: &str, help: &str| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), &["partition"])?)
        };
        Ok(Self {
            rows: counters("tally_projector_rows_total", "rows stored, by table", "table")?,
            batches: register(
                registry,
                IntCounter::new("tally_projector_batches_total", "batches stored")?,
            )?,
            insert_seconds: register(
                registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "tally_projector_insert_seconds",
                        "how long a round of inserts takes",
                    )
                    .buckets(vec![0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0]),
                )?,
            )?,
            retries: counters(
                "tally_projector_retries_total",
                "inserts sent again: unknown (no answer came) or busy (the server said so)",
                "why",
            )?,
            lag_records: gauges(
                "tally_projector_lag_records",
                "ledger records not yet in ClickHouse",
            )?,
            lag_milliseconds: gauges(
                "tally_projector_lag_milliseconds",
                "how far the tables are behind the clock while records wait",
            )?,
            paused_seconds: register(
                registry,
                IntGauge::new(
                    "tally_projector_paused_seconds",
                    "how long it has been asked to stand still for an exchange of tables; 0 when not",
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
    fn names_are_what_dashboards_know() {
        let registry = Registry::new();
        let metrics = ProjectorMetrics::new(&registry).unwrap();
        metrics.rows.with_label_values(&["usage_lines"]).inc();
        metrics.retries.with_label_values(&["unknown"]).inc();
        metrics.lag_records.with_label_values(&["0"]).set(1);
        metrics.lag_milliseconds.with_label_values(&["0"]).set(1);
        let names: Vec<String> =
            registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "tally_projector_batches_total",
                "tally_projector_insert_seconds",
                "tally_projector_lag_milliseconds",
                "tally_projector_lag_records",
                "tally_projector_paused_seconds",
                "tally_projector_retries_total",
                "tally_projector_rows_total",
            ]
        );
    }
}
