//! `usage_lines`, and the rollups as signed deltas per batch.

use domain::{EntryNumber, Item, Money, RateLine, Text};
use hashbrown::HashMap;
use ledger::{Body, Debit, Entry};
use smallvec::{SmallVec, smallvec};

use super::measures::Measures;
use super::split::split;
use super::{Place, entry_id};
use crate::rowbinary::RowBinary;
use crate::{Names, tables};

/// Rows and deltas of one batch.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) lines: super::Rows,
    hourly: Rollup,
    daily: Rollup,
    daily_by_user: Rollup,
}

/// Deltas by their key columns, which are kept as the bytes of the row that they begin.
#[derive(Debug, Default)]
struct Rollup {
    deltas: HashMap<Box<[u8]>, Measures>,
    key: Vec<u8>,
}

impl Rollup {
    fn add(&mut self, measures: &Measures, key: impl FnOnce(&mut Vec<u8>)) {
        self.key.clear();
        key(&mut self.key);
        match self.deltas.get_mut(self.key.as_slice()) {
            Some(sum) => sum.add(measures),
            None => {
                self.deltas.insert(self.key.as_slice().into(), measures.clone());
            }
        }
    }

    /// The rows, in the order of their keys: a batch that is made again gives the same bytes.
    fn rows(&mut self, reached: Place) -> super::Rows {
        let mut deltas: Vec<(Box<[u8]>, Measures)> = self.deltas.drain().collect();
        deltas.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut rows = super::Rows::default();
        for (key, measures) in deltas {
            rows.add(|row| {
                row.extend_from_slice(&key);
                measures.put_sums(row);
                row.put_u64(1);
                row.put_u32(reached.partition.0);
                row.put_i64(reached.offset.0);
            });
        }
        rows
    }
}

/// A charge that makes lines: its own, those that take another back, or the difference to another.
#[derive(Clone, Copy)]
pub(crate) struct Charged<'a> {
    pub(crate) place: Place,
    pub(crate) entry: &'a Entry<'a>,
    pub(crate) debit: &'a Debit<'a>,
    pub(crate) kind: Kind<'a>,
}

/// What the lines of a charge do.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    Debit,
    /// They take back what an entry stands for.
    Reversal(EntryNumber),
    /// They stand in the place of what an entry stood for; with a charge, for the same usage, only the
    /// difference to it.
    Adjustment(EntryNumber, Option<&'a Debit<'a>>),
}

impl Kind<'_> {
    fn word(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Reversal(_) => "reversal",
            Self::Adjustment(..) => "adjustment",
        }
    }

    fn corrects(self) -> Option<EntryNumber> {
        match self {
            Self::Debit => None,
            Self::Reversal(entry) | Self::Adjustment(entry, _) => Some(entry),
        }
    }
}

