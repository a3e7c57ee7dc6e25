//! Rows into columns: RowBinary as it comes from `projection` into one block of ClickHouse's Native
//! format.
//!
//! The server takes a block of columns about four times as cheaply as the same rows one by one
//! (measured with 200,000 usage lines of 62 columns: 0.8 against 3.4 µs of its CPU per row), most of
//! it because a repeated text is looked up here once per batch instead of there once per row.
//! The same rows always make the same block.
//!
//! Source: ClickHouse `src/Formats/NativeReader.cpp` (a block without revision: counts, then per
//! column its name, type and values) and `SerializationLowCardinality.cpp` (version 1, one dictionary
//! per block).

use hashbrown::HashMap;
use projection::rowbinary::RowBinary;
use projection::tables::{Column, ColumnType};

/// Why rows did not become a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotABlock {
    #[error("row {row} ends inside column {column}")]
    CutShort { row: usize, column: &'static str },
    #[error("{bytes} bytes are left after the last row")]
    TooLong { bytes: usize },
}

/// How LowCardinality serializes its keys (`KeysSerializationVersion`).
const SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS: u64 = 1;
/// The keys are in the block itself.
const HAS_ADDITIONAL_KEYS: u64 = 1 << 9;

/// One block of `row_count` rows.
pub(crate) fn block(
    columns: &'static [Column],
    rows: &[u8],
    row_count: usize,
) -> Result<Vec<u8>, NotABlock> {
    let mut values: Vec<_> =
        columns.iter().map(|column| Values::new(column.column_type, row_count)).collect();
    let mut rest = rows;
    for row in 0..row_count {
        for (column, values) in columns.iter().zip(&mut values) {
            rest = values.take(rest).ok_or(NotABlock::CutShort { row, column: column.name })?;
        }
    }
    if !rest.is_empty() {
        return Err(NotABlock::TooLong { bytes: rest.len() });
    }
    let mut block = Vec::with_capacity(rows.len());
    block.put_varint(columns.len() as u64);
    block.put_varint(row_count as u64);
    for (column, values) in columns.iter().zip(values) {
        block.put_text(column.name);
        block.put_text(column.column_type.sql());
        values.put(&mut block);
    }
    Ok(block)
}

/// The values of one column; each kind takes one value's bytes off the front of a row.
enum Values<'a> {
    /// Numbers of a fixed width, one after the other.
    Fixed { width: usize, bytes: Vec<u8> },
    /// A byte per row that says whether it is NULL, and a number per row, zero where it is.
    Nullable { width: usize, nulls: Vec<u8>, bytes: Vec<u8> },
    /// Texts with their lengths.
    Texts { bytes: Vec<u8> },
    /// Texts that repeat: each once, and which one per row.
    Words {
        keys: Vec<u8>,
        places: HashMap<&'a [u8], u32>,
        last: Option<(&'a [u8], u32)>,
        indexes: Vec<u32>,
    },
}

impl<'a> Values<'a> {
    fn new(column_type: ColumnType, row_count: usize) -> Self {
        let fixed = |width| Self::Fixed { width, bytes: Vec::with_capacity(width * row_count) };
        let nullable = |width| Self::Nullable {
            width,
            nulls: Vec::with_capacity(row_count),
            bytes: Vec::with_capacity(width * row_count),
        };
        match column_type {
            ColumnType::Bool | ColumnType::Int8 => fixed(1),
            ColumnType::UInt16 | ColumnType::Date => fixed(2),
            ColumnType::UInt32 => fixed(4),
            ColumnType::UInt64
            | ColumnType::Int64
            | ColumnType::LargestInt64
            | ColumnType::Time => fixed(8),
            ColumnType::Amount => fixed(16),
            ColumnType::NullableTime | ColumnType::NullableFloat => nullable(8),
            ColumnType::NullableAmount => nullable(16),
            ColumnType::Text => Self::Texts { bytes: Vec::new() },
            ColumnType::Word => Self::Words {
                keys: Vec::new(),
                places: HashMap::new(),
                last: None,
                indexes: Vec::with_capacity(row_count),
            },
        }
    }

