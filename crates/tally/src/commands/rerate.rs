//! `tally rerate`: a wrong price found, shown, and set right, charge by charge.

mod plan;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use replay::Change;
use serde_json::{Map, Value, json};

use super::{Context, number, time};
use crate::cli::rerate::{Rerate, RerateApply, RerateBy, RerateDiff, ReratePlan};
use crate::failure::Failure;
use crate::table::{Align, Table, trimmed};
use plan::{Charge, Plan};

/// Charges of one request.
const CHUNK_MAX: usize = 500;
/// Requests that bring no decision before the command gives up; the plan can be run again.
const UNDECIDED_MAX: u32 = 5;
/// Refused charges that are shown one by one.
const REFUSED_SHOWN: usize = 10;

pub(crate) fn rerate(context: &Context, command: &Rerate) -> Result<(), Failure> {
    match command {
        Rerate::Plan(flags) => make(context, flags),
        Rerate::Diff(flags) => diff(context, flags),
        Rerate::Apply(flags) => apply(context, flags),
    }
}

fn make(context: &Context, flags: &ReratePlan) -> Result<(), Failure> {
    let mut filter = Map::new();
    for (name, values) in [
        ("accounts", &flags.accounts),
        ("features", &flags.features),
        ("models", &flags.models),
        ("sources", &flags.sources),
    ] {
        if !values.is_empty() {
            filter.insert(name.to_owned(), json!(values));
        }
    }
    let times = [("from", "--from", &flags.range.from), ("to", "--to", &flags.range.to)];
    for (name, flag, value) in times {
        if let Some(value) = time(flag, value.as_deref())? {
            filter.insert(name.to_owned(), json!(value));
        }
    }
    let mut body = json!({ "filter": filter });
    if let Some(catalogue) = flags.catalogue {
        body["catalogue"] = catalogue.into();
    }
    let answer = context.client.post("/v1/rerates/plan", &body)?;
    let plan = Plan::new(&answer, &body["filter"], &flags.reason)?;
    plan.write(&flags.out)?;
    context.output.answer(&plan.header(), || made(&plan, &answer, flags));
    match plan.whole {
        true => Ok(()),
        false => Err(Failure::Failed(format!(
            "there are more charges than one plan has ({}): apply this one, then make another",
            plan.charges.len()
        ))),
    }
}

fn made(plan: &Plan, answer: &Value, flags: &ReratePlan) -> String {
    let file = flags.out.display();
    let mut lines = format!(
        "plan {}: {} of {} charges would differ under the catalogue up to {}\n",
        plan.id,
        plan.charges.len(),
        plan.looked_at,
        plan.catalogue
    );
    lines.push_str(&summed(&plan.total()));
    if plan.unpriced > 0 {
        lines.push_str(&format!(
            "{} charges have no price there and stay as they are",
            plan.unpriced
        ));
        let examples = answer["unpriced_examples"].as_array().into_iter().flatten();
        for example in examples {
            let of = |name: &str| example[name].as_str().unwrap_or_default().to_owned();
            lines.push_str(&format!("\n  {} ({})", of("entry"), of("code")));
        }
        lines.push('\n');
    }
    lines.push_str(&format!(
        "written to {file}\nnext: tally rerate diff {file}, then tally rerate apply {file}\n"
    ));
    lines
}

/// A sentence of what changes in all.
fn summed(change: &Change) -> String {
    let (margin_before, margin_now) = change.margins();
    format!(
        "credits {} → {}, vendor cost {} → {}, margin {} → {}\n",
        trimmed(&change.before.credits.to_string()),
        trimmed(&change.now.credits.to_string()),
        trimmed(&change.before.vendor_cost.to_string()),
        trimmed(&change.now.vendor_cost.to_string()),
        trimmed(&margin_before.to_string()),
        trimmed(&margin_now.to_string()),
    )
}

