//! Avro's binary encoding, the part that every schema here needs: a reader that borrows from the
//! record and a writer that appends to a buffer.
//!
//! Source: Apache Avro 1.12 specification, "Binary Encoding" and "Single-object encoding".
//!
//! **Architecture invariant:** nothing here allocates by a number that came with the bytes. A
//! length is checked against what is left of the record before anything is done with it, and a
//! count against a limit that the caller names.

use std::fmt;

/// The first bytes of Avro's single-object encoding; the schema's fingerprint follows.
pub(crate) const SINGLE_OBJECT_MARKER: [u8; 2] = [0xC3, 0x01];
/// Marker and fingerprint.
pub(crate) const SINGLE_OBJECT_HEADER_BYTES: usize = 10;
/// The longest decimal that fits an `i128`.
const DECIMAL_BYTES_MAX: usize = 16;

/// Why bytes are not what the schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AvroError {
    /// The record ends inside a value.
    Truncated,
    /// A number of more than 64 bits (or, for an `int`, of more than 32).
    NumberOutOfRange,
    /// A length or a count below zero.
    NegativeLength,
    /// A boolean that is neither 0 nor 1.
    NotABoolean,
    /// A branch that the union, or a symbol that the enum, does not have.
    NoSuchBranch,
    /// More elements than the caller takes.
    TooManyElements,
    /// A string that is not UTF-8. The reader stands behind it, so reading can go on.
    NotUtf8,
    /// Bytes after the end of the value.
    TrailingBytes,
}

impl fmt::Display for AvroError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Truncated => "the record ends inside a value",
            Self::NumberOutOfRange => "a number has too many bits",
            Self::NegativeLength => "a length is negative",
            Self::NotABoolean => "a boolean is neither 0 nor 1",
            Self::NoSuchBranch => "the schema has no such branch",
            Self::TooManyElements => "too many elements",
            Self::NotUtf8 => "a string is not UTF-8",
            Self::TrailingBytes => "bytes follow the value",
        })
    }
}

