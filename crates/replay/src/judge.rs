//! Whether an input's bytes can have ended as the ledger says. Pure: the bytes and the ledger's word
//! for them are handed over.

use domain::limits::{EVENT_AHEAD_MICROS_MAX, IDENTITY_HORIZON_DAYS};
use domain::{
    ContentHash, Currency, EntryNumber, IdentityKey, Partition, Reason, Timestamp, Topic,
    UsageEvent, partition_of,
};
use ledger::{Body, Entry, ExceptionKind};
use wire::Decoded;

use crate::input_reader::Kept;

const HORIZON_MICROS: i64 = IDENTITY_HORIZON_DAYS * 86_400 * 1_000_000;

/// How an input ended, as the ledger says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Entry(EndedEntry),
    Exception(ExceptionKind),
}

/// An entry that names the input as its cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedEntry {
    pub(crate) recorded_at: Timestamp,
    pub(crate) identity: Option<(IdentityKey, ContentHash)>,
    pub(crate) held: Option<Held>,
}

/// What a quarantined entry says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Of the bytes that it keeps.
    pub(crate) bytes: ContentHash,
    pub(crate) reason: Reason,
    pub(crate) conflicts_with: Option<EntryNumber>,
}

impl EndedEntry {
    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        let held = if let Body::Quarantined(quarantined) = &entry.body {
            Some(Held {
                bytes: ContentHash::of(&quarantined.record),
                reason: quarantined.reason,
                conflicts_with: quarantined.conflicts_with,
            })
        } else {
            None
        };
        Self {
            recorded_at: entry.recorded_at,
            // Of a correction, the last is its event's own.
            identity: entry.remember().last().map(|remember| (remember.key, remember.content)),
            held,
        }
    }
}

/// What is wrong with an ending, and which invariant that breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) invariant: u8,
    pub(crate) why: String,
}

/// What a judgement needs beside the bytes.
pub(crate) struct Bench<'b> {
    pub(crate) partition: Partition,
    pub(crate) partitions: u32,
    pub(crate) currency: Option<Currency>,
    /// The identity and the meaning that an entry took, and nothing when it took none.
    #[allow(clippy::type_complexity)] // It is one lookup.
    pub(crate) identity_of:
        &'b mut dyn FnMut(EntryNumber) -> std::io::Result<Option<(IdentityKey, ContentHash)>>,
}

type Judged = std::io::Result<Result<(), Fault>>;

fn fault(invariant: u8, why: impl Into<String>) -> Judged {
    Ok(Err(Fault { invariant, why: why.into() }))
}

const RIGHT: Judged = Ok(Ok(()));

