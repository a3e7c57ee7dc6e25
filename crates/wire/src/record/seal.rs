//! Seals (`schemas/seal`).

use domain::{Offset, Outcome, Partition, Topic};
use ledger::{Counts, Exception, ExceptionKind, Seal, SourceRange};

use crate::avro::Writer;
use crate::record::error::{Flaw, RecordError};
use crate::record::fields::{Bound, Fields};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::SEAL_V1_FINGERPRINT;

/// The places of an exception's kinds in their union.
mod kind {
    pub(super) const DUPLICATE: u8 = 0;
    pub(super) const DEAD_LETTERED: u8 = 1;
    pub(super) const FORWARDED: u8 = 2;
    pub(super) const REFUSED: u8 = 3;
    pub(super) const REPEATED: u8 = 4;
}

const SOURCES: Bound = Bound { elements_max: Topic::ALL.len(), element_bytes_min: 3 };
const EXCEPTION_BYTES_MIN: usize = 4;
const EXCEPTIONS: Bound = Bound {
    elements_max: LEDGER_RECORD_BYTES_MAX / EXCEPTION_BYTES_MIN,
    element_bytes_min: EXCEPTION_BYTES_MIN,
};

/// Eleven of them can be added up.
const COUNT_MAX: u64 = 1 << 59;

/// Where each topic's next exception is counted from: offsets of one topic rise in small steps.
struct Steps([i64; Topic::ALL.len()]);

impl Steps {
    fn from(sources: &[SourceRange]) -> Self {
        let mut last = [0; Topic::ALL.len()];
        for source in sources {
            last[usize::from(source.topic.code())] = source.from.0;
        }
        Self(last)
    }

    fn to(&mut self, topic: Topic, offset: i64) -> i64 {
        let last = &mut self.0[usize::from(topic.code())];
        offset.wrapping_sub(std::mem::replace(last, offset))
    }

    fn take(&mut self, topic: Topic, step: i64) -> i64 {
        let last = &mut self.0[usize::from(topic.code())];
        *last = last.wrapping_add(step);
        *last
    }
}

/// Appends a seal to `out` as an Avro single-object record.
pub fn encode_seal(seal: &Seal, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(SEAL_V1_FINGERPRINT);
    writer.number(seal.number);
    writer.time(seal.ledger_time);
    writer.array(seal.sources.iter(), |writer, source| {
        writer.branch(source.topic.code());
        writer.long(source.from.0);
        writer.long(source.to.0.wrapping_sub(source.from.0));
    });
    for (_, count) in seal.counts.iter() {
        writer.number(count);
    }
    writer.amount(seal.credits);
    writer.amount(seal.vendor_cost);
    writer.number(seal.records);
    writer.long(seal.catalogue.0);
    let mut steps = Steps::from(&seal.sources);
    writer.array(seal.exceptions.iter(), |writer, exception| {
        writer.branch(exception.topic.code());
        writer.long(steps.to(exception.topic, exception.offset.0));
        write_kind(writer, exception.kind);
    });
    writer.fixed(&seal.chain);
}

fn write_kind(writer: &mut Writer<'_>, kind: ExceptionKind) {
    match kind {
        ExceptionKind::Duplicate { repeats } => {
            writer.branch(kind::DUPLICATE);
            writer.number(repeats.0);
        }
        ExceptionKind::DeadLetter { reason } => {
            writer.branch(kind::DEAD_LETTERED);
            writer.reason(reason);
        }
        ExceptionKind::Forwarded { to } => {
            writer.branch(kind::FORWARDED);
            writer.long(i64::from(to.0));
        }
        ExceptionKind::Refused { reason } => {
            writer.branch(kind::REFUSED);
            writer.reason(reason);
        }
        ExceptionKind::Repeated { repeats } => {
            writer.branch(kind::REPEATED);
            writer.number(repeats.0);
        }
    }
}

pub(super) fn read(mut fields: Fields<'_>) -> Result<Seal, RecordError> {
    let number = fields.number("number");
    let ledger_time = fields.time("ledger_time");
    let sources: Vec<SourceRange> = fields.array("sources", SOURCES, read_source);
    let mut steps = Steps::from(&sources);
    let seal = Seal {
        number,
        ledger_time,
        sources,
        counts: read_counts(&mut fields),
        credits: fields.amount("credits"),
        vendor_cost: fields.amount("vendor_cost"),
        records: fields.number("records"),
        catalogue: fields.offset("catalogue"),
        exceptions: fields.array("exceptions", EXCEPTIONS, |fields| {
            let topic = fields.word("exceptions.topic");
            let step = fields.long("exceptions.step");
            Exception { topic, offset: Offset(steps.take(topic, step)), kind: read_kind(fields) }
        }),
        chain: fields.fixed("chain"),
    };
    fields.end(seal)
}

fn read_source(fields: &mut Fields<'_>) -> SourceRange {
    let topic = fields.word("sources.topic");
    let from = fields.offset("sources.from");
    let count = fields.long("sources.count");
    SourceRange { topic, from, to: Offset(from.0.wrapping_add(count)) }
}

fn read_counts(fields: &mut Fields<'_>) -> Counts {
    let mut counts = Counts::default();
    for outcome in Outcome::ALL {
        let count: u64 = fields.number("counts");
        if count > COUNT_MAX {
            fields.fail("counts", Flaw::NumberOutOfRange);
            break;
        }
        counts.add(outcome, count);
    }
    counts
}

fn read_kind(fields: &mut Fields<'_>) -> ExceptionKind {
    let field = "exceptions.kind";
    match fields.branch(field) {
        kind::DUPLICATE => ExceptionKind::Duplicate { repeats: fields.entry_number(field) },
        kind::DEAD_LETTERED => ExceptionKind::DeadLetter { reason: fields.reason(field) },
        kind::FORWARDED => ExceptionKind::Forwarded { to: Partition(fields.number(field)) },
        kind::REFUSED => ExceptionKind::Refused { reason: fields.reason(field) },
        kind::REPEATED => ExceptionKind::Repeated { repeats: fields.entry_number(field) },
        _ => {
            fields.no_such_branch(field);
            ExceptionKind::Forwarded { to: Partition(0) }
        }
    }
}
