//! Texts with `*` in them: matching, and whether one pattern leaves anything for another.

use std::fmt;

/// A text in which `*` stands for any run of characters, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`
    Any,
    /// Without a `*`.
    Exact(Box<str>),
    /// With its only `*` at the end; kept without it.
    Prefix(Box<str>),
    /// Any other place of the `*`; kept whole.
    Glob(Box<str>),
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        if !text.contains('*') {
            return Self::Exact(text.into());
        }
        if text.bytes().all(|byte| byte == b'*') {
            return Self::Any;
        }
        match text.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => Self::Prefix(prefix.into()),
            Some(_) | None => Self::Glob(text.into()),
        }
    }

    #[inline]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(whole) => **whole == *text,
            Self::Prefix(prefix) => text.as_bytes().starts_with(prefix.as_bytes()),
            Self::Glob(glob) => glob_matches(glob.as_bytes(), text.as_bytes()),
        }
    }

    /// Whether every text that `other` matches is matched by this one too.
    ///
    /// `other` is read as a text whose `*` is a character that only a `*` can match: were it
    /// anything narrower, a text with an unused character in its place would tell them apart.
    pub fn covers(&self, other: &Self) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(_) => self == other,
            Self::Prefix(_) | Self::Glob(_) => {
                glob_matches(self.to_string().as_bytes(), other.to_string().as_bytes())
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("*"),
            Self::Exact(text) | Self::Glob(text) => formatter.write_str(text),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

/// Greedy with one point of return, the last `*`: linear for short globs, and never worse than
/// glob × text. A `*` in the text is matched by a `*` of the glob only.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at_glob, mut at_text) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match glob.get(at_glob) {
            Some(b'*') => {
                retry = Some((at_glob + 1, at_text));
                at_glob += 1;
            }
            Some(&byte) if byte == text[at_text] => {
                at_glob += 1;
                at_text += 1;
            }
            Some(_) | None => match &mut retry {
                Some((glob_after, text_from)) => {
                    *text_from += 1;
                    at_glob = *glob_after;
                    at_text = *text_from;
                }
                None => return false,
            },
        }
    }
    glob[at_glob..].iter().all(|byte| *byte == b'*')
}

/// A value or a list of them: one has to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(pub(crate) Box<[Pattern]>);

impl Patterns {
    #[inline]
    pub fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(text))
    }

    /// The patterns, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    /// Whether one of these alone matches all that the pattern does.
    pub(crate) fn cover(&self, other: &Pattern) -> bool {
        self.0.iter().any(|pattern| pattern.covers(other))
    }

    pub(crate) fn match_everything(&self) -> bool {
        self.cover(&Pattern::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matches_runs_of_characters() {
        for (pattern, text, holds) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o", true),
            ("gpt-4o*", "gpt-4", false),
            ("*mini", "gpt-4o-mini", true),
            ("g*o-*i", "gpt-4o-mini", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("**", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), holds, "{pattern} on {text}");
        }
    }

    #[test]
    fn covers_what_it_leaves_nothing_of() {
        for (wide, narrow, covers) in [
            ("*", "gpt*", true),
            ("gpt*", "gpt-4o*", true),
            ("gpt*", "*", false),
            ("gpt-4o*", "gpt*", false),
            ("*mini*", "gpt-*mini", true),
            ("*mini", "gpt-mini*", false),
            ("a", "a", true),
            ("a*", "a", true),
            ("a", "a*", false),
            ("a**b", "a*b", true),
            ("a*b", "a**b", true),
        ] {
            assert_eq!(
                Pattern::new(wide).covers(&Pattern::new(narrow)),
                covers,
                "{wide} over {narrow}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_cover_matches_whatever_the_covered_does(
            wide in "[ab*]{0,5}", narrow in "[ab*]{0,5}", text in "[ab]{0,6}",
        ) {
            let (wide, narrow) = (Pattern::new(&wide), Pattern::new(&narrow));
            if wide.covers(&narrow) && narrow.matches(&text) {
                prop_assert!(wide.matches(&text));
            }
        }
    }
}
