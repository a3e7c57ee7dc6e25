//! `tally topup` and `tally alert`: credits that were paid for, and when somebody is told.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::change::Change;
use super::{Context, credits};
use crate::cli::spending;
use crate::cli::topup::{Alert, AlertSet, Bought, Topup, TopupAuto, TopupCommand};
use crate::client::segment;
use crate::failure::Failure;

pub(crate) fn topup(context: &Context, topup: &Topup) -> Result<(), Failure> {
    match (&topup.command, &topup.bought) {
        (Some(TopupCommand::Auto(auto)), _) => self::auto(context, auto),
        (None, Some(bought)) => self::buy(context, bought, &topup.change),
        // The parser asks for the one or the other.
        (None, None) => Err(Failure::Usage("say which account, and how much".to_owned())),
    }
}

fn buy(context: &Context, bought: &Bought, change: &spending::Change) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: format!("/v1/accounts/{}/grants", segment(&bought.account)),
        made: "topup",
        by_hand: &change.by_hand,
        reason: &change.reason,
    };
    let done = change.send(context, purchase(bought))?;
    done.print(context, credits::made);
    Ok(())
}

fn purchase(bought: &Bought) -> Map<String, Value> {
    let paid = json!({"amount": bought.paid, "currency": bought.currency.as_str()});
    let mut body = Map::from_iter(
        [("amount", json!(bought.amount)), ("category", json!("purchased")), ("paid", paid)]
            .map(|(name, value)| (name.to_owned(), value)),
    );
    if let Some(expires) = bought.expires {
        body.insert("expires".to_owned(), json!(expires.to_string()));
    }
    body
}

fn auto(context: &Context, auto: &TopupAuto) -> Result<(), Failure> {
    let top_up = match (auto.below, auto.amount) {
        (Some(below), Some(amount)) => json!({"below": below, "amount": amount}),
        (None, _) | (_, None) => Value::Null,
    };
    let said = match top_up.is_null() {
        true => format!("{} is not topped up by itself", auto.account),
        false => format!(
            "{} wants {} credits when it falls below {}",
            auto.account,
            top_up["amount"].as_str().unwrap_or_default(),
            top_up["below"].as_str().unwrap_or_default(),
        ),
    };
    let change = notices_change(&auto.account, "topup", &auto.change);
    set_notice(context, &change, ("top_up", top_up), &said)
}

pub(crate) fn alert(context: &Context, alert: &Alert) -> Result<(), Failure> {
    let Alert::Set(AlertSet { account, low_balance, off: _, change }) = alert;
    let said = match low_balance {
        Some(low) => format!("{account} gives notice below {low} credits"),
        None => format!("{account} gives notice when its plan says"),
    };
    let change = notices_change(account, "alert", change);
    set_notice(context, &change, ("low_balance", json!(low_balance)), &said)
}

fn notices_change<'c>(
    account: &str,
    made: &'static str,
    change: &'c spending::Change,
) -> Change<'c> {
    let path = format!("/v1/accounts/{}/notices", segment(account));
    let spending::Change { reason, by_hand } = change;
    Change { method: Method::POST, path, made, by_hand, reason }
}

/// Notices are set together: those that were not named stay as they are.
fn set_notice(
    context: &Context,
    change: &Change<'_>,
    notice: (&str, Value),
    said: &str,
) -> Result<(), Failure> {
    let before = context.client.get(&change.path, &[])?;
    let done = change.send(context, notices(&before, notice))?;
    done.print(context, |_| said.to_owned());
    Ok(())
}

fn notices(before: &Value, (name, value): (&str, Value)) -> Map<String, Value> {
    let mut body = Map::new();
    for kept in ["low_balance", "top_up"] {
        let before = before.get(kept).cloned().unwrap_or(Value::Null);
        let now = if kept == name { value.clone() } else { before };
        if !now.is_null() {
            body.insert(kept.to_owned(), now);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_notice_leaves_the_other_as_it_is() {
        let before = json!({"low_balance": "100", "top_up": {"below": "50", "amount": "1000"}});
        let body = |notice| Value::Object(notices(&before, notice));
        assert_eq!(
            body(("low_balance", json!("20"))),
            json!({"low_balance": "20", "top_up": {"below": "50", "amount": "1000"}})
        );
        assert_eq!(body(("top_up", Value::Null)), json!({"low_balance": "100"}));
        let first =
            notices(&json!({"low_balance": null, "top_up": null}), ("low_balance", json!("1")));
        assert_eq!(Value::Object(first), json!({"low_balance": "1"}));
    }
}
