//! The charger's metrics. A test pins the names: renaming one is a change that dashboards see.

use domain::Partition;
use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector,
};

/// What the charger tells of itself.
#[derive(Clone, Debug)]
pub struct ChargerMetrics {
    /// Inputs by how they ended.
    pub outcomes: IntCounterVec,
    /// Inputs that did not become a plain debit, by reason code.
    pub reasons: IntCounterVec,
    /// Commits by how they ended: committed, aborted, unknown, fenced.
    pub commits: IntCounterVec,
    pub commit_seconds: Histogram,
    pub batch_inputs: Histogram,
    pub lag_records: IntGaugeVec,
    /// Ledger time behind the clock, in milliseconds, per partition.
    pub lag_milliseconds: IntGaugeVec,
    pub accounts: IntGaugeVec,
    pub unrated_waiting: IntGaugeVec,
    pub identity_hot: IntGaugeVec,
    pub identity_cold: IntGaugeVec,
    pub identity_bytes: IntGaugeVec,
    pub snapshot_age_inputs: IntGaugeVec,
    pub recovery_milliseconds: IntGaugeVec,
    /// 1 while a partition is halted and waits for a person.
    pub halted: IntGaugeVec,
    /// 1 with why a partition waits for a person, in words.
    pub halt_reason: IntGaugeVec,
    pub catalogue_offset: IntGaugeVec,
}

impl ChargerMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let gauge = |name: &str, help: &str| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), &["partition"])?)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let options = HistogramOpts::new(name, help).buckets(buckets);
            register(registry, Histogram::with_opts(options)?)
        };
        Ok(Self {
            outcomes: counter("tally_charger_inputs_total", "inputs by how they ended", "outcome")?,
            reasons: counter(
                "tally_charger_reasons_total",
                "inputs that did not become a plain debit, and refused commands, by reason code",
                "reason",
            )?,
            commits: counter(
                "tally_charger_commits_total",
                "commits by how they ended",
                "outcome",
            )?,
            commit_seconds: histogram(
                "tally_charger_commit_seconds",
                "how long commits take",
                vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
            )?,
            batch_inputs: histogram(
                "tally_charger_batch_inputs",
                "inputs per commit",
                vec![1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0],
            )?,
            lag_records: gauge("tally_charger_lag_records", "input records not yet taken")?,
            lag_milliseconds: gauge(
                "tally_charger_lag_milliseconds",
                "how far ledger time is behind the clock while inputs wait",
            )?,
            accounts: gauge("tally_charger_accounts", "accounts in memory")?,
            unrated_waiting: gauge(
                "tally_charger_unrated_waiting",
                "events that wait for a price",
            )?,
            identity_hot: gauge("tally_charger_identity_hot", "identities in memory")?,
            identity_cold: gauge("tally_charger_identity_cold", "identities in sorted runs")?,
            identity_bytes: gauge(
                "tally_charger_identity_bytes",
                "memory of the identity index, its filters included",
            )?,
            snapshot_age_inputs: gauge(
                "tally_charger_snapshot_age_inputs",
                "inputs since the last snapshot",
            )?,
            recovery_milliseconds: gauge(
                "tally_charger_recovery_milliseconds",
                "how long the last take-over took",
            )?,
            halted: gauge("tally_charger_halted", "1 while the partition waits for a person")?,
            halt_reason: register(
                registry,
                IntGaugeVec::new(
                    Opts::new("tally_charger_halt_reason", "why a partition waits for a person"),
                    &["partition", "reason"],
                )?,
            )?,
            catalogue_offset: gauge(
                "tally_charger_catalogue_offset",
                "the next offset of the catalogue in use",
            )?,
        })
    }
}

impl ChargerMetrics {
    /// Takes away what was said of a partition that is somebody else's now.
    pub fn forget(&self, partition: Partition) {
        let partition = partition.to_string();
        for gauge in [
            &self.lag_records,
            &self.lag_milliseconds,
            &self.accounts,
            &self.unrated_waiting,
            &self.identity_hot,
            &self.identity_cold,
            &self.identity_bytes,
            &self.snapshot_age_inputs,
            &self.recovery_milliseconds,
            &self.halted,
            &self.catalogue_offset,
        ] {
            // It was never set when the partition was given up at once.
            gauge.remove_label_values(&[&partition]).ok();
        }
        self.tell_halt(&partition, None);
    }

    /// Says why a partition waits for a person, or that it does not.
    pub(crate) fn tell_halt(&self, partition: &str, why: Option<&str>) {
        for family in self.halt_reason.collect() {
            for metric in family.get_metric() {
                let said: Vec<&str> = metric.get_label().iter().map(|pair| pair.value()).collect();
                if said.first() == Some(&partition) {
                    // Somebody else may have taken it away meanwhile.
                    self.halt_reason.remove_label_values(&said).ok();
                }
            }
        }
        if let Some(why) = why {
            self.halt_reason.with_label_values(&[partition, why]).set(1);
        }
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
        let metrics = ChargerMetrics::new(&registry).unwrap();
        metrics.outcomes.with_label_values(&["debit"]).inc();
        metrics.reasons.with_label_values(&["no_rule"]).inc();
        metrics.commits.with_label_values(&["committed"]).inc();
        for gauge in [
            &metrics.lag_records,
            &metrics.lag_milliseconds,
            &metrics.accounts,
            &metrics.unrated_waiting,
            &metrics.identity_hot,
            &metrics.identity_cold,
            &metrics.identity_bytes,
            &metrics.snapshot_age_inputs,
            &metrics.recovery_milliseconds,
            &metrics.halted,
            &metrics.catalogue_offset,
        ] {
            gauge.with_label_values(&["0"]).set(1);
        }
        metrics.halt_reason.with_label_values(&["0", "a word"]).set(1);
        let names: Vec<String> =
            registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "tally_charger_accounts",
                "tally_charger_batch_inputs",
                "tally_charger_catalogue_offset",
                "tally_charger_commit_seconds",
                "tally_charger_commits_total",
                "tally_charger_halt_reason",
                "tally_charger_halted",
                "tally_charger_identity_bytes",
                "tally_charger_identity_cold",
                "tally_charger_identity_hot",
                "tally_charger_inputs_total",
                "tally_charger_lag_milliseconds",
                "tally_charger_lag_records",
                "tally_charger_reasons_total",
                "tally_charger_recovery_milliseconds",
                "tally_charger_snapshot_age_inputs",
                "tally_charger_unrated_waiting",
            ]
        );
    }
}
