//! `tally hold …`

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use domain::Credits;

use super::item::Expected;
use super::spending::{Change, Scope};
use super::values::{Seconds, positive};

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Set credits aside: an amount, or the most that usage may cost
    #[command(
        after_help = "Examples:\n  tally hold reserve acct_42 12.5 --feature chat --expires-in 60s\n  \
        tally hold reserve acct_42 --feature chat --item model=gpt-4o,provider=openai,input_characters=8000,max_output_tokens=1000\n  \
        tally hold reserve acct_42 500 --shrink\n\n\
        Every hold ends: settled, released, or by itself when its time is over; what was captured \
        stays charged."
    )]
    Reserve(Box<HoldReserve>),
    /// What became of a hold
    Show(HoldShow),
    /// An account's holds
    #[command(
        after_help = "Examples:\n  tally hold list acct_42\n  tally hold list acct_42 --state open"
    )]
    List(HoldList),
    /// Let a hold expire later
    #[command(after_help = "Examples:\n  tally hold extend hold_3-8812 --expires-in 5m\n\n\
        The time counts from now.")]
    Extend(HoldExtend),
    /// Charge a part of a hold ahead of its events
    #[command(after_help = "Examples:\n  tally hold capture hold_3-8812 3")]
    Capture(HoldCapture),
    /// End a hold at a total; what is left of it goes back
    #[command(after_help = "Examples:\n  tally hold settle hold_3-8812 9\n  \
        tally hold settle hold_3-8812      at what was captured")]
    Settle(HoldSettle),
    /// End a hold; what was captured stays charged
    Release(HoldRelease),
}

#[derive(Args, Debug)]
// Features have prices of their own.
#[command(group(ArgGroup::new("priced").args(["items", "model"]).requires("feature")))]
#[command(group(ArgGroup::new("wanted").args(["amount", "items", "model"]).required(true)))]
pub(crate) struct HoldReserve {
    pub(crate) account: String,
    /// Credits, such as 12.5; or say with --item what is to be used
    #[arg(value_parser = positive)]
    pub(crate) amount: Option<Credits>,
    #[command(flatten)]
    pub(crate) expected: Expected,
    /// When it ends by itself: 60s, 5m, 1h [default: 60s]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: Option<Seconds>,
    /// Take what there is when there is less
    #[arg(long)]
    pub(crate) shrink: bool,
    #[command(flatten)]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct HoldShow {
    /// The hold, such as hold_3-8812
    pub(crate) hold: String,
}

#[derive(Args, Debug)]
pub(crate) struct HoldList {
    pub(crate) account: String,
    /// Only these
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<HoldState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HoldState {
    Open,
    Settled,
    Released,
    Expired,
}

impl HoldState {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct HoldExtend {
    /// The hold, such as hold_3-8812
    pub(crate) hold: String,
    /// How long from now: 60s, 5m, 1h
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: Seconds,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct HoldCapture {
    /// The hold, such as hold_3-8812
    pub(crate) hold: String,
    /// Credits to charge now
    #[arg(value_parser = positive)]
    pub(crate) amount: Credits,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct HoldSettle {
    /// The hold, such as hold_3-8812
    pub(crate) hold: String,
    /// What it comes to in all; what was captured when not given
    pub(crate) amount: Option<Credits>,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct HoldRelease {
    /// The hold, such as hold_3-8812
    pub(crate) hold: String,
    #[command(flatten)]
    pub(crate) change: Change,
}
