//! A usage event while it is being read: the checks and rules that JSON and Avro share.

use domain::limits::{AMOUNT_MAX_UNITS, TEXT_BYTES_MAX, TOKENS_MAX};
use domain::{
    ALL_POOLS, Attributes, Currency, Item, Measure, Money, Pool, Pools, Quantity, Reason,
    ReportedCost, SCALE, Side, Text, Timestamp, UsageEvent,
};
use smallvec::SmallVec;

use crate::Decoded;
use crate::canonical;
use crate::faults::{DATA, NoteFault, Path};

/// The last microsecond of the year 9999, the last that RFC 3339 can write.
const TIME_MICROS_MAX: i64 = 253_402_300_799_999_999;

/// Whether the parts of a side lie inside its whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Counting {
    Inclusive = 0,
    Exclusive = 1,
}

impl Counting {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "inclusive" => Some(Self::Inclusive),
            "exclusive" => Some(Self::Exclusive),
            _ => None,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Inclusive, Self::Exclusive].into_iter().find(|counting| *counting as u8 == code)
    }
}

/// What an item says about its counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountingBySide {
    pub(crate) input: Option<Counting>,
    pub(crate) output: Option<Counting>,
}

impl CountingBySide {
    pub(crate) const EXCLUSIVE: Self = Self::both(Counting::Exclusive);

    pub(crate) const fn both(counting: Counting) -> Self {
        Self { input: Some(counting), output: Some(counting) }
    }

    pub(crate) fn of(self, side: Side) -> Option<Counting> {
        match side {
            Side::Input => self.input,
            Side::Output => self.output,
        }
    }
}

/// An event as sent: defaults filled in, pools not yet made disjoint.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    pub(crate) event: UsageEvent<'a>,
    /// One per item.
    pub(crate) counting: SmallVec<[CountingBySide; 8]>,
    /// Items met, also those at fault, which are not kept.
    pub(crate) items_seen: usize,
    pub(crate) unknown_fields: u32,
}

/// An item as sent. `has_…` is also true of a field whose value was at fault, so that one fault
/// does not make another.
#[derive(Debug, Default)]
pub(crate) struct ItemDraft<'a> {
    pub(crate) model: Option<Text<'a>>,
    pub(crate) provider: Option<Text<'a>>,
    pub(crate) service_tier: Option<Text<'a>>,
    pub(crate) counting: CountingBySide,
    pub(crate) pools: Pools,
    pub(crate) meter: Option<Text<'a>>,
    pub(crate) quantity: Option<Quantity>,
    pub(crate) vendor_cost: Option<ReportedCost>,
    pub(crate) attributes: Attributes<'a>,
    pub(crate) estimated: bool,
    pub(crate) has_model: bool,
    pub(crate) has_tokens: bool,
    pub(crate) has_meter: bool,
    pub(crate) has_quantity: bool,
}

impl<'a> Draft<'a> {
    /// Adds an item, if its shape is one of the two that there are.
    #[inline]
    pub(crate) fn push_item(
        &mut self,
        item: ItemDraft<'a>,
        path: Path<'_>,
        faults: &mut impl NoteFault,
    ) {
        let measure = match (item.has_tokens, item.has_meter, item.has_quantity) {
            (true, false, false) if item.has_model => Measure::Tokens(item.pools),
            (false, true, true) => Measure::Meter {
                meter: item.meter.unwrap_or_default(),
                quantity: item.quantity.unwrap_or_default(),
            },
            (true, false, false) => {
                return faults.note(Reason::BadItem, path, "tokens without a model");
            }
            (true, ..) => return faults.note(Reason::BadItem, path, "both tokens and a meter"),
            (false, true, false) => {
                return faults.note(Reason::BadItem, path, "a meter without a quantity");
            }
            (false, false, true) => {
                return faults.note(Reason::BadItem, path, "a quantity without a meter");
            }
            (false, false, false) => {
                return faults.note(Reason::BadItem, path, "neither tokens nor a quantity");
            }
        };
        let standard = |tier: &Text<'_>| matches!(tier.as_ref(), "standard" | "default");
        if let Measure::Tokens(pools) = &measure {
            check_counting(pools, item.counting, path, faults);
        }
        self.counting.push(item.counting);
        self.event.items.push(Item {
            model: item.model,
            provider: item.provider,
            service_tier: item.service_tier.filter(|tier| !standard(tier)),
            measure,
            vendor_cost: item.vendor_cost,
            attributes: item.attributes,
            estimated: item.estimated,
        });
    }

