//! Charges priced anew, corrected by their producer, and records that a person lets in.

use serde_json::{Value, json};

use crate::tally::{CARD, Tally, chat, event, problem};

fn started() -> Tally {
    let tally = Tally::start().with_rates();
    tally.posted(
        201,
        "/v1/accounts/a/grants",
        &json!({ "amount": "1000", "category": "purchased", "reason": "order", "id": "g1" }),
    );
    tally
}

fn settled(tally: &Tally) -> Value {
    tally.got("/v1/accounts/a/balance?consistency=strict&wait=30")["settled"].clone()
}

/// The card at ten times its price, from the start.
fn publish_dearer(tally: &Tally) {
    let toml = CARD.replace("tokens_per_credit = \"1000\"", "tokens_per_credit = \"100\"");
    assert_ne!(toml, CARD);
    let body = json!({ "toml": toml, "reason": "it was wrong", "retroactive": true });
    tally.posted(201, "/v1/rates/versions", &body);
}

fn planned(tally: &Tally, body: &Value) -> Value {
    tally.posted(200, "/v1/rerates/plan", body)
}

fn applied(tally: &Tally, plan: &Value, name: &str) -> Vec<Value> {
    let charges: Vec<Value> = plan["charges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|charge| {
            json!({
                "entry": charge["entry"],
                "offset": charge["offset"],
                "credits": charge["now"]["credits"],
            })
        })
        .collect();
    let body = json!({
        "plan": name,
        "catalogue": plan["catalogue"],
        "reason": "wrong price",
        "charges": charges,
    });
    tally.posted(200, "/v1/rerates", &body)["results"].as_array().unwrap().clone()
}

#[test]
fn a_wrong_price_is_planned_applied_once_and_taken_back_by_another_plan() {
    let tally = started();
    tally.send(&[chat("a", "1", 4_000), chat("a", "2", 6_000)]);
    assert_eq!(settled(&tally), "990");
    let nothing = planned(&tally, &json!({}));
    assert_eq!((nothing["looked_at"].as_u64(), &nothing["charges"]), (Some(2), &json!([])));
    let before = nothing["catalogue"].clone();

    publish_dearer(&tally);
    let plan = planned(&tally, &json!({}));
    assert_eq!(plan["charges"].as_array().unwrap().len(), 2, "{plan}");
    assert_eq!(plan["charges"][0]["before"]["credits"], "4");
    assert_eq!(plan["charges"][0]["now"]["credits"], "40");
    let other = planned(&tally, &json!({ "filter": { "accounts": ["b"] } }));
    assert_eq!(other["looked_at"], 0);

    let results = applied(&tally, &plan, "p1");
    assert!(results.iter().all(|result| result["outcome"] == "applied"), "{results:?}");
    assert_eq!(settled(&tally), "900");
    let again = applied(&tally, &plan, "p1");
    assert!(again.iter().all(|result| result["outcome"] == "repeated"), "{again:?}");
    // Another plan that wants the same finds it done.
    let another = applied(&tally, &plan, "p2");
    assert_eq!(another[0]["outcome"], "repeated", "{another:?}");
    assert_eq!(settled(&tally), "900");
    assert_eq!(planned(&tally, &json!({}))["charges"], json!([]));

    // And one that was made before it does not undo it.
    let mut stale = plan.clone();
    stale["catalogue"] = before.clone();
    stale["charges"][0]["now"] = stale["charges"][0]["before"].clone();
    let results = applied(&tally, &stale, "p3");
    assert!(results.iter().any(|result| result["code"] == "already_corrected"), "{results:?}");
    assert_eq!(settled(&tally), "900");

    // Back to what was charged first: a plan like any other.
    let back = planned(&tally, &json!({ "catalogue": before }));
    let results = applied(&tally, &back, "p4");
    assert!(results.iter().all(|result| result["outcome"] == "applied"), "{results:?}");
    assert_eq!(settled(&tally), "990");

    // What is not as the plan has it is refused.
    let mut wrong = planned(&tally, &json!({}));
    wrong["charges"][0]["now"]["credits"] = json!("41");
    let results = applied(&tally, &wrong, "p5");
    assert!(results.iter().any(|result| result["code"] == "plan_differs"), "{results:?}");

    let verified = tally.got("/v1/verify");
    assert_eq!(verified["holds"], true, "{verified}");
}

#[test]
fn a_producer_corrects_and_takes_back_what_it_sent() {
    let tally = started();
    tally.send(&[chat("a", "1", 4_000)]);
    let mut replace = chat("a", "1b", 6_000);
    replace["data"]["corrects"] = json!("1");
    // Together with what it corrects: the order of the log decides.
    let mut of_the_same = chat("a", "3b", 1_000);
    of_the_same["data"]["corrects"] = json!("3");
    let ended = tally.send(&[replace, chat("a", "3", 2_000), of_the_same]);
    assert_eq!((&ended[0]["outcome"], &ended[0]["change"]), (&json!("corrected"), &json!("2")));
    assert_eq!((&ended[2]["outcome"], &ended[2]["change"]), (&json!("corrected"), &json!("-1")));
    assert_eq!(settled(&tally), "993");
    let void = event("a", "1c", json!({ "feature": "chat", "corrects": "1" }));
    let ended = tally.send(&[void]);
    assert_eq!((&ended[0]["outcome"], &ended[0]["change"]), (&json!("corrected"), &json!("-6")));
    assert_eq!(settled(&tally), "999");
    let told = tally.got("/v1/events?source=test&id=1c");
    assert_eq!(told["state"], "corrected", "{told}");
    let verified = tally.got("/v1/verify");
    assert_eq!(verified["holds"], true, "{verified}");
}

#[test]
fn held_back_usage_is_let_in_or_left_out() {
    let tally = started();
    let mut old = chat("a", "old", 5_000);
    old["time"] = json!("2024-01-01T00:00:00Z");
    let mut older = old.clone();
    older["id"] = json!("older");
    let ended = tally.send(&[old, older]);
    assert_eq!(ended[0]["outcome"], "quarantined");
    tally.wait_for_projection();
    let held = tally.got("/v1/quarantine");
    let entries: Vec<&str> = held["quarantine"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["entry"].as_str().unwrap())
        .collect();
    assert_eq!(entries.len(), 2, "{held}");
    let decide = |entry: &str, word: &str| format!("/v1/quarantine/{entry}/{word}");
    let reason = json!({ "reason": "the exporter was down" });
    let accepted = tally.posted(201, &decide(entries[0], "accept"), &reason);
    assert_eq!(
        (&accepted["decision"], &accepted["held"]),
        (&json!("accepted"), &json!(entries[0]))
    );
    tally.posted(201, &decide(entries[1], "reject"), &reason);
    assert_eq!(settled(&tally), "995");
    let again = tally.post(&decide(entries[1], "accept")).body(reason.to_string()).send().unwrap();
    let (status, body) = problem(again);
    assert_eq!((status, body["type"].as_str()), (409, Some("not_quarantined")));
    let nothing = tally.post(&decide("0-999", "accept")).body(reason.to_string()).send().unwrap();
    assert_eq!(problem(nothing).0, 404);
    tally.wait_for_projection();
    assert_eq!(tally.got("/v1/quarantine")["quarantine"], json!([]));
    let decided = tally.got("/v1/quarantine?state=all");
    let states: Vec<&Value> =
        decided["quarantine"].as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert!(states.contains(&&json!("accepted")) && states.contains(&&json!("rejected")));
    let verified = tally.got("/v1/verify");
    assert_eq!(verified["holds"], true, "{verified}");
}
