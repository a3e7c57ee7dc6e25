//! What a person reads.

use std::time::Duration;

use super::run::{Outcome, Verdict};

/// The sum of many runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub runs: u64,
    pub faults: u64,
    pub events: u64,
    pub records: u64,
    pub checked: u64,
    pub caught: u64,
    pub skipped: u64,
    pub wrong: u64,
    pub steady_max: Duration,
}

impl Sum {
    pub fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.wrong += u64::from(!outcome.is_right());
        match &outcome.verdict {
            Verdict::Sound { findings, steady, .. } => {
                self.faults += outcome.faults;
                self.events += outcome.wanted.events as u64;
                self.records += findings.records;
                self.checked += findings.checked;
                self.steady_max = self.steady_max.max(*steady);
            }
            Verdict::Found { .. } => {
                self.caught += u64::from(outcome.wanted.broken.is_some());
            }
            Verdict::Skipped(_) => self.skipped += 1,
        }
    }

    pub fn line(&self, took: Duration) -> String {
        format!(
            "{} runs in {:.0} s: {} faults, {} events ({} records), {} checks of invariants, slowest to rest \
             {:.1} s; {} broken builds caught, {} skipped, {} wrong",
            self.runs,
            took.as_secs_f64(),
            self.faults,
            self.events,
            self.records,
            self.checked,
            self.steady_max.as_secs_f64(),
            self.caught,
            self.skipped,
            self.wrong,
        )
    }
}

pub fn head() -> String {
    format!(
        "{:<21}{:>7}{:>9}{:>9}{:>8}{:>9}{:>8}  verdict",
        "class", "faults", "events", "records", "rest s", "audit s", "all s"
    )
}

pub fn row(outcome: &Outcome) -> String {
    let name = outcome.class.name;
    let nothing = || "-".to_owned();
    let seconds = |time: &Duration| format!("{:.1}", time.as_secs_f64());
    let (records, steady, audited) = match &outcome.verdict {
        Verdict::Sound { findings, steady, audited, .. } => {
            (findings.records.to_string(), seconds(steady), seconds(audited))
        }
        Verdict::Found { .. } | Verdict::Skipped(_) => (nothing(), nothing(), nothing()),
    };
    let verdict = match (&outcome.verdict, outcome.wanted.broken) {
        (Verdict::Sound { rebuilt: true, .. }, None) => {
            "sound once ClickHouse, which had lost rows, was made again from the ledger".to_owned()
        }
        (Verdict::Sound { restarts: 0, .. }, None) => "sound".to_owned(),
        (Verdict::Sound { restarts, .. }, None) => {
            format!("sound; {restarts} ended by themselves and began anew")
        }
        (Verdict::Sound { .. }, Some(broken)) => {
            format!("WRONG: {} was not noticed", broken.word())
        }
        (Verdict::Found { why, .. }, Some(broken)) => {
            format!("caught {}: {}", broken.word(), short(why))
        }
        (Verdict::Found { why, kept }, None) => {
            let kept = kept.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            format!("WRONG: {why}\nkept in {kept}")
        }
        (Verdict::Skipped(why), _) => format!("SKIPPED: {why}"),
    };
    format!(
        "{name:<21}{:>7}{:>9}{records:>9}{steady:>8}{audited:>9}{:>8.1}  {verdict}",
        outcome.faults,
        outcome.wanted.events,
        outcome.took.as_secs_f64(),
    )
}

/// The first line, and not all of it.
fn short(why: &str) -> String {
    const CHARACTERS_MAX: usize = 110;
    let line = why.lines().next().unwrap_or_default();
    line.chars().take(CHARACTERS_MAX).collect()
}
