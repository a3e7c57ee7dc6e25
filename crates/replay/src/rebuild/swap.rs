//! Exchanging the tables, finishing an exchange that was interrupted, and undoing it.

use std::collections::BTreeMap;

use projection::tables::Table;
use serde::Serialize;

use super::Rebuilder;
use super::error::RebuildError;
use super::fill::Progress;
use super::pause::{Level, Waiting};
use super::state::{Exchange, Pair, Side, step};
use super::work::Work;

/// What a person wants live.
#[derive(Clone, Debug, Default)]
pub struct SwapWish {
    /// The tables of before again.
    pub back: bool,
    /// The digest of the differences that the person has seen.
    pub accept: Option<String>,
}

/// One step of an exchange.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SwapStep {
    CatchingUp(Progress),
    Waiting(Waiting),
    Done(SwapDone),
}

/// What an exchange came to.
#[derive(Clone, Debug, Serialize)]
pub struct SwapDone {
    pub replay: String,
    /// What analysts read now.
    pub live: Side,
    /// It had been interrupted before.
    pub resumed: bool,
    pub tables: Vec<&'static str>,
    /// The differences that were accepted; empty for none.
    pub digest: String,
}

impl Rebuilder {
    /// Exchanges the tables at a batch boundary of the projector, step by step; one that was
    /// interrupted is finished first. Refused for a range, and while they differ by more than was
    /// accepted.
    ///
    /// # Errors
    /// Why it is refused; those of the log and of ClickHouse.
    pub fn swap(&self, id: &str, wish: &SwapWish) -> Result<SwapStep, RebuildError> {
        let mut work = self.work(id)?;
        if work.state.plan.is_range() {
            return Err(RebuildError::refused(
                "replay_ranged",
                "tables of a part of the ledger would lose the rest of it: they can be compared, not \
                 exchanged. Make a plan without a range",
            ));
        }
        if let Some(open) = work.state.open.clone() {
            return work.finish_exchange(&open, step::SWAPPED);
        }
        let target = if wish.back { Side::Original } else { Side::Rebuilt };
        if work.state.live == target {
            return Err(RebuildError::refused(
                "replay_swapped",
                match target {
                    Side::Rebuilt => "the rebuilt tables are live already (`--back` undoes it)",
                    Side::Original => "the original tables are live already",
                },
            ));
        }
        match work.check(wish) {
            Ok(Ok(accepted)) => work.exchange(target, accepted),
            Ok(Err(step)) => Ok(step),
            Err(error) => Err(work.resume_after(error)),
        }
    }

    /// Undoes an exchange that was interrupted, and lets the projector go on.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn abort(&self, id: &str) -> Result<SwapStep, RebuildError> {
        let mut work = self.work(id)?;
        let Some(open) = work.state.open.clone() else {
            work.resume()?;
            return Ok(SwapStep::Done(work.done("", false)));
        };
        let back = Exchange { target: open.target.other(), ..open };
        work.finish_exchange(&back, step::UNDONE)
    }

    /// Drops the tables beside, with their rows; the live ones stay. Returns which side that is.
    ///
    /// # Errors
    /// An exchange that is open; those of ClickHouse.
    pub fn discard(&self, id: &str) -> Result<SwapDone, RebuildError> {
        let mut work = self.remains(id)?;
        if work.state.open.is_some() {
            return Err(RebuildError::refused(
                "replay_exchanging",
                "an exchange was interrupted: finish it (`tally replay swap`) or undo it \
                 (`tally replay abort`) first",
            ));
        }
        work.resume()?;
        work.adopt()?;
        self.runtime.block_on(work.shadow.drop_shadow_tables(&work.tables))?;
        work.append(step::DROPPED, "")?;
        Ok(work.done("", false))
    }
}

