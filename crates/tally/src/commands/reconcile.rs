//! `tally reconcile`: a vendor's bill beside what was metered.

mod report;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use calendar::Date;
use reconcile::{Bill, Comparison, Mapping, Metered, Rules, compare, preset};
use serde_json::{Value, json};

use super::{Context, read_text, text};
use crate::cli::reconcile::{Preset, Reconcile, ReconcileVendor};
use crate::failure::{Failure, failed};
use crate::output::Output;

pub(crate) fn preset_of(output: Output, vendor: Preset) -> Result<(), Failure> {
    let document = preset(vendor.name())
        .ok_or_else(|| Failure::Failed(format!("there is no preset {}", vendor.name())))?;
    output.answer(&json!({ "mapping": document }), || document.to_owned());
    Ok(())
}

/// Needs a running tally, but for [`Reconcile::Preset`].
pub(crate) fn reconcile(
    context: impl FnOnce() -> Result<Context, Failure>,
    output: Output,
    command: &Reconcile,
) -> Result<(), Failure> {
    match command {
        Reconcile::Preset(of) => preset_of(output, of.vendor),
        Reconcile::Vendor(flags) => vendor(context, flags),
    }
}

fn vendor(
    context: impl FnOnce() -> Result<Context, Failure>,
    flags: &ReconcileVendor,
) -> Result<(), Failure> {
    // What is wrong with the files is said before anything travels.
    let mapping = mapping(flags)?;
    let bill = bill(flags, &mapping)?;
    let (first, last) = days(flags, &bill)?;
    let after_last =
        last.next().ok_or_else(|| Failure::Usage("--to: past the last day".to_owned()))?;
    let context = context()?;
    let query = [
        ("from", first.to_string()),
        ("to", after_last.to_string()),
        ("timezone", mapping.timezone.name().to_owned()),
    ];
    let query: Vec<(&str, &str)> =
        query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = context.client.get("/v1/metered-cost", &query)?;
    let metered: Metered = serde_json::from_value(answer.clone())
        .map_err(failed("tally's answer has another form"))?;
    let rules = Rules {
        first,
        last,
        tokens_max: i128::from(flags.tolerance),
        cost_max: flags.tolerance_cost,
    };
    let comparison = compare(&bill, &mapping, &metered, &rules)
        .map_err(|why| Failure::Failed(why.to_string()))?;
    let mut shown = serde_json::to_value(&comparison).map_err(failed("writing the comparison"))?;
    shown["unrated_events_left_out"] = answer["unrated_events_left_out"].clone();
    shown["freshness"] = answer["freshness"].clone();
    shown["rows_ignored"] = bill.ignored.into();
    context.output.answer(&shown, || report::report(&comparison, flags.top, bill.ignored));
    note_freshness(&context, &answer);
    verdict(&comparison, &answer)
}

fn mapping(flags: &ReconcileVendor) -> Result<Mapping, Failure> {
    let (name, document) = match (&flags.mapping, flags.preset) {
        (Some(path), _) => (path.display().to_string(), read_text(path)?),
        (None, Some(vendor)) => {
            let document = preset(vendor.name()).unwrap_or_default();
            (vendor.name().to_owned(), document.to_owned())
        }
        (None, None) => return Err(Failure::Usage("say --preset or --mapping".to_owned())),
    };
    Mapping::read(&document).map_err(|why| Failure::Usage(format!("mapping {name}: {why}")))
}

fn bill(flags: &ReconcileVendor, mapping: &Mapping) -> Result<Bill, Failure> {
    let mut bill = Bill::default();
    for path in &flags.files {
        let name = path.display().to_string();
        bill.read(mapping, &name, open(path)?).map_err(|why| Failure::Failed(why.to_string()))?;
    }
    Ok(bill)
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file =
        File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    Ok(Box::new(file))
}

/// The first and the last day to compare.
fn days(flags: &ReconcileVendor, bill: &Bill) -> Result<(Date, Date), Failure> {
    let Some((first, last)) = bill.days() else {
        return Err(Failure::Failed("the bill has no rows with counts or amounts".to_owned()));
    };
    let first = flags.from.unwrap_or(first);
    let last = match flags.to {
        None => last,
        Some(to) => {
            to.previous().ok_or_else(|| Failure::Usage("--to: before the first day".to_owned()))?
        }
    };
    match first <= last {
        true => Ok((first, last)),
        false => Err(Failure::Usage("no day lies between --from and --to".to_owned())),
    }
}

/// A day that is not over, or not projected, must not pass for a vendor's mistake.
fn note_freshness(context: &Context, answer: &Value) {
    if let Some(as_of) = text(&answer["freshness"], "as_of") {
        context.output.note(&format!("metered as of {as_of}"));
    }
}

fn verdict(comparison: &Comparison, answer: &Value) -> Result<(), Failure> {
    if answer["unrated_events_left_out"] == true {
        return Err(Failure::Failed(
            "there is more unrated usage than was read: publish its prices, or compare fewer days"
                .to_owned(),
        ));
    }
    if comparison.agrees {
        return Ok(());
    }
    let mut said = Vec::new();
    if comparison.totals.cells_beyond > 0 {
        said.push(format!(
            "{} of {} days, models and pools differ",
            comparison.totals.cells_beyond, comparison.totals.cells
        ));
    }
    if !comparison.others.is_empty() {
        said.push(match comparison.others.len() {
            1 => "one charge is for something else".to_owned(),
            count => format!("{count} charges are for something else"),
        });
    }
    Err(Failure::Failed(said.join(", and ")))
}
