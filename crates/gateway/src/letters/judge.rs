//! What today's code makes of a letter's bytes: the decoder that the charger uses, the catalogue in
//! force, and what is known of the event. A forecast: the charger decides.

use domain::limits::{EVENT_AHEAD_MICROS_MAX, IDENTITY_HORIZON_DAYS};
use domain::{ContentHash, Fault, Reason, Timestamp, Topic, UsageEvent};
use rating::Catalogue;
use serde_json::{Value, json};
use wire::DeadLetter;

/// What the bytes are today.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Today {
    /// Still nothing that can be processed.
    Fault(Fault),
    /// A command: whoever gave it was refused and asks again, with another deadline.
    Command,
    /// A usage event.
    Event(Box<Readable>),
}

/// An event that can be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Readable {
    pub(crate) event: UsageEvent<'static>,
    pub(crate) content: ContentHash,
}

impl Today {
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Fault(fault) => json!({
                "readable": false,
                "code": fault.reason.code(),
                "field": fault.field,
                "value": fault.value,
            }),
            Self::Command => json!({ "readable": false, "code": Reason::BadCommand.code() }),
            Self::Event(readable) => json!({
                "readable": true,
                "account": readable.event.account,
                "source": readable.event.source,
                "id": readable.event.id,
                "time": readable.event.time,
            }),
        }
    }
}

/// Reads a letter's bytes as they would be read now.
pub(crate) fn of_letter(catalogue: &Catalogue, letter: &DeadLetter<'_>) -> Today {
    if letter.at.topic == Topic::LedgerCommands {
        return Today::Command;
    }
    let decoded = match wire::decode_usage(&letter.record) {
        Ok(decoded) => decoded,
        Err(fault) => return Today::Fault(fault),
    };
    match rating::foreign_currency(&decoded.event, catalogue) {
        Some(fault) => Today::Fault(fault),
        None => Today::Event(Box::new(Readable {
            content: decoded.content,
            event: decoded.event.into_owned(),
        })),
    }
}

/// What is known of the events before: of an account, its plan; of an identity, its entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) plan: Option<String>,
    /// Entry and content hash of what was taken under the identity.
    pub(crate) taken: Option<(String, String)>,
}

/// How sending an event now would end.
pub(crate) fn forecast(
    catalogue: &Catalogue,
    readable: &Readable,
    known: &Known,
    ledger_time: Timestamp,
) -> Value {
    let event = &readable.event;
    if let Some((entry, content)) = &known.taken {
        return match *content == readable.content.to_string() {
            true => json!({ "outcome": "duplicate", "entry": entry }),
            false => quarantined(Reason::IdentityConflict, Some(entry)),
        };
    }
    let ahead = event.time.since(ledger_time);
    let horizon = IDENTITY_HORIZON_DAYS * 86_400 * 1_000_000;
    if ahead > EVENT_AHEAD_MICROS_MAX {
        return quarantined(Reason::TooEarly, None);
    }
    if -ahead > horizon && !event.backfill {
        return quarantined(Reason::TooLate, None);
    }
    match rating::rate(catalogue, event, known.plan.as_deref()) {
        Ok(rating) => json!({ "outcome": "debit", "credits": rating.credits }),
        Err(why) => json!({ "outcome": "unrated", "code": why.reason.code() }),
    }
}

fn quarantined(reason: Reason, conflicts_with: Option<&str>) -> Value {
    json!({
        "outcome": "quarantined",
        "code": reason.code(),
        "conflicts_with": conflicts_with,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(event: &Value) -> Readable {
        let text = event.to_string();
        let decoded = wire::decode_usage(text.as_bytes()).unwrap();
        Readable { content: decoded.content, event: decoded.event.into_owned() }
    }

    #[test]
    fn a_forecast_knows_what_was_taken_before_and_what_is_out_of_time() {
        let event = json!({ "specversion": "1.0", "type": "tally.usage.v1", "source": "/a", "id": "1",
            "time": "2026-11-20T12:00:00Z", "subject": "a",
            "data": { "feature": "chat", "items": [{ "meter": "pages", "quantity": "1" }] } });
        let readable = readable(&event);
        let catalogue = Catalogue::new();
        let at = |time: &str, known: &Known| {
            forecast(&catalogue, &readable, known, time.parse().unwrap())
        };
        let new = Known::default();
        assert_eq!(at("2026-11-20T12:00:00Z", &new)["outcome"], "unrated");
        assert_eq!(at("2026-11-20T11:54:59Z", &new)["code"], "too_early");
        assert_eq!(at("2026-11-20T11:55:00Z", &new)["outcome"], "unrated");
        assert_eq!(at("2026-12-25T12:00:01Z", &new)["code"], "too_late");
        assert_eq!(at("2026-12-25T12:00:00Z", &new)["outcome"], "unrated");
        let taken =
            |content: String| Known { plan: None, taken: Some(("3-8".to_owned(), content)) };
        let same = at("2026-11-20T12:00:00Z", &taken(readable.content.to_string()));
        assert_eq!(same, json!({ "outcome": "duplicate", "entry": "3-8" }));
        let other = at("2026-11-20T12:00:00Z", &taken("0".to_owned()));
        assert_eq!(other["code"], "identity_conflict");
    }
}
