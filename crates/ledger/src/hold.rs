//! A hold, as the fold of its entries.

use std::fmt;
use std::str::FromStr;

use domain::{Credits, EntryNumber, LotId, Partition, Text, Timestamp, Traffic};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::Draw;

/// A hold, named by the number of the entry that reserved it; unique within the partition.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct HoldId(pub EntryNumber);

/// A hold's name for people and producers: `hold_3-8812`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldName {
    pub partition: Partition,
    pub hold: HoldId,
}

impl fmt::Display for HoldName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "hold_{}-{}", self.partition, self.hold.0)
    }
}

/// A text that names no hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("holds are named like hold_3-8812")]
pub struct NotAHoldName;

impl FromStr for HoldName {
    type Err = NotAHoldName;

    fn from_str(text: &str) -> Result<Self, NotAHoldName> {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (partition, number) = text
            .strip_prefix("hold_")
            .and_then(|rest| rest.split_once('-'))
            .filter(|(partition, number)| digits(partition) && digits(number))
            .ok_or(NotAHoldName)?;
        Ok(Self {
            partition: Partition(partition.parse().map_err(|_| NotAHoldName)?),
            hold: HoldId(EntryNumber(number.parse().map_err(|_| NotAHoldName)?)),
        })
    }
}

/// Who and what a hold is for: what budgets look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope<'a> {
    pub user: Option<Text<'a>>,
    pub team: Option<Text<'a>>,
    pub feature: Option<Text<'a>>,
    pub traffic: Traffic,
}

impl Scope<'_> {
    pub fn into_owned(self) -> Scope<'static> {
        let owned = |text: Option<Text<'_>>| text.map(|text| Text::Owned(text.into_owned()));
        Scope {
            user: owned(self.user),
            team: owned(self.team),
            feature: owned(self.feature),
            traffic: self.traffic,
        }
    }
}

/// Credits of a lot that only a hold may draw. They outlive the lot's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earmark {
    pub lot: LotId,
    pub credits: Credits,
}

/// In draw-down order; nearly always one.
pub type Earmarks = SmallVec<[Earmark; 1]>;

/// A hold. It stays known after its end for as long as something that was captured ahead waits for
/// the event that it was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: HoldId,
    /// `None` while it is open.
    pub ended_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    /// What was reserved.
    pub amount: Credits,
    /// What has been charged on it.
    pub captured: Credits,
    /// What is still reserved, by lot; with `beyond` it is what the hold holds.
    pub earmarks: Earmarks,
    /// What it may still spend past the lots.
    pub beyond: Credits,
    /// Drawn ahead of the events that will be settled with it, oldest first.
    pub advances: Vec<Draw>,
    /// The same, past the lots.
    pub advanced_overage: Credits,
    pub scope: Scope<'static>,
}

impl Hold {
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// What it keeps from others now.
    pub fn held(&self) -> Credits {
        self.earmarks.iter().map(|earmark| earmark.credits).sum::<Credits>() + self.beyond
    }

    /// What was captured ahead and no event has used.
    pub fn outstanding(&self) -> Credits {
        self.advances.iter().map(|draw| draw.credits).sum::<Credits>() + self.advanced_overage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        let name = HoldName { partition: Partition(3), hold: HoldId(EntryNumber(8812)) };
        assert_eq!(name.to_string(), "hold_3-8812");
        assert_eq!("hold_3-8812".parse(), Ok(name));
        for other in ["hold_3", "hold_-3", "3-8812", "hold_3-", "hold_+3-1", "hold_3-1-2", ""] {
            assert_eq!(other.parse::<HoldName>(), Err(NotAHoldName), "{other}");
        }
    }
}
