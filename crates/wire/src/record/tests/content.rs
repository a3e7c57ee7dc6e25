//! What makes two commands the same: every field of what is asked, and nothing else of it.

use ledger::{Command, CommandBody};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Ours with one field of theirs, however deep.
fn spliced(ours: &Value, theirs: &Value, picks: &mut impl Iterator<Item = Index>) -> Value {
    match (ours, theirs) {
        (Value::Record(fields), Value::Record(other)) if !fields.is_empty() => {
            let place = picks.next().map_or(0, |pick| pick.index(fields.len()));
            let mut fields = fields.clone();
            fields[place].1 = spliced(&fields[place].1, &other[place].1, picks);
            Value::Record(fields)
        }
        (Value::Union(branch, ours), Value::Union(other, theirs)) if branch == other => {
            Value::Union(*branch, Box::new(spliced(ours, theirs, picks)))
        }
        _ => theirs.clone(),
    }
}

fn body_of(value: &Value) -> usize {
    let Value::Record(fields) = value else { panic!("a command is a record") };
    fields.iter().position(|(name, _)| name == "body").unwrap()
}

fn two_of_a_kind() -> impl Strategy<Value = [CommandBody<'static>; 2]> {
    let kinds = arbitrary::command_bodies().len();
    (0..kinds).prop_flat_map(|kind| {
        let body = || arbitrary::command_bodies().swap_remove(kind);
        [body(), body()]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn one_field_of_the_body_is_another_content(
        [ours, theirs] in two_of_a_kind(),
        picks in prop::collection::vec(any::<Index>(), 4),
    ) {
        let file = schema_file("command");
        let schema = Schema::parse_str(file.text).unwrap();
        let of = |body| Command { body, ..samples::adjust() };
        let [ours, theirs] = [of(ours), of(theirs)];
        let value = |command: &Command<'_>| {
            apache_value(file, &schema, &written(|out| encode_command(command, out)))
        };
        let [Value::Record(mut fields), Value::Record(other)] = [value(&ours), value(&theirs)] else {
            panic!("a command is a record")
        };
        let body = body_of(&Value::Record(fields.clone()));
        fields[body].1 = spliced(&fields[body].1, &other[body].1, &mut picks.into_iter());
        let record = apache_record(file, &schema, Value::Record(fields));
        let changed = decode_command(&record).unwrap();
        let same = changed.body == ours.body;
        prop_assert_eq!(command_content(&changed) == command_content(&ours), same);
    }

    #[test]
    fn two_kinds_are_two_contents(
        ours in arbitrary::command_body(),
        theirs in arbitrary::command_body(),
    ) {
        let of = |body| command_content(&Command { body, ..samples::adjust() });
        let same = ours == theirs;
        prop_assert_eq!(of(ours) == of(theirs), same);
    }
}
