//! Breaks and kill points, for the tests that ask whether a fault would be noticed.
//!
//! A test that injects faults and finds nothing proves little until it has found something. So every class of faults names
//! a [`Break`]: a mistake in the code that it must catch. The code that a break spoils asks [`is_on`]; the test starts the
//! same build with [`BREAKS_VARIABLE`] set. A [`Point`] is a place where a process can be told to die
//! ([`ARMED_VARIABLE`]), because the worst moments are too short to be hit by chance.
//!
//! Architecture invariant: without the feature `armed` all of this is `const` and compiles to nothing, and no shipped
//! program has the feature.

/// The breaks that are on, by their words, separated by commas.
pub const BREAKS_VARIABLE: &str = "TALLY_SABOTAGE";
/// What happens where: `after-commit=3:kill` kills the process when it comes to that point for the third time.
pub const ARMED_VARIABLE: &str = "TALLY_ARMED";

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in settings and reports.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}

words! {
    /// A mistake that the code could have, and that some class of faults must catch.
    Break {
        /// A commit whose outcome is not known is taken as committed.
        UnknownTaken = "unknown-taken",
        /// The inputs' positions are left out of the transaction, and with them the group's fencing.
        PositionsLeftOut = "positions-left-out",
        /// The state is taken from the snapshot alone, and reading goes on at the committed positions.
        FoldSkipped = "fold-skipped",
        /// A snapshot is taken up without the identities that belong to it.
        IdentityForgotten = "identity-forgotten",
        /// Nobody looks whether an event was seen before.
        DuplicatesUnseen = "duplicates-unseen",
        /// A command that was carried out is carried out again.
        RepeatsUnseen = "repeats-unseen",
        /// A known identity is a duplicate, whatever it means.
        ConflictsUnseen = "conflicts-unseen",
        /// A record that cannot be read is counted as a dead letter and not kept.
        DeadLetterDropped = "dead-letter-dropped",
        /// Prices are chosen by when an event arrives.
        PricedByArrival = "priced-by-arrival",
        /// The ledger's time is what the machine's clock says.
        TimeByClock = "time-by-clock",
        /// Files of state are taken as they are.
        ChecksumsIgnored = "checksums-ignored",
        /// A snapshot that cannot be written ends the charger.
        SnapshotErrorEnds = "snapshot-error-ends",
        /// A batch whose end was planned before a restart is cut anew.
        PlannedEndForgotten = "planned-end-forgotten",
        /// An insert without a good answer is taken as stored.
        InsertErrorTaken = "insert-error-taken",
        /// The API says that it has a record before the log does.
        AnsweredEarly = "answered-early",
        /// A batch that may have been stored is sent again under another name.
        RetryRenamed = "retry-renamed",
        /// A batch that may have been stored is sent again without a look.
        LookupSkipped = "lookup-skipped",
    }
}

words! {
    /// A place in the code that a process can be told to die at.
    Point {
        /// Charger: the first records of a batch are decided, and nothing of it is written.
        Decided = "decided",
        /// Charger: everything is in the transaction, and nothing is committed.
        BeforeCommit = "before-commit",
        /// Kafka: the transaction has the positions, and is not ended.
        PositionsSent = "positions-sent",
        /// Charger: the transaction is committed, and nobody knows.
        AfterCommit = "after-commit",
        /// Charger: a partition is folded, and not begun.
        Folded = "folded",
        /// Charger: the identities of a snapshot are in runs, and the snapshot is not written.
        RunsWritten = "runs-written",
        /// A snapshot is written whole, under a name that nobody looks for.
        SnapshotUnnamed = "snapshot-unnamed",
        /// Projector: the end of a batch is committed, and nothing of it inserted.
        Planned = "planned",
        /// Projector: all tables have the batch but the last.
        LastTableLeft = "last-table-left",
        /// Projector: all tables have the batch, and no commit says so.
        Stored = "stored",
    }
}

/// What a process does to itself at an armed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// SIGKILL.
    Kill,
    /// SIGSTOP: it goes on when somebody sends SIGCONT.
    Stop,
}

/// The value of [`ARMED_VARIABLE`] for a deed at the `count`th time that a point is passed.
pub fn armed(point: Point, count: u32, deed: Deed) -> String {
    let deed = match deed {
        Deed::Kill => "kill",
        Deed::Stop => "stop",
    };
    format!("{}={count}:{deed}", point.word())
}

#[cfg(not(feature = "armed"))]
mod switches {
    use crate::{Break, Point};

    /// Whether the code is to be wrong in this way: never, in this build.
    #[inline(always)]
    pub const fn is_on(_which: Break) -> bool {
        false
    }

    /// Passes a point: nothing happens, in this build.
    #[inline(always)]
    pub const fn pass(_point: Point) {}
}

#[cfg(feature = "armed")]
mod switches {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::{ARMED_VARIABLE, BREAKS_VARIABLE, Break, Deed, Point};

    /// Whether the code is to be wrong in this way. Asked of the environment once.
    pub fn is_on(which: Break) -> bool {
        static ON: OnceLock<Vec<Break>> = OnceLock::new();
        let on = ON.get_or_init(|| {
            let words = std::env::var(BREAKS_VARIABLE).unwrap_or_default();
            let on: Vec<Break> = words.split(',').filter_map(Break::from_word).collect();
            if !on.is_empty() {
                eprintln!("sabotaged: {words}");
            }
            on
        });
        !on.is_empty() && on.contains(&which)
    }

    struct Trap {
        point: Point,
        deed: Deed,
        left: AtomicU32,
    }

    /// Passes a point: when it is armed and its count is reached, the process dies or stands still here.
    pub fn pass(point: Point) {
        static TRAP: OnceLock<Option<Trap>> = OnceLock::new();
        let Some(trap) = TRAP.get_or_init(|| parse(&std::env::var(ARMED_VARIABLE).ok()?)) else {
            return;
        };
        if trap.point != point || trap.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        eprintln!("armed point {} reached", point.word());
        let signal = match trap.deed {
            Deed::Kill => libc::SIGKILL,
            Deed::Stop => libc::SIGSTOP,
        };
        // SAFETY: takes two integers and has no memory effects; this process is the one meant.
        unsafe { libc::kill(libc::getpid(), signal) };
    }

    fn parse(text: &str) -> Option<Trap> {
        let (point, rest) = text.split_once('=')?;
        let (count, deed) = rest.split_once(':')?;
        let deed = match deed {
            "kill" => Deed::Kill,
            "stop" => Deed::Stop,
            _ => return None,
        };
        // It counts down past zero, and then for four thousand million passes more.
        let left = AtomicU32::new(count.parse().ok()?);
        Some(Trap { point: Point::from_word(point)?, deed, left })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_is_armed_is_read_back() {
            let trap = parse(&crate::armed(Point::AfterCommit, 3, Deed::Stop)).unwrap();
            assert_eq!(trap.point, Point::AfterCommit);
            assert_eq!(trap.deed, Deed::Stop);
            assert_eq!(trap.left.into_inner(), 3);
            assert!(parse("after-commit").is_none() && parse("nowhere=1:kill").is_none());
        }
    }
}

pub use switches::{is_on, pass};

/// Whether this build can be sabotaged at all.
pub const IS_ARMED: bool = cfg!(feature = "armed");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_one_thing_each() {
        for one in Break::ALL {
            assert_eq!(Break::from_word(one.word()), Some(*one));
        }
        for one in Point::ALL {
            assert_eq!(Point::from_word(one.word()), Some(*one));
        }
        assert_eq!(Break::from_word("no-such-break"), None);
    }
}
