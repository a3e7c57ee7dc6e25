//! One usage event: decode, identity, price, charge.

use domain::limits::{EVENT_AHEAD_MICROS_MAX, IDENTITY_HORIZON_DAYS, OUTPUT_RECORD_BYTES_MAX};
use domain::{
    ContentHash, Fault, IdentityKey, Money, RateLine, Reason, Text, Topic, TopicPartition,
    UsageEvent, partition_of,
};
use eventlog::Record;
use flow::Ending;
use identity::Search;
use ledger::decide::{self, Charge, Moment};
use ledger::{Cause, Entry, ExceptionKind, HoldId, HoldName, Quarantined, Unrated};
use sabotage::Break;
use wire::{DeadLetter, Decoded, Glimpse};

use super::plans::facts;
use super::{Halt, PartitionCore, entry_at};
use crate::Prices;

const HORIZON_MICROS: i64 = IDENTITY_HORIZON_DAYS * 86_400 * 1_000_000;

/// Headers of a forwarded event: where it was found first.
const ORIGIN_PARTITION: &str = "tally-origin-partition";
const ORIGIN_OFFSET: &str = "tally-origin-offset";

impl PartitionCore {
    pub(super) fn usage(
        &mut self,
        record: &Record<'_>,
        decoded: Result<Decoded<'_>, Fault>,
        prices: &Prices,
    ) -> Result<Ending, Halt> {
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(fault) => return Ok(self.dead_letter(record, &fault, None)),
        };
        let event = &decoded.event;
        let home = partition_of(&event.account, self.settings.partitions);
        if home != self.partition {
            return Ok(self.misrouted(record, event, home));
        }
        if let Some(fault) = rating::foreign_currency(event, &prices.catalogue) {
            return Ok(self.dead_letter(record, &fault, Some(event)));
        }
        let key = IdentityKey::new(&event.account, &event.source, &event.id);
        let today = self.ledger_time.day();
        let search = if event.backfill { Search::Everything } else { Search::Horizon { today } };
        let seen = self.identity.find(key, search)?;
        if let Some(seen) = seen.filter(|_| !sabotage::is_on(Break::DuplicatesUnseen)) {
            if seen.content == decoded.content || sabotage::is_on(Break::ConflictsUnseen) {
                let kind = ExceptionKind::Duplicate { repeats: entry_at(seen.entry) };
                return Ok(Ending::Exception(kind));
            }
            let held = Held {
                reason: Reason::IdentityConflict,
                conflicts_with: Some(entry_at(seen.entry)),
            };
            return self.quarantine(record, event, held);
        }
        let ahead = event.time.since(self.ledger_time);
        if ahead > EVENT_AHEAD_MICROS_MAX {
            let held = Held { reason: Reason::TooEarly, conflicts_with: None };
            return self.quarantine(record, event, held);
        }
        if -ahead > HORIZON_MICROS && !event.backfill {
            let held = Held { reason: Reason::TooLate, conflicts_with: None };
            return self.quarantine(record, event, held);
        }
        if event.corrects.is_some() {
            return self.correct(decoded, record, prices);
        }
        self.charge(decoded, record, prices)
    }

    fn charge(
        &mut self,
        decoded: Decoded<'_>,
        record: &Record<'_>,
        prices: &Prices,
    ) -> Result<Ending, Halt> {
        let Decoded { mut event, content, .. } = decoded;
        if sabotage::is_on(Break::PricedByArrival) {
            event.time = self.ledger_time;
        }
        self.ensure_plan(&event.account, prices)?;
        let moment = self.moment(record);
        let account = self.state.account(&event.account);
        let plan = plan_at(account, &event);
        let priced = Priced { event, content, plan };
        let (entry, ending) = self.price(account, priced, prices, moment);
        if let Ending::Unrated = ending {
            self.note_reason(&entry);
        }
        self.write(&entry)?;
        Ok(ending)
    }

    pub(super) fn note_reason(&mut self, entry: &Entry<'_>) {
        if let ledger::Body::Unrated(unrated) = &entry.body {
            self.reasons.push(unrated.reason);
        }
    }

    pub(super) fn quarantine(
        &mut self,
        record: &Record<'_>,
        event: &UsageEvent<'_>,
        held: Held,
    ) -> Result<Ending, Halt> {
        let quarantined = Quarantined {
            source: Text::Borrowed(&event.source),
            id: Text::Borrowed(&event.id),
            time: event.time,
            reason: held.reason,
            conflicts_with: held.conflicts_with,
            record: record.value.into(),
        };
        let account = self.state.account(&event.account);
        let name = Text::Borrowed(event.account.as_ref());
        let entry = decide::quarantine(account, name, quarantined, self.moment(record));
        self.write(&entry)?;
        self.reasons.push(held.reason);
        Ok(Ending::Quarantined)
    }

    /// Producers' partitioners differ. An event found elsewhere goes, once, to the partition that
    /// its account lives in; it is never charged where it was found.
    fn misrouted(
        &mut self,
        record: &Record<'_>,
        event: &UsageEvent<'_>,
        home: domain::Partition,
    ) -> Ending {
        if record.at.topic == Topic::UsageForwarded {
            let fault = Fault::new(Reason::MisroutedTwice, "subject", &event.account);
            return self.dead_letter(record, &fault, Some(event));
        }
        let to = TopicPartition { topic: Topic::UsageForwarded, partition: home };
        let headers = vec![
            (ORIGIN_PARTITION, record.at.partition.to_string().into_bytes()),
            (ORIGIN_OFFSET, record.offset.to_string().into_bytes()),
        ];
        self.outgoing.other(to, event.account.as_bytes(), record.value.to_vec(), headers);
        Ending::Exception(ExceptionKind::Forwarded { to: home })
    }

    /// Keeps the bytes and the reason of a record that cannot be processed.
    pub(super) fn dead_letter(
        &mut self,
        record: &Record<'_>,
        fault: &Fault,
        event: Option<&UsageEvent<'_>>,
    ) -> Ending {
        // Of what cannot be read whole, what can be: whoever mends it looks for its producer.
        let seen = match event {
            Some(event) => Glimpse {
                account: Some(Text::Borrowed(event.account.as_ref())),
                source: Some(Text::Borrowed(event.source.as_ref())),
                id: Some(Text::Borrowed(event.id.as_ref())),
            },
            None if record.at.topic == Topic::LedgerCommands => Glimpse::default(),
            None => wire::glimpse(record.value),
        };
        let letter = DeadLetter {
            reason: fault.reason,
            field: Text::Borrowed(&fault.field),
            value: Text::Borrowed(&fault.value),
            at: record.at,
            offset: record.offset,
            received_at: record.appended_at,
            account: seen.account,
            source: seen.source,
            id: seen.id,
            record: kept(record.value).into(),
        };
        let mut bytes = Vec::with_capacity(record.value.len() + 128);
        wire::encode_dead_letter(&letter, &mut bytes);
        if !sabotage::is_on(Break::DeadLetterDropped) {
            self.outgoing.other(self.here(Topic::DeadLetters), record.key, bytes, Vec::new());
        }
        self.reasons.push(fault.reason);
        Ending::Exception(ExceptionKind::DeadLetter { reason: fault.reason })
    }

    pub(super) fn moment(&self, record: &Record<'_>) -> Moment {
        Moment {
            number: self.state.next_number(),
            ledger_time: self.ledger_time,
            cause: Cause::Input { topic: record.at.topic, offset: record.offset },
        }
    }
}

