//! What was decided again against what stands in the ledger.

use charger::DecidedAgain;
use domain::{Credits, Text};
use flow::Ending;
use ledger::{Debit, Entry};
use wire::LedgerRecord;

use super::{Rerun, charge, entry_of};
use crate::report::{Difference, FieldDifference};
use crate::{PricesOf, difference};

impl Rerun<'_> {
    pub(super) fn compare(
        &mut self,
        records: &[LedgerRecord<'_>],
        expected: &[Vec<u8>],
        decided: &DecidedAgain,
    ) {
        for (index, record) in records.iter().enumerate() {
            let LedgerRecord::Entry(then) = record else { continue };
            self.report.decided += 1;
            let now = decided.entries.get(index);
            if now == expected.get(index) {
                self.report.same += 1;
                continue;
            }
            match now.and_then(|bytes| entry_of(bytes)) {
                Some(now) if self.settings.prices == PricesOf::Today => self.repriced(then, &now),
                Some(now) => self.differs(then, &now),
                None => self.is_not_decided(then, decided.ending),
            }
        }
        for extra in decided.entries.iter().skip(records.len()).filter_map(|bytes| entry_of(bytes))
        {
            self.report.different += 1;
            let fields = vec![FieldDifference {
                field: "entry",
                then: "none".to_owned(),
                now: format!("{:?}", extra.body),
            }];
            self.note_difference(&extra, fields);
        }
    }

    /// Under another catalogue, the version that is named always differs: the amounts decide.
    fn repriced(&mut self, then: &Entry<'_>, now: &Entry<'_>) {
        let (Some(before), after) = (charge(then), charge(now)) else {
            self.report.same += 1;
            return;
        };
        let credits = |debit: &Debit<'_>| -> Vec<Credits> {
            debit.lines.iter().map(|line| line.credits).collect()
        };
        if after.is_some_and(|after| credits(after) == credits(before)) {
            self.report.same += 1;
            return;
        }
        self.differs(then, now);
    }

    fn differs(&mut self, then: &Entry<'_>, now: &Entry<'_>) {
        self.report.different += 1;
        if charge(then).map(|debit| &debit.lines) != charge(now).map(|debit| &debit.lines) {
            self.add_usage(then, charge(now));
        }
        let fields = difference::fields(then, now);
        self.note_difference(then, fields);
    }

    fn is_not_decided(&mut self, then: &Entry<'_>, ending: Option<Ending>) {
        self.report.different += 1;
        self.add_usage(then, None);
        let now = match ending {
            Some(ending) => format!("no entry: {ending:?}"),
            None => "no entry".to_owned(),
        };
        let said = format!("{:?}: {:?}", then.cause, then.body);
        let fields = vec![FieldDifference { field: "entry", then: said, now }];
        self.note_difference(then, fields);
    }

    fn add_usage(&mut self, then: &Entry<'_>, now: Option<&Debit<'_>>) {
        let Some(debit) = charge(then).or(now) else { return };
        let line = |debit: Option<&Debit<'_>>, index: usize| {
            let line = debit.and_then(|debit| debit.lines.get(index));
            line.map_or(Credits::ZERO, |line| line.credits)
        };
        for (index, item) in debit.event.items.iter().enumerate() {
            let model = item.model.as_ref().map(Text::to_string).unwrap_or_default();
            let at = (then.account.to_string(), debit.event.feature.to_string(), model);
            self.report.usage(at, line(charge(then), index), line(now, index));
        }
    }

    fn note_difference(&mut self, entry: &Entry<'_>, fields: Vec<FieldDifference>) {
        self.report.difference(Difference {
            at: format!("{}-{}", self.partition, entry.number),
            account: entry.account.to_string(),
            kind: entry.body.kind().to_owned(),
            fields,
        });
    }
}
