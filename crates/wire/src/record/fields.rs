//! Avro values as the types that records are made of, each with its limit and the name that an
//! error gives it.

use std::borrow::Cow;

use domain::limits::{AMOUNT_MAX_UNITS, TEXT_BYTES_MAX};
use domain::{
    Amount, Attributes, CatalogueId, ContentHash, EntryNumber, Currency, LotId, Offset, Reason, SCALE, Sequence,
    Text, Timestamp, Topic,
};

use crate::avro::{self, AvroError, AvroResult, Blocks, Reader, Writer};
use crate::record::error::{Flaw, RecordError};
use crate::record::limits;

/// One more than the largest number of a decimal of precision 38.
const DECIMAL_END: u128 = 10_u128.pow(38);
/// The last microsecond of the year 9999.
const TIME_MICROS_MAX: i64 = 253_402_300_799_999_999;

pub(super) type Field<T> = Result<T, RecordError>;

/// Reads a record's fields in the order of its schema.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    reader: Reader<'a>,
}

/// Splits a record of at most `bytes_max` into its schema's fingerprint and its fields.
#[inline]
pub(super) fn open(record: &[u8], bytes_max: usize) -> Field<(u64, Fields<'_>)> {
    if record.len() > bytes_max {
        return Err(RecordError::TooLarge { bytes: record.len(), bytes_max });
    }
    let (fingerprint, body) = avro::split_single_object(record).ok_or(RecordError::NotARecord)?;
    Ok((fingerprint, Fields { reader: Reader::new(body) }))
}

/// As [`open`], for a topic that has one schema.
pub(super) fn open_one(record: &[u8], bytes_max: usize, expected: u64) -> Field<Fields<'_>> {
    match open(record, bytes_max)? {
        (fingerprint, fields) if fingerprint == expected => Ok(fields),
        (fingerprint, _) => Err(RecordError::UnknownSchema { fingerprint }),
    }
}

#[inline]
fn named<T>(field: &'static str, result: AvroResult<T>) -> Field<T> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(RecordError::at(field, Flaw::Avro(error))),
    }
}

impl<'a> Fields<'a> {
    /// Ends the reading: nothing may be left.
    #[inline]
    pub(super) fn end<T>(self, value: T) -> Field<T> {
        named("", self.reader.end()).map(|()| value)
    }

    /// A whole number that fits `T`.
    #[inline]
    pub(super) fn number<T: TryFrom<i64>>(&mut self, field: &'static str) -> Field<T> {
        let long = self.long(field)?;
        T::try_from(long).map_err(|_| RecordError::at(field, Flaw::NumberOutOfRange))
    }

    #[inline]
    pub(super) fn long(&mut self, field: &'static str) -> Field<i64> {
        named(field, self.reader.long())
    }

    #[inline]
    pub(super) fn boolean(&mut self, field: &'static str) -> Field<bool> {
        named(field, self.reader.boolean())
    }

    #[inline]
    pub(super) fn time(&mut self, field: &'static str) -> Field<Timestamp> {
        self.long(field).map(Timestamp::from_micros)
    }

    /// A time that RFC 3339 can write, from somebody who may have sent anything.
    pub(super) fn checked_time(&mut self, field: &'static str) -> Field<Timestamp> {
        match self.long(field)? {
            micros @ 0..=TIME_MICROS_MAX => Ok(Timestamp::from_micros(micros)),
            _ => Err(RecordError::at(field, Flaw::BadTime)),
        }
    }

    #[inline]
    pub(super) fn amount<A: Amount>(&mut self, field: &'static str) -> Field<A> {
        let bytes = named(field, self.reader.bytes())?;
        avro::decimal(bytes)
            .filter(|atoms| atoms.unsigned_abs() < DECIMAL_END)
            .map(A::from_atoms)
            .ok_or_else(|| RecordError::at(field, Flaw::BadAmount))
    }

    /// An amount within the limit for what comes in.
    pub(super) fn checked_amount<A: Amount>(&mut self, field: &'static str) -> Field<A> {
        let amount: A = self.amount(field)?;
        if amount.atoms().unsigned_abs() > (AMOUNT_MAX_UNITS * SCALE).unsigned_abs() {
            return Err(RecordError::at(field, Flaw::BadAmount));
        }
        Ok(amount)
    }