    /// Notes an event without items, which is a fault of its own, unless it takes another back.
    pub(crate) fn check_has_items(&self, faults: &mut impl NoteFault) {
        if self.items_seen == 0 && self.event.corrects.is_none() {
            faults.note(Reason::NoItems, DATA.field("items"), "[]");
        }
    }

    /// The end of a draft without a fault: hashed as it was sent, then made disjoint.
    #[inline]
    pub(crate) fn finish(mut self) -> Decoded<'a> {
        let content = canonical::content_hash(&self);
        for (item, counting) in self.event.items.iter_mut().zip(&self.counting) {
            if let Measure::Tokens(pools) = &mut item.measure {
                make_disjoint(pools, *counting);
            }
        }
        Decoded { event: self.event, content, unknown_fields: self.unknown_fields }
    }
}

/// The tokens in a side's parts. At most 10 parts of 10¹² each: it cannot overflow.
pub(crate) fn parts(pools: &Pools, side: Side) -> u64 {
    pools.side(side) - pools[whole(side)]
}

fn whole(side: Side) -> Pool {
    match side {
        Side::Input => Pool::Input,
        Side::Output => Pool::Output,
    }
}

fn check_counting(
    pools: &Pools,
    said: CountingBySide,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) {
    for side in [Side::Input, Side::Output] {
        let (whole, parts) = (whole(side), parts(pools, side));
        if parts == 0 {
            continue;
        }
        match said.of(side) {
            Some(Counting::Exclusive) => {}
            Some(Counting::Inclusive) if parts <= pools[whole] => {}
            Some(Counting::Inclusive) => faults.note(
                Reason::TokenPoolsInconsistent,
                path.field("tokens").field(whole.name()),
                &format!("{}, with parts of {parts}", pools[whole]),
            ),
            None => faults.note(
                Reason::CountingRequired,
                path.field("counting"),
                &format!("not said for {}, with parts of {parts}", whole.name()),
            ),
        }
    }
}

fn make_disjoint(pools: &mut Pools, said: CountingBySide) {
    for side in [Side::Input, Side::Output] {
        if said.of(side) == Some(Counting::Inclusive) {
            // `check_counting` has seen to it that the parts do not exceed the whole.
            pools[whole(side)] -= parts(pools, side);
        }
    }
}

/// A text within the limits; otherwise its fault is noted.
#[inline]
pub(crate) fn checked_text<'a>(
    text: Text<'a>,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) -> Option<Text<'a>> {
    if text.is_empty() {
        faults.note(Reason::EmptyText, path, "");
        return None;
    }
    checked_value(text, path, faults)
}