impl Bench<'_> {
    pub(crate) fn judge(&mut self, record: &Kept, ended: &Ended) -> Judged {
        match record.at.topic {
            Topic::LedgerCommands => self.command(record, ended),
            _ => self.usage(record, ended),
        }
    }

    fn usage(&mut self, record: &Kept, ended: &Ended) -> Judged {
        let decoded = match (wire::decode_usage(&record.value), ended) {
            (Err(fault), Ended::Exception(ExceptionKind::DeadLetter { reason })) => {
                return match fault.reason == *reason {
                    true => RIGHT,
                    false => self::fault(1, format!("dead for {reason}, it has {}", fault.reason)),
                };
            }
            (Err(fault), Ended::Entry(_) | Ended::Exception(_)) => {
                return self::fault(1, format!("it cannot be read: {}", fault.reason));
            }
            (Ok(decoded), _) => decoded,
        };
        let home = partition_of(&decoded.event.account, self.partitions);
        let is_home = home == self.partition;
        match ended {
            Ended::Exception(ExceptionKind::Forwarded { to }) => {
                match record.at.topic == Topic::UsageRaw && !is_home && *to == home {
                    true => RIGHT,
                    false => fault(1, format!("forwarded to {to}, its account lives in {home}")),
                }
            }
            Ended::Exception(ExceptionKind::DeadLetter { reason }) => {
                let foreign = self.currency.is_some_and(|own| is_foreign(&decoded.event, own));
                let is_right = match reason {
                    Reason::MisroutedTwice => !is_home && record.at.topic == Topic::UsageForwarded,
                    Reason::BadCurrency => foreign,
                    _ => false,
                };
                if is_right {
                    RIGHT
                } else {
                    fault(1, format!("dead for {reason}, it can be read"))
                }
            }
            _ if !is_home => fault(1, format!("its account lives in partition {home}")),
            Ended::Exception(ExceptionKind::Duplicate { repeats }) => {
                self.repeats(*repeats, (key_of(&decoded.event), decoded.content))
            }
            Ended::Exception(
                kind @ (ExceptionKind::Refused { .. } | ExceptionKind::Repeated { .. }),
            ) => fault(10, format!("usage ended as {}", kind.outcome().word())),
            Ended::Entry(entry) => self.usage_entry(record, &decoded, entry),
        }
    }

    fn usage_entry(&mut self, record: &Kept, decoded: &Decoded<'_>, entry: &EndedEntry) -> Judged {
        let key = key_of(&decoded.event);
        let Some(held) = entry.held else {
            return match entry.identity {
                Some((taken, _)) if taken != key => {
                    fault(6, "its entry has another identity than it")
                }
                Some((_, content)) if content != decoded.content => {
                    fault(6, "its entry has another meaning than it")
                }
                // An entry that takes no identity of its own says so elsewhere.
                Some(_) | None => RIGHT,
            };
        };
        if held.bytes != ContentHash::of(&record.value) {
            return fault(1, "its quarantined entry keeps other bytes");
        }
        let ahead = decoded.event.time.since(entry.recorded_at);
        match held.reason {
            Reason::TooEarly if ahead <= EVENT_AHEAD_MICROS_MAX => {
                fault(1, "held back as too early, and it was not")
            }
            Reason::TooLate if -ahead <= HORIZON_MICROS || decoded.event.backfill => {
                fault(1, "held back as too late, and it was not")
            }
            Reason::IdentityConflict => {
                let Some(first) = held.conflicts_with else {
                    return fault(6, "it conflicts with no entry");
                };
                match (self.identity_of)(first)? {
                    Some((taken, content)) if taken == key && content != decoded.content => RIGHT,
                    Some(_) | None => fault(6, format!("it does not conflict with entry {first}")),
                }
            }
            _ => RIGHT,
        }
    }

    fn command(&mut self, record: &Kept, ended: &Ended) -> Judged {
        let command = match (wire::decode_command(&record.value), ended) {
            (Ok(command), _) => command,
            (
                Err(_),
                Ended::Exception(ExceptionKind::DeadLetter { reason: Reason::BadCommand }),
            ) => return RIGHT,
            (Err(why), _) => return fault(1, format!("it cannot be read: {why}")),
        };
        let content = wire::command_content(&command);
        let is_elsewhere = !command.account.is_empty()
            && partition_of(&command.account, self.partitions) != self.partition;
        match ended {
            Ended::Exception(ExceptionKind::DeadLetter { reason: Reason::MisroutedTwice })
                if is_elsewhere =>
            {
                RIGHT
            }
            Ended::Exception(ExceptionKind::DeadLetter { reason }) => {
                fault(1, format!("dead for {reason}, it can be read"))
            }
            _ if is_elsewhere => fault(1, "its account lives in another partition"),
            Ended::Exception(ExceptionKind::Repeated { repeats }) => {
                match (self.identity_of)(*repeats)? {
                    Some((_, first)) if first == content => RIGHT,
                    Some(_) | None => fault(6, format!("it does not repeat entry {repeats}")),
                }
            }
            Ended::Exception(ExceptionKind::Refused { reason: Reason::Deadline })
                if command.deadline.is_none() =>
            {
                fault(1, "refused for its deadline, and it has none")
            }
            // Whether a refusal was right depends on the state it met: the raw replay decides it again.
            Ended::Exception(ExceptionKind::Refused { .. }) => RIGHT,
            Ended::Exception(ExceptionKind::Duplicate { .. } | ExceptionKind::Forwarded { .. }) => {
                fault(1, "a command ended as usage does")
            }
            Ended::Entry(entry) => match entry.identity {
                Some((_, said)) if said != content => {
                    fault(6, "its entry has another content than it")
                }
                Some(_) | None => RIGHT,
            },
        }
    }

    fn repeats(&mut self, repeats: EntryNumber, it: (IdentityKey, ContentHash)) -> Judged {
        match (self.identity_of)(repeats)? {
            Some(first) if first == it => RIGHT,
            Some((key, _)) if key == it.0 => {
                fault(6, format!("a duplicate of entry {repeats} with another meaning"))
            }
            Some(_) | None => fault(6, format!("it is not the event of entry {repeats}")),
        }
    }
}

fn key_of(event: &UsageEvent<'_>) -> IdentityKey {
    IdentityKey::new(&event.account, &event.source, &event.id)
}

fn is_foreign(event: &UsageEvent<'_>, own: Currency) -> bool {
    event.items.iter().any(|item| item.vendor_cost.is_some_and(|reported| reported.currency != own))
}
