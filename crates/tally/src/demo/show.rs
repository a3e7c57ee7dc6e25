//! What the demo shows at the end.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::trace::{Intent, Line, SOURCE};
use super::{Ingested, Told, program};
use crate::cli;
use crate::client::KEY_FILE;
use crate::commands::explain::{ask, explanation};
use crate::commands::proofs::{holds, verify_line};
use crate::commands::{Context, answers, now, number, objects, text, warehouse};
use crate::failure::Failure;
use crate::output::print;
use crate::table::{Align, Table, cell, grouped, rounded};
use crate::up::Running;

const LARGEST: u32 = 5;
const OVERDRAWN: u32 = 3;

/// Everything that came out.
#[derive(Debug)]
pub(crate) struct Shown {
    ingested: Ingested,
    covered: u64,
    balances: Vec<Map<String, Value>>,
    by_feature: Value,
    by_model: Value,
    total: Map<String, Value>,
    explained: Value,
    verified: Value,
}

impl Shown {
    pub(crate) fn ask(
        context: &Context,
        lines: &[Line],
        ingested: Ingested,
        covered: u64,
    ) -> Result<Self, Failure> {
        let usage = |by: &[&str], top: u32| {
            let usage = cli::Usage {
                account: None,
                by: by.iter().map(|name| (*name).to_owned()).collect(),
                top: Some(top),
                range: cli::Range::default(),
            };
            answers::ask_usage(context, &usage)
        };
        let balances = |order: &str, top: u32| {
            let columns = "account, settled, overage, available";
            let sql = format!("SELECT {columns} FROM balances WHERE {order} DESC LIMIT {top}");
            warehouse::query(context, &sql)
        };
        let largest = balances("1 ORDER BY settled", LARGEST)?;
        let overdrawn = balances("overage > 0 ORDER BY overage", OVERDRAWN)?;
        let total = warehouse::query(
            context,
            "SELECT sum(lines) AS lines, sum(uncosted_lines) AS uncosted_lines,
                toString(sum(toDecimal256(credits, 12))) AS credits,
                toString(sum(toDecimal256(revenue, 12))) AS revenue,
                toString(sum(toDecimal256(ifNull(vendor_cost, 0), 12))) AS vendor_cost,
                toString(sum(toDecimal256(ifNull(margin, 0), 12))) AS margin
             FROM margin_by_model",
        )?;
        Ok(Self {
            balances: [largest, overdrawn].concat(),
            by_feature: usage(&["feature"], 20)?,
            by_model: usage(&["model", "meter"], 20)?,
            total: total.into_iter().next().unwrap_or_default(),
            explained: match example(lines) {
                Some(id) => ask(context, SOURCE, &id, None)?,
                None => Value::Null,
            },
            verified: context.client.get("/v1/verify", &[])?,
            ingested,
            covered,
        })
    }

    /// Prints it. A verification that fails is a failure of the demo.
    pub(crate) fn tell(
        &self,
        told: &Told,
        running: &Running,
        data: Option<&Path>,
    ) -> Result<(), Failure> {
        match told.output.json {
            true => print(&format!("{}\n", self.json(running))),
            false => {
                let key_file = running.folder().join(KEY_FILE).display().to_string();
                print(&self.text(&running.addresses.api, (&program(data), &key_file)));
            }
        }
        match holds(&self.verified) {
            true => Ok(()),
            false => Err(Failure::Failed(verify_line(&self.verified))),
        }
    }

    fn json(&self, running: &Running) -> Value {
        json!({
            "api": running.addresses.api,
            "clickhouse_http": running.addresses.clickhouse_http,
            "data": running.folder().display().to_string(),
            "ingested": self.ingested.sent.answer(),
            "seconds": format!("{:.3}", self.ingested.took.as_secs_f64()),
            "events_per_second": format!("{:.0}", self.ingested.events_per_second()),
            "unrated_covered": self.covered,
            "balances": self.balances,
            "usage_by_feature": self.by_feature["rows"],
            "usage_by_model": self.by_model["rows"],
            "total": self.total,
            "explained": self.explained,
            "verified": self.verified,
        })
    }

    fn text(&self, api: &str, reached_by: (&str, &str)) -> String {
        let mut out = String::new();
        let mut section = |title: &str, body: String| {
            out.push_str(&format!("\n── {title}\n\n{body}"));
        };
        section("what became of every line", self.outcomes());
        section("the largest balances, and those past their credits", self.balances_text());
        section("usage by feature", usage_table("feature", "events", &self.by_feature));
        let margin = format!(
            "{}\n{}\n",
            usage_table("model or meter", "lines", &self.by_model),
            self.total_line()
        );
        section("usage by model: vendor cost, revenue and margin", margin);
        section(
            &format!("one charge, line by line ({})", text(&self.explained, "id").unwrap_or("–")),
            explanation(&self.explained),
        );
        section("proof", format!("{}\n", verify_line(&self.verified)));
        section("next, in another terminal", next_steps(api, reached_by, &now().to_string()));
        out
    }

    fn outcomes(&self) -> String {
        let mut out = self.ingested.sent.outcome_table().to_string();
        if self.covered > 0 {
            out.push_str(&format!(
                "\nThe {} unrated ones were charged as soon as their model's price was published.\n",
                self.covered
            ));
        }
        out
    }