fn diff(context: &Context, flags: &RerateDiff) -> Result<(), Failure> {
    let plan = Plan::read(&flags.plan)?;
    let mut groups = Vec::new();
    for by in &flags.by {
        groups.push((*by, grouped(&plan, *by)));
    }
    let mut answer = plan.header();
    answer["change"] = shown(&plan.total());
    for (by, group) in &groups {
        let rows: Vec<Value> = group
            .iter()
            .map(|(name, change)| {
                let mut row = shown(change);
                row[by.word()] = name.as_str().into();
                row
            })
            .collect();
        answer[format!("by_{}", by.word())] = rows.into();
    }
    context.output.answer(&answer, || {
        let mut text = format!("plan {}: {} charges\n", plan.id, plan.charges.len());
        text.push_str(&summed(&plan.total()));
        for (by, group) in &groups {
            text.push('\n');
            text.push_str(&table(*by, group, flags.top).to_string());
            if group.len() > flags.top {
                text.push_str(&format!("and {} more\n", group.len() - flags.top));
            }
        }
        text.push_str(
            "\nmargin counts what is earned by the credits that were drawn; what a charge will draw \
             on top is earned when it is drawn\n",
        );
        text
    });
    Ok(())
}

/// The largest changes of credits first, then of cost.
fn grouped(plan: &Plan, by: RerateBy) -> Vec<(String, Change)> {
    let mut groups: BTreeMap<String, Change> = BTreeMap::new();
    for charge in &plan.charges {
        match by {
            RerateBy::Account => {
                groups.entry(charge.account.clone()).or_default().add(charge.before, charge.now);
            }
            RerateBy::Feature => {
                groups.entry(charge.feature.clone()).or_default().add(charge.before, charge.now);
            }
            RerateBy::Model => {
                for item in charge.items.iter().filter(|item| item.before != item.now) {
                    groups.entry(item.model.clone()).or_default().add(item.before, item.now);
                }
            }
        }
    }
    let mut groups: Vec<(String, Change)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, change)| {
        let credits = (change.now.credits - change.before.credits).atoms().abs();
        let cost = (change.now.vendor_cost - change.before.vendor_cost).atoms().abs();
        std::cmp::Reverse((credits, cost))
    });
    groups
}

fn table(by: RerateBy, groups: &[(String, Change)], top: usize) -> Table {
    let numbers = ["charges", "credits", "now", "change", "cost", "now", "margin", "now"];
    let columns = std::iter::once((by.word(), Align::Left));
    let mut table = Table::new(columns.chain(numbers.map(|name| (name, Align::Right))));
    for (name, change) in groups.iter().take(top) {
        let (margin_before, margin_now) = change.margins();
        let amount = |text: String| trimmed(&text).to_owned();
        table.row([
            if name.is_empty() { "–".to_owned() } else { name.clone() },
            change.charges.to_string(),
            amount(change.before.credits.to_string()),
            amount(change.now.credits.to_string()),
            amount((change.now.credits - change.before.credits).to_string()),
            amount(change.before.vendor_cost.to_string()),
            amount(change.now.vendor_cost.to_string()),
            amount(margin_before.to_string()),
            amount(margin_now.to_string()),
        ]);
    }
    table
}

fn shown(change: &Change) -> Value {
    let (margin_before, margin_now) = change.margins();
    json!({
        "charges": change.charges,
        "before": change.before,
        "now": change.now,
        "margin_before": margin_before,
        "margin_now": margin_now,
    })
}

/// What became of the charges of a plan.
#[derive(Debug, Default)]
struct Outcomes {
    applied: u64,
    repeated: u64,
    refused: Vec<Value>,
}

