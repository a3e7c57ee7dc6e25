//! An open-addressing table for keys that are already uniform hashes: groups of 16 slots, one
//! control byte per slot, split into shards by the key's first bits.
//!
//! - A key's 128 bits are its shard (9), its slot bytes (the 112 in the middle, first byte first)
//!   and its control byte (the last 7, and one of the middle's again, so that a slot is looked at
//!   in vain half as often). A slot that keeps all 14 middle bytes gives the whole key back.
//! - A key goes into the emptier of two groups, which the middle's first 24 bits and the control
//!   byte name. Looking at exactly two, always, keeps the processor from guessing how far to go
//!   (runs of full groups cost five times as much at this load), and lets a table be 88 % full.
//!   What finds both full, by chance or because somebody chose the ids for it, goes into a list.
//! - Groups are chosen by scaling, so a table can have any number of them, and grows by an eighth
//!   instead of doubling.
//! - Each shard grows alone: the longest stall of an insert is one 512th of the table.
//! - Control bytes lie apart from the slots: a miss touches one cache line of a small array.
//! - A key may be there more than once; nothing is removed except by a rebuild, so there are no
//!   tombstones.

use domain::IdentityKey;

pub(crate) const SHARDS: usize = 512;
const SHARD_BITS: u32 = 9;
const LANES: usize = 16;
const EMPTY: u8 = 0;
const CONTROL_BITS: u32 = 7;
const MIDDLE_BITS: u32 = 128 - SHARD_BITS - CONTROL_BITS;
/// Bytes of a slot that hold the key's middle whole.
pub(crate) const MIDDLE_BYTES: usize = MIDDLE_BITS as usize / 8;
/// Every slot begins with at least so many of the middle's bytes: the groups depend on them.
const POSITION_BYTES: usize = 3;
/// A shard is rebuilt when more than this part of its slots is taken. With two groups to choose
/// from, hardly any key finds both full below it.
const LOAD_PERCENT_MAX: usize = 88;
/// Room that a rebuild leaves, as a part of what it keeps.
const ROOM_PERCENT: usize = 12;

/// Where a key lives: its parts.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) middle: [u8; MIDDLE_BYTES],
    pub(crate) control: u8,
}

impl Place {
    pub(crate) fn of(key: IdentityKey) -> Self {
        let mut middle = [0; MIDDLE_BYTES];
        let bits = (key.0 << SHARD_BITS) >> (SHARD_BITS + CONTROL_BITS);
        middle.copy_from_slice(&bits.to_be_bytes()[16 - MIDDLE_BYTES..]);
        Self { shard: (key.0 >> (128 - SHARD_BITS)) as usize, middle, control: control_of(key) }
    }

    pub(crate) fn key(&self) -> IdentityKey {
        let mut bytes = [0; 16];
        bytes[16 - MIDDLE_BYTES..].copy_from_slice(&self.middle);
        IdentityKey(
            (self.shard as u128) << (128 - SHARD_BITS)
                | u128::from_be_bytes(bytes) << CONTROL_BITS
                | u128::from(last_bits_of(self.control)),
        )
    }
}

/// The key's last 7 bits, below them the one before, and never [`EMPTY`]: of the two values that
/// stand for seven zeros, one gives way to the other.
fn control_of(key: IdentityKey) -> u8 {
    let last = (key.0 as u8) << 1;
    let before = (key.0 >> CONTROL_BITS) as u8 & 1;
    (last | before).max(1)
}

fn last_bits_of(control: u8) -> u8 {
    control >> 1
}

impl<const SLOT: usize> std::fmt::Debug for Table<SLOT> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Table").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The shards. `SLOT` is the bytes per slot; the first of them are the key's middle.
pub(crate) struct Table<const SLOT: usize> {
    shards: Box<[Shard<SLOT>]>,
}

impl<const SLOT: usize> Table<SLOT> {
    pub(crate) fn with_room_for(ids: usize) -> Self {
        let groups = if ids == 0 { 0 } else { groups_for(ids.div_ceil(SHARDS)) };
        Self { shards: (0..SHARDS).map(|_| Shard::with_groups(groups)).collect() }
    }

    pub(crate) fn shard(&self, shard: usize) -> &Shard<SLOT> {
        &self.shards[shard]
    }

    pub(crate) fn shard_mut(&mut self, shard: usize) -> &mut Shard<SLOT> {
        &mut self.shards[shard]
    }

    #[inline]
    pub(crate) fn touch(&self, key: IdentityKey) -> u8 {
        let place = Place::of(key);
        self.shards[place.shard].touch(&place)
    }

