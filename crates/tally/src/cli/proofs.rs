//! `tally verify` and `tally replay raw`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Everything: prices made again by two ways of reckoning, the inputs' bytes, every table
    #[arg(long)]
    pub(crate) deep: bool,
    /// Prices and inputs from here on: a ledger time, or ledger offsets by partition as 0:1200,3:900
    #[arg(long, value_name = "TIME|OFFSETS", requires = "deep")]
    pub(crate) from: Option<String>,
    /// Records read per second, so that live traffic goes on; 0 is as fast as it goes [default: 20000]
    #[arg(long, value_name = "N", requires = "deep")]
    pub(crate) rate: Option<u32>,
    /// Reckon one charge of N independently [default: 1, every charge]
    #[arg(long, value_name = "N", requires = "deep")]
    pub(crate) every: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayRaw {
    /// One partition; all of them when not given
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// The first seal whose inputs are decided again; the ledger is folded up to it [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) from_seal: Option<u64>,
    /// The prices to decide with
    #[arg(long, value_enum, value_name = "WHICH", default_value = "then")]
    pub(crate) catalogue: WhichCatalogue,
    /// Records read per second, so that live traffic goes on; 0 is as fast as it goes [default: 20000]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// Write the whole report there, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichCatalogue {
    /// The catalogue that was in use then
    Then,
    /// The newest one, for charges alone
    Newest,
}
