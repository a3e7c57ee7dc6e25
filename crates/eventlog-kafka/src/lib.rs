//! the event log on Kafka; the only user of rdkafka.
