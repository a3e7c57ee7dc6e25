//! Publishing: once, checked, and not behind the back of what is already charged.

use serde_json::{Value, json};

use crate::tally::{CARD, Tally, chat, event, problem};

fn publish(tally: &Tally, toml: &str, more: Value) -> (u16, Value) {
    let mut body = json!({ "toml": toml, "reason": "test" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let sent = tally.post("/v1/rates/versions").body(body.to_string()).send().unwrap();
    let status = sent.status().as_u16();
    (status, serde_json::from_str(&sent.text().unwrap()).unwrap())
}

#[test]
fn versions_are_published_once_and_never_retroactively_by_accident() {
    let tally = Tally::start().with_rates();
    let (status, again) = publish(&tally, CARD, json!({}));
    assert_eq!((status, again["already_published"].as_bool()), (200, Some(true)));
    let pens = json!({ "feature": "x", "items": [{ "meter": "pens", "quantity": "3" }] });
    let ended = tally.send(&[chat("a", "1", 1_000), chat("b", "2", 2_000), event("c", "3", pens)]);
    assert_eq!(ended[2]["outcome"], "unrated");

    // Dearer by half, for usage that is charged already; and the first price for pens.
    let dearer = CARD.replace("tokens_per_credit = \"1000\"", "tokens_per_credit = \"500\"")
        + "\n[[rule]]\nname = \"pens\"\nmatch = { meter = \"pens\" }\ncharge = { credits_per_unit = \"1\" }\n";
    let expected = json!({ "events": 2, "credits_difference": "3", "at_least": false });
    let (status, dry) = publish(&tally, &dearer, json!({ "dry_run": true }));
    assert_eq!(status, 200, "{dry}");
    assert_eq!(dry["charged_that_would_differ"], expected);
    assert_eq!(dry["unrated_covered"], 1);
    let (status, refused) = publish(&tally, &dearer, json!({}));
    assert_eq!((status, refused["type"].as_str()), (409, Some("retroactive_required")));
    assert_eq!(refused["charged_that_would_differ"], expected);
    assert_eq!(tally.got("/v1/rates")["versions"].as_array().unwrap().len(), 1);

    let (status, published) = publish(&tally, &dearer, json!({ "retroactive": true }));
    assert_eq!((status, published["version"].as_u64()), (201, Some(2)), "{published}");
    assert_eq!(published["adopted_by_all"], true);
    let versions = tally.got("/v1/rates");
    let in_force: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["in_force"].as_bool().unwrap())
        .collect();
    assert_eq!(in_force, [false, true]);
    let shown = tally.got("/v1/rates/rate_card/standard?version=1");
    assert_eq!(shown["toml"], CARD);

    // Other content under a version that is taken.
    let taken = format!("version = 1\n{dearer}");
    let body = json!({ "toml": taken }).to_string();
    let (status, refused) = problem(tally.post("/v1/rates/versions").body(body).send().unwrap());
    assert_eq!((status, refused["type"].as_str()), (409, Some("version_conflict")));

    // The waiting usage is charged by itself.
    testkit::wait_until(std::time::Duration::from_secs(20), || {
        tally.got("/v1/events?source=test&id=3")["state"] == "debit"
    })
    .unwrap();
    let explained = tally.got("/v1/events?source=test&id=3");
    assert_eq!(explained["credits"], "3");
    assert_eq!(explained["cause"]["kind"], "catalogue");
    assert!(explained["resolves"].is_string(), "{explained}");
}

#[test]
fn a_price_map_becomes_a_book_that_can_be_published() {
    let tally = Tally::start();
    let map = json!({ "m": { "litellm_provider": "p", "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6, "mode": "chat", "something_per_moon": 1 } });
    let body = json!({ "json": map.to_string(), "effective_from": "2023-01-01T00:00:00Z" });
    let imported = tally.posted(200, "/v1/rates/import/litellm", &body);
    assert_eq!(imported["represented"], 1, "{imported}");
    let (status, published) = publish(&tally, imported["toml"].as_str().unwrap(), json!({}));
    assert_eq!((status, published["kind"].as_str()), (201, Some("price_book")), "{published}");
}
