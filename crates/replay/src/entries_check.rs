//! What entries say of one another: invariant 4 (corrections) and 6 (identities).

use domain::{ContentHash, EntryNumber, IdentityKey, Offset, Partition, Sequence, Timestamp};
use ledger::{Balance, Body, Cause, Debit, Entry, ExceptionKind, Seal};

use crate::Check;
use crate::scratch::{ChargedIdentity, Row, RowKind, Rows, SortedIdentities};

/// Reads the entries of one partition after another, each partition in order.
#[derive(Debug)]
pub(crate) struct EntriesCheck {
    corrections: Check,
    identities: Check,
    partition: Partition,
    rows: Rows,
    charged: SortedIdentities,
}

impl EntriesCheck {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            corrections: Check::new(
                4,
                "corrections name a charge as it stood, once, and take it back exactly",
            ),
            identities: Check::new(
                6,
                "no identity is charged twice, and what repeats an entry names one",
            ),
            partition: Partition(0),
            rows: Rows::new()?,
            charged: SortedIdentities::default(),
        })
    }

    pub(crate) fn begin(&mut self, partition: Partition) {
        self.partition = partition;
        self.rows.clear();
    }

    /// What is known of an entry of this partition.
    pub(crate) fn row(&mut self, entry: EntryNumber) -> std::io::Result<Option<Row>> {
        self.rows.get(entry)
    }

    pub(crate) fn entry(&mut self, offset: Offset, entry: &Entry<'_>) -> std::io::Result<()> {
        let partition = self.partition;
        let place = |why: String| format!("ledger.entries[{partition}]@{offset}: {why}");
        if let Some(corrected) = corrected(entry) {
            let fault = self.correction(&corrected)?.or_else(|| inverse_fault(entry));
            self.corrections.note(fault.map(place));
        }
        if let Body::Debit(debit) = &entry.body {
            if let Some(unrated) = debit.resolves {
                let fault = self.resolution(unrated)?;
                self.corrections.note(fault.map(place));
            }
            // What a person let in beside an entry of the same identity was not charged by accident.
            if matches!(entry.cause, Cause::Input { .. } | Cause::Catalogue { .. }) {
                self.charged.push(ChargedIdentity {
                    event: IdentityKey::new("", &debit.event.source, &debit.event.id).0,
                    account: ContentHash::of(entry.account.as_bytes()).0,
                    partition: partition.0,
                    entry: entry.number.0,
                })?;
            }
        }
        let standing = entry.standing_charge();
        let kind = match (&entry.body, standing) {
            (_, Some(_)) => RowKind::Charge,
            (Body::Unrated(_), None) => RowKind::Unrated,
            (_, None) => RowKind::Other,
        };
        self.rows.push(Row {
            kind,
            is_spent: false,
            identity: entry.remember().last().map(|remember| (remember.key, remember.content)),
            charge: standing.map_or(ContentHash(0), charge_hash),
        })
    }

    /// The entries that duplicates and repeated commands name.
    pub(crate) fn seal(&mut self, seal: &Seal) -> std::io::Result<()> {
        for exception in &seal.exceptions {
            let repeats = match exception.kind {
                ExceptionKind::Duplicate { repeats } | ExceptionKind::Repeated { repeats } => {
                    repeats
                }
                ExceptionKind::DeadLetter { .. }
                | ExceptionKind::Forwarded { .. }
                | ExceptionKind::Refused { .. } => continue,
            };
            let row = self.rows.get(repeats)?;
            let has_identity = row.is_some_and(|row| row.identity.is_some());
            let (topic, offset, partition) = (exception.topic, exception.offset, self.partition);
            self.identities.note((!has_identity).then(|| {
                format!(
                    "{topic}[{partition}]@{offset} repeats entry {partition}-{repeats}, which took \
                     no identity"
                )
            }));
        }
        Ok(())
    }

    fn correction(&mut self, corrected: &Corrected<'_, '_>) -> std::io::Result<Option<String>> {
        let named = corrected.entry;
        let Some(row) = self.rows.get(named)? else {
            return Ok(Some(format!("it corrects entry {named}, which is not before it")));
        };
        self.rows.spend(named)?;
        Ok(match row {
            Row { kind: RowKind::Unrated | RowKind::Other, .. } => {
                Some(format!("it corrects entry {named}, which is no charge"))
            }
            Row { is_spent: true, .. } => Some(format!("entry {named} was corrected before")),
            Row { charge, .. } if charge != charge_hash(corrected.before) => {
                Some(format!("it corrects entry {named} as that never stood"))
            }
            Row { .. } => None,
        })
    }

    fn resolution(&mut self, unrated: EntryNumber) -> std::io::Result<Option<String>> {
        let Some(row) = self.rows.get(unrated)? else {
            return Ok(Some(format!("it resolves entry {unrated}, which is not before it")));
        };
        self.rows.spend(unrated)?;
        Ok(match row {
            Row { kind: RowKind::Charge | RowKind::Other, .. } => {
                Some(format!("it resolves entry {unrated}, which is no unrated usage"))
            }
            Row { is_spent: true, .. } => Some(format!("entry {unrated} was resolved before")),
            Row { .. } => None,
        })
    }

    pub(crate) fn finish(self) -> std::io::Result<[Check; 2]> {
        let mut identities = self.identities;
        let mut under_two_accounts = 0_u64;
        let mut example = None;
        let charged = self.charged.pairs(&mut |before, next| {
            if before.event != next.event {
                return;
            }
            if before.account == next.account {
                let (first, second) = (before.name(), next.name());
                identities.note(Some(format!("entries {first} and {second} charge one event")));
            } else {
                under_two_accounts += 1;
                example.get_or_insert_with(|| format!("{} and {}", before.name(), next.name()));
            }
        })?;
        identities.checked += charged;
        if let Some(example) = example {
            // A fault of the producer: each account was charged for what was sent under its name.
            identities.say(&format!(
                "one source and id under two accounts, {under_two_accounts} times: entries {example}"
            ));
        }
        Ok([self.corrections, identities])
    }
}

