//! A record as bytes, in the logs of this crate: three lengths (LEB128), then the key, the
//! headers (each a length and a name, a length and a value) and the value. A record without
//! headers costs three or four bytes more than its key and value.

use domain::Topic;
use domain::limits::OUTPUT_RECORD_BYTES_MAX;

use crate::{Append, HeaderLookup, LogError};

/// The most bytes of a record of a topic that producers write to; the same on Kafka. It is below
/// [`OUTPUT_RECORD_BYTES_MAX`], so that the dead letter of any input fits with all that it says.
const INPUT_RECORD_BYTES_MAX: usize = 1_000_000;
/// The most bytes of a record's key and headers together.
const KEY_AND_HEADER_BYTES_MAX: usize = 64 * 1024;

/// A record taken apart where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) headers: EncodedHeaders<'a>,
    pub(crate) value: &'a [u8],
}

/// Headers where they lie; looked through only when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncodedHeaders<'a>(&'a [u8]);

impl HeaderLookup for EncodedHeaders<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut rest = self.0;
        let mut last = None;
        while !rest.is_empty() {
            let found = take_text(&mut rest)?;
            let value = take_text(&mut rest)?;
            if found == name.as_bytes() {
                last = Some(value);
            }
        }
        last
    }
}

/// Refuses a record that no log of tally takes.
pub(crate) fn refuse_oversized(append: &Append<'_>) -> Result<(), LogError> {
    let beside: usize =
        append.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + append.key.len();
    let value_bytes_max = match append.to.topic {
        Topic::UsageRaw | Topic::LedgerCommands => INPUT_RECORD_BYTES_MAX,
        Topic::UsageForwarded
        | Topic::LedgerEntries
        | Topic::DeadLetters
        | Topic::Replies
        | Topic::RatesCatalog
        | Topic::Access
        | Topic::AccountEvents
        | Topic::WebhookDeliveries => OUTPUT_RECORD_BYTES_MAX,
    };
    if append.value.len() > value_bytes_max || beside > KEY_AND_HEADER_BYTES_MAX {
        return Err(LogError::Halt(format!(
            "a record for {} is too large: a value of {} bytes (at most {value_bytes_max}) \
             and {beside} bytes of key and headers (at most {KEY_AND_HEADER_BYTES_MAX})",
            append.to,
            append.value.len(),
        )));
    }
    Ok(())
}

/// The most bytes that [`encode`] adds for a record.
pub(crate) fn encoded_bytes_max(append: &Append<'_>) -> usize {
    const LENGTH_BYTES_MAX: usize = 5;
    let headers: usize = append
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2 * LENGTH_BYTES_MAX)
        .sum();
    3 * LENGTH_BYTES_MAX + append.key.len() + headers + append.value.len()
}

pub(crate) fn encode(append: &Append<'_>, out: &mut Vec<u8>) {
    put_length(out, append.key.len());
    put_length(out, header_bytes(append.headers));
    put_length(out, append.value.len());
    out.extend_from_slice(append.key);
    for (name, value) in append.headers {
        put_length(out, name.len());
        out.extend_from_slice(name.as_bytes());
        put_length(out, value.len());
        out.extend_from_slice(value);
    }
    out.extend_from_slice(append.value);
}

/// Takes one record off the front of `rest`; `None` when the bytes are not one.
pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> Option<Decoded<'a>> {
    let key = take_length(rest)?;
    let headers = take_length(rest)?;
    let value = take_length(rest)?;
    Some(Decoded {
        key: rest.split_off(..key)?,
        headers: EncodedHeaders(rest.split_off(..headers)?),
        value: rest.split_off(..value)?,
    })
}

fn header_bytes(headers: &[(&str, &[u8])]) -> usize {
    headers
        .iter()
        .map(|(name, value)| {
            length_bytes(name.len()) + name.len() + length_bytes(value.len()) + value.len()
        })
        .sum()
}

const fn length_bytes(length: usize) -> usize {
    let bits = (usize::BITS - length.leading_zeros()) as usize;
    if bits == 0 { 1 } else { bits.div_ceil(7) }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for shift in (0..35).step_by(7) {
        let byte = *rest.split_off_first()?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    rest.split_off(..length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Partition, TopicPartition};
    use proptest::prelude::*;

    const TO: TopicPartition = TopicPartition { topic: Topic::UsageRaw, partition: Partition(0) };

    proptest! {
        #[test]
        fn what_is_encoded_is_taken_back(
            key in proptest::collection::vec(any::<u8>(), 0..300),
            value in proptest::collection::vec(any::<u8>(), 0..20_000),
            headers in proptest::collection::vec(("[a-c]{0,2}", proptest::collection::vec(any::<u8>(), 0..200)), 0..5),
        ) {
            let lent: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
            let append = Append { to: TO, key: &key, value: &value, headers: &lent };
            let mut bytes = Vec::new();
            encode(&append, &mut bytes);
            prop_assert!(bytes.len() <= encoded_bytes_max(&append));
            encode(&Append { to: TO, key: b"", value: b"next", headers: &[] }, &mut bytes);
            let mut rest = &bytes[..];
            let decoded = take(&mut rest).unwrap();
            prop_assert_eq!((decoded.key, decoded.value), (&key[..], &value[..]));
            for name in ["", "a", "b", "cc", "none"] {
                let last = lent.iter().rfind(|(found, _)| *found == name).map(|(_, value)| *value);
                prop_assert_eq!(decoded.headers.header(name), last);
            }
            prop_assert_eq!(take(&mut rest).unwrap().value, b"next");
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn other_bytes_are_no_record_but_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let mut rest = &bytes[..];
            while let Some(decoded) = take(&mut rest) {
                prop_assert!(decoded.headers.header("a").is_none_or(|value| value.len() < 200));
            }
        }
    }

    #[test]
    fn an_oversized_record_is_refused() {
        let value = vec![0; OUTPUT_RECORD_BYTES_MAX + 1];
        let output = TopicPartition { topic: Topic::DeadLetters, ..TO };
        let append = Append { to: output, key: b"", value: &value, headers: &[] };
        assert!(matches!(refuse_oversized(&append), Err(LogError::Halt(_))));
        let append = Append { value: &value[1..], ..append };
        assert!(refuse_oversized(&append).is_ok());
        let append = Append { to: TO, ..append };
        assert!(matches!(refuse_oversized(&append), Err(LogError::Halt(_))));
        let key = vec![0; KEY_AND_HEADER_BYTES_MAX];
        let append = Append { to: TO, key: &key, value: b"", headers: &[("h", b"")] };
        assert!(matches!(refuse_oversized(&append), Err(LogError::Halt(_))));
        let append = Append { to: output, key: b"", value: &value[1..], headers: &[("h", b"")] };
        assert!(refuse_oversized(&append).is_ok());
    }
}
