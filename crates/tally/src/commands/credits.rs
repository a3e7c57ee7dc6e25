//! `tally grant`, `adjust` and `void`: changes by hand, each under an id that makes repeating it
//! harmless.

use serde_json::{Map, Value, json};

use super::{Context, new_id, text, time};
use crate::cli;
use crate::client::segment;
use crate::failure::Failure;
use crate::table::trimmed;

pub(crate) fn grant(context: &Context, grant: &cli::Grant) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("amount".to_owned(), json!(grant.amount));
    body.insert("category".to_owned(), json!(grant.category.word()));
    if let (Some(amount), Some(currency)) = (&grant.paid, &grant.currency) {
        body.insert("paid".to_owned(), json!({"amount": amount, "currency": currency}));
    }
    for (name, flag, value) in
        [("effective", "--effective", &grant.effective), ("expires", "--expires", &grant.expires)]
    {
        if let Some(at) = time(flag, value.as_deref())? {
            body.insert(name.to_owned(), json!(at));
        }
    }
    if let Some(priority) = grant.priority {
        body.insert("priority".to_owned(), json!(priority));
    }
    let path = format!("/v1/accounts/{}/grants", segment(&grant.account));
    change(
        context,
        &Change { path, made: "grant", by_hand: &grant.by_hand, reason: &grant.reason },
        body,
    )
}

pub(crate) fn adjust(context: &Context, adjust: &cli::Adjust) -> Result<(), Failure> {
    let body = Map::from_iter([("amount".to_owned(), json!(adjust.amount))]);
    let path = format!("/v1/accounts/{}/adjustments", segment(&adjust.account));
    change(
        context,
        &Change { path, made: "adjust", by_hand: &adjust.by_hand, reason: &adjust.reason },
        body,
    )
}

pub(crate) fn void(context: &Context, void: &cli::Void) -> Result<(), Failure> {
    let amount = void.amount.as_ref().map(|amount| ("amount".to_owned(), json!(amount)));
    let path = format!("/v1/accounts/{}/lots/{}/void", segment(&void.account), void.lot);
    change(
        context,
        &Change { path, made: "void", by_hand: &void.by_hand, reason: &void.reason },
        Map::from_iter(amount),
    )
}

struct Change<'c> {
    path: String,
    /// Begins an id that is made here.
    made: &'static str,
    by_hand: &'c cli::ByHand,
    reason: &'c str,
}

fn change(
    context: &Context,
    change: &Change<'_>,
    mut body: Map<String, Value>,
) -> Result<(), Failure> {
    if change.reason.trim().is_empty() && change.made != "grant" {
        return Err(Failure::Usage("--reason must say something".to_owned()));
    }
    let id = match &change.by_hand.id {
        Some(id) => id.clone(),
        None => new_id(change.made)?,
    };
    body.insert("id".to_owned(), json!(id));
    body.insert("reason".to_owned(), json!(change.reason));
    body.insert("actor".to_owned(), json!(change.by_hand.actor.as_ref().unwrap_or(&context.actor)));
    let answer = context.client.change(&change.path, &id, &Value::Object(body))?;
    context.output.answer(&with_id(&answer, &id), || sentence(&answer, &id));
    Ok(())
}

/// The id belongs to the answer: whoever did not give one needs it to repeat the command.
fn with_id(answer: &Value, id: &str) -> Value {
    let mut answer = answer.clone();
    if let Some(fields) = answer.as_object_mut() {
        fields.entry("id").or_insert_with(|| json!(id));
    }
    answer
}

fn sentence(answer: &Value, id: &str) -> String {
    let applied = answer.get("already_applied").and_then(Value::as_bool).unwrap_or(false);
    let mut line = if applied { "already applied".to_owned() } else { "applied".to_owned() };
    if let Some(entry) = text(answer, "entry") {
        line.push_str(&format!(": entry {entry}"));
    }
    if let Some(lot) = answer.get("lot").filter(|lot| !lot.is_null()) {
        line.push_str(&format!(
            ", lot {}",
            lot.as_str().map_or_else(|| lot.to_string(), str::to_owned)
        ));
    }
    line.push_str(&format!(" (id {id})\n"));
    let balance = &answer["balance"];
    if let Some(available) = text(balance, "available") {
        line.push_str(&format!("available now: {} credits\n", trimmed(available)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_what_there_is_now() {
        let answer = json!({"entry": "3-88", "lot": "7", "already_applied": false,
            "balance": {"available": "87.500000000000"}});
        assert_eq!(
            sentence(&answer, "order-77"),
            "applied: entry 3-88, lot 7 (id order-77)\navailable now: 87.5 credits\n"
        );
        let again = json!({"entry": "3-88", "already_applied": true});
        assert!(sentence(&again, "order-77").starts_with("already applied: entry 3-88"));
    }
}
