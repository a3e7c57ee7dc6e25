//! bytes to domain: Avro and CloudEvents JSON. Pure.
