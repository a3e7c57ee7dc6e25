//! A rebuild as its journal tells it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use warehouse::JournalStep;

use super::plan::{BadPlan, Plan};

/// The words of the journal.
pub(super) mod step {
    pub(crate) const PLAN: &str = "plan";
    pub(crate) const CREATED: &str = "created";
    pub(crate) const PLANNED: &str = "planned";
    pub(crate) const REACHED: &str = "reached";
    pub(crate) const DIFFED: &str = "diffed";
    pub(crate) const PAUSE: &str = "pause";
    pub(crate) const RESUME: &str = "resume";
    pub(crate) const EXCHANGE: &str = "exchange";
    pub(crate) const EXCHANGED: &str = "exchanged";
    pub(crate) const SWAPPED: &str = "swapped";
    pub(crate) const UNDONE: &str = "undone";
    pub(crate) const DROPPED: &str = "dropped";
}

/// Which of two tables is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The table of before.
    #[default]
    Original,
    /// The one that was made beside it.
    Rebuilt,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::Original => Self::Rebuilt,
            Self::Rebuilt => Self::Original,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Rebuilt => "rebuilt",
        }
    }
}

/// The ids of a pair of tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) original: String,
    pub(super) rebuilt: String,
}

impl Pair {
    pub(super) fn of(&self, side: Side) -> &str {
        match side {
            Side::Original => &self.original,
            Side::Rebuilt => &self.rebuilt,
        }
    }
}

/// An exchange, as it is journalled before its first pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exchange {
    /// What is to be live.
    pub(super) target: Side,
    /// The differences that were accepted; empty for none.
    pub(super) accepted: String,
    /// By table.
    pub(super) pairs: BTreeMap<String, Pair>,
}

/// What the last comparison found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Diffed {
    pub(super) digest: String,
    pub(super) groups: u64,
    pub(super) tables: Vec<String>,
}

/// A rebuild.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) id: String,
    pub(super) plan: Plan,
    pub(super) by: String,
    pub(super) begun_at: Timestamp,
    /// The tables beside were made.
    pub(super) created: bool,
    /// What is live, unless an exchange is open.
    pub(super) live: Side,
    /// Begun, and neither finished nor undone.
    pub(super) open: Option<Exchange>,
    /// Digests of differences that were accepted.
    pub(super) accepted: BTreeSet<String>,
    pub(super) diffed: Option<(Timestamp, Diffed)>,
    /// The last wish that the projector pause, by lease and number, unless it was withdrawn; and when
    /// the first was made.
    pub(super) pause: Option<((u64, u64), Timestamp)>,
    pub(super) dropped: bool,
}

impl State {
    /// The rebuild of that name, from the steps of all.
    ///
    /// # Errors
    /// A step whose detail is not what this version writes.
    pub(super) fn of(id: &str, steps: &[JournalStep]) -> Result<Option<Self>, BadPlan> {
        let mut own: Vec<&JournalStep> = steps.iter().filter(|step| step.replay == id).collect();
        own.sort_by_key(|step| (step.epoch, step.number));
        let Some((first, later)) = own.split_first().filter(|(first, _)| first.step == step::PLAN)
        else {
            return Ok(None);
        };
        let mut state = Self {
            id: id.to_owned(),
            plan: Plan::parse(&first.detail)?,
            by: first.who.clone(),
            begun_at: first.at,
            created: false,
            live: Side::Original,
            open: None,
            accepted: BTreeSet::new(),
            diffed: None,
            pause: None,
            dropped: false,
        };
        for step in later {
            state.take(step)?;
        }
        Ok(Some(state))
    }

    fn take(&mut self, taken: &JournalStep) -> Result<(), BadPlan> {
        match taken.step.as_str() {
            step::CREATED => self.created = true,
            step::DIFFED => self.diffed = Some((taken.at, read(taken)?)),
            step::PAUSE => {
                let since = self.pause.map_or(taken.at, |(_, since)| since);
                self.pause = Some(((taken.epoch, taken.number), since));
            }
            step::RESUME => self.pause = None,
            step::EXCHANGE => {
                let exchange: Exchange = read(taken)?;
                if !exchange.accepted.is_empty() {
                    self.accepted.insert(exchange.accepted.clone());
                }
                self.open = Some(exchange);
            }
            step::SWAPPED => {
                if let Some(exchange) = self.open.take() {
                    self.live = exchange.target;
                }
            }
            step::UNDONE => self.open = None,
            step::DROPPED => self.dropped = true,
            _ => {}
        }
        Ok(())
    }

    /// The rebuild that was begun and not dropped: there is one at most.
    pub(super) fn active(steps: &[JournalStep]) -> Result<Option<Self>, BadPlan> {
        let begun: BTreeSet<&str> = steps
            .iter()
            .filter(|step| step.step == step::PLAN)
            .map(|step| step.replay.as_str())
            .collect();
        for id in begun {
            if let Some(state) = Self::of(id, steps)?.filter(|state| !state.dropped) {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// In a word.
    pub(super) fn word(&self) -> &'static str {
        match (self.dropped, &self.open, self.live, self.created) {
            (true, ..) => "dropped",
            (false, Some(_), ..) => "exchanging",
            (false, None, Side::Rebuilt, _) => "swapped",
            (false, None, Side::Original, true) => "building",
            (false, None, Side::Original, false) => "planned",
        }
    }
}

fn read<'s, T: Deserialize<'s>>(step: &'s JournalStep) -> Result<T, BadPlan> {
    serde_json::from_str(&step.detail).map_err(|error| {
        BadPlan::new(format!("step {} ({})", step.number, step.step), error.to_string())
    })
}
