//! ClickHouse's RowBinary: rows as bytes, written without a copy and read back for tests and checks.
//!
//! Source: ClickHouse documentation, "Formats / RowBinary". Every number is little-endian; a text
//! is its length as an unsigned LEB128 varint and then its bytes; a nullable value is a byte (1 is
//! NULL), then the value unless it is NULL; `LowCardinality` leaves no trace on the wire.
//!
//! The bytes carry no names and no types: writing columns in another order, or one too few, shifts
//! every row after it. Encoders are therefore tested by reading their rows back with [`read_rows`]
//! against the table's own columns.

use domain::{Amount, Day, Timestamp};

use crate::tables::{Column, ColumnType};

/// Appends values to a buffer of rows, in the order of the table's columns.
pub trait RowBinary {
    /// `Bool`.
    fn put_bool(&mut self, value: bool);
    /// `UInt8`.
    fn put_u8(&mut self, value: u8);
    /// `Int8`.
    fn put_i8(&mut self, value: i8);
    /// `UInt16`.
    fn put_u16(&mut self, value: u16);
    /// `UInt32`.
    fn put_u32(&mut self, value: u32);
    /// `UInt64`.
    fn put_u64(&mut self, value: u64);
    /// `Int64`.
    fn put_i64(&mut self, value: i64);
    /// `Date`: saturates at 1970-01-01 and 2149-06-06, the type's bounds.
    fn put_day(&mut self, day: Day);
    /// `DateTime64(6)`.
    fn put_time(&mut self, time: Timestamp);
    /// `Nullable(DateTime64(6))`.
    fn put_nullable_time(&mut self, time: Option<Timestamp>);
    /// `Decimal(38, 12)`.
    fn put_amount(&mut self, amount: impl Amount);
    /// `Nullable(Decimal(38, 12))`.
    fn put_nullable_amount(&mut self, amount: Option<impl Amount>);
    /// `String` and `LowCardinality(String)`; ClickHouse takes any bytes.
    fn put_text(&mut self, text: impl AsRef<[u8]>);
    /// `Array(String)`.
    fn put_texts(&mut self, texts: &[&str]);
    /// An unsigned LEB128 varint: the length of a text or an array.
    fn put_varint(&mut self, value: u64);
}

impl RowBinary for Vec<u8> {
    fn put_bool(&mut self, value: bool) {
        self.push(u8::from(value));
    }

    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_i8(&mut self, value: i8) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_day(&mut self, day: Day) {
        let days = u16::try_from(day.0.max(0)).unwrap_or(u16::MAX);
        self.put_u16(days);
    }

    fn put_time(&mut self, time: Timestamp) {
        self.put_i64(time.micros());
    }

    fn put_nullable_time(&mut self, time: Option<Timestamp>) {
        self.push(u8::from(time.is_none()));
        if let Some(time) = time {
            self.put_time(time);
        }
    }

    fn put_amount(&mut self, amount: impl Amount) {
        self.extend_from_slice(&amount.atoms().to_le_bytes());
    }

    fn put_nullable_amount(&mut self, amount: Option<impl Amount>) {
        self.push(u8::from(amount.is_none()));
        if let Some(amount) = amount {
            self.put_amount(amount);
        }
    }

    fn put_text(&mut self, text: impl AsRef<[u8]>) {
        let bytes = text.as_ref();
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn put_texts(&mut self, texts: &[&str]) {
        self.put_varint(texts.len() as u64);
        for text in texts {
            self.put_text(text);
        }
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }
}

/// A value read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Day(u16),
    Time(Timestamp),
    /// Steps of 10⁻¹².
    Amount(i128),
    Text(String),
    /// A text that is not UTF-8 (a dead letter's bytes).
    Bytes(Vec<u8>),
}

/// Why bytes are not rows of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: no {column_type:?} for column {column} at byte {at}")]
pub struct NotARow {
    pub row: usize,
    pub column: &'static str,
    pub column_type: ColumnType,
    pub at: usize,
}

