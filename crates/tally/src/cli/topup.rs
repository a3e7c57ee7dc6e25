//! `tally topup` and `tally alert`.

use clap::{Args, Subcommand};
use domain::{Credits, Currency, Money, Timestamp};

use super::spending::Change;
use super::values::positive;

#[derive(Args, Debug)]
pub(crate) struct Topup {
    #[command(flatten)]
    pub(crate) bought: Option<Bought>,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(subcommand)]
    pub(crate) command: Option<TopupCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopupCommand {
    /// Say when an account falls below an amount, and how much it then wants
    Auto(TopupAuto),
}

/// A purchase. It has no arguments in a structure of their own: clap would take it for absent.
#[derive(Args, Debug)]
pub(crate) struct Bought {
    pub(crate) account: String,
    /// Credits, such as 1000
    #[arg(value_parser = positive)]
    pub(crate) amount: Credits,
    /// What was paid for all of them, such as 10.00
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) paid: Money,
    /// The currency of what was paid
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Currency,
    /// When they are forfeited; never when not given
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<Timestamp>,
}

#[derive(Args, Debug)]
pub(crate) struct TopupAuto {
    pub(crate) account: String,
    /// Credits below which a top-up is due
    #[arg(long, value_name = "AMOUNT", requires = "amount", required_unless_present = "off")]
    pub(crate) below: Option<Credits>,
    /// Credits that it then wants
    #[arg(long, value_name = "AMOUNT", requires = "below", value_parser = positive)]
    pub(crate) amount: Option<Credits>,
    /// No more top-ups by itself
    #[arg(long, conflicts_with_all = ["below", "amount"])]
    pub(crate) off: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// Tell when less than this is available
    #[command(after_help = "Examples:\n  tally alert set acct_42 --low-balance 100\n  \
        tally alert set acct_42 --off      as the plan says\n\n\
        Who is told: `tally webhook`. Budgets tell at their own thresholds.")]
    Set(AlertSet),
}

#[derive(Args, Debug)]
pub(crate) struct AlertSet {
    pub(crate) account: String,
    /// Credits
    #[arg(long, value_name = "AMOUNT", required_unless_present = "off")]
    pub(crate) low_balance: Option<Credits>,
    /// Leave it to the plan
    #[arg(long, conflicts_with = "low_balance")]
    pub(crate) off: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}
