//! A consumer group as Kafka's classic protocol has it: at every change all members give
//! everything up, and when the last has done so, the partitions are shared out by range.

use std::collections::BTreeMap;

use domain::{Offset, Partition, Topic, TopicPartition};

use crate::{Assignment, Lane, LogError, MemberSpec};

/// A member's place in its group. A new one is handed out at every join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeatId(u64);

#[derive(Debug, Default)]
struct Seat {
    writer: Option<String>,
    /// What it has or is to be told that it has.
    owned: Vec<Partition>,
    /// To be told at its next poll.
    news: Option<Assignment>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    topics: Vec<(Topic, Lane)>,
    partitions: u32,
    /// In the order of joining, which is the order of the ranges.
    seats: BTreeMap<SeatId, Seat>,
    seats_given: u64,
    rebalancing: bool,
    pub(super) positions: BTreeMap<TopicPartition, (Offset, String)>,
}

impl Group {
    pub(super) fn join(&mut self, spec: &MemberSpec, partitions: u32) -> Result<SeatId, LogError> {
        if self.seats.is_empty() {
            self.topics.clone_from(&spec.topics);
            self.partitions = partitions;
        } else if self.topics != spec.topics {
            return Err(LogError::Halt(format!(
                "the members of group {} join with different topics",
                spec.group
            )));
        }
        Ok(self.sit_down(spec.writer.clone()))
    }

    /// A place for an expelled member that came back.
    pub(super) fn sit_down(&mut self, writer: Option<String>) -> SeatId {
        self.seats_given += 1;
        let id = SeatId(self.seats_given);
        self.seats.insert(id, Seat { writer, ..Seat::default() });
        self.rebalance();
        id
    }

    pub(super) fn leave(&mut self, id: SeatId) {
        if self.seats.remove(&id).is_some() {
            self.rebalance();
        }
    }

    pub(super) fn expel(&mut self, chosen: impl Fn(Option<&str>) -> bool) {
        let before = self.seats.len();
        self.seats.retain(|_, seat| !chosen(seat.writer.as_deref()));
        if self.seats.len() < before {
            self.rebalance();
        }
    }

    pub(super) fn has(&self, id: SeatId) -> bool {
        self.seats.contains_key(&id)
    }

    /// What the member is to be told now.
    pub(super) fn news(&mut self, id: SeatId) -> Option<Assignment> {
        self.seats.get_mut(&id)?.news.take()
    }

    /// Whether the member may commit positions of a partition: until it has released it.
    pub(super) fn owns(&self, id: SeatId, partition: Partition) -> bool {
        self.seats.get(&id).is_some_and(|seat| seat.owned.contains(&partition))
    }

    pub(super) fn release(&mut self, id: SeatId, partitions: &[Partition]) {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.owned.retain(|partition| !partitions.contains(partition));
            self.share_out();
        }
    }

    fn rebalance(&mut self) {
        self.rebalancing = true;
        for seat in self.seats.values_mut() {
            match seat.news {
                // It never heard of them.
                Some(Assignment::Gained(_)) => {
                    seat.news = None;
                    seat.owned.clear();
                }
                Some(Assignment::Revoked(_) | Assignment::Lost(_)) | None => {}
            }
            if !seat.owned.is_empty() {
                seat.news = Some(Assignment::Revoked(seat.owned.clone()));
            }
        }
        self.share_out();
    }

    /// Once nobody owns anything any more: by range, the first members one more where the
    /// partitions do not divide.
    fn share_out(&mut self) {
        if !self.rebalancing || self.seats.values().any(|seat| !seat.owned.is_empty()) {
            return;
        }
        self.rebalancing = false;
        let members = u32::try_from(self.seats.len()).unwrap_or(u32::MAX).max(1);
        let (each, more) = (self.partitions / members, self.partitions % members);
        let mut next = 0;
        for (place, seat) in (0..members).zip(self.seats.values_mut()) {
            let count = each + u32::from(place < more);
            seat.owned = (next..next + count).map(Partition).collect();
            next += count;
            if count > 0 {
                seat.news = Some(Assignment::Gained(seat.owned.clone()));
            }
        }
    }
}
