//! Where ClickHouse is and how long to wait for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A text that never prints.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// How to reach ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The HTTP interface: `http://host:8123`, or `https://host:8443`.
    pub url: String,
    /// PEM: authorities to believe besides this machine's, for `https`.
    pub ca_file: Option<PathBuf>,
    /// Empty for the server's default user.
    pub user: String,
    pub password: Secret,
    /// Letters, digits and underscores.
    pub database: String,
    /// From the first byte of an insert to its answer. Past it the outcome is unknown, so it should
    /// be well above what a busy server needs.
    pub insert_timeout: Duration,
    /// For statements and queries of tally's own.
    pub query_timeout: Duration,
}

impl Settings {
    /// The server at `url`, with its default user and the database `tally`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            user: String::new(),
            password: Secret::default(),
            database: "tally".to_owned(),
            insert_timeout: Duration::from_secs(60),
            query_timeout: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_prints() {
        let settings =
            Settings { password: Secret::new("hunter2"), ..Settings::new("http://localhost:8123") };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
