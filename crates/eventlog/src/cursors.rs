//! Where reading stands in a set of topic partitions, and whose turn it is.
//!
//! A poll gives every partition of its lane an equal share and begins each time with another one,
//! so that a partition with a long queue holds up none of the others.

use domain::{Offset, Partition, Topic, TopicPartition};

use crate::{Lane, LogError, MemberSpec, Record};

/// Where committed records come from.
pub(crate) trait Source {
    /// Lends up to `records_max` committed records of a partition from an offset on. Returns how
    /// many, and the next offset that may hold one: past control records, at the stable end.
    fn read(
        &mut self,
        at: TopicPartition,
        from: Offset,
        records_max: usize,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<(usize, Offset), LogError>;
}

#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) at: TopicPartition,
    lane: Lane,
    pub(crate) next: Offset,
    pub(crate) delivering: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Cursors {
    all: Vec<Cursor>,
    /// Which cursor begins the next poll.
    turn: usize,
}

impl Cursors {
    /// For a reader: everything delivers from the start.
    pub(crate) fn delivering(from: &[(TopicPartition, Offset)]) -> Self {
        let all = from
            .iter()
            .map(|&(at, next)| Cursor { at, lane: Lane::Bulk, next, delivering: true })
            .collect();
        Self { all, turn: 0 }
    }

    /// Adds a member's new partitions, paused.
    pub(crate) fn gain(&mut self, topics: &[(Topic, Lane)], partitions: &[Partition]) {
        for &partition in partitions {
            for &(topic, lane) in topics {
                let at = TopicPartition { topic, partition };
                self.all.push(Cursor { at, lane, next: Offset::ZERO, delivering: false });
            }
        }
    }

    pub(crate) fn release(&mut self, partitions: &[Partition]) {
        self.all.retain(|cursor| !partitions.contains(&cursor.at.partition));
    }

    pub(crate) fn partitions(&self) -> Vec<Partition> {
        let mut partitions: Vec<_> = self.all.iter().map(|cursor| cursor.at.partition).collect();
        partitions.sort();
        partitions.dedup();
        partitions
    }

    pub(crate) fn owns(&self, at: TopicPartition) -> bool {
        self.get(at).is_some()
    }

    pub(crate) fn get(&self, at: TopicPartition) -> Option<&Cursor> {
        self.all.iter().find(|cursor| cursor.at == at)
    }

    /// Those that a poll of the lane (of any, for a reader) may deliver.
    pub(crate) fn of_lane(&self, lane: Option<Lane>) -> impl Iterator<Item = &Cursor> {
        self.all.iter().filter(move |cursor| cursor.takes_part(lane))
    }

    pub(crate) fn pause(&mut self, partition: Partition) -> Result<(), LogError> {
        self.of_partition(partition)?.for_each(|cursor| cursor.delivering = false);
        Ok(())
    }

    /// Starts a partition, after `check` has let every offset pass.
    pub(crate) fn start(
        &mut self,
        partition: Partition,
        from: &[(Topic, Offset)],
        check: impl Fn(TopicPartition, Offset) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut places = Vec::new();
        for cursor in self.of_partition(partition)? {
            let next = from.iter().find(|(topic, _)| *topic == cursor.at.topic);
            let Some((_, next)) = next else {
                return Err(LogError::Halt(format!("no offset was given to start {}", cursor.at)));
            };
            check(cursor.at, *next)?;
            places.push((cursor, *next));
        }
        for (cursor, next) in places {
            cursor.next = next;
            cursor.delivering = true;
        }
        Ok(())
    }

