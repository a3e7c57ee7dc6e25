//! The recent identities, whole, in memory.

use domain::{ContentHash, IdentityKey, Offset};

use crate::run::Record;
use crate::table::{MIDDLE_BYTES, Place, SHARDS, Table};

const CONTENT_BYTES: usize = 8;
const ENTRY_BYTES: usize = 5;
/// With its control byte, 28 bytes per slot.
const SLOT: usize = MIDDLE_BYTES + CONTENT_BYTES + ENTRY_BYTES;
type Slot = [u8; SLOT];

/// Entries in memory lie within this many offsets of the newest, so that their low 40 bits name
/// them. The index moves older ones out.
pub(crate) const ENTRY_SPAN_MAX: i64 = 1 << 39;
const ENTRY_MASK: i64 = (1 << (8 * ENTRY_BYTES)) - 1;

#[derive(Debug)]
pub(crate) struct HotIds {
    table: Table<SLOT>,
    /// The largest entry offset ever inserted: the others are read against it.
    newest: i64,
}

impl HotIds {
    pub(crate) fn with_room_for(ids: usize) -> Self {
        Self { table: Table::with_room_for(ids), newest: -1 }
    }

    #[inline]
    pub(crate) fn touch_groups(&self, key: IdentityKey) -> u8 {
        self.table.touch(key)
    }

    #[inline]
    pub(crate) fn touch_slots(&self, key: IdentityKey) -> u8 {
        let place = Place::of(key);
        let mut all = 0;
        // A slot may lie on two cache lines.
        self.table
            .shard(place.shard)
            .each_candidate(&place, |slot| all ^= slot[0] ^ slot[SLOT - 1]);
        all
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

    /// The latest taking of this identity that is in memory.
    #[inline]
    pub(crate) fn find(&self, key: IdentityKey) -> Option<(ContentHash, Offset)> {
        let place = Place::of(key);
        let mut found: Option<(ContentHash, Offset)> = None;
        self.table.shard(place.shard).each_candidate(&place, |slot| {
            if slot[..MIDDLE_BYTES] == place.middle {
                let entry = entry_of(slot, self.newest);
                if found.is_none_or(|(_, other)| other.0 < entry) {
                    found = Some((content_of(slot), Offset(entry)));
                }
            }
        });
        found
    }

    /// Inserts; when the shard is full, first moves its entries below `hot_from` to `retired`.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        record: Record,
        hot_from: Offset,
        mut retired: impl FnMut(IdentityKey, Offset),
    ) {
        self.newest = self.newest.max(record.entry.0);
        let newest = self.newest;
        let place = Place::of(record.key);
        let shard = self.table.shard_mut(place.shard);
        if shard.is_full() {
            shard.rebuild(
                |slot| entry_of(slot, newest) >= hot_from.0,
                |control, slot| {
                    let key = place_of(place.shard, control, slot).key();
                    retired(key, Offset(entry_of(slot, newest)));
                },
            );
        }
        let mut slot = [0; SLOT];
        slot[..MIDDLE_BYTES].copy_from_slice(&place.middle);
        slot[MIDDLE_BYTES..][..CONTENT_BYTES].copy_from_slice(&record.content.0.to_le_bytes());
        slot[MIDDLE_BYTES + CONTENT_BYTES..]
            .copy_from_slice(&record.entry.0.to_le_bytes()[..ENTRY_BYTES]);
        shard.insert(place.control, slot);
    }

    /// Removes every entry from this offset on.
    pub(crate) fn remove_from(&mut self, from: Offset) {
        let newest = self.newest;
        for shard in 0..SHARDS {
            let shard = self.table.shard_mut(shard);
            if shard.iter().any(|(_, slot)| entry_of(slot, newest) >= from.0) {
                shard.rebuild(|slot| entry_of(slot, newest) < from.0, |_, _| ());
            }
        }
        self.newest = self.newest.min(from.0 - 1);
    }

    /// The entries in `[from, to)`, in key order, and those of one key in ledger order.
    pub(crate) fn sorted(&self, from: Offset, to: Offset) -> impl Iterator<Item = Record> {
        (0..SHARDS).flat_map(move |shard| {
            let mut records: Vec<Record> = self
                .table
                .shard(shard)
                .iter()
                .filter_map(|(control, slot)| {
                    let entry = Offset(entry_of(slot, self.newest));
                    (from <= entry && entry < to).then(|| Record {
                        key: place_of(shard, control, slot).key(),
                        content: content_of(slot),
                        entry,
                    })
                })
                .collect();
            records.sort_unstable_by_key(|record| (record.key, record.entry));
            records
        })
    }
}

fn content_of(slot: &Slot) -> ContentHash {
    let mut bytes = [0; CONTENT_BYTES];
    bytes.copy_from_slice(&slot[MIDDLE_BYTES..][..CONTENT_BYTES]);
    ContentHash(u64::from_le_bytes(bytes))
}

fn entry_of(slot: &Slot, newest: i64) -> i64 {
    let mut bytes = [0; 8];
    bytes[..ENTRY_BYTES].copy_from_slice(&slot[MIDDLE_BYTES + CONTENT_BYTES..]);
    newest - (newest.wrapping_sub(i64::from_le_bytes(bytes)) & ENTRY_MASK)
}

fn place_of(shard: usize, control: u8, slot: &Slot) -> Place {
    let mut middle = [0; MIDDLE_BYTES];
    middle.copy_from_slice(&slot[..MIDDLE_BYTES]);
    Place { shard, middle, control }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_past_forty_bits_come_back_whole() {
        let mut hot = HotIds::with_room_for(0);
        let first = (5 << 40) - 3;
        for step in 0..100 {
            let record = Record {
                key: IdentityKey(u128::from(step as u64) << 7),
                content: ContentHash(7),
                entry: Offset(first + step),
            };
            hot.insert(record, Offset(0), |_, _| ());
        }
        for step in 0..100 {
            let found = hot.find(IdentityKey(u128::from(step as u64) << 7));
            assert_eq!(found, Some((ContentHash(7), Offset(first + step))));
        }
    }
}