    /// Spreads out what came in key order and so filled the groups unevenly.
    pub(crate) fn settle(&mut self) {
        for shard in self.shards.iter_mut().filter(|shard| !shard.overflow.is_empty()) {
            shard.rebuild(|_| true, |_, _| ());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        let shards: usize =
            self.shards.iter().map(|shard| shard.controls.capacity() * LANES * (1 + SLOT)).sum();
        let overflow: usize =
            self.shards.iter().map(|shard| shard.overflow.capacity() * (1 + SLOT)).sum();
        shards + overflow + SHARDS * size_of::<Shard<SLOT>>()
    }
}

pub(crate) struct Shard<const SLOT: usize> {
    controls: Vec<[u8; LANES]>,
    slots: Vec<[u8; SLOT]>,
    /// What found both of its groups full. Nearly always empty.
    overflow: Vec<(u8, [u8; SLOT])>,
    len: usize,
}

impl<const SLOT: usize> Shard<SLOT> {
    fn with_groups(groups: usize) -> Self {
        Self {
            controls: vec![[EMPTY; LANES]; groups],
            slots: vec![[0; SLOT]; groups * LANES],
            overflow: Vec::new(),
            len: 0,
        }
    }

    /// Visits every slot that a key may be in: all in its groups whose control byte is the key's.
    #[inline]
    pub(crate) fn each_candidate(&self, place: &Place, mut visit: impl FnMut(&[u8; SLOT])) {
        if self.controls.is_empty() {
            return;
        }
        let (first, second) = groups_of(&place.middle, place.control, self.controls.len());
        let in_first = lanes_equal(&self.controls[first], place.control);
        let in_second = lanes_equal(&self.controls[second], place.control);
        // A shard of one group has it twice.
        let in_second = if first == second { 0 } else { in_second };
        let mut matches = u32::from(in_first) | u32::from(in_second) << LANES;
        while matches != 0 {
            let lane = matches.trailing_zeros() as usize;
            let group = if lane < LANES { first } else { second };
            visit(&self.slots[group * LANES + lane % LANES]);
            matches &= matches - 1;
        }
        if !self.overflow.is_empty() {
            let matching = self.overflow.iter().filter(|(control, _)| *control == place.control);
            matching.for_each(|(_, slot)| visit(slot));
        }
    }

    /// Reads what a miss would read first, for the sake of the cache.
    #[inline]
    pub(crate) fn touch(&self, place: &Place) -> u8 {
        if self.controls.is_empty() {
            return EMPTY;
        }
        let (first, second) = groups_of(&place.middle, place.control, self.controls.len());
        self.controls[first][0] ^ self.controls[second][0]
    }

    pub(crate) fn is_full(&self) -> bool {
        (self.len + 1) * 100 > self.controls.len() * LANES * LOAD_PERCENT_MAX
    }

    /// Puts a slot in, without looking whether its key is there. The shard must not be full.
    #[inline]
    pub(crate) fn insert(&mut self, control: u8, slot: [u8; SLOT]) {
        debug_assert!(!self.is_full());
        let (first, second) = groups_of(&slot, control, self.controls.len());
        let free_in_first = lanes_equal(&self.controls[first], EMPTY);
        let free_in_second = lanes_equal(&self.controls[second], EMPTY);
        let (group, free) = if free_in_first.count_ones() >= free_in_second.count_ones() {
            (first, free_in_first)
        } else {
            (second, free_in_second)
        };
        if free == 0 {
            self.overflow.push((control, slot));
        } else {
            let lane = free.trailing_zeros() as usize;
            self.controls[group][lane] = control;
            self.slots[group * LANES + lane] = slot;
        }
        self.len += 1;
    }

    /// Keeps some of the slots, hands the others to `dropped`, and sizes the shard anew.
    pub(crate) fn rebuild(
        &mut self,
        keep: impl Fn(&[u8; SLOT]) -> bool,
        mut dropped: impl FnMut(u8, &[u8; SLOT]),
    ) {
        let kept = self.iter().filter(|(_, slot)| keep(slot)).count();
        let old = std::mem::replace(self, Self::with_groups(groups_for(kept)));
        // Lane by lane: taken group by group, keys of neighbouring groups would come together, find
        // the rest empty, and fill it unevenly.
        let lanes = (0..LANES).flat_map(|lane| {
            let groups = old.controls.iter().zip(old.slots.chunks_exact(LANES));
            groups.map(move |(controls, slots)| (controls[lane], &slots[lane]))
        });
        let grouped = lanes.filter(|(control, _)| *control != EMPTY);
        let overflow = old.overflow.iter().map(|(control, slot)| (*control, slot));
        for (control, slot) in grouped.chain(overflow) {
            if keep(slot) {
                self.insert(control, *slot);
            } else {
                dropped(control, slot);
            }
        }
    }

    /// Every taken slot with its control byte.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, &[u8; SLOT])> {
        let controls = self.controls.as_flattened().iter().copied();
        let grouped = controls.zip(&self.slots).filter(|(control, _)| *control != EMPTY);
        grouped.chain(self.overflow.iter().map(|(control, slot)| (*control, slot)))
    }
}

/// Groups for this many slots and the room to grow. Always at least one slot short of full.
fn groups_for(ids: usize) -> usize {
    let room = ids + ids * ROOM_PERCENT / 100 + 1;
    (room * 100).div_ceil(LOAD_PERCENT_MAX).div_ceil(LANES)
}

