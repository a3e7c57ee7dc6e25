//! `tally budget …`

use clap::{Args, Subcommand, ValueEnum};
use domain::Credits;

use super::spending::{Change, Scope};

#[derive(Debug, Subcommand)]
pub(crate) enum Budget {
    /// Set a budget, or change one
    #[command(
        after_help = "Examples:\n  tally budget set acct_42 growth --limit 1000 --period month --team growth\n  \
        tally budget set acct_42 all --limit 50000 --period month --timezone Europe/Berlin --threshold 50 --threshold 80\n  \
        tally budget set acct_42 u_7 --limit 20 --period day --user u_7 --soft\n\n\
        A hard budget refuses holds past its limit; usage that happened is booked all the same. The \
        same budget set again changes it and keeps what was used."
    )]
    Set(BudgetSet),
    /// An account's budgets: limit, used, held, what is left, until when
    List(BudgetList),
    /// Remove a budget
    Remove(BudgetRemove),
}

#[derive(Args, Debug)]
pub(crate) struct BudgetSet {
    pub(crate) account: String,
    /// The budget's name within the account; that of --id when not given
    pub(crate) budget: Option<String>,
    /// Credits per window
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) limit: Credits,
    /// The window: from local midnight to local midnight
    #[arg(long, value_enum, value_name = "PERIOD")]
    pub(crate) period: Period,
    /// Whose midnights, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Tell at this percentage of the limit; again for several [default: 50, 80, 100]
    #[arg(long = "threshold", value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) thresholds: Vec<u16>,
    /// Refuse holds past the limit; the default
    #[arg(long, conflicts_with = "soft")]
    pub(crate) hard: bool,
    /// Only tell, refuse nothing
    #[arg(long)]
    pub(crate) soft: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Period {
    Day,
    Week,
    Month,
    Year,
    /// One window without end
    Ever,
}

impl Period {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::Ever => "ever",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct BudgetList {
    pub(crate) account: String,
}

#[derive(Args, Debug)]
pub(crate) struct BudgetRemove {
    pub(crate) account: String,
    /// The budget's name, as `tally budget list` shows it
    pub(crate) budget: String,
    #[command(flatten)]
    pub(crate) change: Change,
}
