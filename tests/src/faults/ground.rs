//! The servers that faults happen to: shared by the classes that leave them whole.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use testkit::{ClickHouse, HttpProxy, Kafka, KafkaOptions, KafkaProxy, SmallDisk, free_port};

/// Which server keeps its data on a disk that can be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// None: the ground may be shared.
    None,
    Log,
    ClickHouse,
    /// The charger's own state; the servers are none of its business.
    State,
}

const STATEMENT_PATIENCE: Duration = Duration::from_secs(30);
const LOG_DISK_MB: u32 = 160;
const CLICKHOUSE_DISK_MB: u32 = 400;
const STATE_DISK_MB: u32 = 48;

/// A broker and a ClickHouse.
#[derive(Debug)]
pub struct Ground {
    pub kafka: Kafka,
    /// Before the broker's second listener.
    pub kafka_proxy: KafkaProxy,
    pub clickhouse: ClickHouse,
    pub clickhouse_proxy: HttpProxy,
    /// After the servers that write to it.
    pub disk: Option<SmallDisk>,
    scenes: u32,
}

impl Ground {
    /// # Errors
    /// When a server does not start.
    pub fn start(disk: Option<(Disk, SmallDisk)>) -> anyhow::Result<Self> {
        let proxy_port = free_port()?;
        let place = |wanted: Disk| {
            let found = disk.as_ref().filter(|(which, _)| *which == wanted);
            found.map(|(_, disk)| disk.path().join("data"))
        };
        let options = KafkaOptions {
            proxy_port: Some(proxy_port),
            data: place(Disk::Log),
            ..KafkaOptions::default()
        };
        let kafka = Kafka::start(options)?;
        let kafka_proxy = KafkaProxy::before(proxy_port, kafka.proxied_port())?;
        let clickhouse = match place(Disk::ClickHouse) {
            Some(folder) => ClickHouse::start_on(folder)?,
            None => ClickHouse::start()?,
        };
        let clickhouse_proxy = HttpProxy::before(clickhouse.http_port())?;
        let disk = disk.map(|(_, disk)| disk);
        Ok(Self { kafka, kafka_proxy, clickhouse, clickhouse_proxy, disk, scenes: 0 })
    }

    /// A name that no scene on this ground had.
    pub fn next_name(&mut self) -> String {
        self.scenes += 1;
        format!("scene_{}", self.scenes)
    }

    /// # Errors
    /// When ClickHouse does not do it.
    pub fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let client = testkit::http_client(STATEMENT_PATIENCE)?;
        let answer = client.post(self.clickhouse.http_url()).body(statement.to_owned()).send()?;
        Ok(answer.error_for_status().with_context(|| statement.to_owned())?.text()?)
    }
}

/// A disk of the size that a class wants, when the machine lets us mount one.
///
/// # Errors
/// When there is no folder for it.
pub fn small_disk(which: Disk, events: usize) -> anyhow::Result<Option<SmallDisk>> {
    // A disk that the load alone fills is no fault that passes.
    let thousands = u32::try_from(events / 1_000)?;
    let megabytes = match which {
        Disk::None => return Ok(None),
        Disk::Log => LOG_DISK_MB + 2 * thousands,
        Disk::ClickHouse => CLICKHOUSE_DISK_MB + 2 * thousands,
        Disk::State => STATE_DISK_MB + thousands / 4,
    };
    Ok(SmallDisk::mount(megabytes)?)
}

/// Flips a bit of a file, cuts it, or removes it, as the number says.
///
/// # Errors
/// When the file cannot be read or written.
pub fn damage(file: &Path, number: u64) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let place = usize::try_from(number / 8)? % bytes.len().max(1);
    match number % 8 {
        0 => std::fs::remove_file(file)?,
        1 => std::fs::write(file, &bytes[..place])?,
        _ if bytes.is_empty() => {}
        bit => {
            bytes[place] ^= 1 << bit;
            std::fs::write(file, bytes)?;
        }
    }
    Ok(())
}
