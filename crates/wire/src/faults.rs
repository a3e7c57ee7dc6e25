//! Faults, and which of several is given.
//!
//! A decoder does not stop at the first fault that it meets: it notes it and reads on as far as
//! the bytes can be read, and the fault whose reason stands first in [`domain::REASONS`] is the
//! one that is given; of several with the same reason, the first in the record. So the reason does
//! not hang on the order in which a producer writes its fields.
//!
//! What is not looked at: anything after the point where a record cannot be read on (bytes that
//! are not JSON, a cut Avro body), and items past the 256th.

use std::fmt::{self, Write};

use domain::{Fault, Reason};

/// The longest name of a producer's own (an attribute's, a pool's) that a path shows.
const NAME_CHARACTERS_MAX: usize = 64;

/// Where a value stands, such as `data.items[2].tokens.input`; a chain on the stack, made into a
/// text only when there is a fault to name. `Root` reads as the empty text: the record as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// The path of what CloudEvents carries for us.
pub(crate) const DATA: Path<'static> = Path::Field(&Path::Root, "data");

impl<'p> Path<'p> {
    pub(crate) fn field(&'p self, name: &'p str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(parent, name) => {
                fmt::Display::fmt(parent, formatter)?;
                if !matches!(parent, Self::Root) {
                    formatter.write_char('.')?;
                }
                name.chars().take(NAME_CHARACTERS_MAX).try_for_each(|c| formatter.write_char(c))
            }
            Self::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// Takes faults as they are met.
pub(crate) trait NoteFault {
    fn note(&mut self, reason: Reason, path: Path<'_>, value: &str);
}

/// Remembers only that there was a fault. Paths that nobody reads cost nothing, which makes the
/// reading of a good Avro record a third faster; one that is at fault is read again with names.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    pub(crate) raised: bool,
}

impl NoteFault for Alarm {
    #[inline(always)]
    fn note(&mut self, _: Reason, _: Path<'_>, _: &str) {
        self.raised = true;
    }
}

/// The fault to give so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    first: Option<Fault>,
}

impl NoteFault for Faults {
    /// Keeps this fault if no other comes before it in the table. Costs a comparison otherwise, so
    /// that a record made of faults is not slow to refuse.
    #[cold]
    fn note(&mut self, reason: Reason, path: Path<'_>, value: &str) {
        if self.first.as_ref().is_none_or(|first| reason < first.reason) {
            self.first = Some(Fault::new(reason, path.to_string(), value));
        }
    }
}

impl Faults {
    /// Ends the reading: the fault, if there was any.
    pub(crate) fn take(&mut self) -> Option<Fault> {
        self.first.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_the_table_is_given_and_the_first_in_the_record_among_equals() {
        let mut faults = Faults::default();
        let items = DATA.field("items");
        let item = items.index(2);
        faults.note(Reason::BadQuantity, item.field("quantity"), "-1");
        faults.note(Reason::WrongType, item.field("meter"), "5");
        faults.note(Reason::WrongType, DATA.field("feature"), "6");
        faults.note(Reason::BadTime, Path::Root.field("time"), "now");
        let fault = faults.take().unwrap();
        assert_eq!(
            (fault.reason, fault.field.as_ref()),
            (Reason::WrongType, "data.items[2].meter")
        );
    }
}