impl Work<'_> {
    fn done(&self, digest: &str, resumed: bool) -> SwapDone {
        SwapDone {
            replay: self.state.id.clone(),
            live: self.state.live,
            resumed,
            tables: self.tables.iter().map(|table| table.name).collect(),
            digest: digest.to_owned(),
        }
    }

    /// Brings both sides to one offset and compares them there: the digest of what was accepted, when
    /// they may be exchanged; or what it is waiting for.
    fn check(&mut self, wish: &SwapWish) -> Result<Result<String, SwapStep>, RebuildError> {
        match self.level()? {
            Level::CatchingUp(progress) => return Ok(Err(SwapStep::CatchingUp(progress))),
            Level::Waiting(waiting) => return Ok(Err(SwapStep::Waiting(waiting))),
            Level::Reached => {}
        }
        let report = self.compare_all()?;
        let is_named = wish.accept.as_deref() == Some(report.digest.as_str());
        if report.same || report.accepted || is_named {
            return Ok(Ok(if report.same { String::new() } else { report.digest }));
        }
        Err(RebuildError::Differs {
            digest: report.digest.clone(),
            groups: report.groups(),
            tables: report.differing().join(", "),
        })
    }

    /// The projector stands still, and both sides stand where it stands.
    fn exchange(&mut self, target: Side, accepted: String) -> Result<SwapStep, RebuildError> {
        let runtime = &self.rebuilder.runtime;
        let live = runtime.block_on(self.rebuilder.live.table_ids(&self.tables))?;
        let beside = runtime.block_on(self.shadow.table_ids(&self.tables))?;
        let mut pairs = BTreeMap::new();
        for table in &self.tables {
            let (Some(live), Some(beside)) = (live.get(table.name), beside.get(table.name)) else {
                return Err(RebuildError::refused(
                    "replay_tables_gone",
                    format!("{} is not there on both sides", table.name),
                ));
            };
            let (live, beside) = (live.clone(), beside.clone());
            let pair = match self.state.live {
                Side::Original => Pair { original: live, rebuilt: beside },
                Side::Rebuilt => Pair { original: beside, rebuilt: live },
            };
            pairs.insert(table.name.to_owned(), pair);
        }
        if target == Side::Rebuilt {
            runtime.block_on(self.shadow.merge_as_usual(&self.tables))?;
        }
        let exchange = Exchange { target, accepted, pairs };
        self.append_json(step::EXCHANGE, &exchange)?;
        self.state.open = Some(exchange.clone());
        self.converge(&exchange, step::SWAPPED, false)
    }

    /// Goes on with an exchange that was begun. Whoever began it may have been taken for dead: the
    /// projector must stand still for us as well.
    pub(super) fn finish_exchange(
        &mut self,
        exchange: &Exchange,
        word: &str,
    ) -> Result<SwapStep, RebuildError> {
        match self.paused()? {
            Ok(_) => self.converge(exchange, word, true),
            Err(waiting) => Ok(SwapStep::Waiting(waiting)),
        }
    }

    /// Exchanges the pairs that are not yet as the exchange wants them, which their ids tell.
    fn converge(
        &mut self,
        exchange: &Exchange,
        word: &str,
        resumed: bool,
    ) -> Result<SwapStep, RebuildError> {
        for table in self.tables.clone() {
            if !self.is_as_wanted(table, exchange)? {
                let exchanged = self.shadow.exchange_with_live(table);
                self.rebuilder.runtime.block_on(exchanged)?;
                self.append(step::EXCHANGED, table.name)?;
            }
        }
        for table in self.tables.clone() {
            if !self.is_as_wanted(table, exchange)? {
                return Err(RebuildError::Busy(format!("{} was exchanged twice", table.name)));
            }
        }
        self.append(word, "")?;
        self.state.live = exchange.target;
        self.state.open = None;
        self.resume()?;
        tracing::info!(replay = %self.state.id, live = exchange.target.word(), resumed, "tables exchanged");
        let digest = exchange.accepted.clone();
        Ok(SwapStep::Done(self.done(&digest, resumed)))
    }

    fn is_as_wanted(
        &self,
        table: &'static Table,
        exchange: &Exchange,
    ) -> Result<bool, RebuildError> {
        let ids = self.rebuilder.runtime.block_on(self.rebuilder.live.table_ids(&[table]))?;
        let (Some(pair), Some(id)) = (exchange.pairs.get(table.name), ids.get(table.name)) else {
            return Err(RebuildError::refused(
                "replay_tables_gone",
                format!("{} is neither of the two tables of the exchange", table.name),
            ));
        };
        if id != &pair.original && id != &pair.rebuilt {
            return Err(RebuildError::refused(
                "replay_tables_gone",
                format!("the live {} is neither of the two tables of the exchange", table.name),
            ));
        }
        Ok(id == pair.of(exchange.target))
    }
}