/// The top bit of each of eight bytes, which says that more bytes of a number follow.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// The seven low bits of each of eight bytes, put together.
#[inline(always)]
fn packed(bytes: u64) -> u64 {
    let pairs = (bytes & 0x007f_007f_007f_007f) | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// 56 bits, seven to each of eight bytes: the inverse of [`packed`].
#[inline(always)]
fn spread(bits: u64) -> u64 {
    let fours = (bits & 0x0fff_ffff) | (bits << 4 & 0x0fff_ffff_0000_0000);
    let pairs = (fours & 0x0000_3fff_0000_3fff) | (fours << 2 & 0x3fff_0000_3fff_0000);
    (pairs & 0x007f_007f_007f_007f) | (pairs << 1 & 0x7f00_7f00_7f00_7f00)
}

/// What a read gives.
pub(crate) type AvroResult<T> = Result<T, AvroError>;

/// Splits a single-object record into its schema's fingerprint (CRC-64-AVRO, little-endian) and
/// its body; `None` when the record does not begin like one.
pub(crate) fn split_single_object(record: &[u8]) -> Option<(u64, &[u8])> {
    let (header, body) = record.split_first_chunk::<SINGLE_OBJECT_HEADER_BYTES>()?;
    let [m0, m1, fingerprint @ ..] = *header;
    ([m0, m1] == SINGLE_OBJECT_MARKER).then(|| (u64::from_le_bytes(fingerprint), body))
}

/// Reads values one after another from a record, and lends what it can.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn end(&self) -> AvroResult<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(AvroError::TrailingBytes) }
    }

    /// The next `length` bytes as they are (Avro's `fixed`).
    #[inline(always)]
    pub(crate) fn take(&mut self, length: usize) -> AvroResult<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(AvroError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn byte(&mut self) -> AvroResult<u8> {
        let (first, rest) = self.rest.split_first().ok_or(AvroError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline(always)]
    fn varint(&mut self) -> AvroResult<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.long_varint(first)
    }

    /// At most eight bytes, as most numbers have, are taken in one step where the record is long
    /// enough to be looked at so far.
    #[inline]
    fn long_varint(&mut self, first: u8) -> AvroResult<u64> {
        if let Some(next) = self.rest.first_chunk() {
            let bytes = u64::from_le_bytes(*next) << 8 | u64::from(first);
            let ends = !bytes & CONTINUES;
            if ends != 0 {
                let used = ends.trailing_zeros() / 8;
                self.rest = &self.rest[used as usize..];
                // Without the bytes after the last one.
                return Ok(packed(bytes << (56 - 8 * used) >> (56 - 8 * used)));
            }
        }
        self.long_varint_by_byte(first)
    }

    fn long_varint_by_byte(&mut self, first: u8) -> AvroResult<u64> {
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            // The tenth byte may bring the one bit that is left of 64.
            if shift == 63 && byte > 1 {
                return Err(AvroError::NumberOutOfRange);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A `long`: a zigzag varint of at most 64 bits.
    #[inline(always)]
    pub(crate) fn long(&mut self) -> AvroResult<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// An `int`.
    #[inline]
    pub(crate) fn int(&mut self) -> AvroResult<i32> {
        i32::try_from(self.long()?).map_err(|_| AvroError::NumberOutOfRange)
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> AvroResult<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(AvroError::NotABoolean),
        }
    }

    /// `bytes`, lent. A length past the end of the record is refused before it is used.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> AvroResult<&'a [u8]> {
        let length = usize::try_from(self.long()?).map_err(|_| AvroError::NegativeLength)?;
        self.take(length)
    }

    /// A `string`, lent.
    #[inline]
    pub(crate) fn string(&mut self) -> AvroResult<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| AvroError::NotUtf8)
    }

    /// The branch of a union, or the symbol of an enum, of `count` ones.
    #[inline]
    pub(crate) fn branch(&mut self, count: usize) -> AvroResult<usize> {
        usize::try_from(self.long()?)
            .ok()
            .filter(|branch| *branch < count)
            .ok_or(AvroError::NoSuchBranch)
    }

    /// The branch of a union `["null", T]`: whether a `T` follows.
    #[inline(always)]
    pub(crate) fn is_present(&mut self) -> AvroResult<bool> {
        // Both branches are one byte in every record that a sane writer made.
        match self.rest {
            [0, rest @ ..] => {
                self.rest = rest;
                Ok(false)
            }
            [2, rest @ ..] => {
                self.rest = rest;
                Ok(true)
            }
            _ => Ok(self.branch(2)? == 1),
        }
    }
}

