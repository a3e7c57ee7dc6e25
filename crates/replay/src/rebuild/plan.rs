//! The plan of a rebuild: a file that a person can read, review, and hand to a colleague.

use std::collections::BTreeMap;

use domain::{ContentHash, Offset, Partition, Timestamp};
use projection::tables::{LEDGER_POSITION, Table, of_the_ledger, table};
use serde::{Deserialize, Serialize};
use warehouse::SCHEMA_VERSION;

/// The form of the file; raised when an older tally could not read it.
const FORMAT: u32 = 1;
/// Digits of the hash that names a rebuild: part of its tables' names.
const ID_DIGITS: usize = 10;

/// Why a plan is not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {why}")]
pub struct BadPlan {
    pub field: String,
    pub why: String,
}

impl BadPlan {
    pub(super) fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

/// What is to be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format: u32,
    /// Always `rebuild`.
    pub what: String,
    pub why: String,
    pub made_by: String,
    pub made_at: Timestamp,
    /// Of ClickHouse's tables, when the plan was made.
    pub schema_version: u32,
    /// Of the ledger.
    pub partitions: u32,
    pub tables: Vec<String>,
    pub estimate: Estimate,
    /// Present when only a part of the ledger is meant: such tables can be compared, not exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// What of the ledger there was. Without a range the rebuild goes on past the ends.
    pub ledger: Vec<PartitionRange>,
}

/// What it will take, by what was there when the plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    pub records: u64,
    pub seconds: u64,
    /// By live table, before merges.
    pub live_rows: BTreeMap<String, u64>,
}

/// A part of the ledger, as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// By the time at which the ledger took a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Offsets of one partition of the ledger, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionRange {
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
}

impl Plan {
    pub(super) const FORM: (u32, &'static str) = (FORMAT, "rebuild");

    /// Reads a plan's file.
    ///
    /// # Errors
    /// What in it is not a plan, by field.
    pub fn parse(text: &str) -> Result<Self, BadPlan> {
        let plan: Self = toml::from_str(text)
            .map_err(|error| BadPlan::new("plan", error.to_string().trim_end().to_owned()))?;
        if plan.what != Self::FORM.1 || plan.format != Self::FORM.0 {
            return Err(BadPlan::new(
                "format",
                format!("this tally reads plans to {} of format {}", Self::FORM.1, Self::FORM.0),
            ));
        }
        plan.tables()?;
        Ok(plan)
    }

    /// The file. The same plan is always the same text.
    ///
    /// # Errors
    /// What cannot be written as TOML.
    pub fn render(&self) -> Result<String, BadPlan> {
        let body =
            toml::to_string(self).map_err(|error| BadPlan::new("plan", error.to_string()))?;
        Ok(format!("{}{body}", self.heading()))
    }

    /// For the person who reviews it.
    fn heading(&self) -> String {
        let part = match self.range {
            Some(_) => "a part of the ledger: can be compared with the live tables, not exchanged",
            None => "the whole ledger, beside the live tables, which change only at `replay swap`",
        };
        format!(
            "# A plan of tally: makes {} tables again from {} ledger records.\n# It reads {part}.\n\
             # Carry it out with `tally replay apply FILE`. Changing anything below makes another plan.\n\n",
            self.tables.len(),
            self.estimate.records,
        )
    }

    /// What names this plan's rebuild: the hash of what it says, whatever comments it has.
    ///
    /// # Errors
    /// What cannot be written as TOML.
    pub fn id(&self) -> Result<String, BadPlan> {
        let body =
            toml::to_string(self).map_err(|error| BadPlan::new("plan", error.to_string()))?;
        let mut id = ContentHash::of(body.as_bytes()).to_string();
        id.truncate(ID_DIGITS);
        Ok(id)
    }

    /// The tables, `ledger_entries` last when it is one of them.
    ///
    /// # Errors
    /// A table that cannot be rebuilt from the ledger.
    pub fn tables(&self) -> Result<Vec<&'static Table>, BadPlan> {
        rebuildable(&self.tables)
    }

    /// Whether it is about a part of the ledger.
    pub fn is_range(&self) -> bool {
        self.range.is_some()
    }

