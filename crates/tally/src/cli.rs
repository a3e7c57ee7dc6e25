//! The command line. The words here are what a newcomer reads first.

pub(crate) mod budget;
mod credits;
pub(crate) mod hold;
mod item;
mod keys;
pub(crate) mod on_call;
pub(crate) mod plan;
pub(crate) mod proofs;
pub(crate) mod quote;
mod rates;
pub(crate) mod reconcile;
pub(crate) mod replay;
pub(crate) mod rerate;
pub(crate) mod spending;
pub(crate) mod topup;
mod values;
mod webhook;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use credits::{Adjust, ByHand, Grant, Void};
pub(crate) use keys::{KeyCreate, KeyRevoke, KeyRotate, Keys};
pub(crate) use rates::{Import, Litellm, Publish, PublishOptions, Rates, RatesShow};
pub(crate) use webhook::{WebhookAdd, WebhookDeliveries, WebhookRotate, Webhooks};

/// Meter AI usage, price it exactly, and draw it from credits.
///
/// Usage events come in as JSON or Avro; each is priced by the rate card in force at its time, drawn
/// from the account's credits in a ledger that never changes, and can be queried in ClickHouse.
#[derive(Debug, Parser)]
#[command(
    name = "tally",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    propagate_version = false,
    after_help = "First steps:\n  \
        tally demo                       see it all at work on a real trace\n  \
        tally up                         start your own, then in another terminal:\n  \
        tally rates publish card.toml    say what usage costs\n  \
        tally grant acct_42 1000 --category purchased --paid 10.00 --currency USD\n  \
        tally ingest events.jsonl --wait\n  \
        tally balance acct_42\n\n\
        Settings come from tally.toml, then TALLY_… environment variables, then flags; \
        `tally settings` lists them.\n\
        Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Print JSON for programs instead of text for people; amounts are strings
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// The tally to talk to; by default the one that `up` or `demo` started here [env: TALLY_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub(crate) url: Option<String>,
    /// A file with the API key to use; by default the operator's, when tally runs here
    /// [env: TALLY_KEY_FILE, or the key itself in TALLY_KEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) key_file: Option<PathBuf>,
    /// PEM: authorities to believe besides this machine's, of an https address [env: TALLY_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The data folder; by default tally's in your user's data folder [env: TALLY_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub(crate) data: Option<PathBuf>,
    /// A settings file instead of ./tally.toml
    #[arg(
        long,
        global = true,
        env = "TALLY_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Everywhere"
    )]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this one process: log, charger, projector, API and ClickHouse
    #[command(
        after_help = "Examples:\n  tally up\n  tally up --data ./tally-data --listen 127.0.0.1:9400\n\n\
        Nothing else needs to be installed: an embedded ClickHouse is fetched once. Runs until \
        interrupted (Ctrl-C); what was acknowledged survives even a kill -9."
    )]
    Up(Up),
    /// Start tally over a real trace: prices, credits, 19,366 requests, and what came out
    #[command(
        after_help = "Examples:\n  tally demo\n  tally demo --exit\n  tally demo --data ./demo\n\n\
        Without --data each run starts afresh in a folder of its own. With --data the folder is \
        kept, and a second run meters the trace again as new usage."
    )]
    Demo(Demo),
    /// Run one service against Kafka and ClickHouse
    #[command(after_help = "Examples:\n  \
        TALLY_KAFKA_BOOTSTRAP=localhost:9092 tally run charger\n  \
        TALLY_KAFKA_BOOTSTRAP=localhost:9092 TALLY_CLICKHOUSE_URL=http://localhost:8123 tally run projector\n\n\
        Each serves /metrics and /healthz at --listen.")]
    Run(Run),
    /// The topics of a deployment on Kafka
    #[command(subcommand)]
    Topics(Topics),
    /// Send usage events from files, one JSON object per line
    #[command(
        after_help = "Examples:\n  tally ingest events.jsonl --wait\n  generate | tally ingest - --wait\n\n\
        Lines go to usage.raw byte for byte: a bad line becomes a dead letter with its reason, as it \
        would from Kafka. The same event sent again is a duplicate, and is charged once."
    )]
    Ingest(Ingest),
    /// Price books, rate cards and plans: import, publish, show, quote
    #[command(subcommand)]
    Rates(Rates),
    /// Add credits to an account
    #[command(after_help = "Examples:\n  \
        tally grant acct_42 1000 --category purchased --paid 10.00 --currency USD --id order-77\n  \
        tally grant acct_42 50 --category promotional --expires 2027-01-01T00:00:00Z\n\n\
        The same --id again changes nothing and says \"already applied\".")]
    Grant(Grant),
    /// Correct an account's credits by an amount, up or down
    #[command(
        after_help = "Examples:\n  tally adjust acct_42 -5 --reason \"charged twice upstream, ticket 812\""
    )]
    Adjust(Adjust),
    /// Remove what is left of a lot of credits
    #[command(
        after_help = "Examples:\n  tally void acct_42 7 --reason \"order 77 was cancelled\"\n  \
        tally void acct_42 7 --amount 100 --reason \"part of order 77\""
    )]
    Void(Void),
    #[command(flatten)]
    Spending(spending::Spending),
    /// What an account has, and how fresh the figure is
    #[command(
        after_help = "Examples:\n  tally balance acct_42\n  tally balance acct_42 --json\n  \
        tally balance acct_42 --strict      with everything that was sent before\n  \
        tally balance acct_42 --at 2026-11-20T12:00:00Z      as it was, and the entries that made it"
    )]
    Balance(Balance),
    /// Usage, credits, vendor cost and revenue, by whatever you name
    #[command(after_help = "Examples:\n  tally usage --by feature,model\n  \
        tally usage --by account --top 20\n  \
        tally usage --account acct_42 --by feature --from 2026-11-01T00:00:00Z")]
    Usage(Usage),
    /// Why an event was charged what it was, line by line; or what a ledger entry says
    #[command(
        after_help = "Examples:\n  tally explain /chat/eu-1 req_8f2c\n  tally explain 3-8812\n\n\
        SOURCE and ID are the event's own. An event on its way is \"pending\"; one that could not be \
        read has its dead letter with the code, the field and the value."
    )]
    Explain(Explain),
    /// A read-only query to ClickHouse
    #[command(
        after_help = "Examples:\n  tally sql \"SELECT feature, sum(credits) FROM usage_lines GROUP BY feature\"\n  \
        tally sql \"SELECT * FROM margin_by_model\" --json      one object per row"
    )]
    Sql(Sql),
    /// What the tables are, and what every column means
    #[command(after_help = "Examples:\n  tally schema\n  tally schema usage_lines")]
    Schema(Schema),
    /// Usage lines as a file, with sums equal to the ledger's
    #[command(
        after_help = "Examples:\n  tally export --format csv --output november.csv --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z\n  \
        tally export --format parquet --account acct_42 > usage.parquet"
    )]
    Export(Export),
    /// API keys: make, list, rotate, revoke
    #[command(subcommand)]
    Key(Keys),
    /// Where alerts go: add, list, test, and what became of them
    #[command(subcommand)]
    Webhook(Webhooks),
    #[command(flatten)]
    OnCall(on_call::OnCall),
    /// How every service is doing: lag, halted partitions, dead letters, unrated usage
    #[command(after_help = "Examples:\n  tally status\n  tally status --watch")]
    Status(Status),
    /// Prove from the ledger that nothing was lost, doubled or changed
    #[command(
        after_help = "Exit code 0 when every invariant holds, 1 with counterexamples when one does not.\n\n\
        Examples:\n  tally verify\n  tally verify --json\n  \
        tally verify --deep                     all twelve, also from prices, inputs and every table\n  \
        tally verify --deep --from 2026-11-01T00:00:00Z --rate 5000"
    )]
    Verify(proofs::Verify),
    /// What vendors bill beside what was metered
    #[command(subcommand)]
    Reconcile(reconcile::Reconcile),
    /// Set wrong prices right: plan, look at the difference, apply
    #[command(subcommand)]
    Rerate(rerate::Rerate),
    /// Records that were held back: look at them, let them in or leave them out
    #[command(subcommand)]
    Quarantine(rerate::Quarantine),
    /// Make ClickHouse's tables again from the ledger, beside the live ones, and exchange them
    #[command(subcommand)]
    Replay(replay::Replay),
    /// Everything that can be set, and what is set now
    #[command(
        after_help = "Settings come from tally.toml, then the environment, then flags. Secrets are not shown."
    )]
    Settings,
    /// The process that the embedded ClickHouse runs in
    #[command(name = CLICKHOUSE_SERVER, hide = true)]
    ClickhouseServer(ClickhouseServer),
}

