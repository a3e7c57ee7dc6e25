//! What a customer reads of prices, and what must not be in it.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use domain::{CatalogueId, Credits, Item, Measure, Pools, Side, Timestamp, Traffic, UsageEvent};
use rating::{
    Catalogue, Document, ListedCharge, ListedModel, ListedPrice, ListedRule, PriceList, price_list,
    quote,
};
use serde_json::{Value, json};

const OWN: &str = r#"
id = "own"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "gpt-4o"
provider = "openai"
per_million_tokens = { input = "2", output = "8" }
"#;

const VENDORS: &str = r#"
id = "vendors"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "gpt-4o"
aliases = ["gpt-4o-2024-08-06"]
provider = "openai"
per_million_tokens = { input = "2.50", output = "10.00", cache_read = "1.25" }
[[price.when]]
prompt_tokens_over = 200000
per_million_tokens = { input = "5.00" }
[[price.when]]
service_tier = "batch"
per_million_tokens = { input = "1.25", output = "5.00" }
[[price]]
model = "gpt-4o-mini"
per_million_tokens = { input = "0.15", output = "0.60" }
[[price]]
model = "heavy"
provider = "vendor"
per_million_tokens = { input = "7" }
[[price]]
model = "image-xl"
meter = "image"
per_unit = "0.04"
[[price.when]]
"attributes.size" = ["2048x2048", "4096*"]
per_unit = "0.16"
[[price]]
meter = "compute_seconds"
per_unit = "0.0008"
"#;

const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "10000"
credit_decimals = 4
[[rule]]
name = "internal traffic is free"
match = { traffic = ["internal", "test"] }
charge = { free = true }
[[rule]]
name = "a document summary"
match = { feature = "summarize" }
charge = { credits_per_event = "50" }
[[rule]]
name = "acme's own price"
match = { plan = "acme", model = "*" }
charge = { credits_per_million_tokens = { input = "1", output = "2" } }
[[rule]]
name = "pages, in blocks of ten"
match = { meter = "pages" }
charge = { credits_per_unit = "1", unit = "10", partial_unit = "up", minimum_credits = "2" }
[[rule]]
name = "small chat models by token"
match = { model = "gpt-4o-mini*", feature = ["chat", "translate"] }
charge = { tokens_per_credit = "5000" }
[[rule]]
name = "heavy"
match = { model = "heavy" }
charge = { price_per_million_tokens = { input = "10", output = "50" } }
[[rule]]
name = "seconds at cost plus 10 %"
match = { meter = "compute_seconds" }
charge = { cost_plus = "1.10" }
[[rule]]
name = "every other model: cost plus 30 %"
match = { model = "*" }
charge = { cost_plus = "1.30", plus_credits = "0.5" }
"#;

const PRO: &str = r#"
id = "pro"
effective_from = "2026-01-01T00:00:00Z"
rate_card = "standard"
price = { amount = "49", currency = "USD" }
allowance = { credits = "20000", period = "month", anchor = "anniversary", timezone = "Europe/Berlin" }
rollover = { max_credits = "5000", expires_after_periods = 1 }
on_exhausted = "overage"
overage = { max_credits = "10000", price_per_1000_credits = "3.00" }
trial = { credits = "500", days = 14 }
low_balance = "100"
"#;

