//! Avro values as the types that records are made of, each with its limit and the name that an
//! error gives it.

use std::borrow::Cow;

use calendar::{Period, Window, Zone};
use domain::limits::{AMOUNT_MAX_UNITS, TEXT_BYTES_MAX};
use domain::{
    ALL_POOLS, Amount, Attributes, CatalogueId, ContentHash, Currency, EntryNumber, HoldAction,
    LotId, Offset, Pool, Reason, SCALE, Sequence, Status, Text, Timestamp, Topic, Traffic,
};
use ledger::{Category, HoldEnding, HoldId, ReturnTo, When};

use crate::avro::{self, AvroError, AvroResult, Blocks, Reader, Writer};
use crate::record::access::Role;
use crate::record::error::{Flaw, Malformed, RecordError};
use crate::record::limits;
use crate::record::version::DocumentKind;

/// One more than the largest number of a decimal of precision 38.
const DECIMAL_END: u128 = 10_u128.pow(38);
/// The last microsecond of the year 9999.
const TIME_MICROS_MAX: i64 = 253_402_300_799_999_999;

/// Reads a record's fields in the order of its schema.
///
/// The first flaw is kept and ends the reading: what is asked for after it is not there, so every
/// read gives a value, and [`Fields::end`] says whether they were the record's. A reader of many
/// fields is shorter and several times faster this way than with a result for each.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    reader: Reader<'a>,
    malformed: Option<Malformed>,
}

/// Splits a record of at most `bytes_max` into its schema's fingerprint and its fields.
#[inline]
pub(super) fn open(record: &[u8], bytes_max: usize) -> Result<(u64, Fields<'_>), RecordError> {
    if record.len() > bytes_max {
        return Err(RecordError::TooLarge { bytes: record.len(), bytes_max });
    }
    let (fingerprint, body) = avro::split_single_object(record).ok_or(RecordError::NotARecord)?;
    Ok((fingerprint, Fields { reader: Reader::new(body), malformed: None }))
}

/// As [`open`], for a topic that has one schema.
pub(super) fn open_one(
    record: &[u8],
    bytes_max: usize,
    expected: u64,
) -> Result<Fields<'_>, RecordError> {
    match open(record, bytes_max)? {
        (fingerprint, fields) if fingerprint == expected => Ok(fields),
        (fingerprint, _) => Err(RecordError::UnknownSchema { fingerprint }),
    }
}

/// An enum whose values stand on the wire as their places in `ALL`.
pub(super) trait Word: Copy + 'static {
    const ALL: &'static [Self];
}

macro_rules! words {
    ($($word:ty = $all:expr;)*) => {
        $(impl Word for $word {
            const ALL: &'static [Self] = $all;
        })*
    };
}

words! {
    Traffic = Traffic::ALL;
    Status = Status::ALL;
    HoldAction = HoldAction::ALL;
    Pool = &ALL_POOLS;
    Topic = &Topic::IN_RECORDS;
    Category = &Category::ALL;
    DocumentKind = &DocumentKind::ALL;
    Role = &Role::ALL;
    HoldEnding = &HoldEnding::ALL;
    ReturnTo = &ReturnTo::ALL;
    When = &When::ALL;
    Period = &Period::ALL;
}

impl<'a> Fields<'a> {
    /// Ends the reading: `value` is the record's if nothing was wrong and nothing is left.
    #[inline]
    pub(super) fn end<T>(mut self, value: T) -> Result<T, RecordError> {
        if self.malformed.is_none()
            && let Err(error) = self.reader.end()
        {
            self.fail("", Flaw::Avro(error));
        }
        match self.malformed {
            None => Ok(value),
            Some(malformed) => Err(RecordError::Malformed(malformed)),
        }
    }

    /// Notes the first flaw, and leaves nothing to read.
    #[cold]
    #[inline(never)]
    pub(super) fn fail(&mut self, field: &'static str, flaw: Flaw) {
        self.malformed.get_or_insert(Malformed { field, flaw });
        self.reader = Reader::new(&[]);
    }

