//! Events that correct others, and records that a person lets in after all.
//!
//! A charge is corrected through the entry that stands for it, and the ledger keeps charges, not the
//! state. So the decision asks for that entry ([`super::Taken::Wants`]), and gets its record.

use domain::{EntryNumber, IdentityKey, Money, Reason, UsageEvent, partition_of};
use eventlog::Record;
use flow::Ending;
use identity::Search;
use ledger::decide::{self, Moment, Replacement};
use ledger::{
    Body, ByHand, Cause, Command, CommandBody, Corrector, Entry, StandingCharge, correction_id,
};
use wire::{Decoded, LedgerRecord};

use super::command::original;
use super::usage::{Held, Priced, plan_at};
use super::{Halt, PartitionCore, entry_at};
use crate::Prices;

/// What lets a held-back record in, beside the decision itself.
pub(super) enum LettingIn<'a> {
    /// It is charged as if it came now.
    Charge(Box<Decoded<'a>>),
    /// It takes the place of a charge.
    Correct(Box<Correcting>),
}

/// A charge, and what takes its place.
pub(super) struct Correcting {
    standing: StandingCharge,
    by: Corrector<'static>,
    now: Option<Replacement<'static>>,
}

impl PartitionCore {
    /// The entry that the decision about an event needs to see, if it was not handed in.
    pub(super) fn wanted_by_event(
        &self,
        event: &UsageEvent<'_>,
    ) -> Result<Option<EntryNumber>, Halt> {
        if event.corrects.is_none()
            || partition_of(&event.account, self.settings.partitions) != self.partition
        {
            return Ok(None);
        }
        let key = IdentityKey::new(&event.account, &event.source, &event.id);
        if self.identity.find(key, Search::Everything)?.is_some() {
            return Ok(None);
        }
        Ok(self.corrected_by(event)?.filter(|entry| !self.has(*entry)))
    }

    /// The same for a command.
    pub(super) fn wanted_by_command(
        &self,
        command: &Command<'_>,
    ) -> Result<Option<EntryNumber>, Halt> {
        let CommandBody::DecideQuarantined { accept: true, .. } = command.body else {
            return Ok(None);
        };
        let Ok(Some(held)) = original(command) else { return Ok(None) };
        Ok(self.replaced_by(&held)?.filter(|entry| !self.has(*entry)))
    }

    fn has(&self, entry: EntryNumber) -> bool {
        self.provided.as_ref().is_some_and(|provided| provided.entry == entry)
    }

    /// The entry that stands for the charge that an event corrects.
    fn corrected_by(&self, event: &UsageEvent<'_>) -> Result<Option<EntryNumber>, Halt> {
        let Some(corrects) = &event.corrects else { return Ok(None) };
        let key = IdentityKey::new(&event.account, &event.source, corrects);
        match self.identity.find(key, Search::Everything)? {
            Some(seen) => self.standing(&event.account, entry_at(seen.entry)).map(Some),
            None => Ok(None),
        }
    }

    /// The entry that stands for the charge whose place a held-back record would take.
    fn replaced_by(&self, held: &Entry<'_>) -> Result<Option<EntryNumber>, Halt> {
        let Body::Quarantined(quarantined) = &held.body else { return Ok(None) };
        if let Some(first) = quarantined.conflicts_with {
            return self.standing(&held.account, first).map(Some);
        }
        match wire::decode_usage(&quarantined.record) {
            Ok(decoded) => self.corrected_by(&decoded.event),
            Err(_) => Ok(None),
        }
    }

    /// The last of the entries that stood for a charge, one after another.
    fn standing(&self, account: &str, first: EntryNumber) -> Result<EntryNumber, Halt> {
        let mut standing = first;
        let next = |entry| {
            let key = IdentityKey::of_command(account, &correction_id(entry));
            self.identity.find(key, Search::Everything)
        };
        while let Some(seen) = next(standing)? {
            standing = entry_at(seen.entry);
        }
        Ok(standing)
    }

    /// The charge that the entry which was wanted stands for.
    fn charge_of(&self, entry: Option<EntryNumber>) -> Option<StandingCharge> {
        let provided = self.provided.as_ref().filter(|provided| Some(provided.entry) == entry)?;
        match wire::decode_ledger(provided.record.as_deref()?) {
            Ok(LedgerRecord::Entry(original)) => original.standing(),
            Ok(LedgerRecord::Seal(_) | LedgerRecord::Adopted(_)) | Err(_) => None,
        }
    }

    /// Puts an event in the place of another, or takes that one back.
    pub(super) fn correct(
        &mut self,
        decoded: Decoded<'_>,
        record: &Record<'_>,
        prices: &Prices,
    ) -> Result<Ending, Halt> {
        let event = &decoded.event;
        let held = |reason| Held { reason, conflicts_with: None };
        let Some(standing) = self.charge_of(self.corrected_by(event)?) else {
            return self.quarantine(record, event, held(Reason::NothingToCorrect));
        };
        self.ensure_plan(&event.account, prices)?;
        let Ok(now) = self.replacement(&decoded, prices) else {
            return self.quarantine(record, event, held(Reason::CorrectionUnrated));
        };
        let by = by_producer(&decoded);
        let account = self.state.account(&event.account);
        match decide::correct(account, standing, (by, now), self.moment(record)) {
            Ok(entry) => {
                self.write(&entry)?;
                Ok(Ending::Applied)
            }
            Err(_) => self.quarantine(record, event, held(Reason::NothingToCorrect)),
        }
    }

