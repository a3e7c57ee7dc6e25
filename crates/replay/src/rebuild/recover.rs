//! What a process does that finds a rebuild which somebody left in the middle: a process that was
//! killed, or a person who went away between two steps of a comparison.

use std::sync::PoisonError;
use std::time::Duration;

use warehouse::LEASE_SECONDS;

use super::Rebuilder;
use super::error::RebuildError;
use super::state::step;
use super::swap::SwapStep;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing is open, and the projector is not asked to pause.
    Clean,
    /// Somebody is at it, or the projector has not answered: look again in a moment.
    Later,
    /// An exchange was finished.
    Finished,
    /// Nothing had been exchanged: the projector goes on.
    Resumed,
}

impl Rebuilder {
    /// Finishes an exchange that nobody is at any more, and withdraws a pause that nobody needs: nothing
    /// was exchanged under it, and nothing can be without the lease. An exchange had been checked before
    /// it was begun, so finishing it is what was wanted. `first` says that this process has not taken a
    /// step yet.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn recover(&self, first: bool) -> Result<Recovery, RebuildError> {
        let stepped = *self.stepped.lock().unwrap_or_else(PoisonError::into_inner);
        if !first && stepped.elapsed() < Duration::from_secs(LEASE_SECONDS) {
            return Ok(Recovery::Later);
        }
        let Some(state) = self.active()? else { return Ok(Recovery::Clean) };
        if state.open.is_none() && state.pause.is_none() {
            return Ok(Recovery::Clean);
        }
        let mut work = match self.work(&state.id) {
            Ok(work) => work,
            Err(RebuildError::Busy(_)) => return Ok(Recovery::Later),
            Err(error) => return Err(error),
        };
        let Some(open) = work.state.open.clone() else {
            work.resume()?;
            tracing::warn!(replay = %state.id, "a pause that its process left was withdrawn");
            return Ok(Recovery::Resumed);
        };
        match work.finish_exchange(&open, step::SWAPPED)? {
            SwapStep::Done(_) => {
                tracing::warn!(replay = %state.id, "an interrupted exchange of tables was finished");
                Ok(Recovery::Finished)
            }
            SwapStep::Waiting(_) | SwapStep::CatchingUp(_) => Ok(Recovery::Later),
        }
    }
}
