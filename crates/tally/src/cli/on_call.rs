//! On call: dead letters, what waits for a price, producers, the doctor, an account's history.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum OnCall {
    /// Dead letters: by what is wrong with them, one by one, and sent again after a fix
    #[command(subcommand)]
    Dlq(Dlq),
    /// Usage that no price covers yet, and what would cover it
    #[command(subcommand)]
    Unrated(Unrated),
    /// How each producer behaves: duplicates, conflicts, misroutes, dead letters, clocks
    #[command(
        after_help = "Examples:\n  tally sources\n  tally sources --since 2026-11-20T00:00:00Z --source /chat/eu-1\n\n\
        Misrouted is what came in another partition than its account's; it is forwarded and charged once. \
        Behind is from when usage happened to when the ledger had it; ahead is a clock that is wrong. \
        What the API refused never reached the log, and is counted in /metrics."
    )]
    Sources(Sources),
    /// What is wrong here, and what to do about each
    #[command(
        after_help = "Looks at the topics, ClickHouse and its tables, disks, clocks, permissions, snapshots, \
        prices, and what waits for a person. Exit code 1 when something is wrong.\n\n\
        Examples:\n  tally doctor\n  tally doctor --json"
    )]
    Doctor,
    /// The ledger entries of an account, newest first
    #[command(after_help = "Examples:\n  tally entries acct_42\n  \
        tally entries acct_42 --kind debit --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z\n\n\
        `tally explain 3-8812` tells all of one.")]
    Entries(Entries),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// Grouped by code, source and schema, each with what to type next
    #[command(after_help = "Examples:\n  tally dlq list\n  \
        tally dlq list --code unknown_pool --since 2026-11-20T00:00:00Z --state all")]
    List(DlqList),
    /// One letter: what is wrong, where it came from, its bytes, and what today's code says of them
    #[command(after_help = "Examples:\n  tally dlq show 3-17\n  tally dlq show usage.raw[3]@17")]
    Show {
        /// As `dlq list` names it, or the input that it was
        letter: String,
    },
    /// Send letters again after a fix; without --yes say what would become of each
    #[command(
        after_help = "Examples:\n  tally dlq retry --code unknown_pool --source /chat/eu-1\n  \
        tally dlq retry --code unknown_pool --yes\n  tally dlq retry 3-17 --yes\n\n\
        The original bytes are sent, with where they came from. The event keeps its identity: one that was \
        charged meanwhile, or is sent twice, is a duplicate and changes nothing, so an interrupted retry is \
        simply run again. What still cannot be read is not sent and stays open. Letters are never removed \
        by this; they go with their topic's retention."
    )]
    Retry(DlqRetry),
    /// Letters as JSON lines, their bytes in base64
    #[command(after_help = "Examples:\n  tally dlq export letters.jsonl --code unknown_pool\n  \
        tally dlq export - | jq -r .text")]
    Export(DlqExport),
}

/// Which letters.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Letters {
    /// Of this reason code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Of this producer
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// Written so: json, or avro: and a fingerprint, as `dlq list` shows it
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) schema: Option<String>,
    /// Put aside at or after this time
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetterState {
    Open,
    Retried,
    All,
}

#[derive(Args, Debug)]
pub(crate) struct DlqList {
    #[command(flatten)]
    pub(crate) letters: Letters,
    /// Those that are open, those that were sent again, or all
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) state: LetterState,
}

#[derive(Args, Debug)]
pub(crate) struct DlqRetry {
    /// One letter, also one that was sent again before
    #[arg(conflicts_with_all = ["code", "source", "schema", "since", "again"])]
    pub(crate) letter: Option<String>,
    #[command(flatten)]
    pub(crate) letters: Letters,
    /// Also those that were sent again before
    #[arg(long)]
    pub(crate) again: bool,
    /// Send them; without it nothing is sent
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DlqExport {
    /// Where to write; - is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) letters: Letters,
    /// Those that are open, those that were sent again, or all
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) state: LetterState,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Unrated {
    /// By what is missing, with the lines that would cover it
    #[command(
        after_help = "Examples:\n  tally unrated list\n  tally unrated list --code no_vendor_price\n\n\
        The events are kept whole, and charged by themselves once a version that covers them is published: \
        tally rates publish FILE.toml"
    )]
    List(UnratedList),
}

#[derive(Args, Debug)]
pub(crate) struct UnratedList {
    /// Of this reason code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Sources {
    /// Since this ledger time; seven days ago when not given
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// One producer
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// The N busiest
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) top: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Entries {
    pub(crate) account: String,
    /// Recorded at or after this ledger time
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Recorded before this ledger time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Of this kind: debit, grant, hold_reserved…
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Before the entry of this sequence number: the page after
    #[arg(long, value_name = "N")]
    pub(crate) before: Option<u64>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}

impl LetterState {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Retried => "retried",
            Self::All => "all",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn every_command_takes_what_it_says() {
        for line in [
            "tally dlq list",
            "tally dlq list --code unknown_pool --source /a --schema json --since 2026-11-20T00:00:00Z --state open",
            "tally dlq show 3-17",
            "tally dlq show usage.raw[3]@17",
            "tally dlq retry",
            "tally dlq retry 3-17 --yes",
            "tally dlq retry --code unknown_pool --again --yes",
            "tally dlq export letters.jsonl --state retried",
            "tally unrated list --code no_rule",
            "tally sources --since 2026-11-20T00:00:00Z --top 5",
            "tally doctor",
            "tally entries acct_42 --kind debit --from 2026-11-20T00:00:00Z --before 9 --limit 5",
            "tally explain 3-8812",
            "tally explain /chat/eu-1 req_8f2c",
            "tally balance acct_42 --at 2026-11-20T00:00:00Z --from 2026-11-01T00:00:00Z",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_usage_is_refused_before_anything_travels() {
        for (line, said) in [
            ("tally dlq", "Usage: tally dlq"),
            ("tally dlq show", "<LETTER>"),
            ("tally dlq export", "<FILE>"),
            ("tally dlq retry 3-17 --code x", "cannot be used with"),
            ("tally dlq list --state closed", "open, retried, all"),
            ("tally balance acct_42 --from 2026-11-01T00:00:00Z", "--at"),
            ("tally balance acct_42 --at 2026-11-01T00:00:00Z --strict", "cannot be used with"),
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(said), "{line}: {error}");
        }
    }
}
