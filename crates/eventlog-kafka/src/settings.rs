//! What a deployment says about its Kafka, and the properties that follow from it.
//!
//! Everything that exactness rests on is fixed here, stated even where it is the library's default,
//! and cannot be overridden: a setting of the same name is refused.

use std::fmt;
use std::time::Duration;

use domain::limits::OUTPUT_RECORD_BYTES_MAX;
use eventlog::LogError;

/// Room for key, headers and batch framing beside the largest record.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 128 * 1024;
/// The largest batch that is written: the largest output record and its overhead.
pub(crate) const BATCH_BYTES_MAX: usize = OUTPUT_RECORD_BYTES_MAX + RECORD_OVERHEAD_BYTES;

/// How to reach Kafka, and the few things about it that a deployment may choose.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, comma-separated.
    pub bootstrap: String,
    /// Comes before every topic, group and transactional name, so that deployments can share a
    /// cluster without fencing one another.
    pub prefix: String,
    /// What topics are created with, and what the contract expects.
    pub replication_factor: u16,
    pub min_insync_replicas: u16,
    /// How long a producer waits for a fuller batch; a commit never waits for it.
    pub linger: Duration,
    /// The most records that a producer holds. It bounds memory, and with it how long a commit
    /// flushes (measured: 50,000 keep it at 19 to 42 ms under full load).
    pub producer_records_max: u32,
    pub producer_kilobytes_max: u32,
    /// How many records a lane reads ahead.
    pub prefetch_records_min: u32,
    pub prefetch_kilobytes_max: u32,
    /// How long a broker holds a fetch that finds nothing. The end of a partition is noticed this
    /// long after its last record was read.
    pub fetch_wait: Duration,
    /// How long a member may be silent before its partitions go to others.
    pub session_timeout: Duration,
    /// How long a member may go without polling before its partitions go to others.
    pub poll_interval_max: Duration,
    /// How long a transaction may stay open; a hung one stalls every reader that long.
    pub transaction_timeout: Duration,
    /// A writer keeps its place in the group over a restart (Kafka's static membership): a
    /// restarted replica has its partitions back at once, and one that leaves for good keeps them
    /// for a session timeout.
    pub static_membership: bool,
    /// What readers outside any group are called: they join none and commit nothing, but the library
    /// asks the cluster about it, and the authorizer must allow that.
    pub reader_group: String,
    /// Passed on to librdkafka: SASL, TLS, compression. What tally sets itself is refused.
    pub extra: Vec<(String, String)>,
}