fn fold(documents: &[&str]) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (id, toml) in (0..).zip(documents) {
        let document = Document::parse(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        catalogue.check(&document).unwrap();
        catalogue.apply(CatalogueId(id), document).unwrap();
    }
    catalogue
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn listed() -> PriceList {
    price_list(&fold(&[VENDORS, CARD, PRO]), Some("pro"), now())
}

fn models(rule: &ListedRule) -> &[ListedModel] {
    match &rule.charge {
        ListedCharge::ByModel { models } => models,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rules_are_listed_in_order_in_sentences() {
    let list = listed();
    let card = list.rate_card.as_ref().unwrap();
    assert_eq!((&*card.id, card.version, card.rounding), ("standard", 1, "half_even"));
    let says: Vec<_> = list
        .rules
        .iter()
        .map(|rule| (rule.number, rule.internal_only, rule.name.as_deref(), rule.says.as_str()))
        .collect();
    assert_eq!(
        says,
        [
            (1, true, Some("internal traffic is free"), "traffic internal or test: free"),
            (
                2,
                false,
                Some("a document summary"),
                "feature summarize: 50 credits per event, however many items it has of this rule"
            ),
            (
                4,
                false,
                Some("pages, in blocks of ten"),
                "meter pages: 1 credit per 10 units, begun ones counting whole, at least 2 for each item"
            ),
            (
                5,
                false,
                Some("small chat models by token"),
                "feature chat or translate and model gpt-4o-mini*: 1 credit per 5000 tokens, all kinds together"
            ),
            (
                6,
                false,
                Some("heavy"),
                "model heavy: credits per million tokens: 100000 for input, 500000 for output"
            ),
            (
                7,
                false,
                None,
                "meter compute_seconds: by model, as listed; for example compute_seconds, 8.8 credits per unit"
            ),
            (
                8,
                false,
                None,
                "model *: by model, as listed; for example gpt-4o (openai), credits per million tokens: \
                 32500 for input, 16250 for cache_read, 130000 for output, plus 0.5 for each item"
            ),
        ]
    );
}

#[test]
fn cost_plus_is_listed_as_the_credits_of_each_model_that_reaches_it() {
    let list = listed();
    let rules: Vec<Value> =
        list.rules[5..].iter().map(|rule| serde_json::to_value(models(rule)).unwrap()).collect();
    assert_eq!(rules[0], json!([{"meter": "compute_seconds", "credits_per_unit": "8.8"}]));
    // `heavy` has a rule of its own. The small model reaches this one outside of chat and translate.
    assert_eq!(
        rules[1],
        json!([
            {
                "model": "gpt-4o", "aliases": ["gpt-4o-2024-08-06"], "provider": "openai",
                "credits_per_million_tokens": {"input": "32500", "cache_read": "16250", "output": "130000"},
                "conditions": [
                    {
                        "prompt_tokens_over": 200000,
                        "credits_per_million_tokens": {"input": "65000", "cache_read": "16250", "output": "130000"}
                    },
                    {
                        "matches": [{"field": "service_tier", "values": ["batch"]}],
                        "credits_per_million_tokens": {"input": "16250", "cache_read": "16250", "output": "65000"}
                    }
                ]
            },
            {"model": "gpt-4o-mini", "credits_per_million_tokens": {"input": "1950", "output": "7800"}},
            {
                "model": "image-xl", "meter": "image", "credits_per_unit": "520",
                "conditions": [{
                    "matches": [{"field": "attributes.size", "values": ["2048x2048", "4096*"]}],
                    "credits_per_unit": "2080"
                }]
            }
        ])
    );
}

#[test]
fn a_plan_is_listed_with_its_terms() {
    let list = listed();
    let mut plan = serde_json::to_value(list.plan.as_ref().unwrap()).unwrap();
    let says = plan.as_object_mut().unwrap().remove("says").unwrap();
    assert_eq!(
        plan,
        json!({
            "id": "pro", "version": 1,
            "price": {"amount": "49", "currency": "USD"},
            "allowance": {
                "credits": "20000", "period": "month", "anchor": "anniversary", "timezone": "Europe/Berlin"
            },
            "rollover": {"max_credits": "5000", "expires_after_periods": 1},
            "trial": {"credits": "500", "days": 14},
            "on_exhausted": "overage",
            "overage": {
                "max_credits": "10000", "price_per_1000_credits": {"amount": "3", "currency": "USD"}
            },
            "shortfall_repaid_by_grants": true,
            "low_balance": "100"
        })
    );
    assert_eq!(
        says,
        json!([
            "The price of the plan is 49 USD each month.",
            "It includes 20000 credits each month, counted from the day on which the plan began, at midnight in Europe/Berlin.",
            "Up to 5000 of the credits left over can be used for one month more.",
            "A trial of 14 days with 500 credits comes first.",
            "When the credits are used up, usage goes on as overage at 3 USD per 1000 credits, up to 10000 credits.",
            "The next credits repay what was used past zero and is not billed.",
            "The balance counts as low below 100 credits."
        ])
    );
    let plain =
        "id = \"plain\"\neffective_from = \"2026-01-01T00:00:00Z\"\nrate_card = \"standard\"\n";
    let drawn = plain.replace("plain", "drawn")
        + "on_exhausted = \"overdraft\"\noverdraft = { max_credits = \"7\" }\n\
           shortfall_repaid_by_grants = false";
    let catalogue = fold(&[VENDORS, CARD, plain, &drawn]);
    for (id, says) in [
        ("plain", "When the credits are used up, nothing new can be reserved."),
        ("drawn", "When the credits are used up, the balance may go down to 7 credits below zero."),
    ] {
        let list = price_list(&catalogue, Some(id), now());
        assert_eq!(list.plan.unwrap().says, [says]);
    }
}

/// Numbers and names from which a customer could tell what the vendor takes, or what is put on top.
#[test]
fn neither_vendor_costs_nor_margins_nor_others_terms_are_in_it() {
    let text = serde_json::to_string(&listed()).unwrap();
    for hidden in [
        "1.3", "30 %", "1.1", "10 %", "cost", "vendor", "margin", "\"2.5\"", "\"1.25\"", "0.15",
        "0.04", "0.0008", "acme",
    ] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    // What the others take internally, often the bare cost, is nothing for customers either.
    let internal = "[[rule]]\nmatch = { traffic = \"internal\" }\ncharge = { cost_plus = \"1\" }\n";
    let card = CARD.replacen("[[rule]]", &format!("{internal}[[rule]]"), 1);
    let list = price_list(&fold(&[VENDORS, &card]), None, now());
    assert!(list.rules[0].internal_only && models(&list.rules[0]).is_empty());
    assert_eq!(list.rules[0].says, "traffic internal: by model, and none is listed");
    // Whoever has the plan sees the rule, and that it leaves nothing to the later one of the models.
    let acme = "id = \"acme\"\neffective_from = \"2026-01-01T00:00:00Z\"\nrate_card = \"standard\"";
    let list = price_list(&fold(&[VENDORS, CARD, acme]), Some("acme"), now());
    let own = list.rules.iter().find(|rule| rule.number == 3).unwrap();
    assert_eq!(own.name.as_deref(), Some("acme's own price"));
    assert!(models(list.rules.last().unwrap()).is_empty());
    assert!(list.rules.last().unwrap().says.contains("none is listed"));
}

#[test]
fn without_a_plan_or_a_card_little_or_nothing_is_listed() {
    let catalogue = fold(&[VENDORS, CARD, PRO]);
    let list = price_list(&catalogue, None, now());
    assert!(list.plan.is_none() && list.rules.len() == 7);
    for (plan, at) in
        [(Some("nowhere"), "2026-06-01T00:00:00Z"), (Some("pro"), "2025-01-01T00:00:00Z")]
    {
        let list = price_list(&catalogue, plan, at.parse().unwrap());
        assert!(list.plan.is_none() && list.rate_card.is_none() && list.rules.is_empty());
    }
    let defaults = "id = \"defaults\"\neffective_from = \"2026-01-01T00:00:00Z\"\n\
                    default_plan = \"pro\"";
    let list = price_list(&fold(&[VENDORS, CARD, PRO, defaults]), None, now());
    assert_eq!(&*list.plan.unwrap().id, "pro");
}

#[test]
fn the_book_that_is_asked_first_has_the_price_and_later_ones_what_it_lacks() {
    let catalogue = fold(&[OWN, VENDORS, CARD]);
    let list = price_list(&catalogue, None, now());
    let found: Vec<_> = models(list.rules.last().unwrap())
        .iter()
        .map(|listed| {
            let price = serde_json::to_value(&listed.price).unwrap();
            let input = price["credits_per_million_tokens"]["input"].clone();
            (listed.model.as_deref().unwrap(), input, listed.conditions.len())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("gpt-4o", json!("26000"), 0),
            // The own book prices no batch tier, and does not know the other name.
            ("gpt-4o", Value::Null, 1),
            ("gpt-4o-2024-08-06", json!("32500"), 2),
            ("gpt-4o-mini", json!("1950"), 0),
            ("image-xl", Value::Null, 1),
        ]
    );
}

#[test]
fn a_later_book_adds_only_tiers_that_no_earlier_one_prices() {
    let tiers = |tier: &str| {
        let when = format!(
            "[[price.when]]\nservice_tier = {tier}\nper_million_tokens = {{ input = \"9\" }}\n"
        );
        let price = OWN.replace("id = \"own\"", "id = \"later\"");
        let list = price_list(&fold(&[VENDORS, &(price + &when), CARD]), None, now());
        models(list.rules.last().unwrap()).len()
    };
    // Of the three models that are listed anyway, one once more, for a tier of its own.
    assert_eq!(tiers("\"flex\""), 4);
    assert_eq!(tiers("[\"batch\", \"flex\"]"), 4);
    assert_eq!(tiers("\"batch\""), 3);
    assert_eq!(tiers("\"standard\""), 3);
}

#[test]
fn rules_by_provider_tier_and_traffic_keep_models_in_and_out() {
    let card = |rules: &str| {
        let head = "id = \"standard\"\neffective_from = \"2023-01-01T00:00:00Z\"\n\
            currency = \"USD\"\ncredits_per_currency_unit = \"1\"\ncredit_decimals = 4\n";
        format!("{head}{rules}")
    };
    let names = |rules: &str, number: usize| -> Vec<String> {
        let list = price_list(&fold(&[VENDORS, &card(rules)]), None, now());
        models(&list.rules[number - 1])
            .iter()
            .map(|listed| {
                let name = listed.model.as_deref().or(listed.meter.as_deref()).unwrap();
                format!(
                    "{name}{}{}",
                    if listed.price.is_some() { "" } else { "?" },
                    listed.conditions.len()
                )
            })
            .collect()
    };
    let rule = |matched: &str| {
        format!("[[rule]]\nmatch = {{{matched}}}\ncharge = {{cost_plus = \"1\"}}\n")
    };
    let all = ["gpt-4o2", "gpt-4o-mini0", "heavy0", "image-xl1", "compute_seconds0"];
    assert_eq!(names(&rule(""), 1), all);
    assert_eq!(names(&rule("model = \"*\""), 1), all[..4]);
    assert_eq!(
        names(&rule("provider = \"openai\""), 1),
        ["gpt-4o2", "gpt-4o-mini0", "image-xl1", "compute_seconds0"]
    );
    // An event need not say its provider, so that a rule by provider leaves something of its models.
    let two = |first: &str| rule(first) + &rule("");
    assert_eq!(names(&two("provider = \"openai\""), 2), all);
    assert_eq!(
        names(&two("model = [\"gpt-4o\", \"heavy\"]"), 2),
        ["gpt-4o-2024-08-062", "gpt-4o-mini0", "image-xl1", "compute_seconds0"]
    );
    assert_eq!(names(&two("service_tier = \"batch\""), 1), ["gpt-4o?1"]);
    assert_eq!(
        names(&two("service_tier = \"batch\""), 2),
        ["gpt-4o1", "gpt-4o-mini0", "heavy0", "image-xl1", "compute_seconds0"]
    );
    assert_eq!(names(&two("service_tier = \"b*\""), 1), ["gpt-4o?1"]);
    assert_eq!(
        names(&two("service_tier = \"standard\""), 1),
        ["gpt-4o1", "gpt-4o-mini0", "heavy0", "image-xl1", "compute_seconds0"]
    );
    assert_eq!(names(&two("traffic = [\"internal\", \"test\"]"), 1), Vec::<String>::new());
    assert_eq!(names(&two("traffic = [\"internal\", \"test\"]"), 2), all);
    assert_eq!(names(&two("traffic = \"customer\""), 2), Vec::<String>::new());
    assert_eq!(names(&two("team = \"t\""), 2), all);
    assert_eq!(names(&two("status = [\"ok\", \"error\"]"), 2), all);
}

/// What is listed for a model is what a million tokens of it are charged.
#[test]
fn a_listed_price_is_the_charge_of_a_million_tokens() {
    let catalogue = fold(&[OWN, VENDORS, CARD]);
    let mut checked = 0;
    let list = price_list(&catalogue, None, now());
    let rule = list.rules.last().unwrap();
    let plus: Credits = rule.plus_credits.unwrap().to_string().parse().unwrap();
    for listed in models(rule) {
        let Some(ListedPrice::CreditsPerMillionTokens(prices)) = &listed.price else { continue };
        for name in listed.model.iter().chain(&listed.aliases) {
            for (pool, credits) in &prices.0 {
                // Prompts are cut so that none is over a condition's limit.
                let (count, share) =
                    if pool.side() == Side::Input { (100_000, 10) } else { (1_000_000, 1) };
                let mut pools = Pools::default();
                pools[*pool] = count;
                let charged =
                    quote(&catalogue, &event(name, listed.provider.as_deref(), pools), None, now());
                let charged = charged.unwrap().credits.atoms() - plus.atoms();
                assert_eq!(charged * share, credits.atoms(), "{name} {}", pool.name());
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 2 + 3 + 2);
}

fn event<'a>(model: &'a str, provider: Option<&'a str>, pools: Pools) -> UsageEvent<'a> {
    UsageEvent {
        time: now(),
        traffic: Traffic::Customer,
        feature: "other".into(),
        items: vec![Item {
            model: Some(model.into()),
            provider: provider.map(Into::into),
            service_tier: None,
            measure: Measure::Tokens(pools),
            vendor_cost: None,
            attributes: Vec::new(),
            estimated: false,
        }],
        ..UsageEvent::default()
    }
}
