//! The canonical bytes of an event's meaning, and their hash (invariant 6).
//!
//! **The form.** A version byte (1), then one field after another, each a tag byte and its value:
//! a text is its length (2 bytes, little-endian) and its UTF-8 bytes; a number is little-endian
//! (time: microseconds, 8 bytes; a token count: 8 bytes; a decimal: steps of 10⁻¹², 16 bytes); a
//! word is its one-byte code. Tags rise within the event and within each item, so no two meanings
//! have the same bytes. An item begins with [`tag::ITEM`].
//!
//! **What is left out:** every field that is absent or has its default value, so that a field
//! added later changes no hash of an event that lacks it; pools that are zero; the counting of a
//! side that has no parts, where it says nothing; `trace`; unknown fields; and `source` and `id`,
//! which are the identity that this is compared under.
//!
//! **What is taken as sent:** pools before they are made disjoint, items in their order. Attributes
//! are sorted.
//!
//! The hash is kept with identities for weeks and in the ledger forever: a change of this form
//! makes every resend a conflict. `tests/content.rs` pins hashes.

use domain::{Attributes, ContentHash, HoldAction, Item, Measure, Side, Status, Traffic};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::draft::{CountingBySide, Draft, parts};

const VERSION: u8 = 1;

/// What a value is. Never reuse a number.
mod tag {
    pub(super) const SUBJECT: u8 = 0x01;
    pub(super) const TIME: u8 = 0x02;
    pub(super) const FEATURE: u8 = 0x03;
    pub(super) const TRAFFIC: u8 = 0x04;
    pub(super) const STATUS: u8 = 0x05;
    pub(super) const HOLD_ACTION: u8 = 0x06;
    pub(super) const BACKFILL: u8 = 0x07;
    pub(super) const USER: u8 = 0x08;
    pub(super) const TEAM: u8 = 0x09;
    pub(super) const HOLD: u8 = 0x0a;
    pub(super) const RUN: u8 = 0x0b;
    pub(super) const STEP: u8 = 0x0c;
    pub(super) const ENVIRONMENT: u8 = 0x0d;
    pub(super) const CONVERSATION: u8 = 0x0e;
    pub(super) const REQUESTED_MODEL: u8 = 0x0f;
    pub(super) const VENDOR_REQUEST_ID: u8 = 0x10;
    pub(super) const CORRECTS: u8 = 0x11;
    pub(super) const ATTRIBUTE: u8 = 0x3f;
    pub(super) const ITEM: u8 = 0x40;
    pub(super) const MODEL: u8 = 0x41;
    pub(super) const PROVIDER: u8 = 0x42;
    pub(super) const SERVICE_TIER: u8 = 0x43;
    pub(super) const POOL: u8 = 0x44;
    pub(super) const COUNTING_INPUT: u8 = 0x45;
    pub(super) const COUNTING_OUTPUT: u8 = 0x46;
    pub(super) const METER: u8 = 0x47;
    pub(super) const QUANTITY: u8 = 0x48;
    pub(super) const VENDOR_COST: u8 = 0x49;
    pub(super) const VENDOR_CURRENCY: u8 = 0x4a;
    pub(super) const ESTIMATED: u8 = 0x4b;
    pub(super) const ITEM_ATTRIBUTE: u8 = 0x7f;
}

/// The hash of an event as it was sent.
pub(crate) fn content_hash(draft: &Draft<'_>) -> ContentHash {
    let mut bytes = Canonical::new();
    write_event(draft, &mut bytes);
    ContentHash(bytes.hash())
}

fn write_event(draft: &Draft<'_>, out: &mut Canonical) {
    let event = &draft.event;
    out.put(&[VERSION]);
    out.text(tag::SUBJECT, Some(&event.account));
    out.number(tag::TIME, event.time.micros().to_le_bytes());
    out.text(tag::FEATURE, Some(&event.feature));
    out.word(tag::TRAFFIC, event.traffic.code(), Traffic::default().code());
    out.word(tag::STATUS, event.status.code(), Status::default().code());
    out.word(tag::HOLD_ACTION, event.hold_action.code(), HoldAction::default().code());
    out.word(tag::BACKFILL, u8::from(event.backfill), 0);
    out.text(tag::USER, event.user.as_deref());
    out.text(tag::TEAM, event.team.as_deref());
    out.text(tag::HOLD, event.hold.as_deref());
    out.text(tag::RUN, event.run.as_deref());
    out.text(tag::STEP, event.step.as_deref());
    out.text(tag::ENVIRONMENT, event.environment.as_deref());
    out.text(tag::CONVERSATION, event.conversation.as_deref());
    out.text(tag::REQUESTED_MODEL, event.requested_model.as_deref());
    out.text(tag::VENDOR_REQUEST_ID, event.vendor_request_id.as_deref());
    out.text(tag::CORRECTS, event.corrects.as_deref());
    out.attributes(tag::ATTRIBUTE, &event.attributes);
    for (item, counting) in event.items.iter().zip(&draft.counting) {
        write_item(item, *counting, out);
    }
}

