//! What tally needs of its topics: what they are created with, and what is found wrong with those
//! that are there. Pure; the cluster is asked elsewhere.

use std::collections::BTreeMap;

use domain::Topic;

use crate::settings::{BATCH_BYTES_MAX, KafkaSettings};

/// The largest batch on a topic that others write to: librdkafka's own default, and below what the
/// topics behind it take, so that a dead letter or a forwarded record always fits with its headers.
const INPUT_BATCH_BYTES_MAX: usize = 1_000_000;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// How long a topic keeps its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retention {
    /// The record itself: never deleted, never compacted.
    Forever,
    /// Created with `created_days`; less than `days_min` is a finding.
    Days { created: i64, min: i64 },
}

/// One topic's terms.
#[derive(Clone, Copy, Debug)]
struct Terms {
    retention: Retention,
    /// The broker's clock stamps the records: ledger time is made of it.
    log_append_time: bool,
    batch_bytes_max: usize,
}

fn terms(topic: Topic) -> Terms {
    // An outage may last for days before its backlog is read.
    let input = Retention::Days { created: 14, min: 7 };
    let (retention, log_append_time, batch_bytes_max) = match topic {
        Topic::UsageRaw => (input, true, INPUT_BATCH_BYTES_MAX),
        Topic::LedgerCommands => (input, true, INPUT_BATCH_BYTES_MAX),
        Topic::UsageForwarded => (input, true, BATCH_BYTES_MAX),
        Topic::LedgerEntries => (Retention::Forever, true, BATCH_BYTES_MAX),
        Topic::RatesCatalog => (Retention::Forever, false, BATCH_BYTES_MAX),
        // Dead letters hold what producers sent, whatever that was: they live short.
        Topic::DeadLetters => (Retention::Days { created: 14, min: 1 }, false, BATCH_BYTES_MAX),
        // Who may do what, and who made them so.
        Topic::Access => (Retention::Forever, false, BATCH_BYTES_MAX),
        // An alert is of use for days, not for years.
        Topic::AccountEvents => (Retention::Days { created: 30, min: 7 }, true, BATCH_BYTES_MAX),
        Topic::WebhookDeliveries => {
            // As long as the events: what was delivered must be known while its event is there.
            (Retention::Days { created: 30, min: 7 }, false, BATCH_BYTES_MAX)
        }
        Topic::Replies => (Retention::Days { created: 1, min: 0 }, false, BATCH_BYTES_MAX),
    };
    Terms { retention, log_append_time, batch_bytes_max }
}

/// The configuration that a topic is created with.
pub(crate) fn configuration(topic: Topic, settings: &KafkaSettings) -> Vec<(&'static str, String)> {
    let terms = terms(topic);
    let retention_ms = match terms.retention {
        Retention::Forever => -1,
        Retention::Days { created, .. } => created * DAY_MS,
    };
    let mut configuration = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention_ms.to_string()),
        ("retention.bytes", "-1".to_owned()),
        ("max.message.bytes", terms.batch_bytes_max.to_string()),
        ("min.insync.replicas", settings.min_insync_replicas.to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    if terms.log_append_time {
        configuration.push(("message.timestamp.type", "LogAppendTime".to_owned()));
    }
    configuration
}

