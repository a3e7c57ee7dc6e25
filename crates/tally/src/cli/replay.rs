//! `tally replay …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::proofs::ReplayRaw;

#[derive(Debug, Subcommand)]
pub(crate) enum Replay {
    /// Say what a rebuild would be: a file to read, review and hand on. Changes nothing
    #[command(after_help = "Examples:\n  \
        tally replay plan --out plan.toml --why \"ticket 812: usage_daily lost rows\"\n  \
        tally replay plan --table usage_daily --table usage_hourly --out plan.toml\n  \
        tally replay plan --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z\n\n\
        Without a range the tables can be exchanged with the live ones; a range can be compared only.")]
    Plan(ReplayPlan),
    /// Fill the tables beside the live ones, which stay as they are. Ctrl-C and again at any time
    #[command(after_help = "Examples:\n  tally replay apply plan.toml")]
    Apply(ReplayApply),
    /// What an exchange would change, by table, day, account, feature and model
    #[command(
        after_help = "Examples:\n  tally replay diff\n  tally replay diff --json --exit-code\n\n\
        The projector pauses for it at a batch boundary, so that what it has not written yet is no \
        difference. The digest names what was found: `replay swap --accept-differences` wants it."
    )]
    Diff(ReplayDiff),
    /// Exchange the rebuilt tables with the live ones, all or none; or back
    #[command(after_help = "Examples:\n  tally replay swap\n  \
        tally replay swap --accept-differences 4f0c61d2a9b83e57 --yes\n  tally replay swap --back\n\n\
        Refused while they differ by more than was accepted. Interrupted, it is finished by the next \
        `replay swap`, or undone by `replay abort`.")]
    Swap(ReplaySwap),
    /// Undo an exchange that was interrupted, and let the projector go on
    Abort(ReplayEnd),
    /// Drop the tables beside the live ones
    Drop(ReplayEnd),
    /// Decide the inputs again with this program, and compare with the ledger entry by entry
    #[command(
        after_help = "Nothing is written. Exit code 0 when everything came to the same, 1 when something \
        did not.\n\n\
        Examples:\n  tally replay raw                        after an upgrade: does it still price the same?\n  \
        tally replay raw --catalogue newest     what would today's prices have charged?\n  \
        tally replay raw --partition 3 --from-seal 8000 --output report.json"
    )]
    Raw(ReplayRaw),
    /// How the rebuild stands, and whether the projector waits for it
    Status(ReplayStatus),
}

#[derive(Args, Debug)]
pub(crate) struct ReplayPlan {
    /// A table that the ledger makes; all of them when none is named
    #[arg(long = "table", value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// Only this partition of the ledger
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// From this offset of the partition on
    #[arg(long, value_name = "OFFSET", requires = "partition")]
    pub(crate) from_offset: Option<i64>,
    /// Before this offset of the partition
    #[arg(long, value_name = "OFFSET", requires = "partition")]
    pub(crate) to_offset: Option<i64>,
    /// From what the ledger took at this time on
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from_offset", "to_offset"])]
    pub(crate) from: Option<String>,
    /// Before what the ledger took at this time
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from_offset", "to_offset"])]
    pub(crate) to: Option<String>,
    /// Why; stands in the plan
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) why: String,
    /// Write the plan to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayApply {
    /// The plan; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayDiff {
    /// End with exit code 1 when something differs
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// So many differences at the most, the largest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
}

#[derive(Args, Debug)]
pub(crate) struct ReplaySwap {
    /// The original tables again
    #[arg(long)]
    pub(crate) back: bool,
    /// The digest of the differences that you have looked at
    #[arg(long, value_name = "DIGEST")]
    pub(crate) accept_differences: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayEnd {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayStatus {
    /// A rebuild that was dropped; the one that is not through when none is named
    #[arg(value_name = "REPLAY")]
    pub(crate) replay: Option<String>,
}
