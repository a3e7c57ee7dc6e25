//! `tally dlq`: dead letters listed, shown, sent again, exported.

mod retry;

use std::fs::File;
use std::io::Write;

use serde_json::{Map, Value};

use super::{Context, number, objects, text, time};
use crate::cli::on_call::{Dlq, DlqExport, DlqList, Letters};
use crate::client::segment;
use crate::failure::{Failure, failed};
use crate::output::print;
use crate::table::{Align, Table, cell};

/// Bytes of a record that is no text, as they are shown.
const HEX_BYTES_SHOWN: usize = 256;
const PAGE: &str = "500";

pub(crate) fn dlq(context: &Context, command: &Dlq) -> Result<(), Failure> {
    match command {
        Dlq::List(list) => self::list(context, list),
        Dlq::Show { letter } => show(context, letter),
        Dlq::Retry(again) => retry::retry(context, again),
        Dlq::Export(export) => self::export(context, export),
    }
}

/// The filter as the API takes it.
fn filter(letters: &Letters) -> Result<Vec<(&'static str, String)>, Failure> {
    let since = time("--since", letters.since.as_deref())?;
    let named = [
        ("code", letters.code.clone()),
        ("source", letters.source.clone()),
        ("schema", letters.schema.clone()),
        ("since", since),
    ];
    Ok(named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

fn list(context: &Context, list: &DlqList) -> Result<(), Failure> {
    let mut query = filter(&list.letters)?;
    query.push(("state", list.state.word().to_owned()));
    let query: Vec<(&str, &str)> =
        query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = context.client.get("/v1/dead-letters", &query)?;
    context.output.answer(&answer, || list_text(&answer));
    Ok(())
}

fn list_text(answer: &Value) -> String {
    let groups = objects(answer.get("groups"));
    if groups.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut table = Table::new([
        ("code", Align::Left),
        ("source", Align::Left),
        ("schema", Align::Left),
        ("open", Align::Right),
        ("retried", Align::Right),
        ("first", Align::Left),
        ("last", Align::Left),
        ("example", Align::Left),
    ]);
    for group in &groups {
        let example = group.get("example").cloned().unwrap_or_default();
        table.row([
            cell(group.get("code")),
            match group.get("source").and_then(Value::as_str) {
                None | Some("") => "–".to_owned(),
                Some(source) => source.to_owned(),
            },
            cell(group.get("schema")),
            cell(group.get("open")),
            cell(group.get("retried")),
            cell(group.get("first_at")),
            cell(group.get("last_at")),
            cell(example.get("letter")),
        ]);
    }
    let mut out = format!(
        "{} dead letters are open, {} were sent again\n\n{table}",
        number(answer, "open").unwrap_or(0),
        number(answer, "retried").unwrap_or(0),
    );
    let open = groups.iter().filter(|group| group.get("open").and_then(Value::as_u64) > Some(0));
    for group in open {
        let example = group.get("example").cloned().unwrap_or_default();
        let today = match example["today"]["readable"].as_bool() {
            Some(true) => "it can be read now",
            _ => "it still cannot be read",
        };
        out.push_str(&format!(
            "\n{} {} at {}: {}\n  {today}: {}\n",
            cell(group.get("code")),
            cell(example.get("letter")),
            match text(&example, "field") {
                Some(field) => field.to_owned(),
                None => "the whole record".to_owned(),
            },
            cell(example.get("value")),
            cell(group.get("next")),
        ));
    }
    if answer.get("complete").and_then(Value::as_bool) == Some(false) {
        out.push_str("\nolder letters than these were not looked at\n");
    }
    out
}

fn show(context: &Context, letter: &str) -> Result<(), Failure> {
    let answer = context.client.get(&format!("/v1/dead-letters/{}", segment(letter)), &[])?;
    context.output.answer(&answer, || show_text(&answer));
    Ok(())
}

fn show_text(letter: &Value) -> String {
    let word = |name: &str| cell(letter.get(name));
    let mut out = format!("dead letter {}: {}\n", word("letter"), word("state"));
    let mut say = |name: &str, value: String| {
        if value != "–" && !value.is_empty() {
            out.push_str(&format!("  {name:<12} {value}\n"));
        }
    };
    say("code", format!("{} ({})", word("code"), word("about")));
    say("field", word("field"));
    say("value", word("value"));
    say("account", word("account"));
    say("source", word("source"));
    say("id", word("id"));
    say("schema", word("schema"));
    say("input", word("input"));
    say("found first", word("found_first"));
    say("received", word("received_at"));
    say("put aside", word("put_aside_at"));
    let retry = &letter["retry"];
    if retry.is_object() {
        let times = number(retry, "times").unwrap_or(1);
        let said = format!(
            "{} by {}, as {}{}",
            cell(retry.get("at")),
            cell(retry.get("actor")),
            cell(retry.get("input")),
            if times > 1 { format!(" ({times} times in all)") } else { String::new() },
        );
        say("sent again", said);
    }
    let today = &letter["today"];
    say(
        "today",
        match today["readable"].as_bool() {
            Some(true) => format!("it can be read: tally dlq retry {}", word("letter")),
            _ => format!(
                "it still cannot be read: {} at {}: {}",
                cell(today.get("code")),
                cell(today.get("field")),
                cell(today.get("value"))
            ),
        },
    );
    out.push_str(&format!("\n{} bytes\n", word("byte_count")));
    match text(letter, "text") {
        Some(text) => out.push_str(&format!("{text}\n")),
        None => out.push_str(&hex(text(letter, "base64").unwrap_or_default())),
    }
    out
}

/// The first bytes, sixteen to a line.
fn hex(base64: &str) -> String {
    let bytes = decoded(base64);
    let mut out = String::new();
    for line in bytes.chunks(16).take(HEX_BYTES_SHOWN / 16) {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let plain: String = line
            .iter()
            .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
            .collect();
        out.push_str(&format!("{:<47}  {plain}\n", hex.join(" ")));
    }
    if bytes.len() > HEX_BYTES_SHOWN {
        out.push_str("… all of it with --json, or `tally dlq export`\n");
    }
    out
}

/// Standard base64; what is none ends it.
fn decoded(base64: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for sextet in base64.bytes().map_while(sextet) {
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn export(context: &Context, export: &DlqExport) -> Result<(), Failure> {
    let mut to: Box<dyn Write> = match export.file.as_os_str() == "-" {
        true => Box::new(std::io::stdout()),
        false => {
            let name = export.file.display().to_string();
            Box::new(File::create(&export.file).map_err(failed(&name))?)
        }
    };
    let mut query = filter(&export.letters)?;
    query.push(("state", export.state.word().to_owned()));
    query.push(("limit", PAGE.to_owned()));
    let (mut from, mut count) = (None::<String>, 0_u64);
    loop {
        let mut query: Vec<(&str, &str)> =
            query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if let Some(from) = &from {
            query.push(("from", from));
        }
        let page = context.client.get("/v1/dead-letters/records", &query)?;
        for letter in objects(page.get("letters")) {
            writeln!(to, "{}", Value::Object(letter)).map_err(failed("writing letters"))?;
            count += 1;
        }
        match text(&page, "next") {
            Some(next) => from = Some(next.to_owned()),
            None => break,
        }
    }
    to.flush().map_err(failed("writing letters"))?;
    let written = if count == 1 { "letter" } else { "letters" };
    if export.file.as_os_str() == "-" {
        context.output.note(&format!("{count} {written}"));
        return Ok(());
    }
    let file = export.file.display().to_string();
    let answer = Value::Object(Map::from_iter([
        ("letters".to_owned(), count.into()),
        ("file".to_owned(), file.as_str().into()),
    ]));
    match context.output.json {
        true => print(&format!("{answer}\n")),
        false => print(&format!("{count} {written} to {file}\n")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_group_says_what_to_type_next() {
        let answer = json!({"open": 3, "retried": 1, "complete": true, "groups": [
            {"code": "unknown_pool", "source": "/a", "schema": "json", "open": 3, "retried": 1,
             "first_at": "2026-11-20T12:00:00Z", "last_at": "2026-11-20T13:00:00Z",
             "example": {"letter": "3-17", "field": "data.items[0].tokens.thoughts", "value": "7",
                "today": {"readable": true}},
             "next": "tally dlq retry --code unknown_pool --source /a"}]});
        let said = list_text(&answer);
        assert!(said.starts_with("3 dead letters are open, 1 were sent again\n\ncode"), "{said}");
        assert!(
            said.ends_with(
                "\nunknown_pool 3-17 at data.items[0].tokens.thoughts: 7\n  it can be read now: \
                 tally dlq retry --code unknown_pool --source /a\n"
            ),
            "{said}"
        );
        assert_eq!(list_text(&json!({"groups": []})), "no dead letters\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_they_are() {
        assert_eq!(decoded("wwEA/w=="), [0xc3, 0x01, 0x00, 0xff]);
        assert_eq!(decoded("aGk="), b"hi");
        let shown = hex("wwFoaQ==");
        assert_eq!(shown, format!("{:<47}  ..hi\n", "c3 01 68 69"));
    }

    #[test]
    fn a_letter_tells_its_whole_story() {
        let letter = json!({"letter": "3-17", "state": "retried", "code": "unknown_pool",
            "about": "not a token pool", "field": "f", "value": "7", "account": null, "source": "/a",
            "id": "1", "schema": "json", "input": "usage.raw[3]@9", "found_first": null,
            "received_at": "2026-11-20T12:00:00Z", "put_aside_at": "2026-11-20T12:00:01Z",
            "byte_count": 2, "text": "{}", "base64": "e30=",
            "retry": {"at": "2026-11-20T13:00:00Z", "actor": "ada", "input": "usage.raw[3]@40", "times": 2},
            "today": {"readable": false, "code": "missing_field", "field": "source", "value": ""}});
        assert_eq!(
            show_text(&letter),
            "dead letter 3-17: retried\n  code         unknown_pool (not a token pool)\n  field        f\n  \
             value        7\n  source       /a\n  id           1\n  schema       json\n  \
             input        usage.raw[3]@9\n  received     2026-11-20T12:00:00Z\n  \
             put aside    2026-11-20T12:00:01Z\n  \
             sent again   2026-11-20T13:00:00Z by ada, as usage.raw[3]@40 (2 times in all)\n  \
             today        it still cannot be read: missing_field at source: \n\n2 bytes\n{}\n"
        );
    }
}
