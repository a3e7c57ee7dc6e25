//! Creating topics and reading their configuration; the only part that uses the safe `rdkafka`
//! interface, because it is far from every record's path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Topic;
use eventlog::{LogError, TopicSpec};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Statistics};

use crate::contract;
use crate::names::TopicNames;
use crate::native::{Failure, write_log_line};
use crate::probe::Probe;
use crate::settings::KafkaSettings;

const REQUEST_WAIT: Duration = Duration::from_secs(15);
/// A new topic is known to every broker within this.
const SPREAD_WAIT: Duration = Duration::from_secs(15);
const SPREAD_LOOK: Duration = Duration::from_millis(20);

/// Sends the admin client's own log where the other clients' goes.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        write_log_line(level as i32, "admin", facility, line);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        write_log_line(
            RDKafkaLogLevel::Warning as i32,
            "admin",
            "ERROR",
            &format!("{error}: {reason}"),
        );
    }
    fn stats(&self, _statistics: Statistics) {}
}

pub(crate) struct Admin<'a> {
    client: AdminClient<Quiet>,
    settings: &'a KafkaSettings,
    names: &'a TopicNames,
    probe: &'a Arc<Probe>,
}

impl<'a> Admin<'a> {
    pub(crate) fn open(
        settings: &'a KafkaSettings,
        names: &'a TopicNames,
        probe: &'a Arc<Probe>,
    ) -> Result<Self, LogError> {
        let mut configuration = ClientConfig::new();
        for (name, value) in settings.client() {
            configuration.set(name, value);
        }
        let client = configuration
            .create_with_context(Quiet)
            .map_err(|error| LogError::Halt(format!("kafka: {error}")))?;
        Ok(Self { client, settings, names, probe })
    }

    /// Creates what is missing, and waits until it can be used.
    pub(crate) fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let mut missing = Vec::new();
        for spec in topics {
            match self.probe.partitions(spec.topic)? {
                Some(partitions) => must_have(spec, partitions)?,
                None => missing.push(*spec),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.request(&missing)?;
        let deadline = Instant::now() + SPREAD_WAIT;
        for spec in missing {
            // The count appears first, the leaders after it; only with a leader are there bounds.
            loop {
                let partitions = self.probe.partitions(spec.topic)?;
                if let Some(partitions) = partitions {
                    must_have(&spec, partitions)?;
                    if self.probe.all_led(spec.topic, partitions) {
                        break;
                    }
                }
                if Instant::now() >= deadline {
                    return Err(LogError::Unavailable(format!(
                        "topic {} was created and cannot be used yet",
                        self.names.text(spec.topic)
                    )));
                }
                std::thread::sleep(SPREAD_LOOK);
            }
        }
        Ok(())
    }

    fn request(&self, missing: &[TopicSpec]) -> Result<(), LogError> {
        let configured: Vec<_> = missing
            .iter()
            .map(|spec| {
                (
                    spec,
                    self.names.text(spec.topic),
                    contract::configuration(spec.topic, self.settings),
                )
            })
            .collect();
        let replicas = i32::from(self.settings.replication_factor);
        let new_topics: Vec<NewTopic<'_>> = configured
            .iter()
            .map(|(spec, name, configuration)| {
                let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
                configuration.iter().fold(
                    NewTopic::new(name, partitions, TopicReplication::Fixed(replicas)),
                    |topic, (key, value)| topic.set(key, value),
                )
            })
            .collect();
        let created = block_on(self.client.create_topics(&new_topics, &options())).map_err(told)?;
        for result in created {
            match result {
                // Somebody else was quicker; the count is compared after this.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    return Err(Failure::new(code, code.to_string())
                        .into_log_error(&format!("creating topic {name}")));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn contract_findings(&self) -> Result<Vec<String>, LogError> {
        let mut findings = Vec::new();
        let mut counts = BTreeMap::new();
        let mut there = Vec::new();
        for topic in Topic::ALL {
            match self.probe.partitions(topic)? {
                Some(partitions) => {
                    counts.insert(topic, partitions);
                    there.push((topic, self.names.text(topic)));
                }
                None => findings.push(format!(
                    "topic {} does not exist; create it with: tally topics create",
                    self.names.text(topic)
                )),
            }
        }
        findings.extend(uneven_counts(&counts));
        if there.is_empty() {
            return Ok(findings);
        }
        let resources: Vec<_> =
            there.iter().map(|(_, name)| ResourceSpecifier::Topic(name)).collect();
        let described =
            block_on(self.client.describe_configs(&resources, &options())).map_err(told)?;
        for ((topic, name), resource) in there.iter().zip(described) {
            let resource = resource.map_err(|code| {
                Failure::new(code, code.to_string())
                    .into_log_error(&format!("describing topic {name}"))
            })?;
            let found: BTreeMap<String, String> = resource
                .entries
                .into_iter()
                .filter_map(|entry| Some((entry.name, entry.value?)))
                .collect();
            findings.extend(contract::findings(*topic, name, &found, self.settings));
        }
        Ok(findings)
    }
}

/// One partition number of every one of these is one account's life.
fn uneven_counts(counts: &BTreeMap<Topic, u32>) -> Option<String> {
    let keyed: Vec<_> = [
        Topic::UsageRaw,
        Topic::UsageForwarded,
        Topic::LedgerCommands,
        Topic::LedgerEntries,
        Topic::AccountEvents,
    ]
    .into_iter()
    .filter_map(|topic| counts.get(&topic).map(|count| (topic, *count)))
    .collect();
    let uneven = keyed.windows(2).any(|pair| pair[0].1 != pair[1].1);
    uneven.then(|| {
        let listed: Vec<String> = keyed.iter().map(|(topic, count)| format!("{topic} {count}")).collect();
        format!(
            "partition counts differ ({}), but an account must have the same partition number in each; \
             create new topics under another prefix and move there by replay",
            listed.join(", ")
        )
    })
}

fn must_have(spec: &TopicSpec, partitions: u32) -> Result<(), LogError> {
    if spec.partitions == partitions {
        return Ok(());
    }
    Err(LogError::Halt(format!(
        "topic {} exists with {partitions} partitions, and {} are asked for: the count is fixed when a \
         deployment is created",
        spec.topic, spec.partitions
    )))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_WAIT)).operation_timeout(Some(REQUEST_WAIT))
}

fn told(error: KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(code) => Failure::new(code, error.to_string()).into_log_error("asking the cluster"),
        None => LogError::Unavailable(format!("asking the cluster: {error}")),
    }
}
