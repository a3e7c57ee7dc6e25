//! An account event as its receiver reads it.

use domain::Partition;
use ledger::{AccountEvent, Happening, HoldName};
use serde::Serialize;
use serde_json::{Value, json};

/// In the order in which a person reads it.
#[derive(Serialize)]
struct Body<'e> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    account: &'e str,
    number: u64,
    at: String,
    entry: String,
    data: Value,
}

/// An event's identity, `acct_42/7`, the same at each try: the header `webhook-id`. What a header
/// cannot carry, and the full stop that separates what is signed, are percent-encoded.
pub fn event_id(account: &str, number: u64) -> String {
    let mut id = String::with_capacity(account.len() + 8);
    for byte in account.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'@' | b'~' | b'+' => {
                id.push(char::from(byte));
            }
            _ => id.push_str(&format!("%{byte:02X}")),
        }
    }
    id.push_str(&format!("/{number}"));
    id
}

/// The event of an account whose ledger is in `partition`. Amounts are decimal strings.
///
/// # Errors
/// None that its parts could cause; `serde_json` promises nothing less.
pub fn event_json(
    event: &AccountEvent<'_>,
    partition: Partition,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Body {
        id: event_id(&event.account, event.number),
        kind: event.what.kind(),
        account: &event.account,
        number: event.number,
        at: event.at.to_string(),
        entry: format!("{partition}-{}", event.entry),
        data: data(&event.what, partition),
    })
}

fn data(what: &Happening<'_>, partition: Partition) -> Value {
    match what {
        Happening::BalanceLow { below, available } => {
            json!({"below": below.to_string(), "available": available.to_string()})
        }
        Happening::BalanceExhausted { available } => json!({"available": available.to_string()}),
        Happening::BudgetThreshold { budget, percent, used, limit } => json!({
            "budget": budget,
            "percent": percent,
            "used": used.to_string(),
            "limit": limit.to_string(),
        }),
        Happening::LotExpiring { lot, credits, expires } => json!({
            "lot": lot.to_string(),
            "credits": credits.to_string(),
            "expires": expires.to_string(),
        }),
        Happening::HoldExpired { hold, amount, captured } => json!({
            "hold": HoldName { partition, hold: *hold }.to_string(),
            "amount": amount.to_string(),
            "captured": captured.to_string(),
        }),
        Happening::UsageUnrated { source, id, reason } => {
            json!({"source": source, "id": id, "reason": reason.code()})
        }
        Happening::AllowanceRenewed { plan, credits, period } => json!({
            "plan": plan,
            "credits": credits.to_string(),
            "period": period.map(|window| {
                json!({"start": window.start.to_string(), "end": window.end.to_string()})
            }),
        }),
        Happening::TopUpWanted { below, amount, available } => json!({
            "below": below.to_string(),
            "amount": amount.to_string(),
            "available": available.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use domain::{EntryNumber, Reason};
    use ledger::HoldId;

    use super::*;

    fn shown(what: Happening<'_>) -> String {
        let event = AccountEvent {
            account: "acct_42".into(),
            number: 7,
            entry: EntryNumber(8_812),
            at: "2026-11-20T12:00:00.456Z".parse().unwrap(),
            what,
        };
        event_json(&event, Partition(3)).unwrap()
    }

    #[test]
    fn a_body_says_what_happened_to_whom() {
        let low = Happening::BalanceLow {
            below: "100".parse().unwrap(),
            available: "87.5".parse().unwrap(),
        };
        assert_eq!(
            shown(low),
            r#"{"id":"acct_42/7","type":"balance.low","account":"acct_42","number":7,"at":"2026-11-20T12:00:00.456Z","entry":"3-8812","data":{"available":"87.5","below":"100"}}"#
        );
        let expired = Happening::HoldExpired {
            hold: HoldId(EntryNumber(9)),
            amount: "5".parse().unwrap(),
            captured: "0".parse().unwrap(),
        };
        assert!(
            shown(expired).ends_with(r#""data":{"amount":"5","captured":"0","hold":"hold_3-9"}}"#)
        );
        let unrated = Happening::UsageUnrated {
            source: "/chat".into(),
            id: "req".into(),
            reason: Reason::NoRule,
        };
        assert!(
            shown(unrated).ends_with(r#""data":{"id":"req","reason":"no_rule","source":"/chat"}}"#)
        );
    }

    #[test]
    fn an_id_fits_a_header_and_has_no_full_stop() {
        assert_eq!(event_id("acct_42", 7), "acct_42/7");
        assert_eq!(event_id("acme.com", 1), "acme%2Ecom/1");
        assert_eq!(event_id("a/1 ü%", 2), "a%2F1%20%C3%BC%25/2");
    }
}
