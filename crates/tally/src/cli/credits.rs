//! `tally grant`, `adjust` and `void`.

use clap::{Args, ValueEnum};

#[derive(Args, Clone, Debug)]
pub(crate) struct ByHand {
    /// Makes a repetition harmless; made and printed when not given
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Who; recorded in the ledger [env: TALLY_ACTOR] [default: your user name]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Grant {
    pub(crate) account: String,
    /// Credits, such as 1000 or 12.5
    pub(crate) amount: String,
    #[arg(long, value_enum)]
    pub(crate) category: Category,
    /// When they begin to count [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) effective: Option<String>,
    /// When they are forfeited; never when not given
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// What was paid for all of them, such as 10.00
    #[arg(long, value_name = "AMOUNT", requires = "currency")]
    pub(crate) paid: Option<String>,
    /// The currency of what was paid
    #[arg(long, value_name = "CODE", requires = "paid")]
    pub(crate) currency: Option<String>,
    /// Smaller is drawn first [default: 50]
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<u8>,
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Category {
    Included,
    Promotional,
    Purchased,
}

impl Category {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Promotional => "promotional",
            Self::Purchased => "purchased",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Adjust {
    pub(crate) account: String,
    /// Credits to add, or with a minus sign to take
    #[arg(allow_hyphen_values = true)]
    pub(crate) amount: String,
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", value_parser = super::values::said)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}

#[derive(Args, Debug)]
pub(crate) struct Void {
    pub(crate) account: String,
    /// The lot's number, as `tally grant` printed it
    pub(crate) lot: u64,
    /// Only so many credits; all that is left when not given
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) amount: Option<String>,
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", value_parser = super::values::said)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}