/// Reads rows back: each row has one value per column. For tests, the simulator and checks.
pub fn read_rows(columns: &'static [Column], bytes: &[u8]) -> Result<Vec<Vec<Value>>, NotARow> {
    let mut reader = Reader { bytes, at: 0 };
    let mut rows = Vec::new();
    while reader.at < bytes.len() {
        let mut row = Vec::with_capacity(columns.len());
        for column in columns {
            let at = reader.at;
            row.push(reader.value(column.column_type).ok_or(NotARow {
                row: rows.len(),
                column: column.name,
                column_type: column.column_type,
                at,
            })?);
        }
        rows.push(row);
    }
    Ok(rows)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(N)?)?.try_into().ok()?;
        self.at += N;
        Some(taken)
    }

    /// A byte that says yes or no; any other is a sign of shifted columns.
    fn flag(&mut self) -> Option<bool> {
        match self.take::<1>()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn value(&mut self, column_type: ColumnType) -> Option<Value> {
        Some(match column_type {
            ColumnType::Bool => Value::Bool(self.flag()?),
            ColumnType::Int8 => Value::Signed(i8::from_le_bytes(self.take()?).into()),
            ColumnType::UInt16 => Value::Unsigned(u16::from_le_bytes(self.take()?).into()),
            ColumnType::UInt32 => Value::Unsigned(u32::from_le_bytes(self.take()?).into()),
            ColumnType::UInt64 => Value::Unsigned(u64::from_le_bytes(self.take()?)),
            ColumnType::Int64 | ColumnType::LargestInt64 => {
                Value::Signed(i64::from_le_bytes(self.take()?))
            }
            ColumnType::Date => Value::Day(u16::from_le_bytes(self.take()?)),
            ColumnType::Time => {
                Value::Time(Timestamp::from_micros(i64::from_le_bytes(self.take()?)))
            }
            ColumnType::Amount => Value::Amount(i128::from_le_bytes(self.take()?)),
            ColumnType::NullableTime if self.flag()? => Value::Null,
            ColumnType::NullableTime => self.value(ColumnType::Time)?,
            ColumnType::NullableAmount if self.flag()? => Value::Null,
            ColumnType::NullableAmount => self.value(ColumnType::Amount)?,
            ColumnType::Text | ColumnType::Word => {
                let length = usize::try_from(self.varint()?).ok()?;
                let end = self.at.checked_add(length)?;
                let bytes = self.bytes.get(self.at..end)?;
                self.at = end;
                match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Text(text.to_owned()),
                    Err(_) => Value::Bytes(bytes.to_owned()),
                }
            }
            // Views alone have floats; nothing writes them.
            ColumnType::NullableFloat => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::{Credits, Money};
    use proptest::prelude::*;

    use super::*;
    use crate::tables::column;

    #[test]
    fn bytes_are_the_documented_ones() {
        let mut row = Vec::new();
        row.put_bool(true);
        row.put_u8(7);
        row.put_i8(-1);
        row.put_u16(0x0102);
        row.put_u32(1);
        row.put_i64(-2);
        row.put_day(Day(2));
        row.put_nullable_amount(None::<Money>);
        row.put_text("ab");
        row.put_texts(&["c", ""]);
        assert_eq!(
            row,
            [
                &[1, 7, 0xff, 2, 1, 1, 0, 0, 0][..],
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                &[2, 0, 1, 2, b'a', b'b', 2, 1, b'c', 0],
            ]
            .concat()
        );
        let mut minus_one = Vec::new();
        minus_one.put_amount(Credits::from_atoms(-1));
        assert_eq!(minus_one, [0xff; 16]);
        let mut lengths = Vec::new();
        for length in [0x7f, 0x80, 300] {
            lengths.put_varint(length);
        }
        assert_eq!(lengths, [0x7f, 0x80, 0x01, 0xac, 0x02]);
    }

    #[test]
    fn days_saturate_at_the_bounds_of_the_type() {
        let mut row = Vec::new();
        row.put_day(Day(-1));
        row.put_day(Day(65_536));
        assert_eq!(row, [0, 0, 0xff, 0xff]);
    }

    const COLUMNS: &[Column] = &[
        column("bool", ColumnType::Bool, ""),
        column("int8", ColumnType::Int8, ""),
        column("uint16", ColumnType::UInt16, ""),
        column("uint32", ColumnType::UInt32, ""),
        column("uint64", ColumnType::UInt64, ""),
        column("int64", ColumnType::Int64, ""),
        column("date", ColumnType::Date, ""),
        column("nullable_time", ColumnType::NullableTime, ""),
        column("amount", ColumnType::Amount, ""),
        column("nullable_amount", ColumnType::NullableAmount, ""),
        column("text", ColumnType::Text, ""),
    ];

    type Numbers = (bool, i8, u16, u32, u64, i64, u16);
    type Rest = (Option<i64>, i128, Option<i128>, Vec<u8>);

    fn row() -> impl Strategy<Value = (Numbers, Rest)> {
        (any::<Numbers>(), any::<Rest>())
    }

    fn write(
        ((bool, int8, uint16, uint32, uint64, int64, day), rest): &(Numbers, Rest),
        bytes: &mut Vec<u8>,
    ) {
        let (time, amount, nullable_amount, text) = rest;
        bytes.put_bool(*bool);
        bytes.put_i8(*int8);
        bytes.put_u16(*uint16);
        bytes.put_u32(*uint32);
        bytes.put_u64(*uint64);
        bytes.put_i64(*int64);
        bytes.put_day(Day(i32::from(*day)));
        bytes.put_nullable_time(time.map(Timestamp::from_micros));
        bytes.put_amount(Credits::from_atoms(*amount));
        bytes.put_nullable_amount(nullable_amount.map(Credits::from_atoms));
        bytes.put_text(text);
    }

    fn expected(
        ((bool, int8, uint16, uint32, uint64, int64, day), rest): (Numbers, Rest),
    ) -> Vec<Value> {
        let (time, amount, nullable_amount, text) = rest;
        vec![
            Value::Bool(bool),
            Value::Signed(int8.into()),
            Value::Unsigned(uint16.into()),
            Value::Unsigned(uint32.into()),
            Value::Unsigned(uint64),
            Value::Signed(int64),
            Value::Day(day),
            time.map_or(Value::Null, |micros| Value::Time(Timestamp::from_micros(micros))),
            Value::Amount(amount),
            nullable_amount.map_or(Value::Null, Value::Amount),
            String::from_utf8(text)
                .map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text),
        ]
    }

    proptest! {
        #[test]
        fn rows_read_back_as_they_were_written(rows in prop::collection::vec(row(), 0..5)) {
            let mut bytes = Vec::new();
            rows.iter().for_each(|row| write(row, &mut bytes));
            let expected: Vec<_> = rows.into_iter().map(expected).collect();
            prop_assert_eq!(read_rows(COLUMNS, &bytes), Ok(expected));
        }

        #[test]
        fn a_row_cut_short_is_refused(row in row(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            write(&row, &mut bytes);
            let cut = cut.index(bytes.len());
            if cut > 0 {
                prop_assert!(read_rows(COLUMNS, &bytes[..cut]).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(rows) = read_rows(COLUMNS, &bytes) {
                prop_assert!(rows.iter().all(|row| row.len() == COLUMNS.len()));
            }
        }
    }
}