    /// Notes a branch or a symbol that the schema does not have.
    #[cold]
    pub(super) fn no_such_branch(&mut self, field: &'static str) {
        self.fail(field, Flaw::Avro(AvroError::NoSuchBranch));
    }

    /// What was read, or what stands for it when it could not be.
    #[inline(always)]
    fn named<T>(&mut self, field: &'static str, result: AvroResult<T>, otherwise: T) -> T {
        match result {
            Ok(value) => value,
            Err(error) => {
                self.fail(field, Flaw::Avro(error));
                otherwise
            }
        }
    }

    #[inline(always)]
    pub(super) fn long(&mut self, field: &'static str) -> i64 {
        let long = self.reader.long();
        self.named(field, long, 0)
    }

    /// A whole number that fits `T`.
    #[inline(always)]
    pub(super) fn number<T: TryFrom<i64> + Default>(&mut self, field: &'static str) -> T {
        let long = self.long(field);
        T::try_from(long).unwrap_or_else(|_| {
            self.fail(field, Flaw::NumberOutOfRange);
            T::default()
        })
    }

    #[inline(always)]
    pub(super) fn boolean(&mut self, field: &'static str) -> bool {
        let boolean = self.reader.boolean();
        self.named(field, boolean, false)
    }

    #[inline(always)]
    pub(super) fn time(&mut self, field: &'static str) -> Timestamp {
        Timestamp::from_micros(self.long(field))
    }

    /// A time that RFC 3339 can write, from somebody who may have sent anything.
    pub(super) fn checked_time(&mut self, field: &'static str) -> Timestamp {
        let micros = self.long(field);
        if !(0..=TIME_MICROS_MAX).contains(&micros) {
            self.fail(field, Flaw::BadTime);
        }
        Timestamp::from_micros(micros)
    }

    /// A stretch of time whose end is a time again, whichever time it is added to.
    pub(super) fn checked_span_micros(&mut self, field: &'static str) -> i64 {
        let micros = self.long(field);
        if !(-TIME_MICROS_MAX..=TIME_MICROS_MAX).contains(&micros) {
            self.fail(field, Flaw::BadSpan);
        }
        micros
    }

    #[inline(always)]
    pub(super) fn amount<A: Amount>(&mut self, field: &'static str) -> A {
        let bytes = self.reader.bytes();
        let bytes = self.named(field, bytes, &[0]);
        match avro::decimal(bytes) {
            Some(atoms) if atoms.unsigned_abs() < DECIMAL_END => A::from_atoms(atoms),
            Some(_) | None => {
                self.fail(field, Flaw::BadAmount);
                A::from_atoms(0)
            }
        }
    }

    /// An amount within the limit for what comes in.
    pub(super) fn checked_amount<A: Amount>(&mut self, field: &'static str) -> A {
        let amount: A = self.amount(field);
        if amount.atoms().unsigned_abs() > (AMOUNT_MAX_UNITS * SCALE).unsigned_abs() {
            self.fail(field, Flaw::BadAmount);
        }
        amount
    }

