//! `tally ingest`: files of lines to `usage.raw`, as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Context;
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::table::{Align, Table, grouped};

/// Lines and bytes per request; the API's own limits are 5,000 and 8 MiB.
const LINES_PER_REQUEST: usize = 2_000;
const BYTES_PER_REQUEST: usize = 4 * 1024 * 1024;
/// How long one request may wait for its lines' outcomes, and all of it to be queryable.
const OUTCOME_WAIT_S: u32 = 120;
const QUERYABLE_PATIENCE: Duration = Duration::from_secs(300);
const QUERYABLE_LOOK: Duration = Duration::from_millis(100);

pub(crate) fn ingest(context: &Context, ingest: &cli::Ingest) -> Result<(), Failure> {
    let started = Instant::now();
    let mut sent = Sent::default();
    let bar = context.output.bar(0, "sending");
    for path in &ingest.files {
        if let Some(lines) = size_of(path) {
            bar.inc_length(lines);
        }
    }
    for path in &ingest.files {
        let mut chunk = Chunk::default();
        for_each_line(path, |line| {
            bar.inc(line.len() as u64 + 1);
            chunk.push(line);
            match chunk.is_full() {
                true => sent.add(&context.client, chunk.take(), ingest.wait),
                false => Ok(()),
            }
        })?;
        if chunk.lines > 0 {
            sent.add(&context.client, chunk.take(), ingest.wait)?;
        }
    }
    bar.finish_and_clear();
    if ingest.wait {
        sent.wait_until_queryable(&context.client)?;
    }
    let answer = sent.answer();
    context.output.answer(&answer, || sent.text(ingest.wait, started.elapsed()));
    match sent.refused() {
        0 => Ok(()),
        // Said already, with the rest.
        1.. => std::process::exit(1),
    }
}

fn for_each_line(
    path: &Path,
    mut line: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    let mut reader: Box<dyn BufRead> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).map_err(unreadable)?)),
    };
    let mut text = Vec::new();
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(unreadable)? == 0 {
            return Ok(());
        }
        while text.ends_with(b"\n") || text.ends_with(b"\r") {
            text.pop();
        }
        if !text.is_empty() {
            line(&text)?;
        }
    }
}

fn size_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
}

/// Lines for one request.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    pub(crate) lines: usize,
}

impl Chunk {
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.lines += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lines >= LINES_PER_REQUEST || self.bytes.len() >= BYTES_PER_REQUEST
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.lines = 0;
        std::mem::take(&mut self.bytes)
    }
}

/// What was sent, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) records: u64,
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// The next ledger offset per partition once all of it is in the ledger.
    ledger_ends: BTreeMap<String, i64>,
}

impl Sent {
    pub(crate) fn add(
        &mut self,
        client: &Client,
        lines: Vec<u8>,
        wait: bool,
    ) -> Result<(), Failure> {
        let answer = client.ingest(lines, wait.then_some(OUTCOME_WAIT_S))?;
        self.records += answer["records"].as_u64().unwrap_or(0);
        for (outcome, count) in answer["outcomes"].as_object().into_iter().flatten() {
            *self.outcomes.entry(outcome.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        for (partition, end) in answer["ledger_ends"].as_object().into_iter().flatten() {
            let end = end.as_i64().unwrap_or(0);
            let known = self.ledger_ends.entry(partition.clone()).or_default();
            *known = end.max(*known);
        }
        Ok(())
    }

    /// Waits until ClickHouse has everything up to the ends that the ledger answered.
    pub(crate) fn wait_until_queryable(&self, client: &Client) -> Result<(), Failure> {
        let deadline = Instant::now() + QUERYABLE_PATIENCE;
        loop {
            let behind = self.behind(&client.get("/v1/freshness", &[])?);
            if behind == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::Failed(format!(
                    "all of it is in the ledger, but {behind} ledger records are not yet queryable \
                     after {} s: see `tally status`",
                    QUERYABLE_PATIENCE.as_secs()
                )));
            }
            std::thread::sleep(QUERYABLE_LOOK);
        }
    }

    /// Lines that the API key may not send.
    fn refused(&self) -> u64 {
        self.outcomes.get("refused").copied().unwrap_or(0)
    }

    /// Ledger records that are not queryable yet.
    fn behind(&self, freshness: &Value) -> i64 {
        let reached =
            |partition: &str| freshness["partitions"][partition]["ledger_offset"].as_i64();
        self.ledger_ends
            .iter()
            .map(|(partition, end)| (end - reached(partition).unwrap_or(0)).max(0))
            .sum()
    }

    pub(crate) fn answer(&self) -> Value {
        json!({"records": self.records, "outcomes": self.outcomes, "ledger_ends": self.ledger_ends})
    }

    pub(crate) fn outcome_table(&self) -> Table {
        let mut table =
            Table::new([("outcome", Align::Left), ("events", Align::Right), ("", Align::Left)]);
        for (outcome, count) in &self.outcomes {
            table.row([outcome.clone(), grouped(&count.to_string()), meaning(outcome).to_owned()]);
        }
        table
    }

    fn text(&self, waited: bool, took: Duration) -> String {
        let records = grouped(&self.records.to_string());
        if !waited {
            let refused = match self.refused() {
                0 => String::new(),
                count => format!(
                    "; {} refused: the API key may not send them",
                    grouped(&count.to_string())
                ),
            };
            return format!(
                "{records} lines sent{refused}; `tally status` shows how far they are\n"
            );
        }
        format!(
            "{records} lines in {:.1} s, all queryable\n\n{}",
            took.as_secs_f64(),
            self.outcome_table()
        )
    }
}

/// What an outcome means, for people.
fn meaning(outcome: &str) -> &'static str {
    match outcome {
        "debit" => "priced and charged",
        "unrated" => "no price covers it yet; charged by itself once one is published",
        "duplicate" => "sent before; charged once",
        "quarantined" => "kept aside: same id with another meaning, or a time far off",
        "refused" => "not sent: the API key may not send it",
        "dead_letter" => "could not be read; kept with its reason",
        "pending" => "sent, and not decided within the wait; `tally status` shows the lag",
        "forwarded" => "sent on to its account's partition, and charged there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_travel_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, b"{\"a\":1}\r\n\n\xff bad\n{\"b\":2}").unwrap();
        let mut chunk = Chunk::default();
        for_each_line(&path, |line| {
            chunk.push(line);
            Ok(())
        })
        .unwrap();
        assert_eq!(chunk.lines, 3);
        assert_eq!(chunk.take(), b"{\"a\":1}\n\xff bad\n{\"b\":2}\n");
    }

    #[test]
    fn waits_for_the_furthest_end_of_each_partition() {
        let sent = Sent {
            ledger_ends: BTreeMap::from([("0".to_owned(), 10), ("3".to_owned(), 17)]),
            ..Sent::default()
        };
        let freshness = |zero: i64, three: i64| json!({"partitions": {"0": {"ledger_offset": zero}, "3": {"ledger_offset": three}}});
        assert_eq!(sent.behind(&json!({})), 27);
        assert_eq!(sent.behind(&freshness(10, 15)), 2);
        assert_eq!(sent.behind(&freshness(10, 17)), 0);
        assert_eq!(sent.behind(&freshness(99, 99)), 0);
    }
}
