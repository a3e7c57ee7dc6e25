//! Waiting for another process, bounded.

use std::thread;
use std::time::{Duration, Instant};

/// How often the condition is asked. Small against every start we wait for, large against the cost of asking.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The condition did not hold before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gave up after {} ms", .0.as_millis())]
pub struct TimedOut(pub Duration);

/// Asks until `condition` holds, for at most `patience`. The condition is asked at least once, and once more at the end.
pub fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> Result<(), TimedOut> {
    let started = Instant::now();
    loop {
        if condition() {
            return Ok(());
        }
        let waited = started.elapsed();
        if waited >= patience {
            return Err(TimedOut(patience));
        }
        thread::sleep(POLL_INTERVAL.min(patience - waited));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_holds_is_asked_once() {
        let mut asked = 0;
        wait_until(Duration::ZERO, || {
            asked += 1;
            true
        })
        .unwrap();
        assert_eq!(asked, 1);
    }

    #[test]
    fn a_condition_that_never_holds_ends_at_the_deadline() {
        let patience = Duration::from_millis(20);
        let started = Instant::now();
        assert_eq!(wait_until(patience, || false), Err(TimedOut(patience)));
        assert!(started.elapsed() >= patience);
    }
}