/// A `bytes` decimal as a number of its smallest steps; `None` when it is empty or does not fit.
///
/// Leading sign bytes that say nothing are taken, up to 16 bytes in all: not every writer is
/// minimal.
#[inline]
pub(crate) fn decimal(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    if bytes.len() <= size_of::<i64>() {
        // Nearly every amount: added up byte by byte, from the sign on.
        let sign = i64::from(first.cast_signed());
        let steps = bytes[1..].iter().fold(sign, |steps, byte| steps << 8 | i64::from(*byte));
        return Some(i128::from(steps));
    }
    if bytes.len() > DECIMAL_BYTES_MAX {
        return None;
    }
    let sign = if first & 0x80 == 0 { 0x00 } else { 0xff };
    let mut wide = [sign; DECIMAL_BYTES_MAX];
    wide[DECIMAL_BYTES_MAX - bytes.len()..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

/// Walks the blocks of an array or a map:
/// `while blocks.more(&mut reader)? { …one element… }`.
///
/// A block with a negative count carries its size in bytes, which is read and not relied on.
#[derive(Debug)]
pub(crate) struct Blocks {
    left_in_block: usize,
    /// How many elements may still be announced.
    allowance: usize,
    done: bool,
}

impl Blocks {
    /// `elements_max` bounds all blocks together; a block that announces more is refused before
    /// any of its elements is read. Pass [`Reader::remaining`] where an element takes at least a
    /// byte and the caller counts for itself.
    pub(crate) fn new(elements_max: usize) -> Self {
        Self { left_in_block: 0, allowance: elements_max, done: false }
    }

    /// Whether another element follows.
    #[inline]
    pub(crate) fn more(&mut self, reader: &mut Reader<'_>) -> AvroResult<bool> {
        if self.left_in_block == 0 {
            if self.done {
                return Ok(false);
            }
            self.open(reader)?;
            if self.done {
                return Ok(false);
            }
        }
        self.left_in_block -= 1;
        Ok(true)
    }

    /// Elements that the open block still has, the one just given not counted: a capacity hint,
    /// never more than `elements_max`.
    pub(crate) fn left_in_block(&self) -> usize {
        self.left_in_block
    }

    fn open(&mut self, reader: &mut Reader<'_>) -> AvroResult<()> {
        let count = reader.long()?;
        if count < 0 {
            let size = usize::try_from(reader.long()?).map_err(|_| AvroError::NegativeLength)?;
            if size > reader.remaining() {
                return Err(AvroError::Truncated);
            }
        }
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        self.allowance = self.allowance.checked_sub(count).ok_or(AvroError::TooManyElements)?;
        self.left_in_block = count;
        self.done = count == 0;
        Ok(())
    }
}

/// Appends values to a buffer.
///
/// The buffer is longer than what is written until the writer is dropped: small values are written
/// at full width and then counted for what they need, which is far faster than pushing bytes, each
/// of which would wait for the length that the one before it left.
#[derive(Debug)]
pub(crate) struct Writer<'v> {
    out: &'v mut Vec<u8>,
    /// Where the next value goes.
    at: usize,
}

/// How much room a writer makes at a time.
const ROOM_BYTES: usize = 512;

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.at);
    }
}

impl<'v> Writer<'v> {
    #[inline]
    pub(crate) fn new(out: &'v mut Vec<u8>) -> Self {
        let at = out.len();
        out.resize(at + ROOM_BYTES, 0);
        Self { out, at }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) {
        // At least by half, so that a long record is not copied again and again.
        let room = (bytes + ROOM_BYTES).max(self.out.len() / 2);
        self.out.resize(self.at + room, 0);
    }

    /// Writes all of `wide`, of which `used` bytes are kept.
    #[inline(always)]
    fn put<const N: usize>(&mut self, wide: [u8; N], used: usize) {
        if self.out.len() < self.at + N {
            self.grow(N);
        }
        if let Some(room) = self.out[self.at..].first_chunk_mut() {
            *room = wide;
            self.at += used;
        }
    }

    /// Begins a single-object record.
    pub(crate) fn single_object_header(&mut self, fingerprint: u64) {
        self.put(SINGLE_OBJECT_MARKER, SINGLE_OBJECT_MARKER.len());
        self.put(fingerprint.to_le_bytes(), 8);
    }

    /// An `int`.
    #[inline(always)]
    pub(crate) fn int(&mut self, value: i32) {
        self.long(i64::from(value));
    }

    /// A `long`.
    #[inline(always)]
    pub(crate) fn long(&mut self, value: i64) {
        let value = ((value << 1) ^ (value >> 63)).cast_unsigned();
        if value < 0x80 {
            return self.put([value as u8], 1);
        }
        self.long_varint(value);
    }

    #[inline]
    fn long_varint(&mut self, value: u64) {
        let used = value.ilog2() / 7 + 1;
        if used > 8 {
            return self.long_varint_by_byte(value);
        }
        // All bytes but the last say that more follow.
        let continues = CONTINUES & !(u64::MAX << (8 * (used - 1)));
        self.put((spread(value) | continues).to_le_bytes(), used as usize);
    }

