//! Which command does what, of those for whoever is on call; and the shorter of them.

use serde_json::Value;

use super::{Context, dlq, doctor, freshness_line, number, objects, text, time};
use crate::cli::on_call::{Entries, OnCall, Sources, Unrated, UnratedList};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table, cell, trimmed};

/// Groups whose missing lines are written out.
const COVERINGS_SHOWN: usize = 10;

pub(crate) fn on_call(context: &Context, command: &OnCall) -> Result<(), Failure> {
    match command {
        OnCall::Dlq(command) => dlq::dlq(context, command),
        OnCall::Unrated(Unrated::List(list)) => unrated(context, list),
        OnCall::Sources(command) => sources(context, command),
        OnCall::Doctor => doctor::doctor(context),
        OnCall::Entries(command) => entries(context, command),
    }
}

fn unrated(context: &Context, list: &UnratedList) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> = list.code.iter().map(|code| ("code", code.as_str())).collect();
    let answer = context.client.get("/v1/unrated", &query)?;
    context.output.answer(&answer, || unrated_text(&answer));
    Ok(())
}

fn unrated_text(answer: &Value) -> String {
    let groups = objects(answer.get("groups"));
    if groups.is_empty() {
        return format!("nothing waits for a price\n\n{}", freshness_line(answer));
    }
    let mut table = Table::new([
        ("reason", Align::Left),
        ("model", Align::Left),
        ("provider", Align::Left),
        ("meter", Align::Left),
        ("rate card", Align::Left),
        ("events", Align::Right),
        ("accounts", Align::Right),
        ("since", Align::Left),
    ]);
    for group in &groups {
        let names =
            ["code", "model", "provider", "meter", "rate_card", "events", "accounts", "first_at"];
        table.row(names.map(|name| cell(group.get(name))));
    }
    let mut out = format!(
        "{} events wait for a price, in {} of the accounts\n\n{table}",
        number(answer, "events").unwrap_or(0),
        number(answer, "accounts").unwrap_or(0),
    );
    for group in groups.iter().take(COVERINGS_SHOWN) {
        let group = Value::Object(group.clone());
        let Some(covered) = group.get("covered_by").filter(|it| it.is_object()) else { continue };
        out.push_str(&format!("\n{}", text(covered, "words").unwrap_or_default()));
        if let Some(document) = text(covered, "document") {
            out.push_str(&format!("; what covers it, in {document}:"));
        }
        out.push('\n');
        for line in text(covered, "toml").unwrap_or_default().lines() {
            out.push_str(&format!("{}\n", format!("    {line}").trim_end()));
        }
        if let (Some(source), Some(id)) = (text(&group, "source"), text(&group, "event_id")) {
            out.push_str(&format!("  for example: tally explain {source} {id}\n"));
        }
    }
    out.push_str(
        "\nthey are charged by themselves once it is published: tally rates publish FILE.toml\n",
    );
    out.push_str(&freshness_line(answer));
    out
}

fn sources(context: &Context, sources: &Sources) -> Result<(), Failure> {
    let since = time("--since", sources.since.as_deref())?;
    let top = sources.top.to_string();
    let mut query = vec![("limit", top.as_str())];
    for (name, value) in [("since", &since), ("source", &sources.source)] {
        if let Some(value) = value {
            query.push((name, value));
        }
    }
    let answer = context.client.get("/v1/sources", &query)?;
    context.output.answer(&answer, || sources_text(&answer));
    Ok(())
}

fn sources_text(answer: &Value) -> String {
    let since = text(answer, "since").unwrap_or("?");
    let rows = objects(answer.get("sources"));
    if rows.is_empty() {
        return format!("no source sent anything since {since}\n\n{}", freshness_line(answer));
    }
    let mut table = Table::new([
        ("source", Align::Left),
        ("inputs", Align::Right),
        ("events", Align::Right),
        ("dupl.", Align::Right),
        ("confl.", Align::Right),
        ("early", Align::Right),
        ("late", Align::Right),
        ("misrouted", Align::Right),
        ("dead", Align::Right),
        ("unrated", Align::Right),
        ("no hold", Align::Right),
        ("ahead s", Align::Right),
        ("behind s p50", Align::Right),
        ("p99", Align::Right),
        ("last seen", Align::Left),
    ]);
    for row in &rows {
        let counts = [
            "inputs",
            "events",
            "duplicates",
            "conflicts",
            "too_early",
            "too_late",
            "misrouted",
            "dead_letters",
            "unrated_waiting",
            "unmatched_holds",
        ];
        let clock = row.get("clock").cloned().unwrap_or_default();
        let clocks = ["ahead_s_max", "behind_s_p50", "behind_s_p99"];
        let name = row.get("source").and_then(Value::as_str).unwrap_or("(cannot be read)");
        let cells = [name.to_owned()]
            .into_iter()
            .chain(counts.map(|name| cell(row.get(name))))
            .chain(clocks.map(|name| cell(clock.get(name))))
            .chain([cell(row.get("last_seen"))]);
        table.row(cells);
    }
    format!("since {since}\n\n{table}\n{}", freshness_line(answer))
}

