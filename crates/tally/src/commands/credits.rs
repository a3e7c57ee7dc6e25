//! `tally grant`, `adjust`, `void`, `refund`, `reverse` and `lots`: credits by hand.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::change::Change;
use super::{Context, freshness_line, objects, text, time};
use crate::cli::{self, spending};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table, cell, trimmed};

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
    let change = Change {
        method: Method::POST,
        path: at(&grant.account, "grants"),
        made: "grant",
        by_hand: &grant.by_hand,
        reason: &grant.reason,
    };
    change.send(context, body)?.print(context, made);
    Ok(())
}

pub(crate) fn adjust(context: &Context, adjust: &cli::Adjust) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: at(&adjust.account, "adjustments"),
        made: "adjust",
        by_hand: &adjust.by_hand,
        reason: &adjust.reason,
    };
    let body = Map::from_iter([("amount".to_owned(), json!(adjust.amount))]);
    change.send(context, body)?.print(context, made);
    Ok(())
}

pub(crate) fn void(context: &Context, void: &cli::Void) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: at(&void.account, &format!("lots/{}/void", void.lot)),
        made: "void",
        by_hand: &void.by_hand,
        reason: &void.reason,
    };
    let amount = void.amount.as_ref().map(|amount| ("amount".to_owned(), json!(amount)));
    change.send(context, Map::from_iter(amount))?.print(context, made);
    Ok(())
}

pub(crate) fn refund(context: &Context, refund: &spending::Refund) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: at(&refund.account, &format!("lots/{}/refund", refund.lot)),
        made: "refund",
        by_hand: &refund.by_hand,
        reason: &refund.reason,
    };
    let money = json!({"amount": refund.money, "currency": refund.currency.as_str()});
    let body = [("amount".to_owned(), json!(refund.amount)), ("money".to_owned(), money)];
    let done = change.send(context, Map::from_iter(body))?;
    done.print(context, |answer| {
        format!(
            "{} credits of lot {} taken back for {} {}{}",
            refund.amount,
            refund.lot,
            refund.money,
            refund.currency,
            by_entry(answer)
        )
    });
    Ok(())
}

pub(crate) fn reverse(context: &Context, reverse: &spending::Reverse) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: at(&reverse.account, &format!("entries/{}/reverse", segment(&reverse.entry))),
        made: "reverse",
        by_hand: &reverse.by_hand,
        reason: &reverse.reason,
    };
    let done = change.send(context, Map::new())?;
    done.print(context, |answer| {
        let amount = text(answer, "amount").map(trimmed);
        let amount = amount.map_or_else(String::new, |credits| format!(" of {credits} credits"));
        format!("charge {}{amount} taken back{}", reverse.entry, by_entry(answer))
    });
    Ok(())
}

fn at(account: &str, what: &str) -> String {
    format!("/v1/accounts/{}/{what}", segment(account))
}

fn by_entry(answer: &Value) -> String {
    text(answer, "entry").map_or_else(String::new, |entry| format!(" by entry {entry}"))
}

/// What came of it: the entry, and the lot when there is one.
pub(crate) fn made(answer: &Value) -> String {
    let entry = text(answer, "entry").map(|entry| format!("entry {entry}"));
    let lot = answer.get("lot").filter(|lot| !lot.is_null());
    let lot = lot.map(|lot| format!("lot {}", cell(Some(lot))));
    entry.into_iter().chain(lot).collect::<Vec<_>>().join(", ")
}

pub(crate) fn lots(context: &Context, lots: &spending::Lots) -> Result<(), Failure> {
    let query: &[_] = if lots.all { &[("all", "true")] } else { &[] };
    let answer = context.client.get(&at(&lots.account, "lots"), query)?;
    context.output.answer(&answer, || listed(&lots.account, &answer));
    Ok(())
}

fn listed(account: &str, answer: &Value) -> String {
    let lots = objects(answer.get("lots"));
    if lots.is_empty() {
        return format!("{account} has no lots\n{}", freshness_line(answer));
    }
    let mut table = Table::new([
        ("lot", Align::Right),
        ("category", Align::Left),
        ("state", Align::Left),
        ("granted", Align::Right),
        ("remaining", Align::Right),
        ("effective", Align::Left),
        ("expires", Align::Left),
        ("priority", Align::Right),
        ("paid", Align::Right),
        ("reason", Align::Left),
    ]);
    for lot in lots {
        let word = |name: &str| cell(lot.get(name));
        let words = |name: &str| lot.get(name).and_then(Value::as_str).unwrap_or_default();
        let paid = format!("{} {}", word("paid"), words("currency"));
        table.row([
            word("lot"),
            word("category"),
            word("state"),
            word("granted"),
            word("remaining"),
            word("effective_at"),
            word("expires_at"),
            word("priority"),
            paid.trim_end().to_owned(),
            words("reason").to_owned(),
        ]);
    }
    format!("{table}\n{}", freshness_line(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::change::done;

    #[test]
    fn a_grant_says_its_entry_its_lot_and_what_there_is_now() {
        let answer = json!({"entry": "3-88", "lot": "7", "already_applied": false,
            "balance": {"available": "87.500000000000"}});
        let said = made(&answer);
        assert_eq!(
            done(answer, "order-77", false).sentence(&said),
            "applied: entry 3-88, lot 7 (id order-77)\navailable now: 87.5 credits\n"
        );
        assert_eq!(made(&json!({"entry": "3-88", "lot": null})), "entry 3-88");
    }

    #[test]
    fn lots_show_what_is_left_of_them() {
        let answer = json!({"lots": [
            {"lot": "7", "category": "purchased", "state": "live", "granted": "1000.000000000000",
             "remaining": "940.5", "effective_at": "2026-11-01T00:00:00Z", "expires_at": null,
             "priority": 50, "paid": "10.000000000000", "currency": "USD", "reason": "order 77"},
            {"lot": "9", "category": "promotional", "state": "upcoming", "granted": "50",
             "remaining": "50", "effective_at": "2026-12-01T00:00:00Z",
             "expires_at": "2027-01-01T00:00:00Z", "priority": 10, "paid": "0", "currency": "", "reason": ""}]});
        let expected = "\
lot  category     state     granted  remaining  effective             expires               priority    paid  reason
───  ───────────  ────────  ───────  ─────────  ────────────────────  ────────────────────  ────────  ──────  ────────
  7  purchased    live         1000      940.5  2026-11-01T00:00:00Z  –                           50  10 USD  order 77
  9  promotional  upcoming       50         50  2026-12-01T00:00:00Z  2027-01-01T00:00:00Z        10       0

";
        assert_eq!(listed("acct_42", &answer), expected);
        assert_eq!(listed("acct_42", &json!({"lots": []})), "acct_42 has no lots\n");
    }
}
