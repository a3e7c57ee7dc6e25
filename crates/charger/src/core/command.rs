//! One command: identity, decision, reply.

use std::borrow::Cow;

use domain::{
    ContentHash, Credits, EntryNumber, Fault, IdentityKey, Partition, Reason, Text, Topic,
    TopicPartition, partition_of,
};
use eventlog::Record;
use flow::Ending;
use identity::Search;
use ledger::decide::{self, Facts};
use ledger::{
    Balance, Command, CommandBody, Entry, ExceptionKind, Want, correction_id, decision_id,
    hold_scope,
};
use wire::{LedgerRecord, RecordError, Reply, ReplyOutcome};

use super::plans::{facts, terms_at};
use super::{Halt, PartitionCore, entry_at};
use crate::Prices;

impl PartitionCore {
    pub(super) fn command(
        &mut self,
        record: &Record<'_>,
        command: Result<Command<'_>, RecordError>,
        prices: &Prices,
    ) -> Result<Ending, Halt> {
        let mut command = match command {
            Ok(command) => command,
            Err(why) => {
                let fault = Fault::new(Reason::BadCommand, "", &why.to_string());
                return Ok(self.dead_letter(record, &fault, None));
            }
        };
        // The asker of a hold may not know its account: what is asked is the same with it and without.
        let content = wire::command_content(&command);
        let of_hold = command.account.is_empty();
        if !of_hold && partition_of(&command.account, self.settings.partitions) != self.partition {
            let fault = Fault::new(Reason::MisroutedTwice, "account", &command.account);
            return Ok(self.dead_letter(record, &fault, None));
        }
        if let Some(hold) = command.body.hold()
            && let Some(account) = self.state.holder(hold)
        {
            let asked_for = of_hold || command.account == account;
            let within = &command.within;
            if asked_for && (within.is_empty() || within.iter().any(|other| other == account)) {
                command.account = Text::Owned(account.to_owned());
            }
        }
        let (ending, outcome) = self.decide(record, (&command, content), prices)?;
        self.reply(&command, outcome);
        Ok(ending)
    }

    fn decide(
        &mut self,
        record: &Record<'_>,
        (command, content): (&Command<'_>, ContentHash),
        prices: &Prices,
    ) -> Result<(Ending, ReplyOutcome<'static>), Halt> {
        let original = match original(command) {
            Ok(original) => original,
            Err(reason) => return Ok(self.refuse(reason, None, Balance::default())),
        };
        let key = identity_of(command, original.as_ref());
        if let Some(seen) = self.identity.find(key, Search::Everything)? {
            let now = self.state.account(&command.account).balance();
            let repeats = entry_at(seen.entry);
            if seen.content == content {
                let ending = Ending::Exception(ExceptionKind::Repeated { repeats });
                return Ok((ending, ReplyOutcome::Repeated { entry: repeats, now }));
            }
            let first = Some(repeats);
            return Ok(self.refuse(taken_by_another(&command.body), first, now));
        }
        if let Some(hold) = command.body.hold()
            && self.state.holder(hold).is_none_or(|holder| command.account != holder)
        {
            return Ok(self.refuse(Reason::UnknownHold, None, Balance::default()));
        }
        if command.deadline.is_some_and(|deadline| deadline < self.ledger_time.max(self.clock)) {
            let now = self.state.account(&command.account).balance();
            return Ok(self.refuse(Reason::Deadline, None, now));
        }
        let letting_in = match self.letting_in(command, original.as_ref(), prices)? {
            Ok(letting_in) => letting_in,
            Err(reason) => {
                let now = self.state.account(&command.account).balance();
                return Ok(self.refuse(reason, None, now));
            }
        };
        self.ensure_plan(&command.account, prices)?;
        let now = self.state.account(&command.account).balance();
        let decided = self.facts_for(command, original.as_ref(), prices).and_then(|facts| {
            let account = self.state.account(&command.account);
            decide::command(account, command, content, facts, self.moment(record))
        });
        let entry = match decided {
            Ok(entry) => entry,
            Err(reason) => return Ok(self.refuse(reason, None, now)),
        };
        self.write(&entry)?;
        let outcome = ReplyOutcome::Applied {
            entry: entry.number,
            record: Cow::Owned(self.outgoing.last_ledger().to_vec()),
        };
        if let Some(letting_in) = letting_in {
            self.let_in(letting_in, entry.number, prices)?;
        }
        if let ledger::Body::HoldRefused(_) = entry.body {
            self.reasons.push(Reason::InsufficientCredits);
            return Ok((Ending::Refused, outcome));
        }
        Ok((Ending::Applied, outcome))
    }

    /// What the decision needs beside the account.
    fn facts_for<'c>(
        &self,
        command: &Command<'_>,
        original: Option<&'c Entry<'c>>,
        prices: &'c Prices,
    ) -> Result<Facts<'c>, Reason> {
        let account = self.state.account(&command.account);
        let mut facts = facts(account, prices, self.ledger_time);
        facts.original = original;
        match &command.body {
            CommandBody::AssignPlan { plan, .. } => {
                facts.wanted = terms_at(prices, plan, self.ledger_time);
            }
            CommandBody::Reserve(reserve) => {
                if let Want::Usage(usage) = &reserve.want {
                    facts.estimate = Some(self.estimate(command, usage, prices)?);
                }
            }
            CommandBody::Grant(_)
            | CommandBody::Adjust { .. }
            | CommandBody::Void { .. }
            | CommandBody::Capture { .. }
            | CommandBody::Extend { .. }
            | CommandBody::Settle { .. }
            | CommandBody::Release { .. }
            | CommandBody::SetBudget(_)
            | CommandBody::RemoveBudget { .. }
            | CommandBody::SetNotices { .. }
            | CommandBody::Refund { .. }
            | CommandBody::Reverse { .. }
            | CommandBody::Rerate(_)
            | CommandBody::DecideQuarantined { .. } => {}
        }
        Ok(facts)
    }

    /// What usage would cost the account now: the same pricing as of the event that will come.
    fn estimate(
        &self,
        command: &Command<'_>,
        usage: &[u8],
        prices: &Prices,
    ) -> Result<Credits, Reason> {
        let mut event = wire::decode_usage(usage).map_err(|fault| fault.reason)?.event;
        event.account = Text::Borrowed(&command.account);
        let account = self.state.account(&command.account);
        let plan = account.plan().map(|plan| plan.plan.as_ref());
        let rating = rating::quote(&prices.catalogue, &event, plan, self.ledger_time)
            .map_err(|unrated| unrated.reason)?;
        Ok(rating.credits)
    }

    fn refuse(
        &mut self,
        reason: Reason,
        conflicts_with: Option<EntryNumber>,
        now: Balance,
    ) -> (Ending, ReplyOutcome<'static>) {
        self.reasons.push(reason);
        let ending = Ending::Exception(ExceptionKind::Refused { reason });
        (ending, ReplyOutcome::Refused { reason, conflicts_with, now })
    }

    /// The answer goes out in the same transaction as what it tells of.
    fn reply(&mut self, command: &Command<'_>, outcome: ReplyOutcome<'_>) {
        if command.correlation == 0 {
            return;
        }
        let reply = Reply {
            account: command.account.clone(),
            command: command.id.clone(),
            correlation: command.correlation,
            partition: self.partition,
            ledger_time: self.ledger_time,
            outcome,
        };
        let mut bytes = Vec::new();
        wire::encode_reply(&reply, &mut bytes);
        let to = TopicPartition { topic: Topic::Replies, partition: Partition(0) };
        self.outgoing.other(to, command.account.as_bytes(), bytes, Vec::new());
    }
}