/// What is wrong with a topic's configuration, with what to do about each.
pub(crate) fn findings(
    topic: Topic,
    name: &str,
    found: &BTreeMap<String, String>,
    settings: &KafkaSettings,
) -> Vec<String> {
    let terms = terms(topic);
    let value = |key: &str| found.get(key).map_or("", String::as_str);
    let number = |key: &str| value(key).parse::<i64>().unwrap_or(0);
    let set = |key: &str, wanted: &dyn std::fmt::Display| {
        format!("set it with: kafka-configs --alter --topic {name} --add-config {key}={wanted}")
    };
    let mut findings = Vec::new();
    if value("cleanup.policy") != "delete" {
        findings.push(format!(
            "{name} is compacted (cleanup.policy={}), which loses records; {}",
            value("cleanup.policy"),
            set("cleanup.policy", &"delete")
        ));
    }
    let days_ms = number("retention.ms");
    match terms.retention {
        Retention::Forever if days_ms != -1 => findings.push(format!(
            "{name} deletes records after {days_ms} ms, but it is the record itself; {}",
            set("retention.ms", &-1)
        )),
        Retention::Days { created, min } if days_ms != -1 && days_ms < min * DAY_MS => findings
            .push(format!(
                "{name} keeps records for {days_ms} ms, less than {min} days; {}",
                set("retention.ms", &(created * DAY_MS))
            )),
        Retention::Forever | Retention::Days { .. } => {}
    }
    if value("retention.bytes") != "-1" {
        findings.push(format!(
            "{name} deletes records by size (retention.bytes={}); {}",
            value("retention.bytes"),
            set("retention.bytes", &-1)
        ));
    }
    if terms.log_append_time && value("message.timestamp.type") != "LogAppendTime" {
        findings.push(format!("{name} carries its producers' clocks (message.timestamp.type={}), but ledger time is the broker's; {}", value("message.timestamp.type"), set("message.timestamp.type", &"LogAppendTime")));
    }
    let batch_bytes_max = i64::try_from(terms.batch_bytes_max).unwrap_or(i64::MAX);
    // Too little refuses records; too much on an input lets in what no dead letter can hold.
    let bytes_max = number("max.message.bytes");
    let input = terms.batch_bytes_max == INPUT_BATCH_BYTES_MAX;
    if bytes_max < batch_bytes_max || (input && bytes_max > batch_bytes_max) {
        findings.push(format!("{name} takes batches of up to {bytes_max} bytes (max.message.bytes), and {batch_bytes_max} are right; {}", set("max.message.bytes", &batch_bytes_max)));
    }
    let insync = number("min.insync.replicas");
    if insync < i64::from(settings.min_insync_replicas) {
        findings.push(format!(
            "{name} acknowledges a write on {insync} replicas (min.insync.replicas); {}",
            set("min.insync.replicas", &settings.min_insync_replicas)
        ));
    }
    if value("unclean.leader.election.enable") != "false" {
        findings.push(format!(
            "{name} may elect a leader that lacks acknowledged records; {}",
            set("unclean.leader.election.enable", &false)
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_created(topic: Topic, settings: &KafkaSettings) -> BTreeMap<String, String> {
        configuration(topic, settings)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    #[test]
    fn what_is_created_is_in_order() {
        let settings = KafkaSettings::new("localhost:9092");
        for topic in Topic::ALL {
            assert_eq!(
                findings(topic, topic.name(), &as_created(topic, &settings), &settings),
                Vec::<String>::new()
            );
        }
    }

    #[test]
    fn each_broken_term_is_one_finding_that_says_what_to_do() {
        let settings = KafkaSettings::new("localhost:9092");
        for (key, broken) in [
            ("cleanup.policy", "compact"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "1000"),
            ("message.timestamp.type", "CreateTime"),
            ("max.message.bytes", "1000"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "true"),
        ] {
            let mut found = as_created(Topic::LedgerEntries, &settings);
            found.insert(key.to_owned(), broken.to_owned());
            let findings = findings(Topic::LedgerEntries, "ledger.entries", &found, &settings);
            assert_eq!(findings.len(), 1, "{key}: {findings:?}");
            assert!(findings[0].contains(&format!("--add-config {key}=")), "{findings:?}");
        }
    }

    #[test]
    fn an_input_that_takes_more_than_a_dead_letter_holds_is_a_finding() {
        let settings = KafkaSettings::new("localhost:9092");
        let mut found = as_created(Topic::UsageRaw, &settings);
        found.insert("max.message.bytes".to_owned(), "5000000".to_owned());
        assert_eq!(findings(Topic::UsageRaw, "usage.raw", &found, &settings).len(), 1);
    }
}