/// The two groups of a key; one and the same only where there is but one.
#[inline]
fn groups_of(slot: &[u8], control: u8, groups: usize) -> (usize, usize) {
    const { assert!(POSITION_BYTES == 3) };
    let position = u32::from(slot[0]) << 16 | u32::from(slot[1]) << 8 | u32::from(slot[2]);
    let first = ((u64::from(position) * groups as u64) >> 24) as usize;
    // Any odd constant with well-mixed high bits would do; this is 2³² over the golden ratio.
    let mixed = (position << 8 | u32::from(control)).wrapping_mul(0x9e37_79b1);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x9e37_79b1);
    let second = ((u64::from(mixed) * groups as u64) >> 32) as usize;
    match second == first {
        false => (first, second),
        true if first + 1 < groups => (first, first + 1),
        true => (first, 0),
    }
}

/// A bit per lane that holds `control`. Short code matters here: the fewer instructions a lookup
/// has, the more lookups the processor has in flight while it waits for memory.
#[cfg(target_arch = "x86_64")]
#[inline]
fn lanes_equal(controls: &[u8; LANES], control: u8) -> u16 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    #[inline]
    #[target_feature(enable = "sse2")]
    fn compare(lanes: u128, control: u8) -> u16 {
        let lanes = _mm_set_epi64x((lanes >> 64) as i64, lanes as i64);
        _mm_movemask_epi8(_mm_cmpeq_epi8(lanes, _mm_set1_epi8(control as i8))) as u16
    }
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { compare(u128::from_le_bytes(*controls), control) }
}

#[cfg(not(target_arch = "x86_64"))]
use lanes_equal_in_words as lanes_equal;

/// The same for any processor: eight lanes at a time in a word.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn lanes_equal_in_words(controls: &[u8; LANES], control: u8) -> u16 {
    const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
    const SEVEN_BITS: u64 = u64::from_le_bytes([0x7f; 8]);
    let eight_lanes = |lanes: u64| {
        let zero_where_equal = lanes ^ (LOW_BITS * u64::from(control));
        // No byte carries into the next, so the top bit of each says exactly whether it is zero.
        let differing = ((zero_where_equal & SEVEN_BITS) + SEVEN_BITS) | zero_where_equal;
        let equal = (!differing >> 7) & LOW_BITS;
        // Brings bit 8n to bit 56 + n.
        equal.wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    let both = u128::from_le_bytes(*controls);
    (eight_lanes(both as u64) | eight_lanes((both >> 64) as u64) << 8) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lanes_are_told_apart(
            controls in prop_oneof![any::<[u8; LANES]>(), proptest::array::uniform(0x7f..0x82_u8)],
            control in prop_oneof![any::<u8>(), 0x7f..0x82_u8, Just(EMPTY)],
        ) {
            let equal = lanes_equal(&controls, control);
            prop_assert_eq!(equal, lanes_equal_in_words(&controls, control));
            for (lane, found) in controls.iter().enumerate() {
                prop_assert_eq!(equal >> lane & 1 == 1, *found == control);
            }
        }

        #[test]
        fn a_place_gives_its_key_back(
            bits in prop_oneof![any::<u128>(), any::<u128>().prop_map(|bits| bits & !0x7f)],
        ) {
            let key = IdentityKey(bits);
            prop_assert_eq!(Place::of(key).key(), key);
            prop_assert_ne!(Place::of(key).control, EMPTY);
        }

        #[test]
        fn a_shard_finds_what_is_in_it(middles in proptest::collection::vec(any::<[u8; 4]>(), 0..600), same_home in any::<bool>()) {
            let mut shard = Shard::<4>::with_groups(0);
            let place = |slot: &[u8; 4]| {
                let mut middle = [0; MIDDLE_BYTES];
                middle[..4].copy_from_slice(slot);
                Place { shard: 0, middle, control: 1 + (slot[3] & 1) }
            };
            let slots: Vec<[u8; 4]> = middles
                .iter()
                .map(|slot| if same_home { [255, 255, 255, slot[3]] } else { *slot })
                .collect();
            for slot in &slots {
                if shard.is_full() {
                    shard.rebuild(|_| true, |_, _| ());
                }
                shard.insert(place(slot).control, *slot);
            }
            for slot in &slots {
                let mut copies = 0;
                shard.each_candidate(&place(slot), |found| copies += usize::from(found == slot));
                prop_assert_eq!(copies, slots.iter().filter(|other| *other == slot).count());
            }
            let kept = slots.iter().filter(|slot| slot[3] & 2 == 0).count();
            let mut dropped = 0;
            shard.rebuild(|slot| slot[3] & 2 == 0, |_, _| dropped += 1);
            prop_assert_eq!((shard.len, dropped), (kept, slots.len() - kept));
            prop_assert_eq!(shard.iter().count(), kept);
        }
    }
}