impl KafkaSettings {
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            prefix: String::new(),
            replication_factor: 3,
            min_insync_replicas: 2,
            linger: Duration::from_millis(5),
            producer_records_max: 50_000,
            producer_kilobytes_max: 64 * 1024,
            prefetch_records_min: 30_000,
            prefetch_kilobytes_max: 32 * 1024,
            fetch_wait: Duration::from_millis(50),
            session_timeout: Duration::from_secs(10),
            poll_interval_max: Duration::from_secs(300),
            transaction_timeout: Duration::from_secs(10),
            static_membership: false,
            reader_group: "tally-reader".to_owned(),
            extra: Vec::new(),
        }
    }

    /// For one broker, as on a laptop or in a test.
    pub fn single_broker(bootstrap: impl Into<String>) -> Self {
        Self { replication_factor: 1, min_insync_replicas: 1, ..Self::new(bootstrap) }
    }

    /// Refuses what contradicts what tally fixes.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.min_insync_replicas > self.replication_factor || self.min_insync_replicas == 0 {
            return Err(LogError::Halt(format!(
                "kafka: min_insync_replicas {} must lie between 1 and the replication factor {}",
                self.min_insync_replicas, self.replication_factor
            )));
        }
        let fixed = [
            self.shared(),
            self.fetching("", self.fetch_wait),
            self.membership("", Some("")),
            self.producing(),
            self.transactional(""),
        ]
        .concat();
        match self.extra.iter().find(|(name, _)| fixed.iter().any(|(key, _)| key == name)) {
            Some((name, _)) => Err(LogError::Halt(format!(
                "kafka: `{name}` is fixed by tally, because exactness rests on it; remove it from the settings"
            ))),
            None => Ok(()),
        }
    }

    /// What every client of the cluster has.
    pub(crate) fn client(&self) -> Properties {
        // Its own OpenSSL does not know where this machine keeps its authorities; who names a file wins.
        let believed = [property("ssl.ca.location", "probe")].to_vec();
        [self.shared(), believed, self.extra.clone()].concat()
    }

    /// A consumer that is handed its partitions and offsets, and takes no part in a group.
    pub(crate) fn fetcher(&self, group: &str, fetch_wait: Duration) -> Properties {
        [self.client(), self.fetching(group, fetch_wait)].concat()
    }

    /// A consumer that takes part in a group, and fetches nothing.
    pub(crate) fn member(&self, group: &str, instance: Option<&str>) -> Properties {
        [self.client(), self.membership(group, instance)].concat()
    }

    /// A producer outside transactions; it reports every delivery.
    pub(crate) fn appender(&self) -> Properties {
        let patience = [property("message.timeout.ms", "120000")].to_vec();
        [self.client(), self.producing(), patience].concat()
    }

    /// A transactional producer; it reports failed deliveries alone.
    pub(crate) fn writer(&self, transactional_id: &str) -> Properties {
        [self.client(), self.producing(), self.transactional(transactional_id)].concat()
    }

    fn shared(&self) -> Properties {
        let socket_timeout = self.transaction_timeout.min(Duration::from_secs(10));
        [
            property("bootstrap.servers", &self.bootstrap),
            property("socket.nagle.disable", "true"),
            property("socket.keepalive.enable", "true"),
            // A broker that hangs must be noticed well before a person does; and no request may
            // outlive its transaction.
            property("socket.timeout.ms", &socket_timeout.as_millis().to_string()),
            // A restarted broker is found again at once, not after ten seconds of backing off.
            property("reconnect.backoff.ms", "50"),
            property("reconnect.backoff.max.ms", "500"),
            property("log.connection.close", "false"),
            property("statistics.interval.ms", "0"),
        ]
        .to_vec()
    }

    fn fetching(&self, group: &str, fetch_wait: Duration) -> Properties {
        [
            property("group.id", group),
            property("allow.auto.create.topics", "false"),
            property("enable.auto.commit", "false"),
            property("enable.auto.offset.store", "false"),
            // An offset that is gone means that data was lost; it is never skipped in silence.
            property("auto.offset.reset", "error"),
            property("isolation.level", "read_committed"),
            // The end of a partition tells the position past control records.
            property("enable.partition.eof", "true"),
            property("check.crcs", "true"),
            property("fetch.min.bytes", "1"),
            property("fetch.wait.max.ms", &fetch_wait.as_millis().to_string()),
            // The default of 1,000 ms costs a bounded reader three quarters of its throughput.
            property("fetch.queue.backoff.ms", "5"),
            property("queued.min.messages", &self.prefetch_records_min.to_string()),
            property("queued.max.messages.kbytes", &self.prefetch_kilobytes_max.to_string()),
        ]
        .to_vec()
    }

    fn membership(&self, group: &str, instance: Option<&str>) -> Properties {
        let mut properties = [
            property("group.id", group),
            property("allow.auto.create.topics", "false"),
            property("enable.auto.commit", "false"),
            property("auto.offset.reset", "error"),
            // Committed offsets are asked for as stable ones.
            property("isolation.level", "read_committed"),
            // Only range gives a member the same partition numbers of several topics.
            property("partition.assignment.strategy", "range"),
            property("group.protocol", "classic"),
            property("session.timeout.ms", &self.session_timeout.as_millis().to_string()),
            property("heartbeat.interval.ms", "500"),
            property("max.poll.interval.ms", &self.poll_interval_max.as_millis().to_string()),
            // A member that was told, or not told, of its topics by a broker that is just starting
            // waits for the next refresh to join: five minutes by default.
            property("topic.metadata.refresh.interval.ms", "2000"),
            // By default three refreshes; after it every join would ask first.
            property("metadata.max.age.ms", "900000"),
        ]
        .to_vec();
        properties.extend(instance.map(|instance| property("group.instance.id", instance)));
        properties
    }

    fn producing(&self) -> Properties {
        [
            property("acks", "all"),
            property("enable.idempotence", "true"),
            property("max.in.flight.requests.per.connection", "5"),
            property("linger.ms", &self.linger.as_millis().to_string()),
            property("queue.buffering.max.messages", &self.producer_records_max.to_string()),
            property("queue.buffering.max.kbytes", &self.producer_kilobytes_max.to_string()),
            property("message.max.bytes", &BATCH_BYTES_MAX.to_string()),
        ]
        .to_vec()
    }

    fn transactional(&self, transactional_id: &str) -> Properties {
        let timeout_ms = self.transaction_timeout.as_millis();
        [
            property("transactional.id", transactional_id),
            property("transaction.timeout.ms", &timeout_ms.to_string()),
            // A record must fail before its transaction does.
            property("message.timeout.ms", &(timeout_ms * 8 / 10).to_string()),
            property("delivery.report.only.error", "true"),
            // A transaction begun before the markers of the previous one are written is told to
            // come again after this; the default of 100 ms is what a waiting command would wait.
            property("retry.backoff.ms", "2"),
            property("retry.backoff.max.ms", "5"),
        ]
        .to_vec()
    }
}

/// librdkafka's properties, by name.
pub(crate) type Properties = Vec<(String, String)>;

fn property(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Without the values passed on: there are passwords among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extra: Vec<&str> = self.extra.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("prefix", &self.prefix)
            .field("replication_factor", &self.replication_factor)
            .field("min_insync_replicas", &self.min_insync_replicas)
            .field("extra", &extra)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exactness_rests_on_cannot_be_overridden() {
        for name in [
            "isolation.level",
            "enable.idempotence",
            "acks",
            "transactional.id",
            "auto.offset.reset",
        ] {
            let mut settings = KafkaSettings::new("localhost:9092");
            settings.extra = vec![(name.to_owned(), "x".to_owned())];
            let refusal = settings.check().unwrap_err().to_string();
            assert!(refusal.contains(name), "{refusal}");
        }
        let mut settings = KafkaSettings::new("localhost:9092");
        settings.extra = vec![("sasl.password".to_owned(), "hunter2".to_owned())];
        settings.check().unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    /// Set twice, the later counts.
    #[test]
    fn this_machines_authorities_are_believed_unless_a_file_is_named() {
        let last = |settings: &KafkaSettings| {
            let set = settings.client().into_iter().rfind(|(name, _)| name == "ssl.ca.location");
            set.unwrap().1
        };
        let mut settings = KafkaSettings::new("localhost:9092");
        assert_eq!(last(&settings), "probe");
        settings.extra = vec![property("ssl.ca.location", "/etc/tally/ca.pem")];
        settings.check().unwrap();
        assert_eq!(last(&settings), "/etc/tally/ca.pem");
    }

    #[test]
    fn more_replicas_in_sync_than_there_are_is_refused() {
        let mut settings = KafkaSettings::single_broker("localhost:9092");
        settings.min_insync_replicas = 2;
        assert!(settings.check().is_err());
    }
}