/// What an entry takes the place of: the entry that it names, and the charge as it says that stood.
struct Corrected<'e, 'a> {
    entry: EntryNumber,
    before: &'e Debit<'a>,
}

fn corrected<'e, 'a>(entry: &'e Entry<'a>) -> Option<Corrected<'e, 'a>> {
    if let Body::Corrected(corrected) = &entry.body {
        return Some(Corrected { entry: corrected.corrects, before: &corrected.before });
    }
    let Body::Reversed(reversed) = &entry.body else { return None };
    Some(Corrected { entry: reversed.reverses, before: &reversed.debit })
}

/// A reversal gives back what was taken: into lots, as overage that goes, as a lot of its own.
fn inverse_fault(entry: &Entry<'_>) -> Option<String> {
    let Body::Reversed(reversed) = &entry.body else { return None };
    let returned: domain::Credits = reversed.returns.iter().map(|part| part.credits).sum();
    let back = returned + reversed.overage + reversed.lot;
    (back != reversed.debit.credits)
        .then(|| format!("it gives back {back} of a charge of {}", reversed.debit.credits))
}

/// The hash of a charge: over its record, with everything around it left out.
fn charge_hash(debit: &Debit<'_>) -> ContentHash {
    let alone = Entry {
        number: EntryNumber(0),
        account: debit.event.account.clone(),
        sequence: Sequence(0),
        recorded_at: Timestamp::ZERO,
        cause: Cause::Timer { due: Timestamp::ZERO },
        after: Balance::default(),
        body: Body::Debit(Box::new(debit.clone())),
    };
    let mut bytes = Vec::new();
    wire::encode_entry(&alone, &mut bytes);
    ContentHash::of(&bytes)
}
