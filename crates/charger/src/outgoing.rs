//! What a partition has decided to write, until it is handed to the open transaction.
//!
//! The reader lends records while the member is borrowed, so nothing can be written meanwhile; and
//! the ledger's records lie one after another here, so that the seal's chain is hashed over them in
//! one go.

use domain::{Partition, Topic, TopicPartition};
use eventlog::{Append, LogError};
use std::ops::Range;

/// Records to be written by one partition, in order.
#[derive(Debug, Default)]
pub struct Outgoing {
    ledger: Vec<u8>,
    /// Where each ledger record ends.
    ledger_ends: Vec<usize>,
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    /// Ledger records from here on have not been hashed.
    hashed: usize,
    hashed_records: usize,
    others: Vec<Other>,
}

/// A record that is not the ledger's: a dead letter, a forwarded event, a reply. Rare.
#[derive(Debug)]
struct Other {
    to: TopicPartition,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl Outgoing {
    /// Adds a ledger record: `encode` appends its bytes.
    pub fn ledger(&mut self, key: &str, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.ledger);
        self.ledger_ends.push(self.ledger.len());
        self.keys.extend_from_slice(key.as_bytes());
        self.key_ends.push(self.keys.len());
    }

    /// Adds a record to another topic.
    pub fn other(
        &mut self,
        to: TopicPartition,
        key: &[u8],
        value: Vec<u8>,
        headers: Vec<(&'static str, Vec<u8>)>,
    ) {
        self.others.push(Other { to, key: key.to_vec(), value, headers });
    }

    /// The ledger records that have not been handed to the chain yet, and how many they are.
    pub fn unhashed(&mut self) -> (&[u8], u64) {
        let bytes = &self.ledger[self.hashed..];
        let records = self.ledger_ends.len() - self.hashed_records;
        self.hashed = self.ledger.len();
        self.hashed_records = self.ledger_ends.len();
        (bytes, records as u64)
    }

    /// The bytes of the last ledger record.
    pub fn last_ledger(&self) -> &[u8] {
        let range = span(&self.ledger_ends, self.ledger_ends.len().saturating_sub(1));
        &self.ledger[range]
    }

    /// Takes the ledger's records out, one by one, and forgets everything else.
    pub(crate) fn take_ledger(&mut self) -> Vec<Vec<u8>> {
        let records = (0..self.ledger_ends.len())
            .map(|index| self.ledger[span(&self.ledger_ends, index)].to_vec())
            .collect();
        *self = Self::default();
        records
    }

    /// Bytes waiting to be written.
    pub fn bytes(&self) -> usize {
        self.ledger.len() + self.others.iter().map(|other| other.value.len()).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.ledger_ends.is_empty() && self.others.is_empty()
    }

    /// Hands everything to the transaction, in order, and forgets it. Everything must have been
    /// hashed before.
    ///
    /// # Errors
    /// Those of the log.
    pub fn drain(
        &mut self,
        partition: Partition,
        write: &mut dyn FnMut(Append<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let to = TopicPartition { topic: Topic::LedgerEntries, partition };
        for index in 0..self.ledger_ends.len() {
            let key = &self.keys[span(&self.key_ends, index)];
            let value = &self.ledger[span(&self.ledger_ends, index)];
            write(Append { to, key, value, headers: &[] })?;
        }
        for other in &self.others {
            let headers: Vec<(&str, &[u8])> =
                other.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            write(Append {
                to: other.to,
                key: &other.key,
                value: &other.value,
                headers: &headers,
            })?;
        }
        self.ledger.clear();
        self.ledger_ends.clear();
        self.keys.clear();
        self.key_ends.clear();
        self.hashed = 0;
        self.hashed_records = 0;
        self.others.clear();
        Ok(())
    }
}

fn span(ends: &[usize], index: usize) -> Range<usize> {
    let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    start..ends.get(index).copied().unwrap_or(start)
}
