//! The bundled trace as usage events: a pure function of its rows, a seed and the time at which it
//! is to end. Same arguments, same bytes.
//!
//! What is real: when each request came (all moved by one amount, so that the last one is a moment
//! ago), and how many tokens its prompt and its answer had. What is made up, by [`SplitMix64`]:
//!
//! | part | how |
//! |---|---|
//! | accounts | 40; the k-th most active gets 1/k of the first one's requests (Zipf's law, exponent 1) |
//! | users | 3 to 42 per account, more in the larger ones; each belongs to one of five teams for good |
//! | features | seven, by the weights of [`FEATURES`]; each has models of its own |
//! | cached tokens | in two of five prompts above 1,024 tokens, a quarter to three quarters of them; OpenAI and Google count them inside the prompt, Anthropic beside it, and so do the events |
//! | reasoning tokens | for models that reason, a fifth to three fifths of the answer |
//! | agent tasks | the request's own call, two to four smaller ones by other models, computing time, and sometimes an email, in one event |
//! | traffic | 2 % internal, 1 % test, 0.5 % evaluation |
//! | status | 0.8 % errors |
//! | late | 0.5 % happened up to 20 hours before they are sent |
//! | a model without a price | 61 requests of customers, of `qwen3-next-80b` |
//! | duplicates | 1 % are sent again, byte for byte, up to 200 requests later |
//! | conflicts | 3 are sent again under the same id with another token count |
//! | bad lines | 6, one of each kind of [`BAD_LINES`] |
//!
//! An event's id carries the run's name, so that a second run over the same data folder is new
//! usage, while the same run sent twice is not.

use std::collections::BTreeMap;

use domain::Timestamp;

use super::event::{Counting, Data, Event, Item, QuantityItem, TokenItem};
use super::random::SplitMix64;
use super::rows::Row;

/// What [`lines`] is given beside the rows.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// When the last request of the trace is to have come.
    pub(crate) ends_at: Timestamp,
    /// Part of every event's id.
    pub(crate) run: String,
}

/// What a line is meant to end as, for the tests and for what the demo prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intent {
    Charged,
    /// Charged once a price for its model is published.
    WithoutPrice,
    Duplicate,
    Conflict,
    Bad,
}

/// One line of JSON to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) intent: Intent,
}

pub(crate) const SOURCE: &str = "/demo/azure-2023";
/// Names that mean nothing, most active first.
pub(crate) const ACCOUNTS: [&str; 40] = [
    "acct_aster",
    "acct_birch",
    "acct_cedar",
    "acct_dahlia",
    "acct_elm",
    "acct_fern",
    "acct_ginkgo",
    "acct_hazel",
    "acct_iris",
    "acct_juniper",
    "acct_kapok",
    "acct_laurel",
    "acct_maple",
    "acct_nettle",
    "acct_oak",
    "acct_pine",
    "acct_quince",
    "acct_rowan",
    "acct_sorrel",
    "acct_thyme",
    "acct_ulmus",
    "acct_viola",
    "acct_willow",
    "acct_xylia",
    "acct_yarrow",
    "acct_zinnia",
    "acct_alder",
    "acct_beech",
    "acct_clover",
    "acct_daisy",
    "acct_erica",
    "acct_fir",
    "acct_gorse",
    "acct_holly",
    "acct_ivy",
    "acct_jasmine",
    "acct_kale",
    "acct_larch",
    "acct_mallow",
    "acct_neem",
];
const TEAMS: [&str; 5] = ["growth", "platform", "research", "sales", "support"];
const REGIONS: [&str; 3] = ["eu", "us", "apac"];

/// How a vendor counts the cached part of a prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cached {
    Inside,
    Beside,
}

struct Model {
    name: &'static str,
    provider: &'static str,
    cached: Cached,
    reasons: bool,
}