    /// What an event comes to, in the place of another; `None` when it only takes that one back.
    fn replacement(
        &self,
        decoded: &Decoded<'_>,
        prices: &Prices,
    ) -> Result<Option<Replacement<'static>>, Reason> {
        let event = &decoded.event;
        if event.items.is_empty() {
            return Ok(None);
        }
        let plan = plan_at(self.state.account(&event.account), event);
        let rating = rating::rate(&prices.catalogue, event, plan.as_deref())
            .map_err(|_| Reason::CorrectionUnrated)?;
        let mut event = event.clone().into_owned();
        // The correction says it; the charge that stands from now on is one like any other.
        event.corrects = None;
        Ok(Some(Replacement {
            event,
            content: decoded.content,
            plan,
            rate_card: rating.rate_card,
            catalogue: prices.next,
            lines: rating.lines.iter().map(domain::RateLine::from).collect(),
            credits: rating.credits,
            residual: rating.residual,
        }))
    }

    /// What a decision to let a held-back record in will do; `None` for any other command.
    pub(super) fn letting_in<'a>(
        &self,
        command: &Command<'_>,
        held: Option<&'a Entry<'_>>,
        prices: &Prices,
    ) -> Result<Result<Option<LettingIn<'a>>, Reason>, Halt> {
        let CommandBody::DecideQuarantined { accept: true, .. } = command.body else {
            return Ok(Ok(None));
        };
        let Some((held, Body::Quarantined(quarantined))) = held.map(|held| (held, &held.body))
        else {
            return Ok(Err(Reason::NotQuarantined));
        };
        let Ok(decoded) = wire::decode_usage(&quarantined.record) else {
            return Ok(Err(Reason::NotQuarantined));
        };
        let conflicts = quarantined.conflicts_with.is_some();
        if conflicts || decoded.event.corrects.is_some() {
            let Some(standing) = self.charge_of(self.replaced_by(held)?) else {
                return Ok(Err(Reason::NotACharge));
            };
            let by =
                if conflicts { Corrector::ByHand(by_hand(command)) } else { by_producer(&decoded) };
            return Ok(self
                .replacement(&decoded, prices)
                .map(|now| Some(LettingIn::Correct(Box::new(Correcting { standing, by, now })))));
        }
        let event = &decoded.event;
        let key = IdentityKey::new(&event.account, &event.source, &event.id);
        if self.identity.find(key, Search::Everything)?.is_some() {
            // It was sent again meanwhile, and charged.
            return Ok(Err(Reason::IdentityConflict));
        }
        Ok(Ok(Some(LettingIn::Charge(Box::new(decoded)))))
    }

    /// Writes the entry of a record that was let in, after the decision.
    pub(super) fn let_in(
        &mut self,
        letting_in: LettingIn<'_>,
        decision: EntryNumber,
        prices: &Prices,
    ) -> Result<(), Halt> {
        let moment = Moment {
            number: self.state.next_number(),
            ledger_time: self.ledger_time,
            cause: Cause::Decision { entry: decision },
        };
        match letting_in {
            LettingIn::Charge(decoded) => {
                let Decoded { event, content, .. } = *decoded;
                let account = self.state.account(&event.account);
                let plan = plan_at(account, &event);
                let priced = Priced { event, content, plan };
                let (entry, ending) = self.price(account, priced, prices, moment);
                if let Ending::Debit { credits, vendor_cost } = ending {
                    self.batch.charged_later(credits, vendor_cost);
                } else {
                    self.batch.charged_later(domain::Credits::ZERO, Money::ZERO);
                    self.note_reason(&entry);
                }
                self.write(&entry)
            }
            LettingIn::Correct(correcting) => {
                let Correcting { standing, by, now } = *correcting;
                let account = self.state.account(&standing.account);
                match decide::correct(account, standing, (by, now), moment) {
                    Ok(entry) => self.write(&entry),
                    // What it would correct stands for a charge: that was looked at.
                    Err(_) => Ok(()),
                }
            }
        }
    }
}

fn by_producer(decoded: &Decoded<'_>) -> Corrector<'static> {
    Corrector::Producer {
        id: domain::Text::Owned(decoded.event.id.to_string()),
        time: decoded.event.time,
        content: decoded.content,
    }
}

fn by_hand(command: &Command<'_>) -> ByHand<'static> {
    let owned = |text: &domain::Text<'_>| domain::Text::Owned(text.to_string());
    ByHand {
        command: owned(&command.id),
        content: wire::command_content(command),
        actor: owned(&command.actor),
        reason: owned(&command.reason),
    }
}
