//! What became of bringing account events to webhook endpoints (`schemas/webhook-delivery`).
//!
//! A record carries the event itself: what is still to be sent is made again from these records
//! alone. They are kept by whoever folds them, so they own their texts.

use std::fmt;
use std::str::FromStr;

use domain::{Offset, Partition, Timestamp};

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::{Fields, open_one};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::WEBHOOK_DELIVERY_V1_FINGERPRINT;

/// Where an event stands on `account.events`; for people `dlv_3-8812`, the name of its delivery to
/// any one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPlace {
    pub partition: Partition,
    pub offset: Offset,
}

impl fmt::Display for EventPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "dlv_{}-{}", self.partition, self.offset)
    }
}

/// A text that names no delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deliveries are named like dlv_3-8812")]
pub struct NotADelivery;

impl FromStr for EventPlace {
    type Err = NotADelivery;

    fn from_str(text: &str) -> Result<Self, NotADelivery> {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (partition, offset) = text
            .strip_prefix("dlv_")
            .and_then(|rest| rest.split_once('-'))
            .filter(|(partition, offset)| digits(partition) && digits(offset))
            .ok_or(NotADelivery)?;
        Ok(Self {
            partition: Partition(partition.parse().map_err(|_| NotADelivery)?),
            offset: Offset(offset.parse().map_err(|_| NotADelivery)?),
        })
    }
}

/// A record of `webhook.deliveries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    pub at: Timestamp,
    pub webhook: String,
    pub place: EventPlace,
    pub account: String,
    /// The event's number within its account.
    pub number: u64,
    /// When the log took the event.
    pub appended_at: Timestamp,
    /// The event's record, as [`crate::decode_account_event`] reads it.
    pub event: Vec<u8>,
    pub change: DeliveryChange,
}

/// What a record of `webhook.deliveries` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryChange {
    Attempted(Attempt),
    /// Somebody wants it sent again, whatever became of it before.
    ReplayAsked {
        by: String,
    },
}

/// One try to bring an event to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How many there were with this one, since the event or since a replay was asked for; 0 while
    /// nothing was sent.
    pub attempt: u32,
    pub outcome: AttemptOutcome,
    pub took_ms: u32,
    /// When it is tried next; `None` when it is delivered, or given up.
    pub next_at: Option<Timestamp>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// 200 to 299 is delivered, and nothing else is.
    Answered {
        status: u16,
    },
    Unanswered {
        error: String,
    },
    /// Nothing was sent.
    NotSent {
        why: String,
    },
}

impl AttemptOutcome {
    pub fn is_delivered(&self) -> bool {
        match self {
            Self::Answered { status } => (200..=299).contains(status),
            Self::Unanswered { .. } | Self::NotSent { .. } => false,
        }
    }
}

/// The places of the changes and of the outcomes in their unions.
mod change {
    pub(super) const ATTEMPTED: u8 = 0;
    pub(super) const REPLAY_ASKED: u8 = 1;
    pub(super) const ANSWERED: u8 = 0;
    pub(super) const UNANSWERED: u8 = 1;
    pub(super) const NOT_SENT: u8 = 2;
}

/// Appends a record to `out` as an Avro single-object record.
pub fn encode_delivery(record: &DeliveryRecord, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(WEBHOOK_DELIVERY_V1_FINGERPRINT);
    writer.time(record.at);
    writer.string(&record.webhook);
    writer.long(i64::from(record.place.partition.0));
    writer.long(record.place.offset.0);
    writer.string(&record.account);
    writer.number(record.number);
    writer.time(record.appended_at);
    writer.bytes(&record.event);
    match &record.change {
        DeliveryChange::Attempted(attempt) => {
            writer.branch(change::ATTEMPTED);
            write_attempt(writer, attempt);
        }
        DeliveryChange::ReplayAsked { by } => {
            writer.branch(change::REPLAY_ASKED);
            writer.string(by);
        }
    }
}

fn write_attempt(writer: &mut Writer<'_>, attempt: &Attempt) {
    writer.long(i64::from(attempt.attempt));
    match &attempt.outcome {
        AttemptOutcome::Answered { status } => {
            writer.branch(change::ANSWERED);
            writer.int(i32::from(*status));
        }
        AttemptOutcome::Unanswered { error } => {
            writer.branch(change::UNANSWERED);
            writer.string(error);
        }
        AttemptOutcome::NotSent { why } => {
            writer.branch(change::NOT_SENT);
            writer.string(why);
        }
    }
    writer.long(i64::from(attempt.took_ms));
    writer.optional(attempt.next_at, Writer::time);
}

/// Reads a record of `webhook.deliveries`.
///
/// # Errors
/// For a record that is none.
pub fn decode_delivery(record: &[u8]) -> Result<DeliveryRecord, RecordError> {
    let mut fields = open_one(record, LEDGER_RECORD_BYTES_MAX, WEBHOOK_DELIVERY_V1_FINGERPRINT)?;
    let record = DeliveryRecord {
        at: fields.time("at"),
        webhook: fields.str("webhook").to_owned(),
        place: EventPlace {
            partition: Partition(fields.number("partition")),
            offset: fields.offset("offset"),
        },
        account: fields.str("account").to_owned(),
        number: fields.number("number"),
        appended_at: fields.time("appended_at"),
        event: fields.bytes("event").into_owned(),
        change: match fields.branch("change") {
            change::ATTEMPTED => DeliveryChange::Attempted(read_attempt(&mut fields)),
            change::REPLAY_ASKED => DeliveryChange::ReplayAsked { by: fields.str("by").to_owned() },
            _ => {
                fields.no_such_branch("change");
                DeliveryChange::ReplayAsked { by: String::new() }
            }
        },
    };
    fields.end(record)
}

fn read_attempt(fields: &mut Fields<'_>) -> Attempt {
    Attempt {
        attempt: fields.number("attempt"),
        outcome: match fields.branch("outcome") {
            change::ANSWERED => AttemptOutcome::Answered { status: fields.number("status") },
            change::UNANSWERED => {
                AttemptOutcome::Unanswered { error: fields.str("error").to_owned() }
            }
            change::NOT_SENT => AttemptOutcome::NotSent { why: fields.str("why").to_owned() },
            _ => {
                fields.no_such_branch("outcome");
                AttemptOutcome::NotSent { why: String::new() }
            }
        },
        took_ms: fields.number("took_ms"),
        next_at: fields.optional("next_at", Fields::time),
    }
}