    #[inline]
    pub(super) fn str(&mut self, field: &'static str) -> Field<&'a str> {
        let text = named(field, self.reader.string())?;
        if text.len() > limits::TEXT_MAX {
            return Err(RecordError::at(field, Flaw::TextTooLong));
        }
        Ok(text)
    }

    #[inline]
    pub(super) fn text(&mut self, field: &'static str) -> Field<Text<'a>> {
        self.str(field).map(Cow::Borrowed)
    }

    /// A text of any length that the record has.
    pub(super) fn long_text(&mut self, field: &'static str) -> Field<Text<'a>> {
        named(field, self.reader.string()).map(Cow::Borrowed)
    }

    /// A text within the limits for what comes in.
    pub(super) fn checked_text(&mut self, field: &'static str) -> Field<Text<'a>> {
        let text = named(field, self.reader.string())?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(RecordError::at(field, Flaw::TextTooLong));
        }
        if text.chars().any(char::is_control) {
            return Err(RecordError::at(field, Flaw::ControlCharacter));
        }
        Ok(Cow::Borrowed(text))
    }

    /// As [`Self::checked_text`], and it must say something.
    pub(super) fn checked_name(&mut self, field: &'static str) -> Field<Text<'a>> {
        let text = self.checked_text(field)?;
        if text.is_empty() {
            return Err(RecordError::at(field, Flaw::EmptyText));
        }
        Ok(text)
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Field<Cow<'a, [u8]>> {
        named(field, self.reader.bytes()).map(Cow::Borrowed)
    }

    pub(super) fn fixed<const N: usize>(&mut self, field: &'static str) -> Field<[u8; N]> {
        let bytes = named(field, self.reader.take(N))?;
        bytes.try_into().map_err(|_| RecordError::at(field, Flaw::Avro(AvroError::Truncated)))
    }

    #[inline]
    pub(super) fn content(&mut self, field: &'static str) -> Field<ContentHash> {
        self.fixed(field).map(|bytes| ContentHash(u64::from_be_bytes(bytes)))
    }

    pub(super) fn currency(&mut self, field: &'static str) -> Field<Currency> {
        let text = self.str(field)?;
        text.parse().map_err(|_| RecordError::at(field, Flaw::BadCurrency))
    }

    pub(super) fn reason(&mut self, field: &'static str) -> Field<Reason> {
        let code = self.str(field)?;
        Reason::from_code(code).ok_or_else(|| RecordError::at(field, Flaw::UnknownReason))
    }

    #[inline]
    pub(super) fn offset(&mut self, field: &'static str) -> Field<Offset> {
        self.long(field).map(Offset)
    }

    #[inline]
    pub(super) fn sequence(&mut self, field: &'static str) -> Field<Sequence> {
        self.number(field).map(Sequence)
    }

    #[inline]
    pub(super) fn entry_number(&mut self, field: &'static str) -> Field<EntryNumber> {
        self.number(field).map(EntryNumber)
    }

    #[inline]
    pub(super) fn lot(&mut self, field: &'static str) -> Field<LotId> {
        self.number(field).map(LotId)
    }

    #[inline]
    pub(super) fn catalogue_id(&mut self, field: &'static str) -> Field<CatalogueId> {
        self.number(field).map(CatalogueId)
    }

    #[inline]
    pub(super) fn topic(&mut self, field: &'static str) -> Field<Topic> {
        self.word(field, Topic::from_code)
    }

    /// The symbol of an enum, or the branch of a union, by its number.
    #[inline]
    pub(super) fn word<T>(
        &mut self,
        field: &'static str,
        from_code: impl FnOnce(u8) -> Option<T>,
    ) -> Field<T> {
        u8::try_from(self.long(field)?)
            .ok()
            .and_then(from_code)
            .ok_or_else(|| RecordError::at(field, Flaw::Avro(AvroError::NoSuchBranch)))
    }

    /// A union `["null", T]`.
    #[inline]
    pub(super) fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Field<T>,
    ) -> Field<Option<T>> {
        if named(field, self.reader.is_present())? { read(self, field).map(Some) } else { Ok(None) }
    }

    /// An array, collected. Memory is taken for no more elements than the rest of the record can
    /// hold.
    #[inline]
    pub(super) fn array<C: Collects<T>, T>(
        &mut self,
        field: &'static str,
        bound: Bound,
        mut read: impl FnMut(&mut Self) -> Field<T>,
    ) -> Field<C> {
        let mut elements = C::default();
        self.each(field, bound.elements_max, |fields, announced| {
            if elements.is_empty() {
                let fit = fields.reader.remaining() / bound.element_bytes_min;
                elements.reserve((announced + 1).min(fit + 1));
            }
            elements.push(read(fields)?);
            Ok(())
        })?;
        Ok(elements)
    }

    /// Reads each element of an array; `read` is told how many more its block announces.
    #[inline]
    pub(super) fn each(
        &mut self,
        field: &'static str,
        elements_max: usize,
        mut read: impl FnMut(&mut Self, usize) -> Field<()>,
    ) -> Field<()> {
        let mut blocks = Blocks::new(elements_max);
        while named(field, blocks.more(&mut self.reader))? {
            read(self, blocks.left_in_block())?;
        }
        Ok(())
    }

    /// A map, sorted by name; another writer may have left it in any order.
    #[inline]
    pub(super) fn attributes(&mut self, field: &'static str) -> Field<Attributes<'a>> {
        let bound = Bound { elements_max: limits::ATTRIBUTES, element_bytes_min: 2 };
        let mut attributes: Attributes<'a> =
            self.array(field, bound, |fields| Ok((fields.text(field)?, fields.text(field)?)))?;
        let rising = |pair: &[(Text<'_>, Text<'_>)]| pair[0].0 < pair[1].0;
        if !attributes.windows(2).all(rising) {
            attributes.sort_unstable();
            if !attributes.windows(2).all(rising) {
                return Err(RecordError::at(field, Flaw::RepeatedName));
            }
        }
        Ok(attributes)
    }
}

/// A branch or a symbol that the schema does not have.
#[cold]
pub(super) fn no_such_branch<T>(field: &'static str) -> Field<T> {
    Err(RecordError::at(field, Flaw::Avro(AvroError::NoSuchBranch)))
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