fn write_item(item: &Item<'_>, counting: CountingBySide, out: &mut Canonical) {
    out.put(&[tag::ITEM]);
    out.text(tag::MODEL, item.model.as_deref());
    out.text(tag::PROVIDER, item.provider.as_deref());
    out.text(tag::SERVICE_TIER, item.service_tier.as_deref());
    match &item.measure {
        Measure::Tokens(pools) => {
            for (pool, count) in pools.nonzero() {
                let [b0, b1, b2, b3, b4, b5, b6, b7] = count.to_le_bytes();
                out.put(&[tag::POOL, pool as u8, b0, b1, b2, b3, b4, b5, b6, b7]);
            }
            let sides = [(tag::COUNTING_INPUT, Side::Input), (tag::COUNTING_OUTPUT, Side::Output)];
            for (tag, side) in sides {
                if let Some(said) = counting.of(side).filter(|_| parts(pools, side) > 0) {
                    out.put(&[tag, said as u8]);
                }
            }
        }
        Measure::Meter { meter, quantity } => {
            out.text(tag::METER, Some(meter));
            out.number(tag::QUANTITY, quantity.atoms().to_le_bytes());
        }
    }
    if let Some(cost) = &item.vendor_cost {
        out.number(tag::VENDOR_COST, cost.amount.atoms().to_le_bytes());
        out.text(tag::VENDOR_CURRENCY, Some(cost.currency.as_str()));
    }
    out.word(tag::ESTIMATED, u8::from(item.estimated), 0);
    out.attributes(tag::ITEM_ATTRIBUTE, &item.attributes);
}

/// Most events are smaller than this and are hashed in one call, twice as fast as in pieces.
const BUFFER_BYTES: usize = 1_024;

/// Collects canonical bytes on the stack, and hashes in pieces what does not fit there.
struct Canonical {
    buffer: [u8; BUFFER_BYTES],
    used: usize,
    /// Everything before the buffer, once it has run over.
    spilled: Option<Box<Xxh3>>,
}

impl Canonical {
    fn new() -> Self {
        Self { buffer: [0; BUFFER_BYTES], used: 0, spilled: None }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.used..self.used + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.spill(bytes),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let hasher = self.spilled.get_or_insert_with(Box::default);
        hasher.update(&self.buffer[..self.used]);
        hasher.update(bytes);
        self.used = 0;
    }

    fn hash(mut self) -> u64 {
        let rest = &self.buffer[..self.used];
        match &mut self.spilled {
            None => xxh3_64(rest),
            Some(hasher) => {
                hasher.update(rest);
                hasher.digest()
            }
        }
    }

    #[inline]
    fn text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            let [low, high] = length(text);
            self.put(&[tag, low, high]);
            self.put(text.as_bytes());
        }
    }

    #[inline]
    fn number<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) {
        self.put(&[tag]);
        self.put(&bytes);
    }

    #[inline]
    fn word(&mut self, tag: u8, code: u8, default: u8) {
        if code != default {
            self.put(&[tag, code]);
        }
    }

    fn attributes(&mut self, tag: u8, attributes: &Attributes<'_>) {
        for (name, value) in attributes {
            self.text(tag, Some(name));
            self.put(&length(value));
            self.put(value.as_bytes());
        }
    }
}

/// Texts have at most 256 bytes (`TEXT_BYTES_MAX`), which the decoders check.
#[inline]
fn length(text: &str) -> [u8; 2] {
    let [low, high, ..] = text.len().to_le_bytes();
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hashing_in_pieces_equals_hashing_at_once(pieces: Vec<Vec<u8>>, long in 0_usize..3_000) {
            let mut canonical = Canonical::new();
            let mut whole = Vec::new();
            for piece in pieces.into_iter().chain([vec![7; long], vec![8; 900], vec![9; 900]]) {
                canonical.put(&piece);
                whole.extend_from_slice(&piece);
            }
            prop_assert_eq!(canonical.hash(), xxh3_64(&whole));
        }
    }
}
