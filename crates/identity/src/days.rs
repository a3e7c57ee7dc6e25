//! Which ledger day an entry belongs to. Ledger time never goes back, so the first entry of each
//! day says it for all, and neither memory nor files keep a day per identity.

use domain::{Day, Offset};

#[derive(Debug, Default)]
pub(crate) struct Days {
    /// Ascending in both.
    starts: Vec<(Offset, Day)>,
}

impl Days {
    pub(crate) fn from_starts(starts: Vec<(Offset, Day)>) -> Self {
        Self { starts }
    }

    /// The newest day that had an entry.
    pub(crate) fn newest(&self) -> Day {
        self.starts.last().map_or(Day(0), |(_, day)| *day)
    }

    /// Notes an entry's day. An earlier day than the newest is the caller's to refuse.
    #[inline]
    pub(crate) fn note(&mut self, entry: Offset, day: Day) {
        if self.starts.last().is_none_or(|(_, newest)| *newest < day) {
            self.starts.push((entry, day));
        }
    }

    #[inline]
    pub(crate) fn of(&self, entry: Offset) -> Day {
        match self.starts.last() {
            Some((from, day)) if *from <= entry => *day,
            Some(_) | None => {
                let after = self.starts.partition_point(|(from, _)| *from <= entry);
                self.starts[..after].last().map_or(Day(0), |(_, day)| *day)
            }
        }
    }

    /// Forgets days that began at this entry or later.
    pub(crate) fn remove_from(&mut self, from: Offset) {
        self.starts.retain(|(start, _)| *start < from);
    }

    /// The days that began below this entry.
    pub(crate) fn before(&self, to: Offset) -> Vec<(Offset, Day)> {
        self.starts.iter().copied().filter(|(start, _)| *start < to).collect()
    }

    /// The parts of `[from, to)` that lie in one day each.
    pub(crate) fn split(&self, from: Offset, to: Offset) -> Vec<(Offset, Offset, Day)> {
        let mut parts = Vec::new();
        for (index, (start, day)) in self.starts.iter().enumerate() {
            let end = self.starts.get(index + 1).map_or(to, |(next, _)| *next);
            let part = (from.max(*start), to.min(end));
            if part.0 < part.1 {
                parts.push((part.0, part.1, *day));
            }
        }
        parts
    }
}