    /// Whether it can be carried out here.
    ///
    /// # Errors
    /// What has changed since it was made.
    pub fn fits(&self, partitions: u32) -> Result<(), BadPlan> {
        let again = "make a new plan (`tally replay plan`)";
        if self.schema_version != SCHEMA_VERSION {
            let why = format!(
                "the plan was made for tables of version {}, these are of version {SCHEMA_VERSION}: {again}",
                self.schema_version
            );
            return Err(BadPlan::new("schema_version", why));
        }
        if self.partitions != partitions {
            let why = format!(
                "the plan was made for a ledger of {} partitions, this one has {partitions}: {again}",
                self.partitions
            );
            return Err(BadPlan::new("partitions", why));
        }
        let in_order = self.ledger.windows(2).all(|pair| pair[0].partition < pair[1].partition);
        for range in &self.ledger {
            if range.partition.0 >= partitions || range.from > range.to || !in_order {
                let field = format!("ledger, partition {}", range.partition);
                return Err(BadPlan::new(
                    field,
                    "no range of this ledger, or one that stands twice",
                ));
            }
        }
        if !self.is_range() && self.ledger.len() != partitions as usize {
            return Err(BadPlan::new("ledger", "without a range it has every partition"));
        }
        Ok(())
    }

    pub(super) fn of_partition(&self, partition: Partition) -> Option<PartitionRange> {
        self.ledger.iter().find(|range| range.partition == partition).copied()
    }
}

/// The tables of these names that the ledger makes, in the order in which a batch is written; all of
/// them when none is named.
pub(super) fn rebuildable(names: &[String]) -> Result<Vec<&'static Table>, BadPlan> {
    for name in names {
        let why = match table(name) {
            Some(known) if known.position == Some(LEDGER_POSITION) => continue,
            Some(known) if known.name == "dead_letters" => {
                "dead letters are made from their own topic, not from the ledger, and leave with age"
            }
            Some(known) if known.name.ends_with("_marks") => {
                "marks say how far things had come at a moment; nothing else knows that"
            }
            Some(_) => "it is not made from the ledger",
            None => "there is no such table (views are made anew by themselves)",
        };
        return Err(BadPlan::new("tables", format!("{name} cannot be rebuilt: {why}")));
    }
    let is_named =
        |table: &&'static Table| names.is_empty() || names.iter().any(|name| *name == table.name);
    Ok(of_the_ledger().filter(is_named).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn plan() -> Plan {
        Plan {
            format: FORMAT,
            what: "rebuild".to_owned(),
            why: "a \"why\"".to_owned(),
            made_by: "ada".to_owned(),
            made_at: Timestamp::from_seconds(1_800_000_000),
            schema_version: SCHEMA_VERSION,
            partitions: 2,
            tables: vec!["usage_daily".to_owned(), "ledger_entries".to_owned()],
            estimate: Estimate::default(),
            range: None,
            ledger: (0..2)
                .map(|number| PartitionRange {
                    partition: Partition(number),
                    from: Offset(0),
                    to: Offset(9),
                })
                .collect(),
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was_written_and_keeps_its_name() {
        let plan = plan();
        let text = plan.render().unwrap();
        assert!(text.starts_with("# A plan of tally: makes 2 tables again"), "{text}");
        let read = Plan::parse(&text).unwrap();
        assert_eq!(read, plan);
        assert_eq!(
            Plan::parse(&format!("# looked at by bob\n{text}")).unwrap().id().unwrap(),
            plan.id().unwrap()
        );
        let other = Plan { why: "another".to_owned(), ..plan.clone() };
        assert_ne!(other.id().unwrap(), plan.id().unwrap());
        assert_eq!(plan.id().unwrap().len(), ID_DIGITS);
        let last = plan.tables().unwrap().last().map(|table| table.name);
        assert_eq!(last, Some("ledger_entries"));
    }

    #[test]
    fn a_plan_that_does_not_fit_says_what_does_not() {
        let field = |plan: &Plan| plan.fits(2).map_err(|bad| bad.field).err();
        assert_eq!(field(&plan()), None);
        assert_eq!(field(&Plan { schema_version: 1, ..plan() }).as_deref(), Some("schema_version"));
        assert_eq!(field(&Plan { partitions: 3, ..plan() }).as_deref(), Some("partitions"));
        let mut short = plan();
        short.ledger.truncate(1);
        assert_eq!(field(&short).as_deref(), Some("ledger"));
        short.range = Some(Range::default());
        assert_eq!(field(&short), None);
        let mut twice = plan();
        twice.ledger[1].partition = Partition(0);
        assert!(field(&twice).is_some());
    }

    #[test]
    fn what_the_ledger_does_not_make_is_refused_with_the_reason() {
        for (name, reason) in [
            ("dead_letters", "topic"),
            ("freshness_marks", "moment"),
            ("replay_steps", "not made from the ledger"),
            ("balances", "no such table"),
        ] {
            let bad = rebuildable(&[name.to_owned()]).unwrap_err();
            assert!(bad.to_string().contains(reason), "{bad}");
        }
        assert!(rebuildable(&[]).unwrap().len() > 10);
        let unknown = plan().render().unwrap().replace("why =", "way =");
        assert!(Plan::parse(&unknown).is_err());
    }
}
