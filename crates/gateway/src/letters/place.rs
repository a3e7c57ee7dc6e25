//! What a letter is called: by its own place, `3-17`, or by the input that it was, `usage.raw[3]@17`.

use std::fmt;
use std::str::FromStr;

use domain::{Offset, Partition, Topic, TopicPartition};

use super::Found;

/// Partition and offset in `usage.dead-letters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LetterPlace {
    pub(crate) partition: Partition,
    pub(crate) offset: Offset,
}

impl fmt::Display for LetterPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.partition, self.offset)
    }
}

/// A text that names no letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a letter is named as `dlq list` shows it, such as 3-17; or by its input, usage.raw[3]@17")]
pub(crate) struct NotALetter;

impl FromStr for LetterPlace {
    type Err = NotALetter;

    fn from_str(text: &str) -> Result<Self, NotALetter> {
        let (partition, offset) = text.split_once('-').ok_or(NotALetter)?;
        let offset = offset.parse().ok().filter(|offset| *offset >= 0).ok_or(NotALetter)?;
        let partition = partition.parse().map_err(|_| NotALetter)?;
        Ok(Self { partition: Partition(partition), offset: Offset(offset) })
    }
}

/// Either name of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetterName {
    Letter(LetterPlace),
    Input { at: TopicPartition, offset: Offset },
}

impl LetterName {
    pub(crate) fn is(self, found: &Found<'_>) -> bool {
        match self {
            Self::Letter(place) => place == found.place,
            Self::Input { at, offset } => (at, offset) == (found.letter.at, found.letter.offset),
        }
    }

    /// Whether a letter stands behind the one of this name, which then is not there.
    pub(crate) fn is_before(self, found: &Found<'_>) -> bool {
        match self {
            Self::Letter(place) => place < found.place,
            // Several inputs share a partition's letters.
            Self::Input { .. } => false,
        }
    }
}

impl fmt::Display for LetterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(place) => place.fmt(formatter),
            Self::Input { at, offset } => formatter.write_str(&input_text(*at, *offset)),
        }
    }
}

impl FromStr for LetterName {
    type Err = NotALetter;

    fn from_str(text: &str) -> Result<Self, NotALetter> {
        let Some((topic, rest)) = text.split_once('[') else {
            return text.parse().map(Self::Letter);
        };
        let (partition, offset) = rest.split_once("]@").ok_or(NotALetter)?;
        let mut inputs = Topic::INPUTS.into_iter();
        let topic = inputs.find(|input| input.name() == topic).ok_or(NotALetter)?;
        let partition = partition.parse().map_err(|_| NotALetter)?;
        let offset = offset.parse().map_err(|_| NotALetter)?;
        let at = TopicPartition { topic, partition: Partition(partition) };
        Ok(Self::Input { at, offset: Offset(offset) })
    }
}

/// `usage.raw[3]@17`.
pub(crate) fn input_text(at: TopicPartition, offset: Offset) -> String {
    format!("{at}@{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for name in ["3-17", "0-0", "usage.raw[3]@17", "ledger.commands[0]@4"] {
            assert_eq!(name.parse::<LetterName>().unwrap().to_string(), name);
        }
        for name in ["", "3", "3-", "-3", "3--1", "usage.raw[3]17", "nothing[3]@17", "a-b"] {
            assert_eq!(name.parse::<LetterName>(), Err(NotALetter), "{name}");
        }
    }
}