    #[inline(always)]
    pub(super) fn str(&mut self, field: &'static str) -> &'a str {
        let text = self.reader.string();
        let text = self.named(field, text, "");
        if text.len() > limits::TEXT_MAX {
            self.fail(field, Flaw::TextTooLong);
        }
        text
    }

    #[inline(always)]
    pub(super) fn text(&mut self, field: &'static str) -> Text<'a> {
        Cow::Borrowed(self.str(field))
    }

    /// A text of any length that the record has.
    pub(super) fn long_text(&mut self, field: &'static str) -> Text<'a> {
        let text = self.reader.string();
        Cow::Borrowed(self.named(field, text, ""))
    }

    /// A text within the limits for what comes in.
    pub(super) fn checked_text(&mut self, field: &'static str) -> Text<'a> {
        let text = self.long_text(field);
        if text.len() > TEXT_BYTES_MAX {
            self.fail(field, Flaw::TextTooLong);
        }
        if text.chars().any(char::is_control) {
            self.fail(field, Flaw::ControlCharacter);
        }
        text
    }

    /// As [`Self::checked_text`], and it must say something.
    pub(super) fn checked_name(&mut self, field: &'static str) -> Text<'a> {
        let text = self.checked_text(field);
        if text.is_empty() {
            self.fail(field, Flaw::EmptyText);
        }
        text
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Cow<'a, [u8]> {
        let bytes = self.reader.bytes();
        Cow::Borrowed(self.named(field, bytes, &[]))
    }

    /// Bytes within a limit for what comes in.
    pub(super) fn checked_bytes(&mut self, field: &'static str, bytes_max: usize) -> Cow<'a, [u8]> {
        let bytes = self.bytes(field);
        if bytes.len() > bytes_max {
            self.fail(field, Flaw::BytesTooLong);
        }
        bytes
    }

    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self, field: &'static str) -> [u8; N] {
        let bytes = self.reader.take(N);
        let bytes = self.named(field, bytes, &[]);
        // Only a read that failed gives other than N bytes.
        bytes.try_into().unwrap_or([0; N])
    }

    #[inline]
    pub(super) fn content(&mut self, field: &'static str) -> ContentHash {
        ContentHash(u64::from_be_bytes(self.fixed(field)))
    }

    pub(super) fn currency(&mut self, field: &'static str) -> Currency {
        self.str(field).parse().unwrap_or_else(|_| {
            self.fail(field, Flaw::BadCurrency);
            Currency::USD
        })
    }

    pub(super) fn zone(&mut self, field: &'static str) -> Zone {
        self.str(field).parse().unwrap_or_else(|_| {
            self.fail(field, Flaw::UnknownZone);
            Zone::utc()
        })
    }

    pub(super) fn window(&mut self, field: &'static str) -> Window {
        Window { start: self.time(field), end: self.time(field) }
    }

    pub(super) fn reason(&mut self, field: &'static str) -> Reason {
        Reason::from_code(self.str(field)).unwrap_or_else(|| {
            self.fail(field, Flaw::UnknownReason);
            Reason::InvalidAvro
        })
    }

    #[inline(always)]
    pub(super) fn offset(&mut self, field: &'static str) -> Offset {
        Offset(self.long(field))
    }

    #[inline(always)]
    pub(super) fn sequence(&mut self, field: &'static str) -> Sequence {
        Sequence(self.number(field))
    }

    #[inline(always)]
    pub(super) fn entry_number(&mut self, field: &'static str) -> EntryNumber {
        EntryNumber(self.number(field))
    }

    #[inline(always)]
    pub(super) fn lot(&mut self, field: &'static str) -> LotId {
        LotId(self.number(field))
    }

    #[inline(always)]
    pub(super) fn hold(&mut self, field: &'static str) -> HoldId {
        HoldId(self.entry_number(field))
    }

    #[inline(always)]
    pub(super) fn catalogue_id(&mut self, field: &'static str) -> CatalogueId {
        CatalogueId(self.number(field))
    }

    /// The symbol of an enum, by its number.
    #[inline(always)]
    pub(super) fn word<W: Word>(&mut self, field: &'static str) -> W {
        let place = usize::try_from(self.long(field)).unwrap_or(usize::MAX);
        W::ALL.get(place).copied().unwrap_or_else(|| {
            self.no_such_branch(field);
            W::ALL[0]
        })
    }

    /// The branch of a union, by its number; the caller knows which there are.
    #[inline(always)]
    pub(super) fn branch(&mut self, field: &'static str) -> u8 {
        u8::try_from(self.long(field)).unwrap_or(u8::MAX)
    }

    /// A union `["null", T]`.
    #[inline(always)]
    pub(super) fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> T,
    ) -> Option<T> {
        let present = self.reader.is_present();
        if self.named(field, present, false) { Some(read(self, field)) } else { None }
    }

    /// An array, collected. Memory is taken for no more elements than the rest of the record can
    /// hold.
    #[inline(always)]
    pub(super) fn array<C: Collects<T>, T>(
        &mut self,
        field: &'static str,
        bound: Bound,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> C {
        let mut elements = C::default();
        self.each(field, bound.elements_max, |fields, announced| {
            if elements.is_empty() {
                let fit = fields.reader.remaining() / bound.element_bytes_min;
                elements.reserve((announced + 1).min(fit + 1));
            }
            elements.push(read(fields));
        });
        elements
    }

    /// Reads each element of an array; `read` is told how many more its block announces.
    #[inline(always)]
    pub(super) fn each(
        &mut self,
        field: &'static str,
        elements_max: usize,
        mut read: impl FnMut(&mut Self, usize),
    ) {
        let mut blocks = Blocks::new(elements_max);
        loop {
            let more = blocks.more(&mut self.reader);
            // After a flaw the block may still announce elements, but there are none.
            if !self.named(field, more, false) || self.malformed.is_some() {
                return;
            }
            read(self, blocks.left_in_block());
        }
    }

    /// A map, sorted by name; another writer may have left it in any order.
    #[inline(always)]
    pub(super) fn attributes(&mut self, field: &'static str) -> Attributes<'a> {
        let bound = Bound { elements_max: limits::ATTRIBUTES, element_bytes_min: 2 };
        let mut attributes: Attributes<'a> =
            self.array(field, bound, |fields| (fields.text(field), fields.text(field)));
        if attributes.len() > 1 {
            self.sort(field, &mut attributes);
        }
        attributes
    }

    fn sort(&mut self, field: &'static str, attributes: &mut Attributes<'a>) {
        let rising = |pair: &[(Text<'_>, Text<'_>)]| pair[0].0 < pair[1].0;
        if !attributes.windows(2).all(rising) {
            attributes.sort_unstable();
            if !attributes.windows(2).all(rising) {
                self.fail(field, Flaw::RepeatedName);
            }
        }
    }
}

/// How many elements an array may have, and how few bytes one takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) elements_max: usize,
    pub(super) element_bytes_min: usize,
}

/// What array elements are collected into.
pub(super) trait Collects<T>: Default {
    fn is_empty(&self) -> bool;
    fn reserve(&mut self, count: usize);
    fn push(&mut self, element: T);
}

impl<T> Collects<T> for Vec<T> {
    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }
    fn reserve(&mut self, count: usize) {
        self.reserve_exact(count);
    }
    fn push(&mut self, element: T) {
        Vec::push(self, element);
    }
}

impl<T, const N: usize> Collects<T> for smallvec::SmallVec<[T; N]>
where
    [T; N]: smallvec::Array<Item = T>,
{
    fn is_empty(&self) -> bool {
        smallvec::SmallVec::is_empty(self)
    }
    fn reserve(&mut self, count: usize) {
        self.reserve_exact(count);
    }
    fn push(&mut self, element: T) {
        smallvec::SmallVec::push(self, element);
    }
}

impl Writer<'_> {
    /// A number without a sign; those of records count things, and stay far below 2⁶³.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        debug_assert!(number <= i64::MAX.unsigned_abs(), "{number} is no count");
        self.long(number.cast_signed());
    }

    #[inline]
    pub(super) fn time(&mut self, time: Timestamp) {
        self.long(time.micros());
    }

    pub(super) fn window(&mut self, window: Window) {
        self.time(window.start);
        self.time(window.end);
    }

    pub(super) fn currency(&mut self, currency: Currency) {
        self.string(currency.as_str());
    }

    #[inline]
    pub(super) fn amount(&mut self, amount: impl Amount) {
        self.decimal(amount.atoms());
    }

    #[inline]
    pub(super) fn content(&mut self, content: ContentHash) {
        self.fixed(&content.0.to_be_bytes());
    }

    #[inline]
    pub(super) fn reason(&mut self, reason: Reason) {
        self.string(reason.code());
    }

    #[inline]
    pub(super) fn optional_text(&mut self, text: Option<&Text<'_>>) {
        self.optional(text, |writer, text| writer.string(text));
    }

    #[inline]
    pub(super) fn attributes(&mut self, attributes: &Attributes<'_>) {
        self.array(attributes.iter(), |writer, (name, value)| {
            writer.string(name);
            writer.string(value);
        });
    }
}