    fn balances_text(&self) -> String {
        let mut table = Table::new([
            ("account", Align::Left),
            ("settled", Align::Right),
            ("overage", Align::Right),
            ("available", Align::Right),
        ]);
        for row in &self.balances {
            let amount = |name: &str| rounded(&cell(row.get(name)), 4);
            table.row([
                cell(row.get("account")),
                amount("settled"),
                amount("overage"),
                amount("available"),
            ]);
        }
        table.to_string()
    }

    fn total_line(&self) -> String {
        let total = Value::Object(self.total.clone());
        let amount = |name: &str| rounded(text(&total, name).unwrap_or("0"), 2);
        let lines = number(&total, "lines").unwrap_or(0);
        let uncosted = number(&total, "uncosted_lines").unwrap_or(0);
        format!(
            "{} credits; revenue {} − vendor cost {} = margin {} USD, over {} of {} lines (cost known)",
            rounded(text(&total, "credits").unwrap_or("0"), 0),
            amount("revenue"),
            amount("vendor_cost"),
            amount("margin"),
            grouped(&(lines - uncosted).to_string()),
            grouped(&lines.to_string()),
        )
    }
}

fn usage_table(what: &'static str, counted: &'static str, answer: &Value) -> String {
    let mut table = Table::new([
        (what, Align::Left),
        (counted, Align::Right),
        ("credits", Align::Right),
        ("vendor cost", Align::Right),
        ("revenue", Align::Right),
        ("margin", Align::Right),
    ]);
    for row in objects(answer.get("rows")) {
        let named = ["feature", "model", "meter"]
            .iter()
            .filter_map(|name| row.get(*name).and_then(Value::as_str))
            .filter(|name| !name.is_empty());
        let amount = |name: &str, decimals: usize| rounded(&cell(row.get(name)), decimals);
        table.row([
            named.collect::<Vec<_>>().join(" · "),
            grouped(&cell(row.get(counted))),
            amount("credits", 1),
            amount("vendor_cost", 4),
            amount("revenue", 4),
            amount("margin", 4),
        ]);
    }
    table.to_string()
}

/// The id of an agent task that a customer was charged for: several items, and short enough for a
/// screen.
fn example(lines: &[Line]) -> Option<String> {
    let tasks = lines.iter().filter(|line| line.intent == Intent::Charged).filter_map(|line| {
        let event: Value = serde_json::from_str(&line.text).ok()?;
        let data = &event["data"];
        let items = data["items"].as_array()?;
        let is_one = data["feature"] == "research-agent"
            && data["traffic"] == "customer"
            && data["status"] == "ok"
            && items.first()?["tokens"].get("cache_read").is_some();
        is_one.then(|| (items.len(), event["id"].as_str().unwrap_or_default().to_owned()))
    });
    tasks.min().map(|(_, id)| id)
}

/// Three things to type, with the current time in them: a fixed one would age out.
fn next_steps(api: &str, (program, key_file): (&str, &str), time: &str) -> String {
    let event = |id: &str, input: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"type\":\"tally.usage.v1\",\"source\":\"/my/app\",\
             \"id\":\"{id}\",\"time\":\"{time}\",\"subject\":\"acct_aster\",\"data\":{{\
             \"feature\":\"chat\",\"items\":[{{\"model\":\"gpt-4o\",\"provider\":\"openai\",\
             \"tokens\":{{\"input\":{input},\"output\":300}}}}]}}}}"
        )
    };
    let curl = |id: &str, input: &str| {
        format!(
            "curl -s {api}/v1/events -H \"Authorization: Bearer $(cat {key_file})\" \\\n    \
             -H 'Content-Type: application/cloudevents+json' -H 'Prefer: wait=5' \\\n    -d '{}'",
            event(id, input)
        )
    };
    format!(
        "send an event of your own:\n  {}\n\nsee why it was charged what it was:\n  \
         {program} explain /my/app req_1\n\nsend a bad one and read its reason:\n  {}\n\n\
         and then: {program} --help\n",
        curl("req_1", "1200"),
        curl("req_2", "-1200"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::rows;
    use crate::demo::trace::{Plan, lines};

    #[test]
    fn the_printed_events_are_what_they_say() {
        let time = "2026-11-20T12:00:00Z";
        let steps = next_steps("http://127.0.0.1:1", ("tally", "operator.key"), time);
        let bodies: Vec<&str> = steps
            .lines()
            .filter_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\''))
            .collect();
        assert_eq!(bodies.len(), 2);
        assert!(wire::decode_usage(bodies[0].as_bytes()).is_ok());
        let fault = wire::decode_usage(bodies[1].as_bytes()).unwrap_err();
        assert_eq!(fault.reason.code(), "bad_token_count");
    }

    #[test]
    fn there_is_a_task_to_explain() {
        let plan = Plan {
            seed: 2023,
            ends_at: "2026-11-20T12:00:00Z".parse().unwrap(),
            run: "r1".to_owned(),
        };
        assert!(example(&lines(&rows::bundled().unwrap(), &plan)).is_some());
    }
}