/// What a dead letter keeps of a record: all of it, unless the log took one that is larger than
/// anything we may write (a log limits compressed bytes). The letter still says where the whole is.
fn kept(value: &[u8]) -> &[u8] {
    const LETTER_BYTES_MAX: usize = OUTPUT_RECORD_BYTES_MAX - 8 * 1024;
    &value[..value.len().min(LETTER_BYTES_MAX)]
}

pub(super) struct Held {
    pub(super) reason: Reason,
    pub(super) conflicts_with: Option<domain::EntryNumber>,
}

/// The plan that the account had at the event's time.
pub(super) fn plan_at(account: &ledger::Account, event: &UsageEvent<'_>) -> Option<Text<'static>> {
    let plan = account.plan().and_then(|plan| plan.plan_at(event.time));
    plan.map(|plan| Text::Owned(plan.to_owned()))
}

/// An event with what is needed to price it.
pub(super) struct Priced<'a> {
    pub(super) event: UsageEvent<'a>,
    pub(super) content: ContentHash,
    pub(super) plan: Option<Text<'a>>,
}

impl PartitionCore {
    /// Prices an event and decides its entry: a debit, or unrated when no price covers it.
    pub(super) fn price<'a>(
        &self,
        account: &ledger::Account,
        priced: Priced<'a>,
        prices: &Prices,
        moment: Moment,
    ) -> (Entry<'a>, Ending) {
        let Priced { event, content, plan } = priced;
        match rating::rate(&prices.catalogue, &event, plan.as_deref()) {
            Ok(rating) => {
                let ending = Ending::Debit {
                    credits: rating.credits,
                    vendor_cost: rating.vendor_cost.unwrap_or(Money::ZERO),
                };
                let hold = self.hold_of(account, &event);
                let repays = hold.is_none() || facts(account, prices, moment.ledger_time).repays();
                let charge = Charge {
                    event,
                    content,
                    plan,
                    rate_card: rating.rate_card,
                    catalogue: prices.next,
                    lines: rating.lines.iter().map(RateLine::from).collect(),
                    credits: rating.credits,
                    residual: rating.residual,
                    resolves: None,
                    hold,
                    repays,
                };
                (decide::debit(account, charge, moment), ending)
            }
            Err(why) => {
                let unrated = Unrated {
                    event,
                    content,
                    plan,
                    reason: why.reason,
                    item: why.item.and_then(|item| u16::try_from(item).ok()),
                };
                (decide::unrated(account, unrated, moment), Ending::Unrated)
            }
        }
    }

    /// The hold that an event names, when it is one of its account.
    fn hold_of(&self, account: &ledger::Account, event: &UsageEvent<'_>) -> Option<HoldId> {
        let name: HoldName = event.hold.as_deref()?.parse().ok()?;
        (name.partition == self.partition && account.hold(name.hold).is_some()).then_some(name.hold)
    }
}
