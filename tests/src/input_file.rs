//! A load as a file, for a process that produces from it and may be killed at any line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use domain::{Partition, Topic, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::load::Load;

/// One record, as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    topic: u8,
    partition: u32,
    key: String,
    /// Hexadecimal.
    value: String,
}

/// One record to send.
#[derive(Debug)]
pub struct InputRecord {
    pub to: TopicPartition,
    pub key: String,
    pub value: Vec<u8>,
}

/// # Errors
/// When the file cannot be written.
pub fn write(load: &Load, path: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in &load.lines {
        let stored = Stored {
            topic: line.to.topic.code(),
            partition: line.to.partition.0,
            key: line.key.clone(),
            value: hex(&line.value),
        };
        writeln!(text, "{}", serde_json::to_string(&stored)?)?;
    }
    Ok(fs::write(path, text)?)
}

/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Vec<InputRecord>> {
    let text = fs::read_to_string(path)?;
    text.lines()
        .map(|line| {
            let stored: Stored = serde_json::from_str(line)?;
            let topic = Topic::from_code(stored.topic).context("no such topic")?;
            Ok(InputRecord {
                to: TopicPartition { topic, partition: Partition(stored.partition) },
                key: stored.key,
                value: bytes(&stored.value)?,
            })
        })
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

pub(crate) fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    (0..hex.len())
        .step_by(2)
        .map(|at| {
            let pair = hex.get(at..at + 2).context("half a byte")?;
            Ok(u8::from_str_radix(pair, 16)?)
        })
        .collect()
}