const fn model(name: &'static str, provider: &'static str, cached: Cached, reasons: bool) -> Model {
    Model { name, provider, cached, reasons }
}

const GPT_4O: Model = model("gpt-4o", "openai", Cached::Inside, false);
const GPT_4O_MINI: Model = model("gpt-4o-mini", "openai", Cached::Inside, false);
const GPT_5: Model = model("gpt-5", "openai", Cached::Inside, true);
const GPT_5_4_MINI: Model = model("gpt-5.4-mini", "openai", Cached::Inside, true);
const GPT_5_2_CODEX: Model = model("gpt-5.2-codex", "openai", Cached::Inside, true);
const CLAUDE_HAIKU: Model = model("claude-haiku-4-5", "anthropic", Cached::Beside, false);
const CLAUDE_SONNET: Model = model("claude-sonnet-4-5", "anthropic", Cached::Beside, false);
const GEMINI_FLASH: Model = model("gemini-2.5-flash", "vertex_ai", Cached::Inside, true);
const DEEPSEEK: Model = model("deepseek-chat", "deepseek", Cached::Inside, false);
const UNPRICED: Model = model("qwen3-next-80b", "self-hosted", Cached::Inside, false);

/// A feature, its share of the requests, and its models with theirs.
struct Feature {
    name: &'static str,
    weight: u64,
    models: &'static [(Model, u64)],
}

const FEATURES: [Feature; 7] = [
    Feature {
        name: "chat",
        weight: 44,
        models: &[
            (GPT_4O_MINI, 45),
            (GPT_5_4_MINI, 20),
            (GPT_4O, 15),
            (GEMINI_FLASH, 12),
            (DEEPSEEK, 8),
        ],
    },
    Feature { name: "support-reply", weight: 16, models: &[(CLAUDE_HAIKU, 80), (GPT_4O_MINI, 20)] },
    Feature { name: "summarize", weight: 14, models: &[(GEMINI_FLASH, 60), (GPT_4O_MINI, 40)] },
    Feature { name: "translate", weight: 10, models: &[(GPT_4O_MINI, 70), (GEMINI_FLASH, 30)] },
    Feature { name: "code-review", weight: 8, models: &[(CLAUDE_SONNET, 60), (GPT_5_2_CODEX, 40)] },
    Feature { name: RESEARCH, weight: 5, models: &[(CLAUDE_SONNET, 50), (GPT_5, 50)] },
    Feature { name: IMPORT, weight: 3, models: &[(GEMINI_FLASH, 100)] },
];
const RESEARCH: &str = "research-agent";
const IMPORT: &str = "document-import";

const UNPRICED_EVERY: usize = 320;
const CONFLICT_AT: [usize; 3] = [2_000, 9_000, 15_000];
const BAD_EVERY: usize = 3_000;
const RESENT_AFTER_MAX: u64 = 200;
const LATE_SECONDS_MAX: u64 = 20 * 3_600;

/// Lines that nothing can be charged for, each with a reason of its own. `{id}`, `{time}` and
/// `{account}` are filled in.
const BAD_LINES: [&str; 6] = [
    r#"{"specversion":"1.0","type":"tally.usage.v1","source":"/demo/azure-2023","id":"{id}","time":"{time}","subject":"{account}","data":{"feature":"chat","items":[{"model":"gpt-4o","provider":"openai","tokens":{"input":-12}}]}}"#,
    r#"{"specversion":"1.0","type":"tally.usage.v1","source":"/demo/azure-2023","id":"{id}","time":"{time}","subject":"{account}","data":{"feature":"chat","items":[{"meter":"email_send","quantity":1.5}]}}"#,
    r#"{"specversion":"1.0","type":"tally.usage.v1","source":"/demo/azure-2023","id":"{id}","time":"{time}","data":{"feature":"chat","items":[{"meter":"email_send","quantity":"1"}]}}"#,
    r#"{"specversion":"1.0","type":"tally.usage.v1","source":"/demo/azure-2023","id":"{id}","time":"yesterday","subject":"{account}","data":{"feature":"chat","items":[{"meter":"email_send","quantity":"1"}]}}"#,
    r#"{"specversion":"1.0","type":"tally.usage.v1","source":"/demo/azure-2023","id":"{id}","time":"{time}","subject":"{account}","data":{"feature":"chat","items":[{"model":"gpt-4o","provider":"openai","counting":"inclusive","tokens":{"input":100,"cache_read":900}}]}}"#,
    r#"request {id} of {account} at {time}: 12 tokens"#,
];

