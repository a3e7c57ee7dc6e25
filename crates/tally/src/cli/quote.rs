//! `tally quote`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use domain::Timestamp;

use super::item::Expected;
use super::spending::Scope;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("usage").args(["items", "model", "file"]).required(true)))]
pub(crate) struct Quote {
    /// Whose plan prices it
    #[arg(required_unless_present = "file")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) expected: Expected,
    /// A usage event, or {"feature", "items": [...]}; - is standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["time", "user", "team", "feature", "traffic"]
    )]
    pub(crate) file: Option<PathBuf>,
    /// At which time's prices [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) scope: Scope,
}
