//! `tally replay`: asks for one bounded step after the other until what was wanted is done. What has
//! been done is known to the server alone, so any of it may be interrupted and run again.

mod show;

use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Context, number, read_text, text, time};
use crate::cli::replay as cli;
use crate::client::segment;
use crate::failure::{Failure, failed};
use crate::output::print;

/// A step that cannot be taken at the moment is asked for again for so long.
const BUSY_PATIENCE: Duration = Duration::from_secs(45);
const BUSY_WAIT: Duration = Duration::from_millis(500);
/// A projector that runs answers within a batch.
const PAUSE_PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn replay(context: &Context, replay: &cli::Replay) -> Result<(), Failure> {
    match replay {
        cli::Replay::Plan(plan) => self::plan(context, plan),
        cli::Replay::Apply(apply) => self::apply(context, apply),
        cli::Replay::Diff(diff) => self::diff(context, diff),
        cli::Replay::Swap(swap) => self::swap(context, swap),
        cli::Replay::Abort(end) => self::abort(context, end),
        cli::Replay::Raw(raw) => super::proofs::replay_raw(context, raw),
        cli::Replay::Drop(end) => self::discard(context, end),
        cli::Replay::Status(status) => self::status(context, status),
    }
}

fn plan(context: &Context, plan: &cli::ReplayPlan) -> Result<(), Failure> {
    let mut body = Map::from_iter([
        ("tables".to_owned(), json!(plan.tables)),
        ("partition".to_owned(), json!(plan.partition)),
        ("from_offset".to_owned(), json!(plan.from_offset)),
        ("to_offset".to_owned(), json!(plan.to_offset)),
        ("from".to_owned(), json!(time("--from", plan.from.as_deref())?)),
        ("to".to_owned(), json!(time("--to", plan.to.as_deref())?)),
        ("reason".to_owned(), json!(plan.why)),
    ]);
    context.name_actor(None, &mut body);
    let answer = context.client.post("/v1/replays/plan", &Value::Object(body))?;
    let toml = text(&answer, "plan").unwrap_or_default();
    if let Some(file) = &plan.out {
        std::fs::write(file, toml).map_err(failed(file.display()))?;
    }
    context.output.answer(&answer, || show::planned(toml, plan.out.as_deref()));
    Ok(())
}

fn apply(context: &Context, apply: &cli::ReplayApply) -> Result<(), Failure> {
    let mut body = Map::from_iter([("plan".to_owned(), json!(read_text(&apply.file)?))]);
    context.name_actor(None, &mut body);
    let body = Value::Object(body);
    let begun = patiently(|| context.client.post("/v1/replays", &body))?;
    let path = format!("/v1/replays/{}/advance", segment(name_of(&begun)?));
    let started = Instant::now();
    let (mut bar, mut records) = (None, 0);
    loop {
        let progress = patiently(|| context.client.post(&path, &json!({})))?;
        records += number(&progress, "records").unwrap_or(0);
        let count = |name: &str| u64::try_from(number(&progress, name).unwrap_or(0)).unwrap_or(0);
        let (done, total) = (count("done"), count("done") + count("remaining"));
        let bar = bar.get_or_insert_with(|| context.output.bar(total, "rebuilding"));
        bar.set_length(total);
        bar.set_position(done);
        if progress["caught_up"] == json!(true) {
            bar.finish_and_clear();
            let took = started.elapsed();
            context.output.answer(&progress, || show::applied(&begun, records, took));
            return Ok(());
        }
    }
}

fn diff(context: &Context, diff: &cli::ReplayDiff) -> Result<(), Failure> {
    let current = current(context)?;
    let path = format!("/v1/replays/{}/diff", segment(name_of(&current)?));
    let report = until_done(context, &path, &json!({}))?;
    context.output.answer(&report, || show::differences(&report, diff.top));
    match diff.exit_code && report["same"] != json!(true) {
        // Said already, in full.
        true => std::process::exit(1),
        false => Ok(()),
    }
}

fn swap(context: &Context, swap: &cli::ReplaySwap) -> Result<(), Failure> {
    let current = current(context)?;
    let wanted = if swap.back { "original" } else { "rebuilt" };
    let tables = show::count_of(&current, "tables");
    let question = format!(
        "Exchange {tables} tables, so that the {wanted} ones are live? The others stay beside them."
    );
    confirm(swap.yes, &question)?;
    let body = json!({"back": swap.back, "accept_differences": swap.accept_differences});
    let path = format!("/v1/replays/{}/swap", segment(name_of(&current)?));
    let done = until_done(context, &path, &body)?;
    context.output.answer(&done, || show::exchanged(&done));
    Ok(())
}

