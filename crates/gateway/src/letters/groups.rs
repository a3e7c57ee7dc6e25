//! Letters grouped by what is wrong with them, who sent them, and how they are written.

use std::collections::BTreeMap;

use domain::{Reason, Timestamp};
use serde_json::{Value, json};
use wire::Framing;

use super::judge::{self, Today};
use super::{Filter, Found, LetterPlace};
use crate::app::Shared;
use crate::problem::Problem;

/// Groups that are told apart: sources come from outside, and could be as many as the letters.
const GROUPS_MAX: usize = 1_000;
const VALUE_CHARACTERS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    reason: Reason,
    source: String,
    schema: Framing,
}

#[derive(Debug)]
struct Group {
    open: u64,
    retried: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    /// The first open one, or else the first.
    example: Example,
}

#[derive(Debug)]
struct Example {
    place: LetterPlace,
    is_open: bool,
    field: String,
    value: String,
    account: Option<String>,
    id: Option<String>,
    today: Today,
}

/// The groups of all letters.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<Key, Group>,
    open: u64,
    retried: u64,
    /// Letters of groups past the limit.
    others: u64,
    is_all: bool,
}

impl Groups {
    /// Reads the letters that a filter takes.
    pub(crate) fn read(shared: &Shared, filter: &Filter) -> Result<Self, Problem> {
        let mut groups = Self::default();
        let catalogue = shared.followed.prices().catalogue;
        groups.is_all = super::each_from(shared, LetterPlace::default(), &mut |found| {
            if filter.takes(found) {
                groups.add(found, || judge::of_letter(&catalogue, &found.letter));
            }
            true
        })?;
        Ok(groups)
    }

    fn add(&mut self, found: &Found<'_>, today: impl FnOnce() -> Today) {
        let is_open = found.retry.is_none();
        *(if is_open { &mut self.open } else { &mut self.retried }) += 1;
        let key = Key {
            reason: found.letter.reason,
            source: found.source().to_owned(),
            schema: found.schema(),
        };
        let (open, retried) = (u64::from(is_open), u64::from(!is_open));
        let at = found.put_aside_at;
        if let Some(group) = self.groups.get_mut(&key) {
            group.open += open;
            group.retried += retried;
            group.first_at = group.first_at.min(at);
            group.last_at = group.last_at.max(at);
            // One is enough to look at; an open one is of more use than one that was dealt with.
            if is_open && !group.example.is_open {
                group.example = Example::of(found, today());
            }
        } else if self.groups.len() < GROUPS_MAX {
            let example = Example::of(found, today());
            let group = Group { open, retried, first_at: at, last_at: at, example };
            self.groups.insert(key, group);
        } else {
            self.others += 1;
        }
    }

    /// The largest first, and in all.
    pub(crate) fn into_json(self) -> Value {
        let mut groups: Vec<(Key, Group)> = self.groups.into_iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse((group.open, group.retried)));
        let shown: Vec<Value> = groups.iter().map(|(key, group)| shown(key, group)).collect();
        json!({
            "open": self.open,
            "retried": self.retried,
            "groups": shown,
            "letters_of_other_groups": self.others,
            "complete": self.is_all,
        })
    }
}

impl Example {
    fn of(found: &Found<'_>, today: Today) -> Self {
        let letter = &found.letter;
        let short = |text: &str| text.chars().take(VALUE_CHARACTERS_MAX).collect();
        Self {
            place: found.place,
            is_open: found.retry.is_none(),
            field: short(&letter.field),
            value: short(&letter.value),
            account: letter.account.as_deref().map(short),
            id: letter.id.as_deref().map(short),
            today,
        }
    }
}

fn shown(key: &Key, group: &Group) -> Value {
    let example = &group.example;
    json!({
        "code": key.reason.code(),
        "about": key.reason.row().about,
        "source": key.source,
        "schema": key.schema.to_string(),
        "open": group.open,
        "retried": group.retried,
        "first_at": group.first_at,
        "last_at": group.last_at,
        "example": {
            "letter": example.place.to_string(),
            "field": example.field,
            "value": example.value,
            "account": example.account,
            "id": example.id,
            "today": example.today.json(),
        },
        "next": next(key, group),
    })
}

/// What to type next.
fn next(key: &Key, group: &Group) -> String {
    if group.open == 0 {
        return format!("tally dlq show {}", group.example.place);
    }
    match group.example.today {
        Today::Event(_) => {
            let mut command = format!("tally dlq retry --code {}", key.reason.code());
            if !key.source.is_empty() {
                command.push_str(&format!(" --source {}", quoted(&key.source)));
            }
            command
        }
        Today::Fault(_) | Today::Command => format!("tally dlq show {}", group.example.place),
    }
}

/// A text as a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+=".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use domain::{Fault, Offset, Partition, Topic, TopicPartition};
    use wire::DeadLetter;

    use super::*;
    use crate::letters::Retry;

    fn letter(source: &'static str, record: &'static [u8]) -> DeadLetter<'static> {
        DeadLetter {
            reason: Reason::UnknownPool,
            field: "f".into(),
            value: "v".into(),
            at: TopicPartition { topic: Topic::UsageRaw, partition: Partition(1) },
            offset: Offset(9),
            received_at: Timestamp::from_seconds(1),
            account: None,
            source: Some(source.into()),
            id: None,
            record: Cow::Borrowed(record),
        }
    }

    #[test]
    fn letters_are_told_apart_by_code_source_and_schema() {
        let mut groups = Groups { is_all: true, ..Groups::default() };
        let retry = Retry {
            at: Timestamp::from_seconds(3),
            actor: "ada".to_owned(),
            partition: Partition(0),
            offset: Offset(1),
            times: 1,
        };
        let mut add = |offset, source, record, retry| {
            let place = LetterPlace { partition: Partition(1), offset: Offset(offset) };
            let put_aside_at = Timestamp::from_seconds(offset);
            let found = Found { place, put_aside_at, letter: letter(source, record), retry };
            groups.add(&found, || Today::Fault(Fault::new(Reason::UnknownPool, "f", "v")));
        };
        add(4, "/a", b"{}", Some(&retry));
        add(5, "/a", b"{}", None);
        add(6, "/a", b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08x", None);
        add(7, "it's b", b"{}", None);
        let told = groups.into_json();
        assert_eq!((&told["open"], &told["retried"]), (&json!(3), &json!(1)));
        let groups = told["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 3, "{told}");
        let of = |source: &str, schema: &str| {
            let is = |group: &&Value| group["source"] == source && group["schema"] == schema;
            groups.iter().find(is).unwrap()
        };
        let both = of("/a", "json");
        assert_eq!((&both["open"], &both["retried"]), (&json!(1), &json!(1)));
        assert_eq!(both["example"]["letter"], "1-5", "the open one");
        assert_eq!(of("/a", "avro:0807060504030201")["open"], 1);
        assert_eq!(of("it's b", "json")["next"], "tally dlq show 1-7");
    }

    #[test]
    fn a_source_is_quoted_for_the_shell() {
        assert_eq!(quoted("/chat/eu-1"), "/chat/eu-1");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a b; rm"), "'a b; rm'");
        assert_eq!(quoted(""), "''");
    }
}
