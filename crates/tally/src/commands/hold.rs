//! `tally hold`: credits set aside, and what becomes of them.

use domain::Credits;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::change::Change;
use super::{Context, freshness_line, objects, text};
use crate::cli::hold::{Hold, HoldList, HoldReserve};
use crate::cli::spending::{self, Scope};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table, cell, trimmed};

pub(crate) fn hold(context: &Context, command: &Hold) -> Result<(), Failure> {
    match command {
        Hold::Reserve(reserve) => self::reserve(context, reserve),
        Hold::Show(show) => {
            let answer = context.client.get(&at(&show.hold, ""), &[])?;
            context.output.answer(&answer, || shown(&answer));
            Ok(())
        }
        Hold::List(list) => self::list(context, list),
        Hold::Extend(extend) => {
            let change = posted(at(&extend.hold, "/extend"), "extend", &extend.change);
            let body = [("expires_in_s".to_owned(), json!(extend.expires_in.0))];
            let done = change.send(context, Map::from_iter(body))?;
            done.print(context, |answer| {
                format!("{} now ends at {}", name(answer, &extend.hold), word(answer, "expires_at"))
            });
            Ok(())
        }
        Hold::Capture(capture) => {
            let change = posted(at(&capture.hold, "/capture"), "capture", &capture.change);
            let done = change.send(context, amount(Some(capture.amount)))?;
            done.print(context, |answer| captured(answer, &capture.hold, capture.amount));
            Ok(())
        }
        Hold::Settle(settle) => {
            let change = posted(at(&settle.hold, "/settle"), "settle", &settle.change);
            let done = change.send(context, amount(settle.amount))?;
            done.print(context, |answer| ended(answer, &settle.hold, "settled"));
            Ok(())
        }
        Hold::Release(release) => {
            let change = Change {
                method: Method::DELETE,
                ..posted(at(&release.hold, ""), "release", &release.change)
            };
            let done = change.send(context, Map::new())?;
            done.print(context, |answer| ended(answer, &release.hold, "released"));
            Ok(())
        }
    }
}

fn at(hold: &str, verb: &str) -> String {
    format!("/v1/holds/{}{verb}", segment(hold))
}

fn posted<'c>(path: String, made: &'static str, change: &'c spending::Change) -> Change<'c> {
    let spending::Change { reason, by_hand } = change;
    Change { method: Method::POST, path, made, by_hand, reason }
}

fn amount(amount: Option<Credits>) -> Map<String, Value> {
    amount.map(|amount| ("amount".to_owned(), json!(amount))).into_iter().collect()
}