/// The lines to send, in the order in which to send them.
pub(crate) fn lines(rows: &[Row], plan: &Plan) -> Vec<Line> {
    let mut random = SplitMix64::new(plan.seed);
    let moved = rows.last().map_or(0, |last| plan.ends_at.since(last.at));
    let mut lines = Vec::with_capacity(rows.len() + rows.len() / 64);
    // What is to be sent again, by the number of the request after which it is.
    let mut resent: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let at = row.at.plus_micros(moved);
        let unpriced = number % UNPRICED_EVERY == UNPRICED_EVERY / 2;
        let event = event(&mut random, row, &format!("{}-{number:05}", plan.run), at, unpriced);
        let text = json(&event);
        if random.chance(10) {
            let again_after = number + 1 + random.below(RESENT_AFTER_MAX) as usize;
            resent.entry(again_after.min(rows.len() - 1)).or_default().push(text.clone());
        }
        let intent = if unpriced { Intent::WithoutPrice } else { Intent::Charged };
        lines.push(Line { text, intent });
        if CONFLICT_AT.contains(&number) {
            lines.push(Line { text: json(&contradicted(event)), intent: Intent::Conflict });
        }
        if number % BAD_EVERY == BAD_EVERY / 2
            && let Some(form) = BAD_LINES.get(number / BAD_EVERY)
        {
            lines.push(Line { text: bad(form, number, plan, at), intent: Intent::Bad });
        }
        for text in resent.remove(&number).unwrap_or_default() {
            lines.push(Line { text, intent: Intent::Duplicate });
        }
    }
    lines
}

fn event(random: &mut SplitMix64, row: &Row, id: &str, at: Timestamp, unpriced: bool) -> Event {
    let rank = random.weighted((1..=ACCOUNTS.len() as u64).map(|rank| 1_000_000 / rank));
    let account = ACCOUNTS[rank];
    let user = random.below(3 + 40 / (rank as u64 + 1));
    let feature = &FEATURES[random.weighted(FEATURES.iter().map(|feature| feature.weight))];
    let chosen = &feature.models[random.weighted(feature.models.iter().map(|(_, weight)| *weight))];
    let late = random.chance(5).then(|| 1 + random.below(LATE_SECONDS_MAX));
    let traffic = match random.below(1_000) {
        // What is free needs no price.
        _ if unpriced => "customer",
        0..20 => "internal",
        20..30 => "test",
        30..35 => "evaluation",
        _ => "customer",
    };
    let status = if random.chance(8) && !unpriced { "error" } else { "ok" };
    let region = REGIONS[rank % REGIONS.len()];
    let (name, items) = if unpriced {
        ("chat", vec![call(random, &UNPRICED, row.context_tokens, row.generated_tokens)])
    } else {
        let own = call(random, &chosen.0, row.context_tokens, row.generated_tokens);
        let mut items = vec![own];
        extend(random, feature.name, row, &mut items);
        (feature.name, items)
    };
    Event {
        specversion: "1.0",
        kind: "tally.usage.v1",
        source: SOURCE,
        id: id.to_owned(),
        time: at.plus_micros(-(late.unwrap_or(0) as i64) * 1_000_000),
        subject: account.to_owned(),
        data: Data {
            user: format!("u_{rank}_{user}"),
            // By the user's number, so that a user stays in one team.
            team: TEAMS[(user as usize + rank) % TEAMS.len()],
            feature: name,
            traffic,
            run: (name == RESEARCH).then(|| format!("run_{id}")),
            status,
            attributes: BTreeMap::from([("region", region)]),
            items,
        },
    }
}

