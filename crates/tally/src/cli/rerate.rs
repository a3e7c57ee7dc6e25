//! `tally rerate` and `tally quarantine`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ByHand, Range};

#[derive(Debug, Subcommand)]
pub(crate) enum Rerate {
    /// Find what would be charged differently, and write it to a file; nothing changes
    #[command(after_help = "Examples:\n  \
        tally rerate plan --out plan.jsonl --reason \"gpt-4o was priced twice\" --model gpt-4o\n  \
        tally rerate plan --out back.jsonl --reason \"undo plan 4f2a\" --catalogue 12\n\n\
        Charges are compared as they stand now with what the newest catalogue makes of them, or the \
        one that --catalogue names by its next offset (`tally rates list` shows the offsets). Undoing \
        a re-rate is a plan under the older catalogue. The file may be read, and handed to a \
        colleague: a line of JSON about the plan, then one per charge.")]
    Plan(ReratePlan),
    /// What a plan would change: credits, cost and margin by account, model and feature
    #[command(after_help = "Examples:\n  tally rerate diff plan.jsonl\n  \
        tally rerate diff plan.jsonl --by account --top 50")]
    Diff(RerateDiff),
    /// Carry a plan out: one adjustment per charge, each naming what it corrects
    #[command(after_help = "Examples:\n  tally rerate apply plan.jsonl\n  \
        tally rerate apply plan.jsonl --yes --rate 500\n\n\
        May be interrupted and run again: a charge is priced anew once per plan. One that was \
        corrected since the plan was made is left alone and named.")]
    Apply(RerateApply),
}

#[derive(Args, Debug)]
pub(crate) struct ReratePlan {
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Why; recorded with every adjustment
    #[arg(long, value_name = "TEXT", value_parser = super::values::said)]
    pub(crate) reason: String,
    /// Of this account; again for several
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<String>,
    /// Of this feature; again for several
    #[arg(long = "feature", value_name = "FEATURE")]
    pub(crate) features: Vec<String>,
    /// With an item of this model; again for several
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Of this source; again for several
    #[arg(long = "source", value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    #[command(flatten)]
    pub(crate) range: Range,
    /// The catalogue when its next offset was N [default: the newest]
    #[arg(long, value_name = "N")]
    pub(crate) catalogue: Option<i64>,
}

#[derive(Args, Debug)]
pub(crate) struct RerateDiff {
    pub(crate) plan: PathBuf,
    /// What to sum by
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "COLUMNS",
        default_value = "account,model,feature"
    )]
    pub(crate) by: Vec<RerateBy>,
    /// The N largest changes of each
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RerateBy {
    Account,
    Model,
    Feature,
}

impl RerateBy {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Model => "model",
            Self::Feature => "feature",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct RerateApply {
    pub(crate) plan: PathBuf,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Charges per second at most
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// Who; recorded in the ledger [env: TALLY_ACTOR] [default: your user name]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// Records that were held back: too early, too late, conflicting, or correcting nothing
    #[command(after_help = "Examples:\n  tally quarantine list\n  \
        tally quarantine list --reason identity_conflict --state all")]
    List(QuarantineList),
    /// One of them, with its bytes
    #[command(after_help = "Examples:\n  tally quarantine show 3-8812")]
    Show(QuarantineShow),
    /// Let one in: it is charged as if it came now; one that conflicts takes the first one's place
    #[command(
        after_help = "Examples:\n  tally quarantine accept 3-8812 --reason \"the exporter was down\""
    )]
    Accept(QuarantineDecide),
    /// Leave one out for good
    #[command(
        after_help = "Examples:\n  tally quarantine reject 3-8812 --reason \"a test that leaked\""
    )]
    Reject(QuarantineDecide),
}

#[derive(Args, Debug)]
pub(crate) struct QuarantineList {
    /// held, accepted, rejected, or all
    #[arg(long, value_name = "STATE", default_value = "held")]
    pub(crate) state: String,
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// Of one reason code
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct QuarantineShow {
    /// The entry that held it back, as the list shows it
    pub(crate) entry: String,
}

#[derive(Args, Debug)]
pub(crate) struct QuarantineDecide {
    /// The entry that held it back, as the list shows it
    pub(crate) entry: String,
    /// Why; recorded in the ledger
    #[arg(long, value_name = "TEXT", value_parser = super::values::said)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
}
