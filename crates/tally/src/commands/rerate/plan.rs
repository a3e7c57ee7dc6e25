//! A plan as a file: a line of JSON about it, then a line per charge. People read it, hand it on, and
//! may take lines out; what they change in a line is refused when it is applied.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use domain::ContentHash;
use replay::{Change, ItemDifference, Priced};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{now, read_text};
use super::count;
use crate::failure::{Failure, failed};

/// The form of the file.
const FORM: u64 = 1;

/// A plan.
#[derive(Debug)]
pub(super) struct Plan {
    /// Of what it wants: the same plan has the same id.
    pub(super) id: String,
    pub(super) catalogue: i64,
    pub(super) reason: String,
    pub(super) looked_at: u64,
    pub(super) unpriced: u64,
    pub(super) whole: bool,
    pub(super) charges: Vec<Charge>,
    header: Value,
}

/// One charge.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Charge {
    pub(super) entry: String,
    offset: i64,
    pub(super) account: String,
    pub(super) feature: String,
    source: String,
    event: String,
    time: String,
    pub(super) before: Priced,
    pub(super) now: Priced,
    pub(super) items: Vec<ItemDifference>,
}

impl Charge {
    /// What the server needs to know of it.
    pub(super) fn asked(&self) -> Value {
        json!({ "entry": self.entry, "offset": self.offset, "credits": self.now.credits })
    }
}

impl Plan {
    /// From what the server found.
    pub(super) fn new(answer: &Value, filter: &Value, reason: &str) -> Result<Self, Failure> {
        let charges: Vec<Charge> = serde_json::from_value(answer["charges"].clone())
            .map_err(failed("the server's plan"))?;
        let catalogue = answer["catalogue"].as_i64().unwrap_or_default();
        let wanted = (catalogue, reason, charges.iter().map(Charge::asked).collect::<Vec<_>>());
        let wanted = serde_json::to_vec(&wanted).map_err(failed("the plan"))?;
        let id = ContentHash::of(&wanted).to_string();
        let header = json!({
            "tally_rerate_plan": FORM,
            "id": id,
            "made_at": now().to_string(),
            "catalogue": catalogue,
            "reason": reason,
            "filter": filter,
            "looked_at": count(answer, "looked_at"),
            "unpriced": count(answer, "unpriced"),
            "whole": answer["whole"],
            "charges": charges.len(),
        });
        Self::of(header, charges)
    }

    fn of(header: Value, charges: Vec<Charge>) -> Result<Self, Failure> {
        let missing = |name: &str| Failure::Usage(format!("the plan's first line has no `{name}`"));
        if header["tally_rerate_plan"] != FORM {
            return Err(Failure::Usage("this is no plan that this tally can read".to_owned()));
        }
        let text =
            |name: &str| header[name].as_str().map(str::to_owned).ok_or_else(|| missing(name));
        Ok(Self {
            id: text("id")?,
            catalogue: header["catalogue"].as_i64().ok_or_else(|| missing("catalogue"))?,
            reason: text("reason")?,
            looked_at: count(&header, "looked_at"),
            unpriced: count(&header, "unpriced"),
            whole: header["whole"] == true,
            charges,
            header,
        })
    }

    pub(super) fn header(&self) -> Value {
        self.header.clone()
    }

    pub(super) fn total(&self) -> Change {
        let mut total = Change::default();
        self.charges.iter().for_each(|charge| total.add(charge.before, charge.now));
        total
    }

    /// Writes a new file, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        let mut out = BufWriter::new(file);
        let written = write_line(&mut out, &self.header)
            .and_then(|()| self.charges.iter().try_for_each(|charge| write_line(&mut out, charge)))
            .and_then(|()| out.flush());
        written.map_err(failed("the plan's file"))
    }

    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let wrong = |number: usize, error: serde_json::Error| {
            Failure::Usage(format!("{}: line {}: {error}", path.display(), number + 1))
        };
        let (number, first) = lines.next().unwrap_or((0, ""));
        let header = serde_json::from_str(first).map_err(|error| wrong(number, error))?;
        let charges = lines
            .map(|(number, line)| serde_json::from_str(line).map_err(|error| wrong(number, error)))
            .collect::<Result<Vec<Charge>, Failure>>()?;
        Self::of(header, charges)
    }
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    out.write_all(&serde_json::to_vec(value)?)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        let priced = |credits: &str| json!({"credits": credits, "vendor_cost": "1", "uncosted_lines": 0, "revenue": "3"});
        json!({
            "catalogue": 7, "looked_at": 2, "whole": true, "unpriced": 0, "unpriced_examples": [],
            "charges": [{
                "entry": "3-88", "offset": 99, "account": "a", "feature": "chat", "source": "/s",
                "event": "e1", "time": "2026-11-20T12:00:00Z", "before": priced("4"),
                "now": priced("2"),
                "items": [{"model": "m", "before": priced("4"), "now": priced("2")}],
            }],
        })
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.jsonl");
        let plan = Plan::new(&answer(), &json!({}), "wrong").unwrap();
        plan.write(&path).unwrap();
        assert!(matches!(plan.write(&path), Err(Failure::Usage(_))));
        let read = Plan::read(&path).unwrap();
        assert_eq!((read.id, read.catalogue, read.charges.len()), (plan.id, 7, 1));
        assert_eq!(read.charges[0].asked(), json!({"entry": "3-88", "offset": 99, "credits": "2"}));
    }

    #[test]
    fn what_is_no_plan_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.jsonl");
        for (text, said) in [
            ("", "line 1"),
            ("{}", "no plan"),
            ("{\"tally_rerate_plan\": 1}", "`id`"),
            (
                "{\"tally_rerate_plan\":1,\"id\":\"x\",\"catalogue\":1,\"reason\":\"r\"}\n{}",
                "line 2",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let Err(Failure::Usage(found)) = Plan::read(&path) else { panic!("{text}") };
            assert!(found.contains(said), "{found}");
        }
    }
}
