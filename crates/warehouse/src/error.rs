//! What can go wrong, by what to do about it.

use std::fmt;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The same thing may succeed later.
    Retry,
    /// It will fail again until a person, or other code, changes something.
    Halt,
}

/// An error that the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// ClickHouse's error code, stable between versions.
    pub code: u32,
    /// The message, as the server wrote it.
    pub message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// Codes that stand for a state of the server rather than for a fault of the statement
/// (`src/Common/ErrorCodes.cpp`). Every other code halts.
const RETRY_CODES: [u32; 24] = [
    3,    // UNEXPECTED_END_OF_FILE: the request was cut
    74,   // CANNOT_READ_FROM_FILE_DESCRIPTOR
    75,   // CANNOT_WRITE_TO_FILE_DESCRIPTOR: disk full
    159,  // TIMEOUT_EXCEEDED
    160,  // TOO_SLOW
    202,  // TOO_MANY_SIMULTANEOUS_QUERIES
    203,  // NO_FREE_CONNECTION
    209,  // SOCKET_TIMEOUT
    210,  // NETWORK_ERROR
    236,  // ABORTED: the server is shutting down
    241,  // MEMORY_LIMIT_EXCEEDED
    242,  // TABLE_IS_READ_ONLY
    243,  // NOT_ENOUGH_SPACE
    252,  // TOO_MANY_PARTS: merges are behind
    319,  // UNKNOWN_STATUS_OF_INSERT
    335,  // BARRIER_TIMEOUT
    394,  // QUERY_WAS_CANCELLED
    425,  // SYSTEM_ERROR
    439,  // CANNOT_SCHEDULE_TASK
    473,  // DEADLOCK_AVOIDED
    735,  // QUERY_WAS_CANCELLED_BY_CLIENT
    999,  // KEEPER_EXCEPTION
    1000, // POCO_EXCEPTION
    1001, // STD_EXCEPTION: often a full disk
];

impl ServerError {
    pub fn consequence(&self) -> Consequence {
        if RETRY_CODES.contains(&self.code) { Consequence::Retry } else { Consequence::Halt }
    }
}

/// Why something asked of ClickHouse was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarehouseError {
    /// No answer, or a part of one: nothing is known about what the server did.
    #[error("no answer from ClickHouse: {0}")]
    Unanswered(String),
    /// The server answered an error.
    #[error("ClickHouse: {0}")]
    Server(ServerError),
    /// An answer that is not what the query asks for.
    #[error("ClickHouse answered something else: {0}")]
    Unreadable(String),
    /// The request could not be made at all.
    #[error("cannot ask ClickHouse: {0}")]
    Misconfigured(String),
    /// The database was made by a newer tally.
    #[error(
        "the database is at schema version {found}, this tally knows {known}: use a newer tally"
    )]
    NewerSchema { found: u32, known: u32 },
    /// The writer of an export failed.
    #[error("cannot write the export: {0}")]
    Output(String),
}

impl WarehouseError {
    pub fn consequence(&self) -> Consequence {
        match self {
            Self::Unanswered(_) => Consequence::Retry,
            Self::Server(error) => error.consequence(),
            Self::Unreadable(_)
            | Self::Misconfigured(_)
            | Self::NewerSchema { .. }
            | Self::Output(_) => Consequence::Halt,
        }
    }
}

/// The one place that reads the crate's errors: server errors arrive as text.
impl From<clickhouse::error::Error> for WarehouseError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(text) => match code_of(&text) {
                Some(code) => {
                    Self::Server(ServerError { code, message: text.trim_end().to_owned() })
                }
                // A proxy's own answer, or one that was cut.
                None => Self::Unanswered(text),
            },
            Error::InvalidParams(_) | Error::Unsupported(_) => {
                Self::Misconfigured(with_sources(&error))
            }
            Error::Network(_) | Error::TimedOut => Self::Unanswered(with_sources(&error)),
            // The enum is open; what it may grow says nothing about what the server did.
            _ => Self::Unanswered(with_sources(&error)),
        }
    }
}

/// The code in `Code: 60. DB::Exception: …`.
fn code_of(text: &str) -> Option<u32> {
    let after = text.split_once("Code: ")?.1;
    let digits = after.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The message with its causes: a network error alone says only "client error (Connect)".
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use clickhouse::error::Error;

    use super::*;

    fn consequence_of(text: &str) -> Consequence {
        WarehouseError::from(Error::BadResponse(text.to_owned())).consequence()
    }

    #[test]
    fn codes_decide_between_retry_and_halt() {
        assert_eq!(
            consequence_of("Code: 252. DB::Exception: Too many parts (600)"),
            Consequence::Retry
        );
        assert_eq!(
            consequence_of("Code: 60. DB::Exception: Table tally.x does not exist"),
            Consequence::Halt
        );
        // A code inside another number is not that code.
        assert_eq!(consequence_of("Code: 2520. DB::Exception: x"), Consequence::Halt);
        assert_eq!(consequence_of("502 Bad Gateway"), Consequence::Retry);
        assert_eq!(WarehouseError::from(Error::TimedOut).consequence(), Consequence::Retry);
    }
}