/// The entry that a command is about, from the record that it carries.
pub(super) fn original<'a>(command: &'a Command<'_>) -> Result<Option<Entry<'a>>, Reason> {
    let Some((entry, record)) = command.body.about() else {
        return Ok(None);
    };
    match wire::decode_ledger(record) {
        Ok(LedgerRecord::Entry(original))
            if original.number == entry && original.account == command.account =>
        {
            Ok(Some(original))
        }
        Ok(_) | Err(_) if command.body.decides_quarantined() => Err(Reason::NotQuarantined),
        Ok(_) | Err(_) => Err(Reason::NotACharge),
    }
}

/// Why a command is refused whose identity another one has.
fn taken_by_another(body: &CommandBody<'_>) -> Reason {
    match body {
        CommandBody::Reverse { .. } | CommandBody::Rerate(_) => Reason::AlreadyCorrected,
        CommandBody::DecideQuarantined { .. } => Reason::NotQuarantined,
        CommandBody::Grant(_)
        | CommandBody::Adjust { .. }
        | CommandBody::Void { .. }
        | CommandBody::Reserve(_)
        | CommandBody::Capture { .. }
        | CommandBody::Extend { .. }
        | CommandBody::Settle { .. }
        | CommandBody::Release { .. }
        | CommandBody::AssignPlan { .. }
        | CommandBody::SetBudget(_)
        | CommandBody::RemoveBudget { .. }
        | CommandBody::SetNotices { .. }
        | CommandBody::Refund { .. } => Reason::IdempotencyConflict,
    }
}

/// What a command is unique within: its hold, the entry that it reverses, or its account.
fn identity_of(command: &Command<'_>, original: Option<&Entry<'_>>) -> IdentityKey {
    match (command.body.hold(), original) {
        (Some(hold), _) => IdentityKey::of_command(&hold_scope(hold), &command.id),
        (None, Some(original)) => {
            let decides = command.body.decides_quarantined();
            let id = if decides { decision_id } else { correction_id };
            IdentityKey::of_command(&command.account, &id(original.number))
        }
        (None, None) => IdentityKey::of_command(&command.account, &command.id),
    }
}