/// The hidden command that [`Command::ClickhouseServer`] is.
pub(crate) const CLICKHOUSE_SERVER: &str = "clickhouse-server";

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Up {
    /// Address of the API; port 0, the default, takes a free one [env: TALLY_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// A ClickHouse to use instead of the embedded one [env: TALLY_CLICKHOUSE_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) clickhouse_url: Option<String>,
    /// Partitions of a new deployment; fixed from then on [default: 8]
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u32>,
    /// Write logs to this file instead of standard error [env: TALLY_LOG_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// How logs are written [env: TALLY_LOG_FORMAT]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, or a filter [env: TALLY_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Demo {
    /// End after showing, instead of staying up
    #[arg(long)]
    pub(crate) exit: bool,
    /// What the made-up part of the trace is drawn from
    #[arg(long, value_name = "N", default_value_t = 2023)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) up: Up,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Run {
    #[arg(value_enum)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) up: Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Prices usage and writes the ledger
    Charger,
    /// Brings the ledger into ClickHouse
    Projector,
    /// The HTTP API
    Gateway,
    /// The HTTP API, for publishing and quoting prices
    Rates,
    /// Brings alerts to webhooks
    Notifier,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// Make the topics that are not there, and check the rest against what tally needs of them
    #[command(
        after_help = "Examples:\n  TALLY_KAFKA_BOOTSTRAP=localhost:9092 tally topics create --partitions 8"
    )]
    Create(TopicsCreate),
    /// What Kafka's authorizer must allow each service: as commands, or put in force
    #[command(
        after_help = "Examples:\n  TALLY_KAFKA_BOOTSTRAP=broker-1:9092 tally topics acls\n  \
        TALLY_KAFKA_BOOTSTRAP=broker-1:9092 tally topics acls --apply\n\n\
        Each service has a principal of its own: PREFIX and charger, projector, gateway (also of run rates), notifier; \
        deploy is whoever makes the topics. Applying what is in force changes nothing."
    )]
    Acls(TopicsAcls),
}