fn abort(context: &Context, end: &cli::ReplayEnd) -> Result<(), Failure> {
    let current = current(context)?;
    if text(&current, "state") == Some("exchanging") {
        confirm(
            end.yes,
            "Exchange back the tables that were exchanged, and let the projector go on?",
        )?;
    }
    let path = format!("/v1/replays/{}/abort", segment(name_of(&current)?));
    let done = until_done(context, &path, &json!({}))?;
    context.output.answer(&done, || show::aborted(&done));
    Ok(())
}

fn discard(context: &Context, end: &cli::ReplayEnd) -> Result<(), Failure> {
    let current = current(context)?;
    let live = text(&current, "live").unwrap_or("live").to_owned();
    let beside = if live == "original" { "rebuilt" } else { "original" };
    let tables = show::count_of(&current, "tables");
    let question = format!(
        "Drop the {beside} {tables} tables beside the live ones? The {live} ones are live, and are kept."
    );
    confirm(end.yes, &question)?;
    let path = format!("/v1/replays/{}", segment(name_of(&current)?));
    let done = patiently(|| context.client.delete(&path))?;
    context.output.answer(&done, || show::dropped(&done));
    Ok(())
}

fn status(context: &Context, status: &cli::ReplayStatus) -> Result<(), Failure> {
    let answer = match &status.replay {
        Some(name) => context.client.get(&format!("/v1/replays/{}", segment(name)), &[])?,
        None => current(context)?,
    };
    context.output.answer(&answer, || show::status(&answer));
    Ok(())
}

/// The rebuild that is not through.
fn current(context: &Context) -> Result<Value, Failure> {
    context.client.get("/v1/replays", &[])
}

fn name_of(replay: &Value) -> Result<&str, Failure> {
    text(replay, "replay").ok_or_else(|| Failure::Failed("tally named no rebuild".to_owned()))
}

/// Asks for a step until it says that it is done.
fn until_done(context: &Context, path: &str, body: &Value) -> Result<Value, Failure> {
    let mut bar = None;
    let mut waiting_since = None;
    loop {
        let step = patiently(|| context.client.post(path, body))?;
        match text(&step, "state") {
            Some("catching_up") => {
                waiting_since = None;
                let count =
                    |name: &str| u64::try_from(number(&step, name).unwrap_or(0)).unwrap_or(0);
                let total = count("done") + count("remaining");
                let bar = bar.get_or_insert_with(|| context.output.bar(total, "catching up"));
                bar.set_length(total);
                bar.set_position(count("done"));
            }
            Some("waiting") => {
                let (paused, of) = (number(&step, "paused"), number(&step, "partitions"));
                let (paused, of) = (paused.unwrap_or(0), of.unwrap_or(0));
                if waiting_since.is_none() {
                    context.output.note("waiting for the projector to pause at a batch boundary");
                }
                let since = *waiting_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PAUSE_PATIENCE {
                    return Err(Failure::Failed(format!(
                        "the projector paused {paused} of {of} partitions and no more: is one running \
                         (`tally status`)? It stays asked to: run this again, or `tally replay abort`"
                    )));
                }
            }
            _ => {
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
                return Ok(step);
            }
        }
    }
}

/// Asks again while another process has the rebuild, or the server is away for a moment.
fn patiently(ask: impl Fn() -> Result<Value, Failure>) -> Result<Value, Failure> {
    let started = Instant::now();
    loop {
        match ask() {
            Err(Failure::Refused(problem))
                if ["replay_busy", "unavailable"].contains(&problem.code.as_str())
                    && started.elapsed() < BUSY_PATIENCE =>
            {
                std::thread::sleep(BUSY_WAIT);
            }
            answer => return answer,
        }
    }
}

/// Asks a person, unless it was said already.
fn confirm(said: bool, question: &str) -> Result<(), Failure> {
    if said {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} Say --yes, since nobody can be asked")));
    }
    print(&format!("{question} [y/N] "));
    std::io::stdout().flush().map_err(failed("asking"))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed("reading the answer"))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was changed".to_owned())),
    }
}
