//! The brake: when dead letters come in an unbroken run, or dominate, a bad deploy is draining the
//! topic into them, and the partition stops for a person.

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrakeLimits {
    /// So many dead letters one after another.
    pub run_max: u32,
    /// So many of every hundred inputs, once a window is full.
    pub percent_max: u32,
    /// Inputs per window.
    pub window: u32,
}

impl Default for BrakeLimits {
    fn default() -> Self {
        Self { run_max: 1_000, percent_max: 50, window: 10_000 }
    }
}

/// Counts dead letters among inputs.
#[derive(Clone, Debug)]
pub struct Brake {
    limits: BrakeLimits,
    run: u32,
    window: u32,
    window_dead: u32,
}

impl Brake {
    pub fn new(limits: BrakeLimits) -> Self {
        Self { limits, run: 0, window: 0, window_dead: 0 }
    }

    /// Notes one input. Returns whether the partition must stop.
    #[must_use]
    pub fn note(&mut self, dead_letter: bool) -> bool {
        self.window += 1;
        if dead_letter {
            self.run += 1;
            self.window_dead += 1;
        } else {
            self.run = 0;
        }
        let mut stop = self.run >= self.limits.run_max;
        if self.window >= self.limits.window {
            let percent = u64::from(self.window_dead) * 100 / u64::from(self.window);
            stop |= percent > u64::from(self.limits.percent_max);
            self.window = 0;
            self.window_dead = 0;
        }
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_a_run_and_at_a_share() {
        let limits = BrakeLimits { run_max: 3, percent_max: 50, window: 10 };
        let mut brake = Brake::new(limits);
        assert!(!brake.note(true) && !brake.note(true) && !brake.note(false));
        assert!(!brake.note(true) && !brake.note(true) && brake.note(true));
        let mut brake = Brake::new(limits);
        let stops: Vec<bool> =
            (0..10).map(|index| brake.note(index % 5 != 0 && index % 5 != 3)).collect();
        assert_eq!(stops.iter().filter(|stop| **stop).count(), 1);
        assert!(stops[9]);
    }
}
