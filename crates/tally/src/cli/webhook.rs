//! `tally webhook`.

use clap::{Args, Subcommand};

use super::values::Seconds;

#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// Send alerts to a URL from now on, and show its secret once
    #[command(after_help = "Examples:\n  \
        tally webhook add https://example.com/alerts\n  \
        tally webhook add https://example.com/alerts --events balance.low --events topup.wanted\n  \
        tally webhook add https://example.com/acct_42 --account acct_42\n\n\
        Requests are signed after the Standard Webhooks convention. Types: balance.low, \
        balance.exhausted, budget.threshold, lot.expiring, hold.expired, usage.unrated, \
        allowance.renewed, topup.wanted.")]
    Add(WebhookAdd),
    /// Where alerts go
    List,
    /// Send nothing there any more
    Remove(WebhookId),
    /// Make a new secret; the old one signs beside it for a while
    #[command(after_help = "Examples:\n  tally webhook rotate wh_7wq2m4x9t0ab\n  \
        tally webhook rotate wh_7wq2m4x9t0ab --overlap 0s      the old one ends at once")]
    Rotate(WebhookRotate),
    /// Send a ping now, and show what comes back
    Test(WebhookId),
    /// What became of the alerts that went there, the newest first
    #[command(after_help = "Examples:\n  tally webhook deliveries wh_7wq2m4x9t0ab\n  \
        tally webhook deliveries wh_7wq2m4x9t0ab --state failed")]
    Deliveries(WebhookDeliveries),
    /// Send an alert again
    Replay(WebhookReplay),
}

#[derive(Args, Debug)]
pub(crate) struct WebhookAdd {
    #[arg(id = "endpoint", value_name = "URL")]
    pub(crate) url: String,
    /// A type of alerts, such as balance.low; again for several; all when not given
    #[arg(long = "events", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) events: Vec<String>,
    /// Alerts of this account alone; again for several
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<String>,
    /// What it is, for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct WebhookId {
    /// The endpoint's id, as `tally webhook list` shows it
    pub(crate) id: String,
}

#[derive(Args, Debug)]
pub(crate) struct WebhookRotate {
    /// The endpoint's id, as `tally webhook list` shows it
    pub(crate) id: String,
    /// How long the old secret signs as well: 90s, 30m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) overlap: Seconds,
}

#[derive(Args, Debug)]
pub(crate) struct WebhookDeliveries {
    /// The endpoint's id, as `tally webhook list` shows it
    pub(crate) id: String,
    /// Only those that are pending, delivered or failed
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
    /// How many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct WebhookReplay {
    /// The endpoint's id, as `tally webhook list` shows it
    pub(crate) id: String,
    /// The delivery, as `tally webhook deliveries` shows it
    pub(crate) delivery: String,
}
