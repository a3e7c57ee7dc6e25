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

#[cfg(test)]
mod tests {
    use domain::{Offset, Partition};
    use proptest::prelude::*;

    use super::*;
    use crate::rebuild::plan::tests::plan;

    /// Steps of one rebuild in order, each under a lease.
    fn journal(steps: &[(&str, u64)]) -> Vec<JournalStep> {
        let detail = |step: &str| {
            match step {
            step::PLAN => plan().render().unwrap(),
            step::DIFFED => r#"{"digest":"4f0c61d2a9b83e57","groups":2,"tables":["seals"]}"#.to_owned(),
            step::EXCHANGE => {
                r#"{"target":"rebuilt","accepted":"4f0c61d2a9b83e57","pairs":{"seals":{"original":"a","rebuilt":"b"}}}"#
                    .to_owned()
            }
            _ => String::new(),
        }
        };
        let row = |(number, (step, epoch)): (u64, &(&str, u64))| JournalStep {
            replay: "r".to_owned(),
            step: (*step).to_owned(),
            epoch: *epoch,
            number,
            ledger_partition: Partition(0),
            to_offset: Offset(0),
            at: Timestamp::from_seconds(i64::try_from(number).unwrap()),
            who: "w".to_owned(),
            detail: detail(step),
        };
        (1..).zip(steps).map(row).collect()
    }

    fn state(steps: &[(&str, u64)]) -> State {
        State::of("r", &journal(steps)).unwrap().unwrap()
    }

    #[test]
    fn a_life_from_its_plan_to_its_end() {
        let mut steps = vec![(step::PLAN, 1)];
        let mut expect = |more: &[(&'static str, u64)], word: &str, live: Side, is_paused: bool| {
            steps.extend_from_slice(more);
            let state = state(&steps);
            assert_eq!((state.word(), state.live), (word, live), "{steps:?}");
            assert_eq!(state.pause.is_some(), is_paused, "{steps:?}");
        };
        expect(&[], "planned", Side::Original, false);
        expect(&[(step::CREATED, 1)], "building", Side::Original, false);
        expect(&[(step::PAUSE, 1), (step::DIFFED, 1)], "building", Side::Original, true);
        expect(&[(step::RESUME, 1), (step::PAUSE, 1)], "building", Side::Original, true);
        // Begun by one, and finished by another, who asks for a pause of its own.
        expect(&[(step::EXCHANGE, 1)], "exchanging", Side::Original, true);
        expect(&[(step::EXCHANGED, 1), (step::PAUSE, 2)], "exchanging", Side::Original, true);
        expect(&[(step::SWAPPED, 2), (step::RESUME, 2)], "swapped", Side::Rebuilt, false);
        expect(&[(step::DROPPED, 3)], "dropped", Side::Rebuilt, false);
    }

    #[test]
    fn what_is_undone_was_not_swapped_and_stays_accepted() {
        let state = state(&[
            (step::PLAN, 1),
            (step::CREATED, 1),
            (step::PAUSE, 1),
            (step::EXCHANGE, 1),
            (step::UNDONE, 2),
        ]);
        assert_eq!((state.word(), state.live), ("building", Side::Original));
        assert!(state.accepted.contains("4f0c61d2a9b83e57"));
    }

    #[test]
    fn one_is_active_until_it_is_dropped() {
        let begun = journal(&[(step::PLAN, 1), (step::CREATED, 1)]);
        assert!(State::active(&begun).unwrap().is_some());
        let dropped = journal(&[(step::PLAN, 1), (step::CREATED, 1), (step::DROPPED, 1)]);
        assert!(State::active(&dropped).unwrap().is_none());
        assert!(State::active(&[]).unwrap().is_none());
        assert!(State::of("other", &begun).unwrap().is_none());
    }

    proptest! {
        /// Whatever order the server hands the rows out in, and however often a step that was sent
        /// twice stands there.
        #[test]
        fn rows_may_come_in_any_order_and_twice(
            words in prop::collection::vec(0_usize..7, 0..12),
            twice in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            order in any::<u64>(),
        ) {
            const WORDS: [&str; 7] = [
                step::CREATED, step::PAUSE, step::RESUME, step::EXCHANGE, step::SWAPPED, step::UNDONE,
                step::DIFFED,
            ];
            let mut steps = vec![(step::PLAN, 1)];
            steps.extend(words.iter().enumerate().map(|(at, word)| (WORDS[*word], 1 + at as u64 / 4)));
            let rows = journal(&steps);
            let straight = State::of("r", &rows).unwrap().unwrap();
            let mut mixed = rows.clone();
            for index in twice {
                mixed.push(index.get(&rows).clone());
            }
            mixed.sort_by_key(|row| (row.number ^ order) % 5);
            let again = State::of("r", &mixed).unwrap().unwrap();
            prop_assert_eq!(again.word(), straight.word());
            prop_assert_eq!(again.live, straight.live);
            prop_assert_eq!(again.pause, straight.pause);
            prop_assert_eq!(again.accepted, straight.accepted);
            // Nothing is exchanged twice by a step that stands there twice.
            prop_assert_eq!(again.open, straight.open);
        }
    }
}
