//! What documents are refused for, and how the catalogue chooses among versions.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use calendar::{Period, Zone};
use domain::{CatalogueId, Credits, Item, Measure, Reason, Timestamp, UsageEvent};
use rating::{
    Allowance, Anchor, Body, Catalogue, Document, DocumentError, Kind, OnExhausted, Overage, Plan,
    PlanPrice, Rollover, Standing, Trial, quote, rate, would_differ,
};

const CARD_HEAD: &str = "id = \"card\"\neffective_from = \"2023-01-01T00:00:00Z\"\n\
    currency = \"USD\"\ncredits_per_currency_unit = \"10000\"\ncredit_decimals = 4\n";
const BOOK_HEAD: &str =
    "id = \"vendors\"\neffective_from = \"2023-01-01T00:00:00Z\"\ncurrency = \"USD\"\n";

fn card(rules: &str) -> String {
    format!("{CARD_HEAD}{rules}")
}

fn refusal(toml: &str) -> DocumentError {
    match Document::parse(toml) {
        Ok(_) => panic!("accepted:\n{toml}"),
        Err(error) => error,
    }
}

fn parse(toml: &str) -> Document {
    Document::parse(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

#[test]
fn refusals_say_code_place_and_what_is_near() {
    let rule = |matched: &str, charge: &str| {
        card(&format!("[[rule]]\nname = \"heavy\"\nmatch = {{{matched}}}\ncharge = {{{charge}}}\n"))
    };
    let book = |price: &str| format!("{BOOK_HEAD}[[price]]\n{price}\n");
    let plan = |more: &str| {
        format!(
            "id = \"pro\"\neffective_from = \"2026-01-01T00:00:00Z\"\nrate_card = \"c\"\n{more}"
        )
    };
    for (toml, code, says) in [
        ("id = \"a\"\nid = \"b\"".into(), "repeated_key", "line 2 `id`"),
        ("= 3".into(), "invalid_toml", "line 1"),
        (rule("modle = \"a\"", "free = true"), "unknown_key", "did you mean `model`?"),
        (rule("model = \"a\"", "fre = true"), "unknown_key", "did you mean `free`?"),
        (rule("traffic = \"custmer\"", "free = true"), "unknown_word", "mean `customer`?"),
        (rule("model = 3", "free = true"), "wrong_type", "`match.model`"),
        (rule("model = []", "free = true"), "bad_text", "empty list"),
        (rule("", "free = false"), "keys_conflict", "`charge.free`"),
        (rule("", ""), "missing_key", "says one of free"),
        (rule("", "free = true, cost_plus = \"1\""), "keys_conflict", "free and cost_plus"),
        (rule("", "cost_plus = 1.3"), "wrong_type", "rule 1 \"heavy\", `charge.cost_plus`"),
        (rule("", "cost_plus = \"1e3\""), "bad_number", "not a plain decimal"),
        (rule("", "credits_per_unit = \"-1\""), "bad_number", "negative"),
        (rule("", "tokens_per_credit = \"0\""), "bad_number", "more than zero"),
        (rule("", "credits_per_event = \"1\", plus_credits = \"1\""), "keys_conflict", "per item"),
        (rule("", "cost_plus = \"1\", unit = \"2\""), "keys_conflict", "credits_per_unit only"),
        (
            rule("", "credits_per_million_tokens = { inputs = \"1\" }"),
            "unknown_pool",
            "did you mean `input`?",
        ),
        (card(""), "missing_key", "at least one [[rule]]"),
        (card("rules = 3"), "unknown_key", "did you mean `rule`?"),
        (
            CARD_HEAD.replace("= 4", "= 13") + "[[rule]]\nmatch={}\ncharge={free=true}",
            "bad_number",
            "from 0 to 12",
        ),
        (
            CARD_HEAD.replace("2023-01-01T00", "2023-13-01T00")
                + "[[rule]]\nmatch={}\ncharge={free=true}",
            "bad_time",
            "effective_from",
        ),
        (
            CARD_HEAD.replace("credits_per_currency_unit = \"10000\"\n", "")
                + "[[rule]]\nmatch={}\ncharge={cost_plus=\"1\"}",
            "missing_key",
            "credits_per_currency_unit",
        ),
        (book("model = \"m\""), "missing_key", "price 1 \"m\", `per_million_tokens`"),
        (book("model = \"m*\"\nper_million_tokens = {input=\"1\"}"), "bad_text", "exact names"),
        (book("meter = \"m\"\nper_million_tokens = {input=\"1\"}"), "keys_conflict", "per_unit"),
        (book("model = \"m\"\nper_unit = \"1\""), "keys_conflict", "needs a `meter`"),
        (
            book(
                "model = \"m\"\nper_million_tokens = {input=\"1\"}\n[[price]]\nmodel = \"n\"\n\
                 aliases = [\"m\"]\nper_million_tokens = {input=\"2\"}",
            ),
            "repeated_price",
            "price 2 \"n\"",
        ),
        (
            book(
                "model = \"m\"\nper_million_tokens = {input=\"1\"}\n\
                 [[price.when]]\nper_million_tokens = {input=\"2\"}",
            ),
            "missing_key",
            "condition 1",
        ),
        (plan("on_exhausted = \"overdrft\""), "unknown_word", "did you mean `overdraft`?"),
        (
            plan("allowance = { credits = \"1\", timezone = \"Europe/Berlim\" }"),
            "unknown_timezone",
            "`allowance.timezone`: `Europe/Berlim`",
        ),
        (
            plan("allowance = { credits = \"1\", timezone = \"CET-1CEST\" }"),
            "unknown_timezone",
            "IANA",
        ),
        (
            plan("allowance = { credits = \"1\", period = \"weak\" }"),
            "unknown_word",
            "did you mean `week`?",
        ),
        (plan("allowance = { credits = \"0\" }"), "bad_number", "`allowance.credits`"),
        (plan("trial = { credits = \"0.0\", days = 3 }"), "bad_number", "`trial.credits`"),
        (plan("low_balance = \"-1\""), "bad_number", "`low_balance`"),
        (plan("rollover = {}"), "keys_conflict", "needs an `allowance`"),
        (
            plan("allowance = { credits = \"1\" }\nrollover = { max_credits = \"-1\" }"),
            "bad_number",
            "`rollover.max_credits`",
        ),
        (plan("overage = {}"), "keys_conflict", "`overage`: goes with"),
        (
            plan("on_exhausted = \"overdraft\"\noverdraft = { max_credits = \"1\" }\noverage = {}"),
            "keys_conflict",
            "`overage`: goes with",
        ),
        (
            plan("on_exhausted = \"overage\"\noverdraft = { max_credits = \"1\" }"),
            "keys_conflict",
            "`overdraft`: goes with",
        ),
        (plan("overdraft = { max_credits = \"1\" }"), "keys_conflict", "`overdraft`: goes with"),
        (plan("on_exhausted = \"overdraft\""), "missing_key", "`overdraft`: is required"),
        (
            plan("on_exhausted = \"overdraft\"\noverdraft = {}"),
            "missing_key",
            "`overdraft.max_credits`",
        ),
    ] {
        let error = refusal(&toml);
        let sentence = error.to_string();
        assert_eq!(error.code(), code, "{sentence}\n{toml}");
        assert!(sentence.contains(says), "{sentence:?} does not say {says:?}");
    }
}

#[test]
fn rules_that_nothing_is_left_for_are_refused() {
    let two = |first: &str, second: &str| {
        let rule =
            |matched: &str| format!("[[rule]]\nmatch = {{{matched}}}\ncharge = {{free = true}}\n");
        card(&format!("{}{}", rule(first), rule(second)))
    };
    for (first, second, is_reachable) in [
        ("", "model = \"a\"", false),
        ("model = \"*\"", "model = \"gpt*\"", false),
        ("model = \"*\"", "meter = \"pages\"", true),
        ("model = \"*\"", "model = \"a\", meter = \"image\"", false),
        ("model = \"a\"", "model = \"a\"", false),
        ("model = [\"a*\", \"b\"]", "model = [\"ab\", \"b\"]", false),
        ("model = [\"a*\", \"b\"]", "model = [\"ab\", \"c\"]", true),
        ("model = \"a\", team = \"t\"", "model = \"a\"", true),
        ("model = \"a\"", "model = \"a\", team = \"t\"", false),
        ("feature = \"*\"", "team = \"t\"", false),
        ("team = \"*\"", "feature = \"f\"", true),
        ("status = [\"ok\", \"error\"]", "status = \"error\"", false),
        ("traffic = \"*\"", "", false),
        ("service_tier = \"standard\"", "service_tier = \"default\"", false),
        ("\"attributes.size\" = \"1*\"", "attributes = { size = \"10*\" }", false),
        ("\"attributes.size\" = \"1*\"", "\"attributes.region\" = \"10\"", true),
    ] {
        match Document::parse(&two(first, second)) {
            Ok(_) => assert!(is_reachable, "{second} after {first}"),
            Err(error) => {
                assert!(!is_reachable, "{error}");
                assert_eq!(error.code(), "unreachable_rule");
                assert!(error.to_string().contains("rule 2"), "{error}");
            }
        }
    }
    // What several earlier rules take between them is seen as well.
    let rules = ["a", "b\", \"c", "c\", \"a"].map(|models| {
        format!("[[rule]]\nmatch = {{model = [\"{models}\"]}}\ncharge = {{free = true}}\n")
    });
    assert_eq!(refusal(&card(&rules.concat())).code(), "unreachable_rule");
}

#[test]
fn kinds_are_told_by_content() {
    for (toml, kind) in [
        (card("[[rule]]\nmatch = {}\ncharge = {free = true}"), Kind::RateCard),
        (format!("{BOOK_HEAD}[[price]]\nmeter = \"m\"\nper_unit = \"1\""), Kind::PriceBook),
        ("id = \"defaults\"\neffective_from = \"2026-01-01T00:00:00Z\"".to_owned(), Kind::Defaults),
        (PRO.to_owned(), Kind::Plan),
    ] {
        assert_eq!(parse(&toml).kind(), kind);
    }
}

const PRO: &str = r#"
id = "pro"
effective_from = "2026-01-01T00:00:00Z"
rate_card = "standard"
price = { amount = "49", currency = "USD" }
allowance = { credits = "20000", period = "month", anchor = "anniversary", timezone = "UTC" }
rollover = { max_credits = "5000", expires_after_periods = 1 }
on_exhausted = "overage"
overage = { max_credits = "10000", price_per_1000_credits = "3.00" }
trial = { credits = "500", days = 14 }
low_balance = "100"
"#;

fn plan_of(document: &Document) -> &Plan {
    match document.body() {
        Body::Plan(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plan_is_read_whole_and_a_short_one_has_defaults() {
    let pro = parse(PRO);
    let credits = Credits::from_units;
    let money = |text: &str| text.parse().unwrap();
    let usd = domain::Currency::USD;
    let expected = Plan {
        rate_card: "standard".into(),
        price: Some(PlanPrice { amount: money("49"), currency: usd }),
        allowance: Some(Allowance {
            credits: credits(20_000),
            period: Period::Month,
            anchor: Anchor::Anniversary,
            timezone: Zone::utc(),
        }),
        rollover: Some(Rollover { max_credits: Some(credits(5_000)), expires_after_periods: 1 }),
        on_exhausted: OnExhausted::Overage,
        overage: Some(Overage {
            max_credits: Some(credits(10_000)),
            price_per_1000_credits: Some(money("3")),
        }),
        overdraft_max: None,
        trial: Some(Trial { credits: credits(500), days: 14 }),
        shortfall_repaid_by_grants: true,
        low_balance: Some(credits(100)),
    };
    assert_eq!(*plan_of(&pro), expected);
    for period in Period::ALL {
        let toml = PRO.replace("\"month\"", &format!("\"{}\"", period.word()));
        let toml =
            toml.replace("\"UTC\"", "\"america/sao_paulo\"").replace("anniversary", "calendar");
        let allowance = plan_of(&parse(&toml)).allowance.clone().unwrap();
        assert_eq!((allowance.period, allowance.anchor), (period, Anchor::Calendar));
        assert_eq!(allowance.timezone.name(), "America/Sao_Paulo");
    }
    let toml = "id = \"pro\"\neffective_from = \"2026-01-01T00:00:00Z\"\nrate_card = \"c\"\n\
        allowance = { credits = \"7\" }\non_exhausted = \"overdraft\"\n\
        overdraft = { max_credits = \"5\" }";
    let short = parse(toml);
    let short = plan_of(&short);
    let allowance = short.allowance.as_ref().unwrap();
    assert_eq!((allowance.period, allowance.anchor), (Period::Month, Anchor::Anniversary));
    assert_eq!(allowance.timezone, Zone::utc());
    assert_eq!(short.overdraft_max, Some(credits(5)));
    assert_eq!((short.low_balance, short.shortfall_repaid_by_grants), (None, true));
}

fn flat_card(id: &str, from: &str, more: &str, credits: &str) -> Document {
    parse(&format!(
        "id = \"{id}\"\neffective_from = \"{from}\"\n{more}\ncurrency = \"USD\"\n\
         credit_decimals = 0\n[[rule]]\nmatch = {{}}\ncharge = {{credits_per_event = \"{credits}\"}}\n"
    ))
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn event() -> UsageEvent<'static> {
    UsageEvent {
        time: at("2026-06-01T00:00:00Z"),
        items: vec![Item {
            model: None,
            provider: None,
            service_tier: None,
            measure: Measure::Meter { meter: "m".into(), quantity: "1".parse().unwrap() },
            vendor_cost: None,
            attributes: Vec::new(),
            estimated: false,
        }],
        ..UsageEvent::default()
    }
}

/// Applies the documents in order, with ids from 0.
fn fold(documents: impl IntoIterator<Item = Document>) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (id, document) in (0..).zip(documents) {
        catalogue.apply(CatalogueId(id), document).unwrap();
    }
    catalogue
}

#[test]
fn times_are_half_open_and_the_latest_start_wins() {
    let catalogue = fold([
        flat_card("c", "2026-01-01T00:00:00Z", "", "1"),
        flat_card("c", "2026-03-01T00:00:00Z", "effective_to = \"2026-04-01T00:00:00Z\"", "2"),
        flat_card("c", "2026-02-01T00:00:00Z", "", "3"),
        flat_card("c", "2026-02-01T00:00:00Z", "", "4"),
    ]);
    for (time, credits) in [
        ("2025-12-31T23:59:59.999999Z", None),
        ("2026-01-01T00:00:00Z", Some(1)),
        ("2026-01-31T23:59:59.999999Z", Some(1)),
        // Of equal starts, the one published later.
        ("2026-02-01T00:00:00Z", Some(4)),
        ("2026-03-01T00:00:00Z", Some(2)),
        ("2026-03-31T23:59:59.999999Z", Some(2)),
        ("2026-04-01T00:00:00Z", Some(4)),
    ] {
        let found = quote(&catalogue, &event(), None, at(time));
        let expected = credits.map(Credits::from_units).ok_or(Reason::NoRateCard);
        assert_eq!(found.map(|r| r.credits).map_err(|u| u.reason), expected, "{time}");
    }
}

#[test]
fn plans_and_defaults_choose_the_card() {
    let plan = |id: &str, card: &str| {
        parse(&format!(
            "id = \"{id}\"\neffective_from = \"2026-01-01T00:00:00Z\"\nrate_card = \"{card}\""
        ))
    };
    let defaults = parse(
        "id = \"defaults\"\neffective_from = \"2026-05-01T00:00:00Z\"\n\
         default_rate_card = \"b\"\ndefault_plan = \"free\"",
    );
    let catalogue = fold([
        flat_card("a", "2026-01-01T00:00:00Z", "", "1"),
        flat_card("b", "2026-01-01T00:00:00Z", "", "2"),
        flat_card("c", "2026-06-01T00:00:00Z", "", "3"),
        plan("pro", "a"),
        plan("free", "c"),
        plan("lost", "nowhere"),
        defaults,
    ]);
    for (name, time, card) in [
        (Some("pro"), "2026-02-01T00:00:00Z", Some("a")),
        // Two cards and no defaults in force: no card is the only one.
        (None, "2026-02-01T00:00:00Z", None),
        // The default plan's card begins later; a plan's card is not replaced by a guess.
        (None, "2026-05-15T00:00:00Z", None),
        (None, "2026-06-01T00:00:00Z", Some("c")),
        (Some("unknown"), "2026-06-01T00:00:00Z", None),
        (Some("lost"), "2026-06-01T00:00:00Z", None),
    ] {
        let found = catalogue.rate_card_for(name, at(time));
        let id = found.and_then(|(id, _)| Some(catalogue.version(id)?.document.id().to_owned()));
        assert_eq!(id.as_deref(), card, "{name:?} at {time}");
    }
    assert_eq!(catalogue.default_plan(at("2026-06-01T00:00:00Z")), Some("free"));
    assert_eq!(catalogue.default_plan(at("2026-04-30T23:59:59Z")), None);
    let (version, plan) = catalogue.plan("pro", at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!((version, &*plan.rate_card), (CatalogueId(3), "a"));
    assert!(catalogue.plan("pro", at("2025-12-31T23:59:59Z")).is_none());
    assert!(catalogue.plan("nowhere", at("2026-01-01T00:00:00Z")).is_none());
}

#[test]
fn the_same_content_is_the_same_version_and_a_claimed_one_never_changes() {
    let first = flat_card("c", "2026-01-01T00:00:00Z", "", "1");
    let second = flat_card("c", "2026-02-01T00:00:00Z", "", "2");
    let catalogue = fold([first, second]);
    let check = |toml: Document| catalogue.check(&toml).map_err(|error| error.code());
    let reordered = parse(
        "credit_decimals = 0 # the same\ncurrency = \"USD\"\nid = \"c\"\n\
         effective_from = \"2026-01-01T00:00:00Z\"\n\
         rule = [{ charge = { credits_per_event = \"1\" }, match = {} }]",
    );
    let same = Standing::AlreadyPublished { id: CatalogueId(0), ordinal: 1 };
    assert_eq!(check(reordered), Ok(same));
    let claimed = |version: &str, credits: &str| {
        flat_card("c", "2026-01-01T00:00:00Z", &format!("version = {version}"), credits)
    };
    assert_eq!(check(claimed("1", "1")), Ok(same));
    assert_eq!(check(claimed("1", "9")), Err("version_conflict"));
    assert_eq!(check(claimed("3", "1")), Ok(Standing::New { ordinal: 3 }));
    assert_eq!(check(claimed("4", "9")), Err("version_conflict"));
    let other = flat_card("c", "2026-01-01T00:00:00Z", "", "9");
    assert_eq!(check(other), Ok(Standing::New { ordinal: 3 }));
    let elsewhere = flat_card("d", "2026-01-01T00:00:00Z", "", "1");
    assert_eq!(check(elsewhere), Ok(Standing::New { ordinal: 1 }));
}

#[test]
fn documents_that_do_not_fit_beside_the_others_are_refused() {
    let book = |currency: &str| {
        parse(&format!(
            "id = \"vendors\"\neffective_from = \"2023-01-01T00:00:00Z\"\n\
             currency = \"{currency}\"\n[[price]]\nmodel = \"m\"\n\
             per_million_tokens = {{ input = \"1\" }}\n[[price.when]]\n\
             service_tier = \"turbo\"\nper_million_tokens = {{ input = \"2\" }}"
        ))
    };
    let card = |currency: &str, matched: &str, charge: &str| {
        parse(&format!(
            "id = \"card\"\neffective_from = \"2023-01-01T00:00:00Z\"\n\
             currency = \"{currency}\"\ncredits_per_currency_unit = \"1\"\ncredit_decimals = 4\n\
             [[rule]]\nname = \"r\"\nmatch = {{{matched}}}\ncharge = {{{charge}}}"
        ))
    };
    let usd = fold([book("USD")]);
    let code = |catalogue: &Catalogue, document: Document| {
        catalogue.check(&document).map(|_| ()).map_err(|error| error.to_string())
    };
    let error = code(&usd, card("EUR", "", "cost_plus = \"1\"")).unwrap_err();
    assert!(error.contains("currency_mismatch") && error.contains("rule 1 \"r\""), "{error}");
    assert_eq!(code(&usd, card("EUR", "", "credits_per_unit = \"1\"")), Ok(()));
    assert!(code(&usd, book("EUR")).unwrap_err().contains("currency_mismatch"));
    let euros = fold([card("EUR", "", "cost_plus = \"1\"")]);
    assert!(code(&euros, book("USD")).unwrap_err().contains("currency_mismatch"));
    assert_eq!(code(&usd, card("USD", "service_tier = \"turbo\"", "free = true")), Ok(()));
    assert_eq!(code(&usd, card("USD", "service_tier = \"batch\"", "free = true")), Ok(()));
    let error = code(&usd, card("USD", "service_tier = \"trubo\"", "free = true")).unwrap_err();
    assert!(error.contains("did you mean `turbo`?"), "{error}");
    let error = code(&usd, parse(PRO)).unwrap_err();
    assert!(error.contains("unknown_document") && error.contains("`rate_card`"), "{error}");
    let priced = fold([book("USD"), flat_card("standard", "2023-01-01T00:00:00Z", "", "1")]);
    assert_eq!(code(&priced, parse(PRO)), Ok(()));
    let error = code(&priced, parse(&PRO.replace("USD", "EUR"))).unwrap_err();
    assert!(error.contains("currency_mismatch") && error.contains("price.currency"), "{error}");
    // Nor may the first book make a plan's price one in another currency.
    let planned = fold([parse(&PRO.replace("USD", "EUR"))]);
    assert!(code(&planned, book("USD")).unwrap_err().contains("currency_mismatch"));
    let defaults = |plan: &str| {
        parse(&format!(
            "id = \"defaults\"\neffective_from = \"2026-01-01T00:00:00Z\"\n\
             default_plan = \"{plan}\""
        ))
    };
    assert_eq!(code(&fold([parse(PRO)]), defaults("pro")), Ok(()));
    let error = code(&fold([parse(PRO)]), defaults("prp")).unwrap_err();
    assert!(error.contains("`default_plan`") && error.contains("did you mean `pro`?"), "{error}");
    let error = code(
        &usd,
        parse(
            "id = \"defaults\"\neffective_from = \"2026-01-01T00:00:00Z\"\n\
             price_books = [\"vendor\"]",
        ),
    )
    .unwrap_err();
    assert!(error.contains("did you mean `vendors`?"), "{error}");
}

#[test]
fn a_clone_keeps_what_it_saw_and_shows_what_a_version_changes() {
    let before = fold([flat_card("c", "2026-01-01T00:00:00Z", "", "1")]);
    let mut after = before.clone();
    assert!(would_differ(&before, &after, &event(), None).is_none());
    after.apply(CatalogueId(7), flat_card("c", "2026-05-01T00:00:00Z", "", "3")).unwrap();
    assert_eq!(rate(&before, &event(), None).unwrap().credits, Credits::from_units(1));
    let change = would_differ(&before, &after, &event(), None).unwrap();
    assert_eq!(change.credits(), Credits::from_units(2));
    assert_ne!(before.content_hash(), after.content_hash());
    assert!(after.apply(CatalogueId(7), flat_card("c", "2026-05-01T00:00:00Z", "", "3")).is_err());
    // The same amounts under another version are no change.
    let mut renamed = before.clone();
    renamed.apply(CatalogueId(9), flat_card("c", "2026-05-01T00:00:00Z", "", "1")).unwrap();
    assert!(would_differ(&before, &renamed, &event(), None).is_none());
}

#[test]
fn conditions_in_the_wrong_order_are_warned_of() {
    let document = parse(&format!(
        "{BOOK_HEAD}[[price]]\nmodel = \"m\"\nper_million_tokens = {{input=\"1\"}}\n\
         [[price.when]]\nprompt_tokens_over = 128000\nper_million_tokens = {{input=\"2\"}}\n\
         [[price.when]]\nprompt_tokens_over = 200000\nper_million_tokens = {{input=\"3\"}}\n"
    ));
    let [warning] = document.warnings() else { panic!("{:?}", document.warnings()) };
    assert!(warning.contains("condition 2 never decides"), "{warning}");
}