    /// Takes one value; what is left of the rows.
    fn take(&mut self, rows: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Fixed { width, bytes } => {
                let (value, rest) = rows.split_at_checked(*width)?;
                bytes.extend_from_slice(value);
                Some(rest)
            }
            Self::Nullable { width, nulls, bytes } => {
                let (is_null, rest) = rows.split_first()?;
                nulls.push(*is_null);
                if *is_null == 0 {
                    let (value, rest) = rest.split_at_checked(*width)?;
                    bytes.extend_from_slice(value);
                    return Some(rest);
                }
                bytes.resize(bytes.len() + *width, 0);
                Some(rest)
            }
            Self::Texts { bytes } => {
                let (text, rest) = text_with_length(rows)?;
                bytes.extend_from_slice(text);
                Some(rest)
            }
            Self::Words { keys, places, last, indexes } => {
                let (text, rest) = text_with_length(rows)?;
                let index = match *last {
                    Some((word, index)) if word == text => index,
                    Some(_) | None => {
                        let next = u32::try_from(places.len()).ok()?;
                        *places.entry(text).or_insert_with(|| {
                            keys.extend_from_slice(text);
                            next
                        })
                    }
                };
                *last = Some((text, index));
                indexes.push(index);
                Some(rest)
            }
        }
    }

    fn put(self, block: &mut Vec<u8>) {
        match self {
            Self::Fixed { width: _, bytes } | Self::Texts { bytes } => {
                block.extend_from_slice(&bytes);
            }
            Self::Nullable { width: _, nulls, bytes } => {
                block.extend_from_slice(&nulls);
                block.extend_from_slice(&bytes);
            }
            // A column without rows has no values, not even an empty dictionary.
            Self::Words { indexes, .. } if indexes.is_empty() => {
                block.put_u64(SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS);
            }
            Self::Words { keys, places, last: _, indexes } => {
                block.put_u64(SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS);
                let width = IndexWidth::of(places.len());
                block.put_u64(HAS_ADDITIONAL_KEYS | width.code());
                block.put_u64(places.len() as u64);
                block.extend_from_slice(&keys);
                block.put_u64(indexes.len() as u64);
                for index in indexes {
                    width.put(index, block);
                }
            }
        }
    }
}

/// How wide the indexes into a dictionary are.
#[derive(Clone, Copy)]
enum IndexWidth {
    Bits8,
    Bits16,
    Bits32,
}

impl IndexWidth {
    fn of(keys: usize) -> Self {
        match keys {
            0..=0x100 => Self::Bits8,
            0x101..=0x1_0000 => Self::Bits16,
            _ => Self::Bits32,
        }
    }

    const fn code(self) -> u64 {
        match self {
            Self::Bits8 => 0,
            Self::Bits16 => 1,
            Self::Bits32 => 2,
        }
    }

    /// Narrows an index that is below the number of keys that chose the width.
    fn put(self, index: u32, block: &mut Vec<u8>) {
        match self {
            Self::Bits8 => block.put_u8(index as u8),
            Self::Bits16 => block.put_u16(index as u16),
            Self::Bits32 => block.put_u32(index),
        }
    }
}

/// A text with its length before it, as both formats have it, and what follows.
fn text_with_length(rows: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in rows.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return rows.split_at_checked(length.checked_add(index + 1)?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use domain::Credits;
    use projection::tables::{TABLES, column};
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: &[Column] = &[
        column("n", ColumnType::UInt16, ""),
        column("a", ColumnType::NullableAmount, ""),
        column("t", ColumnType::Text, ""),
        column("w", ColumnType::Word, ""),
    ];

    fn rows() -> Vec<u8> {
        let mut rows = Vec::new();
        for (number, amount, text, word) in
            [(1, None, "x", "p"), (2, Some(Credits::from_atoms(-1)), "", "q"), (3, None, "yz", "p")]
        {
            rows.put_u16(number);
            rows.put_nullable_amount(amount);
            rows.put_text(text);
            rows.put_text(word);
        }
        rows
    }

    #[test]
    fn a_block_has_its_values_column_by_column() {
        let mut expected = vec![4, 3];
        expected.extend(b"\x01n\x06UInt16\x01\x00\x02\x00\x03\x00");
        expected.extend(b"\x01a\x19Nullable(Decimal(38, 12))\x01\x00\x01");
        expected.extend([[0; 16], [0xff; 16], [0; 16]].concat());
        expected.extend(b"\x01t\x06String\x01x\x00\x02yz");
        expected.extend(b"\x01w\x16LowCardinality(String)");
        expected.extend([1_u64, 0x200, 2].map(u64::to_le_bytes).concat());
        expected.extend(b"\x01p\x01q");
        expected.extend(3_u64.to_le_bytes());
        expected.extend([0, 1, 0]);
        assert_eq!(block(COLUMNS, &rows(), 3), Ok(expected));
    }

    #[test]
    fn rows_that_are_not_rows_are_refused() {
        let rows = rows();
        let cut = &rows[..rows.len() - 1];
        assert_eq!(block(COLUMNS, cut, 3), Err(NotABlock::CutShort { row: 2, column: "w" }));
        let one_less = block(COLUMNS, &rows, 2);
        assert!(matches!(one_less, Err(NotABlock::TooLong { .. })), "{one_less:?}");
        assert!(matches!(block(COLUMNS, &rows, 4), Err(NotABlock::CutShort { row: 3, .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), table in 0..TABLES.len(), rows in 0_usize..4) {
            let made = block(TABLES[table].columns, &bytes, rows);
            prop_assert!(made.is_err() || rows == 0 || !bytes.is_empty());
        }
    }
}