    /// Lends up to `records_max` records of a lane (of all, for a reader), fairly.
    pub(crate) fn poll(
        &mut self,
        lane: Option<Lane>,
        records_max: usize,
        source: &mut dyn Source,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, LogError> {
        let active = self.of_lane(lane).count();
        if active == 0 || records_max == 0 {
            return Ok(0);
        }
        let share = (records_max / active).max(1);
        self.turn = (self.turn + 1) % self.all.len();
        let (before, after) = self.all.split_at_mut(self.turn);
        let mut in_turn: Vec<_> =
            after.iter_mut().chain(before).filter(|cursor| cursor.takes_part(lane)).collect();
        let mut total = 0;
        while total < records_max && !in_turn.is_empty() {
            let mut still = Vec::with_capacity(in_turn.len());
            for cursor in in_turn {
                let wanted = share.min(records_max - total);
                if wanted == 0 {
                    break;
                }
                let (lent, next) = source.read(cursor.at, cursor.next, wanted, visit)?;
                cursor.next = next;
                total += lent;
                if lent == wanted {
                    still.push(cursor);
                }
            }
            in_turn = still;
        }
        Ok(total)
    }

    fn of_partition(
        &mut self,
        partition: Partition,
    ) -> Result<impl Iterator<Item = &mut Cursor>, LogError> {
        let mut of_partition =
            self.all.iter_mut().filter(move |cursor| cursor.at.partition == partition).peekable();
        if of_partition.peek().is_none() {
            return Err(LogError::Halt(format!(
                "partition {partition} is not assigned to this member"
            )));
        }
        Ok(of_partition)
    }
}

impl Cursor {
    fn takes_part(&self, lane: Option<Lane>) -> bool {
        self.delivering && lane.is_none_or(|lane| lane == self.lane)
    }
}

/// The partition count that all topics of a member share (0 without topics), or why there is none.
pub(crate) fn partitions_of(
    spec: &MemberSpec,
    count: impl Fn(Topic) -> Option<u32>,
) -> Result<u32, LogError> {
    let mut shared = None;
    for &(topic, _) in &spec.topics {
        let Some(partitions) = count(topic) else {
            return Err(LogError::Halt(format!("there is no topic {topic}: create it first")));
        };
        match shared {
            None => shared = Some((topic, partitions)),
            Some((first, expected)) if partitions != expected => {
                return Err(LogError::Halt(format!(
                    "{first} has {expected} partitions and {topic} has {partitions}: group {} \
                     needs the same number of all its topics",
                    spec.group
                )));
            }
            Some(_) => {}
        }
    }
    Ok(shared.map_or(0, |(_, partitions)| partitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every partition holds endless records, or `end` of them.
    struct Endless {
        end: i64,
        taken: Vec<(u32, usize)>,
    }

    impl Source for Endless {
        fn read(
            &mut self,
            at: TopicPartition,
            from: Offset,
            records_max: usize,
            _visit: &mut dyn FnMut(Record<'_>),
        ) -> Result<(usize, Offset), LogError> {
            let end = if at.partition.0 == 0 { i64::MAX } else { self.end };
            let lent = usize::try_from(end - from.0).unwrap().min(records_max);
            self.taken.push((at.partition.0, lent));
            Ok((lent, Offset(from.0 + i64::try_from(lent).unwrap())))
        }
    }

    fn four_partitions() -> Cursors {
        let from: Vec<_> = (0..4)
            .map(|number| {
                (
                    TopicPartition { topic: Topic::UsageRaw, partition: Partition(number) },
                    Offset::ZERO,
                )
            })
            .collect();
        Cursors::delivering(&from)
    }

    #[test]
    fn a_poll_shares_equally_and_begins_with_another_each_time() {
        let mut cursors = four_partitions();
        let mut source = Endless { end: i64::MAX, taken: Vec::new() };
        assert_eq!(cursors.poll(None, 8, &mut source, &mut |_| {}).unwrap(), 8);
        assert_eq!(source.taken, [(1, 2), (2, 2), (3, 2), (0, 2)]);
        source.taken.clear();
        assert_eq!(cursors.poll(None, 2, &mut source, &mut |_| {}).unwrap(), 2);
        assert_eq!(source.taken, [(2, 1), (3, 1)]);
    }

    #[test]
    fn what_the_short_leave_the_long_take() {
        let mut cursors = four_partitions();
        let mut source = Endless { end: 1, taken: Vec::new() };
        assert_eq!(cursors.poll(None, 100, &mut source, &mut |_| {}).unwrap(), 100);
        let of_zero: usize =
            source.taken.iter().filter(|(number, _)| *number == 0).map(|(_, lent)| lent).sum();
        assert_eq!(of_zero, 97);
    }
}