    fn long_varint_by_byte(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put([value as u8 | 0x80], 1);
            value >>= 7;
        }
        self.put([value as u8], 1);
    }

    #[inline(always)]
    pub(crate) fn boolean(&mut self, value: bool) {
        self.put([u8::from(value)], 1);
    }

    /// Bytes as they are (Avro's `fixed`).
    #[inline(always)]
    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if self.out.len() < end {
            self.grow(bytes.len());
        }
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    #[inline(always)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        // A slice is never longer than `isize::MAX`.
        self.long(bytes.len() as i64);
        self.fixed(bytes);
    }

    #[inline(always)]
    pub(crate) fn string(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A `bytes` decimal: big-endian two's complement without needless leading bytes.
    #[inline]
    pub(crate) fn decimal(&mut self, steps: i128) {
        // A number's own bits (those that differ from its sign) and one sign bit have to stay.
        match i64::try_from(steps) {
            Ok(steps) => {
                let sign_bits = (steps ^ (steps >> 63)).leading_zeros();
                let skipped = ((sign_bits - 1) / 8).min(7);
                let used = 8 - skipped as usize;
                self.put([(used * 2) as u8], 1);
                self.put((steps << (skipped * 8)).to_be_bytes(), used);
            }
            Err(_) => {
                let sign_bits = (steps ^ (steps >> 127)).leading_zeros();
                let skipped = (sign_bits - 1) / 8;
                let used = DECIMAL_BYTES_MAX - skipped as usize;
                self.put([(used * 2) as u8], 1);
                self.put((steps << (skipped * 8)).to_be_bytes(), used);
            }
        }
    }

    /// The branch of a union or the symbol of an enum, of which there are at most 64.
    #[inline(always)]
    pub(crate) fn branch(&mut self, branch: u8) {
        debug_assert!(branch < 64);
        self.put([branch << 1], 1);
    }

    /// A union `["null", T]`.
    #[inline(always)]
    pub(crate) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.branch(0),
            Some(value) => {
                self.branch(1);
                write(self, value);
            }
        }
    }

    /// An array (or, where `write` writes a key before each value, a map) as one block.
    #[inline(always)]
    pub(crate) fn array<T>(
        &mut self,
        elements: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let count = elements.len();
        if count > 0 {
            self.long(count as i64);
            for element in elements {
                write(self, element);
            }
        }
        self.long(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        out
    }

    #[test]
    fn longs_equal_the_specifications_examples() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            assert_eq!(written(|writer| writer.long(value)), bytes);
            assert_eq!(Reader::new(bytes).long(), Ok(value));
        }
    }

    /// Numbers of each length, with and without bytes after them, which the reader looks at.
    #[test]
    fn longs_of_every_length_round_trip() {
        for bits in 0..64 {
            let power = 1_i64 << bits;
            for value in [power, power.wrapping_sub(1), power.wrapping_neg(), !power] {
                let mut bytes = written(|writer| writer.long(value));
                assert_eq!(Reader::new(&bytes).long(), Ok(value));
                for filler in [0x00, 0xff] {
                    bytes.extend([filler; 9]);
                    let mut reader = Reader::new(&bytes);
                    assert_eq!(reader.long(), Ok(value));
                    assert_eq!(reader.remaining(), 9, "{value}");
                    bytes.truncate(bytes.len() - 9);
                }
            }
        }
    }

    #[test]
    fn a_writer_that_outgrows_its_room_keeps_what_was_there() {
        let mut out = b"before".to_vec();
        let long = vec![7; 3_000];
        let mut writer = Writer::new(&mut out);
        for _ in 0..1_000 {
            writer.long(i64::MIN);
        }
        writer.bytes(&long);
        drop(writer);
        assert_eq!(out.len(), 6 + 10_000 + 2 + 3_000);
        assert_eq!(out[..6], *b"before");
        assert_eq!(out[10_008..], long);
    }

    #[test]
    fn numbers_of_too_many_bits_are_refused() {
        assert_eq!(Reader::new(&[0xff; 11]).long(), Err(AvroError::NumberOutOfRange));
        let tenth_byte_too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::new(&tenth_byte_too_large).long(), Err(AvroError::NumberOutOfRange));
        let past_an_int = written(|writer| writer.long(1 << 31));
        assert_eq!(Reader::new(&past_an_int).int(), Err(AvroError::NumberOutOfRange));
    }

    #[test]
    fn hostile_lengths_are_refused_before_they_are_used() {
        let huge = written(|writer| writer.long(i64::MAX));
        assert_eq!(Reader::new(&huge).bytes(), Err(AvroError::Truncated));
        let negative = written(|writer| writer.long(-1));
        assert_eq!(Reader::new(&negative).string(), Err(AvroError::NegativeLength));
        let mut blocks = Blocks::new(1_000);
        assert_eq!(blocks.more(&mut Reader::new(&huge)), Err(AvroError::TooManyElements));
        let smallest = written(|writer| {
            writer.long(i64::MIN);
            writer.long(0);
        });
        let mut blocks = Blocks::new(1_000);
        assert_eq!(blocks.more(&mut Reader::new(&smallest)), Err(AvroError::TooManyElements));
    }

    #[test]
    fn blocks_of_both_kinds_are_walked_and_bounded_together() {
        let bytes = written(|writer| {
            writer.long(2);
            writer.long(10);
            writer.long(11);
            writer.long(-1);
            writer.long(1);
            writer.long(12);
            writer.long(0);
        });
        let collect = |elements_max| -> AvroResult<Vec<i64>> {
            let (mut reader, mut blocks) = (Reader::new(&bytes), Blocks::new(elements_max));
            let mut values = Vec::new();
            while blocks.more(&mut reader)? {
                values.push(reader.long()?);
            }
            assert_eq!(blocks.more(&mut reader), Ok(false));
            reader.end()?;
            Ok(values)
        };
        assert_eq!(collect(3), Ok(vec![10, 11, 12]));
        assert_eq!(collect(2), Err(AvroError::TooManyElements));
    }

    #[test]
    fn decimals_are_minimal_and_wider_ones_are_read() {
        for (steps, bytes) in [
            (0_i128, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0x00, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
        ] {
            assert_eq!(written(|writer| writer.decimal(steps))[1..], *bytes);
            assert_eq!(decimal(bytes), Some(steps));
        }
        assert_eq!(decimal(&[0x00, 0x00, 0x05]), Some(5));
        assert_eq!(decimal(&[]), None);
        assert_eq!(decimal(&[0; 17]), None);
    }

    proptest! {
        #[test]
        fn values_round_trip(long: i64, int: i32, steps: i128, text: String, flag: bool) {
            let bytes = written(|writer| {
                writer.long(long);
                writer.int(int);
                writer.decimal(steps);
                writer.string(&text);
                writer.boolean(flag);
                writer.optional(Some(long), Writer::long);
                writer.optional(None, Writer::long);
            });
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.long(), Ok(long));
            prop_assert_eq!(reader.int(), Ok(int));
            prop_assert_eq!(reader.bytes().map(decimal), Ok(Some(steps)));
            prop_assert_eq!(reader.string(), Ok(text.as_str()));
            prop_assert_eq!(reader.boolean(), Ok(flag));
            prop_assert_eq!(reader.is_present(), Ok(true));
            prop_assert_eq!(reader.long(), Ok(long));
            prop_assert_eq!(reader.is_present(), Ok(false));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.remaining() > 0 {
                let before = reader.remaining();
                let (_, _, _) = (reader.clone().string(), reader.clone().boolean(), reader.clone().branch(3));
                if reader.long().is_err() || reader.bytes().is_err() {
                    break;
                }
                prop_assert!(reader.remaining() < before);
            }
        }
    }
}
