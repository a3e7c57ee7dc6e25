//! Where the rows go. ClickHouse, or a stand-in that a test can break.

use std::collections::BTreeMap;
use std::future::Future;

use domain::{Offset, Partition};
use projection::tables::Table;
use warehouse::{Batch, InsertOutcome, Pause, Warehouse, WarehouseError};

/// Takes batches, each once.
pub trait Sink: Send {
    /// Inserts a batch that was never sent before.
    fn insert(&self, batch: &Batch) -> impl Future<Output = InsertOutcome>;

    /// Inserts a batch that may have been sent before.
    fn insert_again(&self, batch: &Batch) -> impl Future<Output = InsertOutcome>;

    /// The largest offset per partition that a table has rows of.
    fn max_offsets(
        &self,
        table: &Table,
    ) -> impl Future<Output = Result<BTreeMap<Partition, Offset>, WarehouseError>>;

    /// The wishes that nothing be written, which were not withdrawn.
    fn pauses(&self) -> impl Future<Output = Result<Vec<Pause>, WarehouseError>>;

    /// Says that of these partitions nothing is written from these offsets on.
    fn confirm_pause(
        &self,
        pause: &Pause,
        reached: &[(Partition, Offset)],
        who: &str,
    ) -> impl Future<Output = Result<(), WarehouseError>>;
}

/// ClickHouse.
#[derive(Clone, Debug)]
pub struct WarehouseSink(pub Warehouse);

impl Sink for WarehouseSink {
    async fn insert(&self, batch: &Batch) -> InsertOutcome {
        self.0.insert(batch).await
    }

    async fn insert_again(&self, batch: &Batch) -> InsertOutcome {
        self.0.insert_again(batch).await
    }

    async fn max_offsets(
        &self,
        table: &Table,
    ) -> Result<BTreeMap<Partition, Offset>, WarehouseError> {
        self.0.max_offsets(table).await
    }
    async fn pauses(&self) -> Result<Vec<Pause>, WarehouseError> {
        self.0.pauses().await
    }

    async fn confirm_pause(
        &self,
        pause: &Pause,
        reached: &[(Partition, Offset)],
        who: &str,
    ) -> Result<(), WarehouseError> {
        self.0.confirm_pause(pause, reached, who).await
    }
}
