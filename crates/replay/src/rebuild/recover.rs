//! What a process does that finds a rebuild which somebody left in the middle.

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
    /// Finishes an exchange whose process has gone, and withdraws a pause that nobody needs any more.
    /// It had been checked before it was begun, so finishing it is what was wanted.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn recover(&self) -> Result<Recovery, RebuildError> {
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
