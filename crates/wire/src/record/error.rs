//! Why a record's bytes are refused.

use std::fmt;

use domain::{Fault, Reason};

use crate::avro::AvroError;

/// A record that cannot be read. A reader of tally's own topics halts on it; an input that is one
/// becomes a dead letter (see [`RecordError::fault`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a record of {bytes} bytes, where at most {bytes_max} are read")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("not an Avro single-object record: it does not begin with C3 01 and a fingerprint")]
    NotARecord,
    /// Written by a newer tally, or by something else: nobody may guess what it says.
    #[error("no schema that may stand here has the fingerprint {fingerprint:016x}")]
    UnknownSchema { fingerprint: u64 },
    #[error("{0}")]
    Malformed(Malformed),
}

/// A field that is not what its schema, or its limit, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub(super) field: &'static str,
    pub(super) flaw: Flaw,
}

/// What is the matter with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Avro(AvroError),
    NumberOutOfRange,
    EmptyText,
    TextTooLong,
    ControlCharacter,
    BadAmount,
    BadTime,
    BadCurrency,
    UnknownReason,
    RepeatedName,
    BadKeyId,
    BadSpan,
    BadThreshold,
    UnknownZone,
    BytesTooLong,
    ContentDiffers,
}

impl Malformed {
    /// The field's name in the schema.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.flaw)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Avro(error) => return error.fmt(formatter),
            Self::NumberOutOfRange => "a number is beyond its type",
            Self::EmptyText => "an empty text",
            Self::TextTooLong => "a text is too long",
            Self::ControlCharacter => "a text has a control character",
            Self::BadAmount => "a decimal is empty or beyond the largest amount",
            Self::BadTime => "a time is not between the years 1970 and 9999",
            Self::BadCurrency => "a currency is not three capital letters",
            Self::UnknownReason => "a reason code that is not in the table",
            Self::RepeatedName => "a name stands twice",
            Self::BadKeyId => "a key's id is not twelve lower-case letters and digits",
            Self::BadSpan => "a stretch of time is longer than time",
            Self::BadThreshold => "a threshold is not between 1 and 1,000 percent",
            Self::UnknownZone => "a time zone that the IANA database does not have",
            Self::BytesTooLong => "a record inside it is too large",
            Self::ContentDiffers => "the hash is not that of the document",
        })
    }
}

impl RecordError {
    /// The record as a fault of an input: its reason code, the field, and what is the matter.
    pub fn fault(&self) -> Fault {
        match self {
            Self::TooLarge { bytes, .. } => {
                Fault::new(Reason::RecordTooLarge, "", &format!("{bytes} bytes"))
            }
            Self::NotARecord => Fault::new(Reason::UnsupportedFraming, "", ""),
            Self::UnknownSchema { fingerprint } => {
                Fault::new(Reason::UnknownSchema, "", &format!("{fingerprint:016x}"))
            }
            Self::Malformed(Malformed { field, flaw }) => {
                Fault::new(flaw.reason(), *field, &flaw.to_string())
            }
        }
    }
}

impl Flaw {
    fn reason(self) -> Reason {
        match self {
            Self::Avro(AvroError::NotUtf8) => Reason::InvalidUtf8,
            Self::Avro(_) | Self::NumberOutOfRange | Self::ContentDiffers => Reason::InvalidAvro,
            Self::EmptyText => Reason::EmptyText,
            Self::TextTooLong => Reason::TextTooLong,
            Self::ControlCharacter => Reason::BadText,
            Self::BadAmount => Reason::BadAmount,
            Self::BadTime | Self::BadSpan => Reason::BadTime,
            Self::BadCurrency => Reason::BadCurrency,
            Self::UnknownReason | Self::BadKeyId | Self::BadThreshold | Self::UnknownZone => {
                Reason::BadValue
            }
            Self::BytesTooLong => Reason::RecordTooLarge,
            Self::RepeatedName => Reason::RepeatedField,
        }
    }
}
