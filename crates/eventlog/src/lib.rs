//! the log trait, the embedded log, the in-memory log.