fn apply(context: &Context, flags: &RerateApply) -> Result<(), Failure> {
    let plan = Plan::read(&flags.plan)?;
    context.output.note(&format!("plan {}: {} charges", plan.id, plan.charges.len()));
    context.output.note(summed(&plan.total()).trim_end());
    if !flags.yes {
        agreed(&format!(
            "{} adjustments are written to the ledger; the charges themselves stay. Go on?",
            plan.charges.len()
        ))?;
    }
    let bar = context.output.bar(plan.charges.len() as u64, "charges");
    let mut outcomes = Outcomes::default();
    let chunk = CHUNK_MAX.min(flags.rate as usize);
    let mut stopped = None;
    for charges in plan.charges.chunks(chunk) {
        let started = Instant::now();
        if let Err(failure) = send(context, flags, (&plan, charges), &mut outcomes) {
            stopped = Some(failure);
            break;
        }
        bar.inc(charges.len() as u64);
        let due = Duration::from_secs_f64(charges.len() as f64 / f64::from(flags.rate));
        thread::sleep(due.saturating_sub(started.elapsed()));
    }
    bar.finish_and_clear();
    report(context, &plan, &outcomes);
    if let Some(failure) = stopped {
        context.output.note("not finished: run the same command again");
        return Err(failure);
    }
    match outcomes.refused.len() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!(
            "{count} charges were refused; a new plan takes them as they stand now"
        ))),
    }
}

/// Asks a person; nobody to ask is wrong usage.
fn agreed(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("there is nobody to ask: say --yes".to_owned()));
    }
    write!(io::stderr(), "{question} [y/N] ").ok();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::Failed("nothing was changed".to_owned())),
    }
}

/// Sends charges until each is decided.
fn send(
    context: &Context,
    flags: &RerateApply,
    (plan, charges): (&Plan, &[Charge]),
    outcomes: &mut Outcomes,
) -> Result<(), Failure> {
    let mut open: Vec<&Charge> = charges.iter().collect();
    let mut tries = 0;
    while !open.is_empty() {
        let mut body = Map::new();
        body.insert("plan".to_owned(), json!(plan.id));
        body.insert("catalogue".to_owned(), json!(plan.catalogue));
        body.insert("reason".to_owned(), json!(plan.reason));
        context.name_actor(flags.actor.as_ref(), &mut body);
        let asked: Vec<Value> = open.iter().map(|charge| charge.asked()).collect();
        body.insert("charges".to_owned(), asked.into());
        let answer = context.client.post("/v1/rerates", &Value::Object(body))?;
        let mut undecided = Vec::new();
        for result in answer["results"].as_array().into_iter().flatten() {
            match result["outcome"].as_str() {
                Some("applied") => outcomes.applied += 1,
                Some("repeated") => outcomes.repeated += 1,
                Some("refused") => outcomes.refused.push(result.clone()),
                _ => undecided.push(result["entry"].as_str().unwrap_or_default().to_owned()),
            }
        }
        open.retain(|charge| undecided.contains(&charge.entry));
        tries += 1;
        if !open.is_empty() && tries >= UNDECIDED_MAX {
            return Err(Failure::Failed(format!(
                "{} charges were not decided in time; is the charger running?",
                open.len()
            )));
        }
    }
    Ok(())
}

fn report(context: &Context, plan: &Plan, outcomes: &Outcomes) {
    let answer = json!({
        "plan": plan.id,
        "applied": outcomes.applied,
        "repeated": outcomes.repeated,
        "refused": outcomes.refused,
    });
    context.output.answer(&answer, || {
        let mut lines = format!("plan {}: {} charges priced anew", plan.id, outcomes.applied);
        if outcomes.repeated > 0 {
            lines.push_str(&format!(", {} had been already", outcomes.repeated));
        }
        lines.push('\n');
        for refused in outcomes.refused.iter().take(REFUSED_SHOWN) {
            let of = |name: &str| refused[name].as_str().unwrap_or_default().to_owned();
            lines.push_str(&format!("  {}: {} ({})\n", of("entry"), of("detail"), of("code")));
        }
        lines.push_str("next: tally verify\n");
        lines
    });
}

/// A count in an answer.
fn count(answer: &Value, name: &str) -> u64 {
    number(answer, name).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}
