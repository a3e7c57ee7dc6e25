//! `tally key`.

use clap::{Args, Subcommand, ValueEnum};

use super::values::Seconds;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key, and show it once
    #[command(after_help = "Examples:\n  \
        tally key create --name chat-eu --role producer --source /chat/eu-1\n  \
        tally key create --name shop --role app --account acct_42 --account acct_43\n  \
        tally key create --name nightly --role producer --traffic internal --traffic test\n\n\
        Roles: producer sends events; app quotes, holds, reads balances and sends events; finance \
        changes credits; analyst reads everything; operator does everything. A producer or app key \
        sends customer traffic alone unless --traffic says otherwise.")]
    Create(KeyCreate),
    /// All keys, and when each was last used
    List,
    /// Make another key with the same rights, and let the old one end
    #[command(after_help = "Examples:\n  tally key rotate 7wq2m4x9t0ab\n  \
        tally key rotate 7wq2m4x9t0ab --overlap 0s      the old one ends at once")]
    Rotate(KeyRotate),
    /// End a key at once
    #[command(after_help = "Examples:\n  tally key revoke 7wq2m4x9t0ab")]
    Revoke(KeyRevoke),
}

#[derive(Args, Debug)]
pub(crate) struct KeyCreate {
    /// What people call it; recorded with what is done with it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    /// Bind it to an account; again for several
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<String>,
    /// Bind it to a source of events; again for several
    #[arg(long = "source", value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    /// A class of traffic that it may send: customer, internal, test…; again for several
    #[arg(long = "traffic", value_name = "CLASS")]
    pub(crate) traffic: Vec<String>,
    /// When it ends by itself; never when not given
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Makes a repetition harmless: it says which key was made
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Producer,
    App,
    Finance,
    Operator,
    Analyst,
}

impl Role {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::App => "app",
            Self::Finance => "finance",
            Self::Operator => "operator",
            Self::Analyst => "analyst",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct KeyRotate {
    /// The key's id, as `tally key list` shows it
    pub(crate) id: String,
    /// How long the old key stays valid: 90s, 30m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) overlap: Seconds,
}

#[derive(Args, Debug)]
pub(crate) struct KeyRevoke {
    /// The key's id, as `tally key list` shows it
    pub(crate) id: String,
}