/// What a feature does beside the request's own call.
fn extend(random: &mut SplitMix64, feature: &str, row: &Row, items: &mut Vec<Item>) {
    match feature {
        RESEARCH => {
            for _ in 0..2 + random.below(3) {
                let helper = if random.chance(700) { &GPT_4O_MINI } else { &GEMINI_FLASH };
                let context = row.context_tokens / (2 + random.below(4)) + 50;
                items.push(call(random, helper, context, row.generated_tokens / 2 + 10));
            }
            let tenths = 20 + random.below(600);
            items.push(quantity("compute_seconds", format!("{}.{}", tenths / 10, tenths % 10)));
            items.push(quantity("workflow_run", "1".to_owned()));
            if random.chance(300) {
                items.push(quantity("email_send", "1".to_owned()));
            }
            if random.chance(100) {
                items.push(Item::Quantity(QuantityItem {
                    model: Some("image-xl"),
                    meter: "image",
                    quantity: "1".to_owned(),
                }));
            }
        }
        IMPORT => items.push(quantity("pages", (1 + random.below(40)).to_string())),
        "support-reply" if random.chance(250) => {
            items.push(quantity("email_send", "1".to_owned()));
        }
        _ => {}
    }
}

fn call(random: &mut SplitMix64, model: &Model, context: u64, generated: u64) -> Item {
    let cached = match context > 1_024 && random.chance(400) {
        true => context * (25 + random.below(51)) / 100,
        false => 0,
    };
    let reasoning = if model.reasons { generated * (20 + random.below(41)) / 100 } else { 0 };
    let input = if model.cached == Cached::Beside { context - cached } else { context };
    let mut tokens = BTreeMap::from([("input", input), ("output", generated)]);
    if cached > 0 {
        tokens.insert("cache_read", cached);
    }
    if reasoning > 0 {
        tokens.insert("reasoning", reasoning);
    }
    let counting = (cached > 0 || reasoning > 0).then_some(match model.cached {
        Cached::Inside => Counting::Both("inclusive"),
        Cached::Beside => Counting::PerSide { input: "exclusive", output: "inclusive" },
    });
    Item::Tokens(TokenItem { model: model.name, provider: model.provider, counting, tokens })
}

fn quantity(meter: &'static str, quantity: String) -> Item {
    Item::Quantity(QuantityItem { model: None, meter, quantity })
}

/// The same identity with another meaning.
fn contradicted(mut event: Event) -> Event {
    for item in &mut event.data.items {
        if let Item::Tokens(item) = item
            && let Some(output) = item.tokens.get_mut("output")
        {
            *output += 1_000;
        }
    }
    event
}

fn bad(form: &str, number: usize, plan: &Plan, at: Timestamp) -> String {
    form.replace("{id}", &format!("{}-bad-{number}", plan.run))
        .replace("{time}", &at.to_string())
        .replace("{account}", ACCOUNTS[number % ACCOUNTS.len()])
}