#[derive(Args, Debug)]
pub(crate) struct TopicsAcls {
    /// What the services' principals begin with
    #[arg(long, value_name = "PREFIX", default_value = "User:tally-")]
    pub(crate) principals: String,
    /// Put them in force, as whoever may change permissions
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TopicsCreate {
    /// Partitions of a new deployment; fixed from then on [default: 8]
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Ingest {
    /// Files of JSON lines; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Return when all of it can be queried, and count the outcomes
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Balance {
    pub(crate) account: String,
    /// Wait until everything that was sent before is in the figure
    #[arg(long)]
    pub(crate) strict: bool,
    /// As it was at this ledger time, with the entries that made it
    #[arg(long, value_name = "TIME", conflicts_with = "strict")]
    pub(crate) at: Option<String>,
    /// With --at: what moved since this ledger time; since the first entry when not given
    #[arg(long, value_name = "TIME", requires = "at")]
    pub(crate) from: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Usage {
    /// One account; all of them when not given
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// What to group by: account, feature, model, provider, meter, team, user, traffic, day…
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', default_value = "feature,model")]
    pub(crate) by: Vec<String>,
    /// The N largest by credits
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<u32>,
    #[command(flatten)]
    pub(crate) range: Range,
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Range {
    /// From this event time on, such as 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Up to, not including, this event time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The event's source; or, alone, the name of an entry, such as 3-8812
    #[arg(value_name = "SOURCE|ENTRY")]
    pub(crate) source: String,
    /// The event's id
    pub(crate) id: Option<String>,
    /// When the same source and id may have been sent for several accounts
    #[arg(long, value_name = "ACCOUNT", requires = "id")]
    pub(crate) account: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Sql {
    pub(crate) query: String,
}

#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// One table or view; all of them when not given
    pub(crate) table: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// Where to write; standard output when not given
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) range: Range,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Csv,
    Parquet,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Show it again every second, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ClickhouseServer {
    #[arg(long)]
    pub(crate) library: PathBuf,
    #[arg(long)]
    pub(crate) directory: PathBuf,
}

#[cfg(test)]
mod tests;