fn entries(context: &Context, entries: &Entries) -> Result<(), Failure> {
    let path = format!("/v1/accounts/{}/entries", segment(&entries.account));
    let (from, to) =
        (time("--from", entries.from.as_deref())?, time("--to", entries.to.as_deref())?);
    let (limit, before) =
        (Some(entries.limit.to_string()), entries.before.map(|it| it.to_string()));
    let mut query = Vec::new();
    for (name, value) in [
        ("limit", &limit),
        ("from", &from),
        ("to", &to),
        ("before", &before),
        ("kind", &entries.kind),
    ] {
        if let Some(value) = value {
            query.push((name, value.as_str()));
        }
    }
    let answer = context.client.get(&path, &query)?;
    context.output.answer(&answer, || {
        let rows = objects(answer.get("entries"));
        let older = rows
            .last()
            .filter(|_| rows.len() == entries.limit as usize)
            .and_then(|row| row.get("sequence").and_then(Value::as_u64));
        let more = older.map_or_else(String::new, |sequence| {
            format!("older ones: tally entries {} --before {sequence}\n", entries.account)
        });
        format!("{}\n{more}{}", entries_table(&answer), freshness_line(&answer))
    });
    Ok(())
}

/// Entries as rows.
pub(crate) fn entries_table(answer: &Value) -> String {
    let rows = objects(answer.get("entries"));
    if rows.is_empty() {
        return "no entries there\n".to_owned();
    }
    let mut table = Table::new([
        ("entry", Align::Left),
        ("seq", Align::Right),
        ("recorded", Align::Left),
        ("kind", Align::Left),
        ("credits", Align::Right),
        ("settled after", Align::Right),
        ("what", Align::Left),
    ]);
    for row in &rows {
        let word =
            |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let event = match (word("source"), word("event_id")) {
            (Some(source), Some(id)) => Some(format!("{source} {id}")),
            (None, Some(id)) => Some(id.to_owned()),
            (_, None) => None,
        };
        let corrects = word("corrects").map(|entry| format!("corrects {entry}"));
        let reason = word("reason").map(str::to_owned);
        let what: Vec<String> = [event, corrects, reason].into_iter().flatten().collect();
        table.row([
            cell(row.get("entry_id")),
            cell(row.get("sequence")),
            cell(row.get("recorded_at")),
            cell(row.get("kind")),
            word("credits").map_or("0", trimmed).to_owned(),
            word("settled_after").map_or("0", trimmed).to_owned(),
            what.join(", "),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_says_what_would_cover_it() {
        let answer = json!({"events": 61, "accounts": 3, "groups": [
            {"code": "no_vendor_price", "model": "m", "provider": null, "meter": null,
             "rate_card": "standard", "events": 61, "accounts": 3, "first_at": "2026-11-20T12:00:00Z",
             "source": "/a", "event_id": "1",
             "covered_by": {"words": "no price book in force has a price for model m",
                "document": "price book vendors", "toml": "[[price]]\nmodel = \"m\"\n"}}]});
        let said = unrated_text(&answer);
        assert!(
            said.starts_with("61 events wait for a price, in 3 of the accounts\n\nreason"),
            "{said}"
        );
        assert!(
            said.contains(
                "\nno price book in force has a price for model m; what covers it, in price book vendors:\n    \
                 [[price]]\n    model = \"m\"\n  for example: tally explain /a 1\n"
            ),
            "{said}"
        );
        assert!(unrated_text(&json!({"groups": []})).starts_with("nothing waits for a price\n"));
    }

    #[test]
    fn a_source_is_a_row() {
        let answer = json!({"since": "2026-11-13T12:00:00Z", "sources": [
            {"source": null, "inputs": 2, "events": 0, "duplicates": 0, "conflicts": 0, "too_early": 0,
             "too_late": 0, "misrouted": 0, "dead_letters": 2, "unrated_waiting": 0,
             "unmatched_holds": 0, "clock": null, "last_seen": "2026-11-20T12:00:00Z"}]});
        let said = sources_text(&answer);
        let row = said.lines().nth(4).unwrap();
        assert!(row.starts_with("(cannot be read)  "), "{said}");
        assert!(row.ends_with("2026-11-20T12:00:00Z"), "{said}");
    }

    #[test]
    fn an_entry_says_what_it_is_about() {
        let answer = json!({"entries": [
            {"entry_id": "3-9", "sequence": 9, "recorded_at": "2026-11-20T12:00:00Z", "kind": "reversed",
             "credits": "5.000000000000", "settled_after": "100", "source": "/a", "event_id": "1",
             "corrects": "3-8", "reason": "a failed run"}]});
        assert_eq!(
            entries_table(&answer).lines().nth(2).unwrap(),
            "3-9      9  2026-11-20T12:00:00Z  reversed        5            100  /a 1, corrects 3-8, a failed run"
        );
    }
}
