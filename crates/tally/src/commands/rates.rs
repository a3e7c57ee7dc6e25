//! `tally rates`: the catalogue.

use serde_json::{Map, Value, json};

use super::{Context, number, objects, quote, read_text, text, time};
use crate::cli;
use crate::client::segment;
use crate::failure::Failure;
use crate::output::{note, print};
use crate::table::{Fields, Table, trimmed};

/// What of a price list could not be represented is listed, up to so many lines.
const LISTED_MAX: usize = 20;

pub(crate) fn rates(context: &Context, rates: &cli::Rates) -> Result<(), Failure> {
    match rates {
        cli::Rates::Import(cli::Import::Litellm(litellm)) => import(context, litellm),
        cli::Rates::Publish(publish) => self::publish(context, publish),
        cli::Rates::Show(show) => self::show(context, show),
        cli::Rates::Quote(quote) => quote::of_file(context, &quote.file, None),
    }
}

/// Each file's document, one after another.
pub(crate) fn publish(context: &Context, publish: &cli::Publish) -> Result<(), Failure> {
    for path in &publish.files {
        let toml = read_text(path)?;
        publish_one(context, &path.display().to_string(), &toml, &publish.options)?;
    }
    Ok(())
}

fn import(context: &Context, litellm: &cli::Litellm) -> Result<(), Failure> {
    let from = time("--effective-from", litellm.effective_from.as_deref())?
        .unwrap_or_else(|| super::now().hour().to_string());
    let body =
        json!({"json": read_text(&litellm.file)?, "effective_from": from, "id": litellm.book});
    let answer = context.client.post("/v1/rates/import/litellm", &body)?;
    if !context.output.json {
        for line in import_notes(&answer) {
            note(&line);
        }
    }
    let toml = text(&answer, "toml").unwrap_or_default();
    if litellm.publish {
        return publish_one(context, &litellm.file.display().to_string(), toml, &litellm.change);
    }
    match context.output.json {
        true => context.output.answer(&answer, String::new),
        false => print(toml),
    }
    Ok(())
}

/// What an import says about itself.
pub(crate) fn import_notes(answer: &Value) -> Vec<String> {
    let listed = objects(answer.get("listed"));
    let mut notes = vec![format!(
        "{} models priced; {} fields have no form in a price book",
        number(answer, "represented").unwrap_or(0),
        listed.len()
    )];
    for field in listed.iter().take(LISTED_MAX) {
        let word =
            |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        notes.push(format!("  {}: {} = {}", word("model"), word("field"), word("value")));
    }
    if listed.len() > LISTED_MAX {
        notes.push(format!("  and {} more (--json lists all)", listed.len() - LISTED_MAX));
    }
    notes
}

fn publish_one(
    context: &Context,
    name: &str,
    toml: &str,
    options: &cli::PublishOptions,
) -> Result<(), Failure> {
    let mut body = Map::from_iter([
        ("toml".to_owned(), json!(toml)),
        ("reason".to_owned(), json!(options.reason)),
        ("retroactive".to_owned(), json!(options.retroactive)),
        ("dry_run".to_owned(), json!(options.dry_run)),
    ]);
    context.name_actor(options.actor.as_ref(), &mut body);
    let answer = context.client.post("/v1/rates/versions", &Value::Object(body))?;
    context.output.answer(&answer, || published(name, &answer, options.dry_run));
    Ok(())
}

/// What publishing did, in words.
pub(crate) fn published(name: &str, answer: &Value, dry_run: bool) -> String {
    let kind = text(answer, "kind").unwrap_or("document").replace('_', " ");
    let what = format!(
        "{kind} {:?} version {}",
        text(answer, "id").unwrap_or(name),
        number(answer, "version").unwrap_or(0)
    );
    let mut lines = match (dry_run, answer["already_published"].as_bool().unwrap_or(false)) {
        (_, true) => format!("{what}: already published\n"),
        (true, false) => format!("{what}: would be published\n"),
        (false, false) => format!("{what}: published\n"),
    };
    if !dry_run && answer["adopted_by_all"] == Value::Bool(false) {
        lines.push_str("  not every partition has adopted it yet: see `tally status`\n");
    }
    if let Some(covered) = number(answer, "unrated_covered").filter(|count| *count > 0) {
        lines.push_str(&format!("  {covered} events that waited for a price are charged by it\n"));
    }
    let differ = &answer["charged_that_would_differ"];
    if let Some(events) = number(differ, "events").filter(|count| *count > 0) {
        let credits = text(differ, "credits_difference").unwrap_or("0");
        lines.push_str(&format!(
            "  {events} charged events would be priced differently, by {} credits; what is charged stays\n",
            trimmed(credits)
        ));
    }
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        lines.push_str(&format!("  note: {warning}\n"));
    }
    lines
}

fn show(context: &Context, show: &cli::RatesShow) -> Result<(), Failure> {
    let Some((kind, id)) = show.kind.as_ref().zip(show.id.as_ref()) else {
        let answer = context.client.get("/v1/rates", &[])?;
        context.output.answer(&answer, || versions(&answer));
        return Ok(());
    };
    let version = show.version.map(|version| version.to_string());
    let query: Vec<(&str, &str)> =
        version.iter().map(|version| ("version", version.as_str())).collect();
    let path = format!("/v1/rates/{}/{}", segment(kind), segment(id));
    let answer = context.client.get(&path, &query)?;
    context.output.answer(&answer, || {
        text(&answer, "toml").map_or_else(|| format!("{answer:#}\n"), str::to_owned)
    });
    Ok(())
}

fn versions(answer: &Value) -> String {
    const COLUMNS: [&str; 7] =
        ["kind", "id", "version", "effective_from", "effective_to", "in_force", "published_at"];
    let listed = ["versions", "all"].iter().find_map(|name| answer.get(*name)).or(Some(answer));
    let rows: Vec<Fields> = objects(listed)
        .iter()
        .map(|row| {
            COLUMNS
                .iter()
                .filter_map(|name| row.get(*name).map(|value| ((*name).to_owned(), value.clone())))
                .collect()
        })
        .collect();
    match rows.is_empty() {
        true => "nothing is published: `tally rates publish FILE.toml`\n".to_owned(),
        false => Table::of_fields(&rows).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_says_what_it_covers_and_what_would_differ() {
        let answer = json!({"id": "standard", "kind": "rate_card", "version": 2, "already_published": false,
            "adopted_by_all": true, "unrated_covered": 61,
            "charged_that_would_differ": {"events": 3, "credits_difference": "-1.50"}});
        assert_eq!(
            published("card.toml", &answer, false),
            "rate card \"standard\" version 2: published\n  61 events that waited for a price are charged by it\n  \
             3 charged events would be priced differently, by -1.5 credits; what is charged stays\n"
        );
        assert!(
            published("card.toml", &json!({"already_published": true}), false)
                .contains("already published")
        );
    }
}
