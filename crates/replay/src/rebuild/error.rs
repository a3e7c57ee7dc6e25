//! Why a step of a rebuild was not taken.

use catalog::CatalogueError;
use domain::{Offset, TopicPartition};
use eventlog::LogError;
use warehouse::WarehouseError;
use wire::RecordError;

use super::plan::BadPlan;

#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Plan(#[from] BadPlan),
    #[error("{at}@{offset}: {why}")]
    Record { at: TopicPartition, offset: Offset, why: RecordError },
    #[error("there is no rebuild {0}")]
    Unknown(String),
    #[error("there is no rebuild: make a plan (`tally replay plan --out FILE`) and apply it")]
    Nothing,
    /// Not now: the same step may be asked for again in a moment.
    #[error("{0}; ask again in a moment")]
    Busy(String),
    /// Not as it is: `code` says what is in the way.
    #[error("{detail}")]
    Refused { code: &'static str, detail: String },
    /// It differs from the live tables by more than was accepted.
    #[error(
        "the rebuilt tables differ from the original ones in {groups} groups of {tables}: look at \
         them (`tally replay diff`), and name what you have seen to go on \
         (`tally replay swap --accept-differences {digest}`)"
    )]
    Differs { digest: String, groups: u64, tables: String },
}

impl RebuildError {
    pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused { code, detail: detail.into() }
    }

    pub(super) fn lost_lease() -> Self {
        Self::Busy("another process took this rebuild over".to_owned())
    }
}