impl<'a> Charged<'a> {
    /// Of an entry that charges, takes a charge back or puts another in its place; none of any other.
    pub(crate) fn of(place: Place, entry: &'a Entry<'a>) -> SmallVec<[Self; 2]> {
        let charged = |debit, kind| Self { place, entry, debit, kind };
        match &entry.body {
            Body::Debit(debit) => smallvec![charged(debit, Kind::Debit)],
            Body::Reversed(reversed) => {
                smallvec![charged(&reversed.debit, Kind::Reversal(reversed.reverses))]
            }
            Body::Corrected(corrected) => {
                let (before, corrects) = (&corrected.before, corrected.corrects);
                match &corrected.now {
                    Some(now) if corrected.is_rerate() => {
                        smallvec![charged(now, Kind::Adjustment(corrects, Some(before)))]
                    }
                    Some(now) => smallvec![
                        charged(before, Kind::Reversal(corrects)),
                        charged(now, Kind::Adjustment(corrects, None)),
                    ],
                    None => smallvec![charged(before, Kind::Reversal(corrects))],
                }
            }
            Body::Unrated(_)
            | Body::Quarantined(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::HoldExtended(_)
            | Body::HoldEnded(_)
            | Body::PlanAssigned(_)
            | Body::PlanScheduled(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::LotExpiring(_)
            | Body::QuarantineDecided(_) => SmallVec::new(),
        }
    }
}

impl Usage {
    pub(crate) fn charged(&mut self, charged: &Charged<'_>, names: &Names<'_>) {
        let debit = charged.debit;
        let mut measured = measured(debit);
        if let Kind::Adjustment(_, Some(before)) = charged.kind {
            for (now, mut before) in measured.iter_mut().zip(self::measured(before)) {
                before.negate();
                now.add(&before);
            }
        }
        for (index, (line, item)) in debit.lines.iter().zip(&debit.event.items).enumerate() {
            let measures = &mut measured[index];
            if let Kind::Reversal(_) = charged.kind {
                measures.negate();
            }
            let line = Line { index, line, item };
            self.line(charged, &line, measures, names);
            self.roll_up(debit, item, measures);
        }
    }

    fn roll_up(&mut self, debit: &Debit<'_>, item: &Item<'_>, measures: &Measures) {
        let event = &debit.event;
        let rest = |row: &mut Vec<u8>| {
            row.put_text(text(&event.team));
            row.put_text(event.feature.as_bytes());
            row.put_text(event.traffic.word());
            row.put_text(text(&item.provider));
            row.put_text(text(&item.model));
            row.put_text(item.meter().unwrap_or_default());
        };
        self.hourly.add(measures, |row| {
            row.put_time(event.time.hour());
            row.put_text(event.account.as_bytes());
            row.put_text(text(&debit.plan));
            rest(row);
        });
        self.daily.add(measures, |row| {
            row.put_day(event.time.day());
            row.put_text(event.account.as_bytes());
            row.put_text(text(&debit.plan));
            rest(row);
        });
        self.daily_by_user.add(measures, |row| {
            row.put_day(event.time.day());
            row.put_text(event.account.as_bytes());
            row.put_text(text(&event.user));
            rest(row);
        });
    }

    fn line(
        &mut self,
        &Charged { place, entry, debit, kind }: &Charged<'_>,
        Line { index, line, item }: &Line<'_>,
        measures: &Measures,
        names: &Names<'_>,
    ) {
        let event = &debit.event;
        let reported = item.vendor_cost.map(|cost| cost.amount);
        let status = line.cost_status(reported);
        let position = u16::try_from(*index).unwrap_or(u16::MAX);
        self.lines.add(|row| {
            row.put_time(event.time);
            row.put_time(entry.recorded_at);
            row.put_text(event.account.as_bytes());
            row.put_text(text(&debit.plan));
            row.put_text(text(&event.team));
            row.put_text(text(&event.user));
            row.put_text(event.feature.as_bytes());
            row.put_text(event.traffic.word());
            row.put_text(event.source.as_bytes());
            row.put_text(event.id.as_bytes());
            row.put_text(text(&event.run));
            row.put_text(text(&event.step));
            row.put_text(text(&event.environment));
            row.put_text(text(&event.conversation));
            row.put_text(text(&event.hold));
            row.put_bool(debit.hold.is_some());
            row.put_amount(measures.above_hold());
            row.put_text(event.status.word());
            row.put_bool(item.estimated);
            row.put_u16(position);
            row.put_u16(position);
            row.put_text(text(&item.provider));
            row.put_text(text(&item.model));
            row.put_text(item.service_tier.as_deref().unwrap_or("standard"));
            row.put_text(item.meter().unwrap_or_default());
            measures.put_line(row);
            row.put_nullable_amount(computed(line, *index, kind));
            row.put_text(status.word());
            row.put_text(match status {
                domain::CostStatus::Missing => line.missing.map_or("", |reason| reason.code()),
                domain::CostStatus::Computed | domain::CostStatus::Reported => "",
            });
            row.put_text(names.currency());
            let (card, version) = names.version(Some(debit.rate_card));
            row.put_text(card);
            row.put_u32(version);
            row.put_text(names.rule(debit.rate_card, line.rule));
            let (book, version) = names.version(line.price.map(|price| price.book));
            row.put_text(book);
            row.put_u32(version);
            row.put_text(kind.word());
            row.put_text(
                kind.corrects().map(|charge| entry_id(place.partition, charge)).unwrap_or_default(),
            );
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    /// Everything of the batch, which reached this place of the ledger.
    pub(crate) fn finish(&mut self, reached: Place, blocks: &mut Vec<super::Block>) {
        blocks.extend(self.lines.take(&tables::USAGE_LINES));
        blocks.extend(self.hourly.rows(reached).take(&tables::USAGE_HOURLY));
        blocks.extend(self.daily.rows(reached).take(&tables::USAGE_DAILY));
        blocks.extend(self.daily_by_user.rows(reached).take(&tables::USAGE_DAILY_BY_USER));
    }
}

struct Line<'a> {
    index: usize,
    line: &'a RateLine,
    item: &'a Item<'a>,
}

/// The measures of a charge's lines, in their order.
fn measured(debit: &Debit<'_>) -> SmallVec<[Measures; 4]> {
    let mut split = split(debit);
    let lines = debit.lines.iter().zip(&debit.event.items).enumerate();
    lines
        .map(|(index, (line, item))| {
            let mut measures = Measures::of(line, item, split.next(line.credits));
            measures.events = i64::from(index == 0);
            measures.model_events = i64::from(
                !debit.event.items[..index].iter().any(|earlier| same_model(earlier, item)),
            );
            measures
        })
        .collect()
}

/// The cost that price books gave the line; signed like the line.
fn computed(line: &RateLine, index: usize, kind: Kind<'_>) -> Option<Money> {
    match kind {
        Kind::Debit | Kind::Adjustment(_, None) => line.computed,
        Kind::Reversal(_) => line.computed.map(|cost| -cost),
        Kind::Adjustment(_, Some(before)) => {
            let before = before.lines.get(index).and_then(|line| line.computed);
            match (line.computed, before) {
                (None, None) => None,
                (now, before) => Some(now.unwrap_or_default() - before.unwrap_or_default()),
            }
        }
    }
}

fn same_model(one: &Item<'_>, other: &Item<'_>) -> bool {
    one.provider == other.provider && one.model == other.model
}

pub(crate) fn text<'t>(text: &'t Option<Text<'_>>) -> &'t str {
    text.as_deref().unwrap_or_default()
}