/// The scope's fields that were given.
pub(crate) fn scoped(scope: &Scope, body: &mut Map<String, Value>) {
    let Scope { user, team, feature, traffic } = scope;
    let named = [("user", user), ("team", team), ("feature", feature), ("traffic", traffic)];
    for (name, value) in named {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
}

fn reserve(context: &Context, reserve: &HoldReserve) -> Result<(), Failure> {
    let body = asked(reserve);
    let change = posted("/v1/holds".to_owned(), "hold", &reserve.change);
    let done = change.send(context, body)?;
    done.print(context, |answer| reserved(&reserve.account, answer));
    Ok(())
}

fn asked(reserve: &HoldReserve) -> Map<String, Value> {
    let mut body = amount(reserve.amount);
    body.insert("account".to_owned(), json!(reserve.account));
    if reserve.amount.is_none() {
        body.insert("items".to_owned(), Value::Array(reserve.expected.items()));
    }
    if let Some(expires_in) = reserve.expires_in {
        body.insert("expires_in_s".to_owned(), json!(expires_in.0));
    }
    if reserve.shrink {
        body.insert("on_insufficient".to_owned(), json!("shrink"));
    }
    scoped(&reserve.scope, &mut body);
    body
}

fn reserved(account: &str, answer: &Value) -> String {
    let amount = word(answer, "amount");
    let hold = name(answer, "the hold");
    let mut said = format!("{hold} holds {amount} credits of {account}");
    if let Some(asked) = text(answer, "asked").map(trimmed).filter(|asked| *asked != amount) {
        said.push_str(&format!(" (of {asked} asked for)"));
    }
    if let Some(at) = text(answer, "expires_at") {
        said.push_str(&format!(" until {at}"));
    }
    said
}

fn captured(answer: &Value, hold: &str, amount: Credits) -> String {
    format!(
        "{amount} credits charged on {}, {} of {} in all",
        name(answer, hold),
        word(answer, "captured"),
        word(answer, "amount"),
    )
}

fn ended(answer: &Value, hold: &str, how: &str) -> String {
    let state = text(answer, "state").unwrap_or(how);
    let mut said = format!(
        "{} is {state}, {} credits charged on it",
        name(answer, hold),
        word(answer, "captured")
    );
    for (field, words) in [("freed", "free again"), ("returned", "given back")] {
        if let Some(credits) = text(answer, field).map(trimmed).filter(|it| *it != "0") {
            said.push_str(&format!(", {credits} {words}"));
        }
    }
    said
}

fn name(answer: &Value, otherwise: &str) -> String {
    text(answer, "hold").unwrap_or(otherwise).to_owned()
}

/// A field as people read it; amounts without the zeros that end them.
fn word(answer: &Value, name: &str) -> String {
    cell(answer.get(name))
}

fn shown(answer: &Value) -> String {
    let mut lines = format!(
        "{}: {}, {} credits of {}\n\n  captured {}",
        name(answer, "hold"),
        word(answer, "state"),
        word(answer, "amount"),
        word(answer, "account"),
        word(answer, "captured"),
    );
    if let Some(held) = text(answer, "held") {
        lines.push_str(&format!(" · still held {}", trimmed(held)));
    }
    if let Some(above) = text(answer, "above").map(trimmed).filter(|it| *it != "0") {
        lines.push_str(&format!(" · above the hold {above}"));
    }
    lines.push('\n');
    let ends = match text(answer, "ended_at") {
        Some(at) => ("ended", Some(at)),
        None => ("ends by itself", text(answer, "expires_at")),
    };
    for (words, at) in [("made", text(answer, "created_at")), ends] {
        if let Some(at) = at {
            lines.push_str(&format!("  {words} at {at}\n"));
        }
    }
    let scope = scope_words(answer);
    if !scope.is_empty() {
        lines.push_str(&format!("  for {scope}\n"));
    }
    if let Some(actor) = text(answer, "actor") {
        lines.push_str(&format!("  by {actor}\n"));
    }
    let fresh = freshness_line(answer);
    if !fresh.is_empty() {
        lines.push_str(&format!("\n{fresh}"));
    }
    lines
}

/// Whom something is for: `team growth · feature chat`. Empty for everybody.
pub(crate) fn scope_words(answer: &Value) -> String {
    ["user", "team", "feature", "traffic"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {}", text(answer, name)?)))
        .collect::<Vec<_>>()
        .join(" · ")
}

fn list(context: &Context, list: &HoldList) -> Result<(), Failure> {
    let path = format!("/v1/accounts/{}/holds", segment(&list.account));
    let query: Vec<(&str, &str)> = list.state.iter().map(|state| ("state", state.word())).collect();
    let answer = context.client.get(&path, &query)?;
    context.output.answer(&answer, || listed(&list.account, &answer));
    Ok(())
}

fn listed(account: &str, answer: &Value) -> String {
    let holds = objects(answer.get("holds"));
    if holds.is_empty() {
        return format!("{account} has no such holds\n{}", freshness_line(answer));
    }
    let mut table = Table::new([
        ("hold", Align::Left),
        ("state", Align::Left),
        ("amount", Align::Right),
        ("captured", Align::Right),
        ("held", Align::Right),
        ("ends", Align::Left),
        ("for", Align::Left),
    ]);
    for hold in holds {
        let hold = Value::Object(hold);
        let ends = text(&hold, "ended_at").or_else(|| text(&hold, "expires_at")).unwrap_or("–");
        table.row([
            word(&hold, "hold"),
            word(&hold, "state"),
            word(&hold, "amount"),
            word(&hold, "captured"),
            word(&hold, "held"),
            ends.to_owned(),
            scope_words(&hold),
        ]);
    }
    format!("{table}\n{}", freshness_line(answer))
}

#[cfg(test)]
mod tests;
