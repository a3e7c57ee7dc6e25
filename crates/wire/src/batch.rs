//! A body of several events to the raw bytes of each.

use serde::de::IgnoredAny;

/// Why a body is refused as a whole. A bad event in a good body is not: it is given like the
/// others, and [`crate::decode_usage`] says what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Nothing but whitespace.
    #[error("the body is empty")]
    Empty,
    #[error("the body has more than {events_max} events")]
    TooManyEvents { events_max: usize },
    /// An array that cannot be read to its end, so that nobody can say what it holds.
    #[error("the body is not a JSON array, from byte {byte}")]
    BrokenArray { byte: usize },
}

/// The raw bytes of each event in a body, in order: the elements of a JSON array, one JSON object
/// (over however many lines), or else NDJSON, each line that is not blank. Elements and lines are
/// not looked into.
///
/// One pass over the body; at most `events_max` slices are kept.
pub fn split_events(body: &[u8], events_max: usize) -> Result<Vec<&[u8]>, BatchError> {
    let start = skip_whitespace(body, 0);
    let mut events = Events { found: Vec::new(), events_max };
    match body.get(start) {
        None => return Err(BatchError::Empty),
        Some(b'[') => split_array(body, start + 1, &mut events)?,
        Some(b'{') if value_end(body, start).is_some_and(|end| is_blank(&body[end..])) => {
            events.push(trim(&body[start..]))?;
        }
        Some(_) => {
            for line in body.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)) {
                events.push(trim(line))?;
            }
        }
    }
    Ok(events.found)
}

struct Events<'a> {
    found: Vec<&'a [u8]>,
    events_max: usize,
}

impl<'a> Events<'a> {
    fn push(&mut self, event: &'a [u8]) -> Result<(), BatchError> {
        if self.found.len() == self.events_max {
            return Err(BatchError::TooManyEvents { events_max: self.events_max });
        }
        self.found.push(event);
        Ok(())
    }
}

/// Splits what follows the opening bracket.
fn split_array<'a>(body: &'a [u8], from: usize, events: &mut Events<'a>) -> Result<(), BatchError> {
    let broken = |byte| BatchError::BrokenArray { byte };
    let mut at = skip_whitespace(body, from);
    if body.get(at) != Some(&b']') {
        loop {
            let end = value_end(body, at).ok_or_else(|| broken(at))?;
            events.push(&body[at..end])?;
            at = skip_whitespace(body, end);
            match body.get(at) {
                Some(b',') => at = skip_whitespace(body, at + 1),
                Some(b']') => break,
                Some(_) | None => return Err(broken(at)),
            }
        }
    }
    let after = at + 1;
    if is_blank(&body[after..]) { Ok(()) } else { Err(broken(after)) }
}

/// Where the JSON value that begins at `at` ends. UTF-8 is not checked, so that one event with bad
/// bytes does not take the others with it.
fn value_end(body: &[u8], at: usize) -> Option<usize> {
    let rest = &body[at..];
    if matches!(rest.first()?, b'{' | b'[' | b'"') {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        return Some(at + values.byte_offset());
    }
    // A number or a word, which no event is: it is given as it is, to be refused by itself.
    let length =
        rest.iter().take_while(|byte| !matches!(byte, b',' | b']' | b'[' | b'{' | b'"')).count();
    let end = at + trim(&rest[..length]).len();
    (end > at).then_some(end)
}

fn skip_whitespace(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| is_whitespace(**byte)).count()
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_whitespace(*byte))
}

/// Without JSON's whitespace at either end. (Rust's ASCII whitespace has a form feed more.)
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_whitespace(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_whitespace(*last)
    {
        bytes = rest;
    }
    bytes
}

/// JSON's own whitespace.
pub(crate) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(body: &str) -> Result<Vec<&str>, BatchError> {
        let events = split_events(body.as_bytes(), 3)?;
        Ok(events.into_iter().map(|event| std::str::from_utf8(event).unwrap()).collect())
    }

    #[test]
    fn one_an_array_and_lines_are_told_apart() {
        assert_eq!(split(" {\n\"a\": [1]\n}\n"), Ok(vec!["{\n\"a\": [1]\n}"]));
        assert_eq!(split("[{\"a\":\"]\"}, 5 ,\n{}]"), Ok(vec!["{\"a\":\"]\"}", "5", "{}"]));
        assert_eq!(split("[]"), Ok(vec![]));
        assert_eq!(split("{\"a\":1}\r\n\n{\"b\":2}\n"), Ok(vec!["{\"a\":1}", "{\"b\":2}"]));
        assert_eq!(split("{\"a\":\n{\"b\":2}\nx"), Ok(vec!["{\"a\":", "{\"b\":2}", "x"]));
    }

    #[test]
    fn bodies_that_cannot_be_split_are_refused_whole() {
        assert_eq!(split(" \n"), Err(BatchError::Empty));
        assert_eq!(split("[{},{},{},{}]"), Err(BatchError::TooManyEvents { events_max: 3 }));
        assert_eq!(split("{}\n{}\n{}\n{}"), Err(BatchError::TooManyEvents { events_max: 3 }));
        for (body, byte) in [("[{}", 3), ("[{},]", 4), ("[{} {}]", 4), ("[{\"a\"]", 1), ("[] x", 2)]
        {
            assert_eq!(split(body), Err(BatchError::BrokenArray { byte }), "{body}");
        }
    }

    #[test]
    fn a_million_events_and_bad_bytes_in_one_do_not_hurt() {
        let body = format!("[{}{{}}]", "{},".repeat(1_000_000));
        let too_many = BatchError::TooManyEvents { events_max: 1_000 };
        assert_eq!(split_events(body.as_bytes(), 1_000), Err(too_many));
        let deep = format!("[{}]", "[".repeat(1_000_000));
        assert_eq!(split_events(deep.as_bytes(), 3), Err(BatchError::BrokenArray { byte: 1 }));
        assert_eq!(split_events(b"[\"\xff\",{}]", 3).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_split_into_parts_of_the_body(body: Vec<u8>, lead in "[\\[{ ]?") {
            let body = [lead.as_bytes(), &body].concat();
            if let Ok(events) = split_events(&body, 8) {
                prop_assert!(events.iter().map(|event| event.len()).sum::<usize>() <= body.len());
                prop_assert!(events.iter().all(|event| !event.is_empty()));
            }
        }
    }
}
