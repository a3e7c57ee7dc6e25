//! Asking the projector to stand still, and bringing the tables beside to exactly where it stands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::{Offset, Partition};
use serde::Serialize;

use super::error::RebuildError;
use super::fill::Progress;
use super::state::step;
use super::work::Work;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The projector has not said of every partition that it stands still.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// Partitions that stand still, of how many.
    pub paused: u32,
    pub partitions: u32,
}

/// Where both stand, or why they do not stand at one place yet.
pub(super) enum Level {
    Reached,
    Waiting(Waiting),
    CatchingUp(Progress),
}

impl Work<'_> {
    /// One step towards both tables being at one offset, with the projector paused there. It is asked
    /// to pause only when there is little left to catch up.
    pub(super) fn level(&mut self) -> Result<Level, RebuildError> {
        if self.state.pause.is_none() {
            let progress = self.fill(&self.targets()?)?;
            if !progress.caught_up {
                return Ok(Level::CatchingUp(progress));
            }
        }
        let places = match self.paused()? {
            Ok(places) => places,
            Err(waiting) => return Ok(Level::Waiting(waiting)),
        };
        self.must_not_be_ahead(&places)?;
        let progress = self.fill(&places)?;
        Ok(match progress.caught_up {
            true => Level::Reached,
            false => Level::CatchingUp(progress),
        })
    }

    /// Asks the projector to pause, unless this lease has, and waits a little for its answer. Another
    /// lease's wish is not enough: its holder could still withdraw it.
    pub(super) fn paused(
        &mut self,
    ) -> Result<Result<BTreeMap<Partition, Offset>, Waiting>, RebuildError> {
        let asked = match self.state.pause {
            Some((asked, _)) if asked.0 == self.lease.epoch => asked,
            Some(_) | None => {
                let number = self.append(step::PAUSE, "")?;
                let asked = (self.lease.epoch, number);
                let since = self.state.pause.map(|(_, since)| since);
                self.state.pause = Some((asked, since.unwrap_or_default()));
                asked
            }
        };
        let rebuilder = self.rebuilder;
        let deadline = Instant::now() + rebuilder.terms.step;
        loop {
            let said = rebuilder.live.paused_at(&self.state.id, asked);
            let places: BTreeMap<Partition, Offset> =
                rebuilder.runtime.block_on(said)?.into_iter().collect();
            let all =
                (0..rebuilder.partitions).all(|number| places.contains_key(&Partition(number)));
            if all {
                return Ok(Ok(places));
            }
            if Instant::now() >= deadline {
                let paused = u32::try_from(places.len()).unwrap_or(u32::MAX);
                return Ok(Err(Waiting { paused, partitions: rebuilder.partitions }));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Lets the projector go on. Not while an exchange is open.
    pub(super) fn resume(&mut self) -> Result<(), RebuildError> {
        if self.state.pause.is_some() && self.state.open.is_none() {
            self.append(step::RESUME, "")?;
            self.state.pause = None;
        }
        Ok(())
    }

    /// The same after something else went wrong, which is what is told.
    pub(super) fn resume_after(&mut self, error: RebuildError) -> RebuildError {
        if let Err(second) = self.resume() {
            tracing::warn!(error = %second, "the projector stays paused");
        }
        error
    }
}