fn json(event: &Event) -> String {
    // Texts, numbers and maps with text keys: this cannot fail.
    serde_json::to_string(event).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::demo::rows;

    fn plan() -> Plan {
        Plan { seed: 2023, ends_at: "2026-11-20T12:00:00Z".parse().unwrap(), run: "r1".to_owned() }
    }

    fn trace() -> Vec<Line> {
        lines(&rows::bundled().unwrap(), &plan())
    }

    fn count(lines: &[Line], intent: Intent) -> usize {
        lines.iter().filter(|line| line.intent == intent).count()
    }

    #[test]
    fn the_same_arguments_give_the_same_bytes() {
        let rows = rows::bundled().unwrap();
        assert_eq!(lines(&rows, &plan()), lines(&rows, &plan()));
        assert_ne!(lines(&rows, &plan()), lines(&rows, &Plan { seed: 1, ..plan() }));
    }

    #[test]
    fn every_line_decodes_except_the_bad_ones_each_for_a_reason_of_its_own() {
        let mut reasons = BTreeSet::new();
        for line in trace() {
            match (line.intent, wire::decode_usage(line.text.as_bytes())) {
                (Intent::Bad, Err(fault)) => assert!(reasons.insert(fault.reason), "{fault}"),
                (Intent::Bad, Ok(_)) => panic!("meant to be bad: {}", line.text),
                (_, Ok(decoded)) => assert_eq!(decoded.unknown_fields, 0, "{}", line.text),
                (_, Err(fault)) => panic!("{fault}: {}", line.text),
            }
        }
        assert_eq!(reasons.len(), BAD_LINES.len());
    }

    #[test]
    fn every_request_of_the_trace_is_there_once_with_its_tokens() {
        let rows = rows::bundled().unwrap();
        let lines = trace();
        let firsts: Vec<&Line> = lines
            .iter()
            .filter(|line| matches!(line.intent, Intent::Charged | Intent::WithoutPrice))
            .collect();
        assert_eq!(firsts.len(), rows.len());
        for (line, row) in firsts.iter().zip(&rows) {
            let value: serde_json::Value = serde_json::from_str(&line.text).unwrap();
            let own = &value["data"]["items"][0];
            let beside = match own["counting"]["input"] == "exclusive" {
                true => own["tokens"]["cache_read"].as_u64().unwrap_or(0),
                false => 0,
            };
            assert_eq!(own["tokens"]["input"].as_u64().unwrap() + beside, row.context_tokens);
            assert_eq!(own["tokens"]["output"].as_u64().unwrap(), row.generated_tokens);
        }
    }

    #[test]
    fn the_trace_ends_now_and_some_of_it_is_late() {
        let plan = plan();
        let rows = rows::bundled().unwrap();
        let begins = plan.ends_at.plus_micros(-rows[rows.len() - 1].at.since(rows[0].at));
        let mut late = 0;
        for line in trace().iter().filter(|line| line.intent != Intent::Bad) {
            let value: serde_json::Value = serde_json::from_str(&line.text).unwrap();
            let at: Timestamp = value["time"].as_str().unwrap().parse().unwrap();
            assert!(at <= plan.ends_at);
            late += usize::from(at < begins);
        }
        assert!((40..160).contains(&late), "{late}");
    }

    #[test]
    fn duplicates_conflicts_and_unpriced_are_as_documented() {
        let lines = trace();
        assert!((150..250).contains(&count(&lines, Intent::Duplicate)));
        assert_eq!(count(&lines, Intent::Conflict), CONFLICT_AT.len());
        assert_eq!(count(&lines, Intent::Bad), BAD_LINES.len());
        assert_eq!(count(&lines, Intent::WithoutPrice), 61);
        // A duplicate comes after its first, and is the same to the last byte.
        let mut seen = BTreeSet::new();
        for line in &lines {
            assert_eq!(!seen.insert(&line.text), line.intent == Intent::Duplicate, "{}", line.text);
        }
    }

    #[test]
    fn accounts_follow_zipfs_law() {
        let mut by_account: BTreeMap<String, u64> = BTreeMap::new();
        for line in trace().iter().filter(|line| line.intent == Intent::Charged) {
            let value: serde_json::Value = serde_json::from_str(&line.text).unwrap();
            *by_account.entry(value["subject"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(by_account.len(), ACCOUNTS.len());
        let (first, tenth) = (by_account[ACCOUNTS[0]], by_account[ACCOUNTS[9]]);
        assert!((8..12).contains(&(first / tenth)), "{first} {tenth}");
    }
}
