//! One command: identity, decision, reply.

use domain::{
    EntryNumber, Fault, IdentityKey, LotId, Partition, Reason, Topic, TopicPartition, partition_of,
};
use eventlog::Record;
use flow::Ending;
use identity::Search;
use ledger::{Balance, Body, Command, Entry, ExceptionKind, decide};
use wire::{Reply, ReplyOutcome};

use super::{Halt, PartitionCore, entry_at};

impl PartitionCore {
    pub(super) fn command(&mut self, record: &Record<'_>) -> Result<Ending, Halt> {
        let command = match wire::decode_command(record.value) {
            Ok(command) => command,
            Err(why) => {
                let fault = Fault::new(Reason::BadCommand, "", &why.to_string());
                return Ok(self.dead_letter(record, &fault, None));
            }
        };
        if partition_of(&command.account, self.settings.partitions) != self.partition {
            let fault = Fault::new(Reason::MisroutedTwice, "account", &command.account);
            return Ok(self.dead_letter(record, &fault, None));
        }
        let (ending, outcome) = self.decide(record, &command)?;
        self.reply(&command, outcome);
        Ok(ending)
    }

    fn decide(
        &mut self,
        record: &Record<'_>,
        command: &Command<'_>,
    ) -> Result<(Ending, ReplyOutcome<'static>), Halt> {
        let key = IdentityKey::of_command(&command.account, &command.id);
        let content = wire::command_content(command);
        let now = self.state.account(&command.account).balance();
        if let Some(seen) = self.identity.find(key, Search::Everything)? {
            let repeats = entry_at(seen.entry);
            if seen.content == content {
                let ending = Ending::Exception(ExceptionKind::Repeated { repeats });
                return Ok((ending, ReplyOutcome::Repeated { entry: repeats, now }));
            }
            let first = Some(repeats);
            return Ok(self.refuse(Reason::IdempotencyConflict, first, now));
        }
        let account = self.state.account(&command.account);
        match decide::command(account, command, content, self.moment(record)) {
            Ok(entry) => {
                self.write(&entry)?;
                let outcome = ReplyOutcome::Applied {
                    entry: entry.number,
                    lot: lot_of(&entry),
                    after: entry.after,
                };
                Ok((Ending::Applied, outcome))
            }
            Err(reason) => Ok(self.refuse(reason, None, now)),
        }
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

/// The lot that an entry opens; it is named by the entry's sequence number.
fn lot_of(entry: &Entry<'_>) -> Option<LotId> {
    let opens = match &entry.body {
        Body::Grant(_) => true,
        Body::Adjustment(adjustment) => adjustment.credits.is_positive(),
        Body::Debit(_)
        | Body::Unrated(_)
        | Body::Quarantined(_)
        | Body::LotVoided(_)
        | Body::LotActivated(_)
        | Body::LotInGrace(_)
        | Body::LotExpired(_) => false,
    };
    opens.then_some(LotId(entry.sequence.0))
}
