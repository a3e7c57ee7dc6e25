//! `tally quarantine`: what was held back, and what becomes of it.

use reqwest::Method;
use serde_json::{Map, Value};

use super::change::Change;
use super::{Context, objects, text};
use crate::cli::rerate::{Quarantine, QuarantineDecide, QuarantineList, QuarantineShow};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table};

pub(crate) fn quarantine(context: &Context, command: &Quarantine) -> Result<(), Failure> {
    match command {
        Quarantine::List(list) => listed(context, list),
        Quarantine::Show(show) => shown(context, show),
        Quarantine::Accept(decide) => decided(context, decide, "accept"),
        Quarantine::Reject(decide) => decided(context, decide, "reject"),
    }
}

fn listed(context: &Context, list: &QuarantineList) -> Result<(), Failure> {
    let mut query = vec![("state", list.state.as_str())];
    let others = [("account", &list.account), ("source", &list.source), ("reason", &list.reason)];
    query.extend(others.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
    let answer = context.client.get("/v1/quarantine", &query)?;
    context.output.answer(&answer, || {
        let rows = objects(answer.get("quarantine"));
        if rows.is_empty() {
            return "nothing is held back\n".to_owned();
        }
        let columns =
            ["entry", "state", "reason", "account", "source", "event", "event time", "held since"];
        let mut table = Table::new(columns.map(|name| (name, Align::Left)));
        for row in &rows {
            let of = |name: &str| {
                row.get(name).and_then(Value::as_str).filter(|it| !it.is_empty()).unwrap_or("–")
            };
            table.row(
                [
                    "entry",
                    "state",
                    "reason",
                    "account",
                    "source",
                    "event",
                    "event_time",
                    "recorded_at",
                ]
                .map(|name| of(name).to_owned()),
            );
        }
        format!(
            "{table}\nnext: tally quarantine show ENTRY, then accept or reject it with --reason\n"
        )
    });
    Ok(())
}

fn shown(context: &Context, show: &QuarantineShow) -> Result<(), Failure> {
    let answer = context.client.get("/v1/quarantine", &[("state", "all")])?;
    let rows = answer["quarantine"].as_array().into_iter().flatten();
    let found = rows.into_iter().find(|row| text(row, "entry") == Some(&show.entry));
    let row = found.ok_or_else(|| {
        Failure::Failed(format!(
            "entry {} holds no record back, as far as ClickHouse has come",
            show.entry
        ))
    })?;
    context.output.answer(row, || {
        let of = |name: &str| text(row, name).unwrap_or("–");
        let mut lines = format!(
            "{}: {} ({})\n  account {}, source {}, event {}, dated {}\n  held since {}\n",
            of("entry"),
            of("state"),
            of("reason"),
            of("account"),
            of("source"),
            of("event"),
            of("event_time"),
            of("recorded_at"),
        );
        if let Some(first) = text(row, "conflicts_with") {
            lines.push_str(&format!("  conflicts with entry {first}\n"));
        }
        if let Some(decided) = text(row, "decided_at") {
            lines.push_str(&format!("  decided {decided} by {}: {}\n", of("actor"), of("note")));
        }
        lines.push_str(&format!("\n{}\n", of("record")));
        lines
    });
    Ok(())
}

fn decided(
    context: &Context,
    decide: &QuarantineDecide,
    word: &'static str,
) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: format!("/v1/quarantine/{}/{word}", segment(&decide.entry)),
        made: word,
        by_hand: &decide.by_hand,
        reason: &decide.reason,
    };
    let done = change.send(context, Map::new())?;
    done.print(context, |answer| {
        let of = |name: &str| text(answer, name).unwrap_or("–").to_owned();
        format!(
            "{} of {} is {} by entry {}",
            of("event"),
            of("source"),
            of("decision"),
            of("entry")
        )
    });
    Ok(())
}