/// The text that bytes are when nothing about it needs a closer look, which is nearly always:
/// within the limits, ASCII, no control character. Saves a tenth of reading an Avro record.
#[inline]
pub(crate) fn plain_text(bytes: &[u8]) -> Option<&str> {
    let plain = (1..=TEXT_BYTES_MAX).contains(&bytes.len()) && is_plain_ascii(bytes);
    // SAFETY: every byte is ASCII, and ASCII is UTF-8.
    plain.then(|| unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// The value of an attribute: as [`checked_text`], but it may be empty.
#[inline]
pub(crate) fn checked_value<'a>(
    text: Text<'a>,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) -> Option<Text<'a>> {
    if text.len() > TEXT_BYTES_MAX {
        faults.note(Reason::TextTooLong, path, &text);
        return None;
    }
    if !is_plain_ascii(text.as_bytes()) && text.chars().any(char::is_control) {
        faults.note(Reason::BadText, path, &text);
        return None;
    }
    Some(text)
}

/// Whether all bytes are ASCII and none is a control character, eight bytes at a time: most texts
/// are, and this is the hottest loop of the crate.
#[inline]
fn is_plain_ascii(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    // A top bit is set where a byte is beyond ASCII, below a space, or DEL. Borrows reach only
    // bytes above one that is already bad.
    let is_plain = |word: u64| {
        let below_space = word.wrapping_sub(0x20 * ONES) & !word;
        let delete = word ^ (0x7f * ONES);
        let is_delete = delete.wrapping_sub(ONES) & !delete;
        (word | below_space | is_delete) & TOPS == 0
    };
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|byte| matches!(byte, 0x20..0x7f));
    };
    // The last word may overlap the one before it.
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().all(|word| is_plain(u64::from_le_bytes(*word)))
        && is_plain(u64::from_le_bytes(*last))
}

/// A time that RFC 3339 can write, whichever way it came.
pub(crate) fn checked_time(micros: i64, path: Path<'_>, faults: &mut impl NoteFault) -> Timestamp {
    if !(0..=TIME_MICROS_MAX).contains(&micros) {
        faults.note(Reason::BadTime, path, &micros.to_string());
    }
    Timestamp::from_micros(micros)
}

/// A quantity in steps of 10⁻¹² that came as a binary number.
pub(crate) fn checked_quantity(
    atoms: Option<i128>,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) -> Option<Quantity> {
    checked_atoms(atoms, Reason::BadQuantity, path, faults).map(Quantity::from_atoms)
}

/// A reported cost's amount in steps of 10⁻¹² that came as a binary number.
pub(crate) fn checked_money(
    atoms: Option<i128>,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) -> Option<Money> {
    checked_atoms(atoms, Reason::BadAmount, path, faults).map(Money::from_atoms)
}

fn checked_atoms(
    atoms: Option<i128>,
    reason: Reason,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) -> Option<i128> {
    let within = atoms.filter(|atoms| (0..=AMOUNT_MAX_UNITS * SCALE).contains(atoms));
    if within.is_none() {
        let shown = atoms.map(|atoms| Quantity::from_atoms(atoms).to_string());
        faults.note(reason, path, shown.as_deref().unwrap_or("not a decimal of 38 digits"));
    }
    within
}

pub(crate) fn checked_currency(
    text: &str,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) -> Option<Currency> {
    let currency = text.parse().ok();
    if currency.is_none() {
        faults.note(Reason::BadCurrency, path, text);
    }
    currency
}

/// A token count from its number; `None`, and a fault, past the limit.
pub(crate) fn checked_count(
    count: Option<u64>,
    path: Path<'_>,
    sent: &str,
    faults: &mut impl NoteFault,
) -> u64 {
    match count {
        Some(count) if count <= TOKENS_MAX => count,
        Some(_) | None => {
            faults.note(Reason::BadTokenCount, path, sent);
            0
        }
    }
}

/// Sorts attributes by name; a name that stands twice is a fault.
pub(crate) fn sort_attributes(
    attributes: &mut Attributes<'_>,
    path: Path<'_>,
    faults: &mut impl NoteFault,
) {
    attributes.sort_unstable();
    for pair in attributes.windows(2) {
        if pair[0].0 == pair[1].0 {
            faults.note(Reason::RepeatedField, path.field(&pair[1].0), &pair[1].1);
        }
    }
}

/// The pool with this number.
pub(crate) fn pool_from_code(code: u8) -> Option<Pool> {
    ALL_POOLS.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_ascii_is_what_it_says(bytes in proptest::collection::vec(0x1e_u8..0x82, 0..40)) {
            let plain = bytes.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
            prop_assert_eq!(is_plain_ascii(&bytes), plain);
            let text = std::str::from_utf8(&bytes).ok().filter(|text| plain && !text.is_empty());
            prop_assert_eq!(plain_text(&bytes), text);
        }
    }
}
