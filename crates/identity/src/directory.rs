//! One filter over all cold identities within the horizon, that also says on which day to look.
//!
//! A filter per run would be probed 35 times and more for each new identity, which is by far the
//! most common question. This is one table for all days: 31 further bits of the key beside its
//! shard, and the day as a byte. A miss touches one cache line; a hit leads to the runs of one day.
//! It can say *perhaps* for an identity that is not there, never *no* for one that is.

use domain::{Day, IdentityKey};

use crate::table::{Place, Table};

const POSITION_BYTES: usize = 3;
/// With its control byte, 5 bytes per slot.
const SLOT: usize = POSITION_BYTES + 1;

#[derive(Debug)]
pub(crate) struct Directory {
    table: Table<SLOT>,
}

/// How many days before the newest an identity may have been taken: a set of 0 to 255.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ages([u64; 4]);

impl Ages {
    fn insert(&mut self, age: u8) {
        self.0[usize::from(age >> 6)] |= 1 << (age & 63);
    }

    /// The smallest age first: the newest day.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |age| self.0[usize::from(age >> 6)] >> (age & 63) & 1 == 1)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }
}

impl Directory {
    pub(crate) fn with_room_for(ids: usize) -> Self {
        Self { table: Table::with_room_for(ids) }
    }

    #[inline]
    pub(crate) fn touch(&self, key: IdentityKey) -> u8 {
        self.table.touch(key)
    }

    /// After a load of sorted runs.
    pub(crate) fn settle(&mut self) {
        self.table.settle();
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Notes that `key` was taken on `day`. A full shard first forgets what is older than the
    /// horizon before `latest`.
    pub(crate) fn insert(&mut self, key: IdentityKey, day: Day, latest: Day, horizon_days: u8) {
        let place = Place::of(key);
        let shard = self.table.shard_mut(place.shard);
        if shard.is_full() {
            shard.rebuild(|slot| age_of(slot, latest) <= horizon_days, |_, _| ());
        }
        let [first, second, third, ..] = place.middle;
        shard.insert(place.control, [first, second, third, day.0 as u8]);
    }

    /// On which days, counted back from `latest`, `key` may have been taken. A day beyond the
    /// horizon can come back as another one, which costs a look and finds nothing.
    #[inline]
    pub(crate) fn ages(&self, key: IdentityKey, latest: Day) -> Ages {
        let place = Place::of(key);
        let mut ages = Ages::default();
        self.table.shard(place.shard).each_candidate(&place, |slot| {
            if slot[..POSITION_BYTES] == place.middle[..POSITION_BYTES] {
                ages.insert(age_of(slot, latest));
            }
        });
        ages
    }
}

fn age_of(slot: &[u8; SLOT], latest: Day) -> u8 {
    (latest.0 as u8).wrapping_sub(slot[POSITION_BYTES])
}
