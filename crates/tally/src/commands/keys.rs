//! `tally key`: API keys made, listed, rotated, revoked.

use serde_json::{Map, Value, json};

use super::{Context, text, time};
use crate::cli::{KeyCreate, KeyRevoke, KeyRotate, Keys};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table};

pub(crate) fn keys(context: &Context, command: &Keys) -> Result<(), Failure> {
    match command {
        Keys::Create(key) => create(context, key),
        Keys::List => list(context),
        Keys::Rotate(key) => rotate(context, key),
        Keys::Revoke(key) => revoke(context, key),
    }
}

fn create(context: &Context, key: &KeyCreate) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(key.name));
    body.insert("role".to_owned(), json!(key.role.word()));
    let bounds =
        [("accounts", &key.accounts), ("sources", &key.sources), ("traffic", &key.traffic)];
    for (name, listed) in bounds.into_iter().filter(|(_, listed)| !listed.is_empty()) {
        body.insert(name.to_owned(), json!(listed));
    }
    if let Some(expires) = time("--expires", key.expires.as_deref())? {
        body.insert("expires".to_owned(), json!(expires));
    }
    let body = Value::Object(body);
    let answer = match &key.id {
        Some(id) => context.client.change("/v1/keys", id, &body)?,
        None => context.client.post("/v1/keys", &body)?,
    };
    context.output.answer(&answer, || made(&answer));
    Ok(())
}

fn rotate(context: &Context, key: &KeyRotate) -> Result<(), Failure> {
    let path = format!("/v1/keys/{}/rotate", segment(&key.id));
    let answer = context.client.post(&path, &json!({"overlap_s": key.overlap.0}))?;
    context.output.answer(&answer, || {
        let until = text(&answer, "replaced_valid_until").unwrap_or("now");
        format!("{}the old key {} is valid until {until}\n", made(&answer), key.id)
    });
    Ok(())
}

fn revoke(context: &Context, key: &KeyRevoke) -> Result<(), Failure> {
    let answer = context.client.delete(&format!("/v1/keys/{}", segment(&key.id)))?;
    context.output.answer(&answer, || format!("key {} is revoked\n", key.id));
    Ok(())
}

fn list(context: &Context) -> Result<(), Failure> {
    let answer = context.client.get("/v1/keys", &[])?;
    context.output.answer(&answer, || listed(&answer).to_string());
    Ok(())
}

fn listed(answer: &Value) -> Table {
    let left = ["key", "name", "role", "bound to", "state", "last used", "ends", "made by"];
    let mut table = Table::new(left.map(|name| (name, Align::Left)));
    for key in answer["keys"].as_array().into_iter().flatten() {
        let shown = |name: &str| text(key, name).unwrap_or("–").to_owned();
        let ends = text(key, "revoked_from").or_else(|| text(key, "expires")).unwrap_or("–");
        table.row([
            shown("id"),
            shown("name"),
            shown("role"),
            bounds(key),
            shown("state"),
            shown("last_used"),
            ends.to_owned(),
            shown("created_by"),
        ]);
    }
    table
}

/// What a key is bound to, in a cell.
fn bounds(key: &Value) -> String {
    const SHOWN_MAX: usize = 3;
    let mut shown = Vec::new();
    for name in ["accounts", "sources", "traffic"] {
        let Some(listed) = key[name].as_array() else { continue };
        let mut names: Vec<&str> =
            listed.iter().filter_map(Value::as_str).take(SHOWN_MAX).collect();
        if listed.len() > SHOWN_MAX {
            names.push("…");
        }
        shown.push(format!("{name}: {}", names.join(", ")));
    }
    match shown.is_empty() {
        true => "–".to_owned(),
        false => shown.join("; "),
    }
}

/// The key's text on a line of its own, to be taken and kept.
fn made(answer: &Value) -> String {
    let of = |name| text(answer, name).unwrap_or_default();
    format!(
        "key {} ({}, {}); its text is shown this once:\n\n{}\n\n",
        of("id"),
        of("name"),
        of("role"),
        of("key")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_on_a_line_of_its_own_and_a_list_has_none() {
        let answer = json!({"id": "7wq2m4x9t0ab", "name": "chat", "role": "app", "key": "tally_7wq2m4x9t0ab_x"});
        assert!(made(&answer).lines().any(|line| line == "tally_7wq2m4x9t0ab_x"));
        let keys = json!({"keys": [
            {"id": "7wq2m4x9t0ab", "name": "chat", "role": "app", "state": "active", "last_used": null,
             "accounts": ["a", "b", "c", "d"], "sources": null, "traffic": ["customer"],
             "revoked_from": null, "expires": null, "created_by": "operator (key:0)"}]});
        let table = listed(&keys).to_string();
        assert!(table.contains("accounts: a, b, c, …; traffic: customer"), "{table}");
    }
}
