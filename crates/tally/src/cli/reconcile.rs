//! `tally reconcile`.

use std::path::PathBuf;

use calendar::Date;
use clap::{Args, Subcommand, ValueEnum};
use domain::Money;

#[derive(Debug, Subcommand)]
pub(crate) enum Reconcile {
    /// A vendor's bill or usage export beside metered vendor cost, by day, model and token pool
    #[command(after_help = "Examples:\n  \
        tally reconcile vendor completions_usage.csv cost.csv --preset openai\n  \
        tally reconcile vendor bill.csv --mapping acme.toml --from 2026-11-01 --to 2026-12-01\n\n\
        Vendors export tokens in one file and money in another: give both, so that a missing call can \
        be told from another price. Exit code 1 when anything differs beyond the tolerances; \
        rounding does not count.")]
    Vendor(ReconcileVendor),
    /// Print a preset, to make a mapping of your own from it
    #[command(after_help = "Examples:\n  tally reconcile preset openai > acme.toml")]
    Preset(ReconcilePreset),
}

#[derive(Args, Debug)]
pub(crate) struct ReconcileVendor {
    /// The vendor's CSV files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Whose exports they are
    #[arg(long, value_enum, value_name = "VENDOR", required_unless_present = "mapping")]
    pub(crate) preset: Option<Preset>,
    /// A mapping of your own
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    pub(crate) mapping: Option<PathBuf>,
    /// From this day of the vendor's on, such as 2026-11-01 [default: the bill's first]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Date>,
    /// Up to, not including, this day [default: after the bill's last]
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Date>,
    /// Tokens that a day, model and pool may differ by
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    pub(crate) tolerance: u64,
    /// Money that a day, model and pool may differ by, beside rounding
    #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = super::values::not_negative)]
    pub(crate) tolerance_cost: Money,
    /// The N largest differences
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
}

#[derive(Args, Debug)]
pub(crate) struct ReconcilePreset {
    #[arg(value_enum)]
    pub(crate) vendor: Preset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    Openai,
    Anthropic,
}

impl Preset {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}
