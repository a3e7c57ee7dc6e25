//! `tally plan …`

use clap::{Args, Subcommand, ValueEnum};

use super::rates::Publish;
use super::spending::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Publish plans; the same as `tally rates publish`
    #[command(
        after_help = "Examples:\n  tally plan publish pro.toml\n  tally plan publish pro.toml --dry-run"
    )]
    Publish(Publish),
    /// Give an account a plan
    #[command(after_help = "Examples:\n  tally plan assign acct_42 pro\n  \
        tally plan assign acct_42 free --when renewal\n\n\
        fitting: an upgrade at once, a downgrade with the renewal. An upgrade grants the prorated \
        difference; credits already spent are never taken back.")]
    Assign(PlanAssign),
    /// An account's plan: period, allowance, what is left of it, what comes next
    Show(PlanShow),
    /// The plans that are published, and which versions are in force
    List,
    /// What everything costs under a plan
    #[command(
        name = "price-list",
        after_help = "Examples:\n  tally plan price-list pro\n  tally plan price-list --account acct_42"
    )]
    PriceList(PriceList),
}

#[derive(Args, Debug)]
pub(crate) struct PlanAssign {
    pub(crate) account: String,
    /// The plan's id
    pub(crate) plan: String,
    /// When it begins
    #[arg(long, value_enum, value_name = "WHEN", default_value = "fitting")]
    pub(crate) when: When,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// An upgrade at once, a downgrade with the renewal
    Fitting,
    /// At once
    Now,
    /// With the renewal
    Renewal,
}

impl When {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Fitting => "fitting",
            Self::Now => "now",
            Self::Renewal => "renewal",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct PlanShow {
    pub(crate) account: String,
    /// Wait until everything that was sent before is in it
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PriceList {
    /// The plan's id; the default plan when not given
    #[arg(conflicts_with = "account")]
    pub(crate) plan: Option<String>,
    /// The plan that this account has
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
}
