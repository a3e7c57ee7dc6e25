//! One item of an event in JSON.

use domain::{Currency, Money, Pool, Pools, Quantity, Reason, ReportedCost, Text};
use serde::de::{DeserializeSeed, MapAccess};

use super::value::{self, Members, Notes, Object};
use super::{Seen, attributes, fields};
use crate::draft::{
    Counting, CountingBySide, Draft, ItemDraft, checked_count, checked_currency, checked_money,
};
use crate::faults::{NoteFault, Path};

fields!(ItemField {
    Model "model",
    Provider "provider",
    ServiceTier "service_tier",
    Counting "counting",
    Tokens "tokens",
    Meter "meter",
    Quantity "quantity",
    VendorCost "vendor_cost",
    Attributes "attributes",
    Estimated "estimated",
});

#[derive(Default)]
pub(super) struct ItemMembers<'a> {
    item: ItemDraft<'a>,
    seen: Seen,
}

impl<'a> ItemMembers<'a> {
    /// Adds the item to the event.
    pub(super) fn finish(self, draft: &mut Draft<'a>, path: Path<'_>, notes: &mut Notes<'_>) {
        draft.push_item(self.item, path, notes.faults);
    }
}

impl<'a> Members<'a> for ItemMembers<'a> {
    #[inline]
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let Some(field) = ItemField::from_name(name) else {
            return value::skip_unknown(object, notes);
        };
        let path = path.field(name);
        if !self.seen.first_time(field.bit(), path, object, notes)? {
            return Ok(());
        }
        let item = &mut self.item;
        match field {
            ItemField::Model => {
                item.has_model = optional_text(&mut item.model, path, object, notes)?;
            }
            ItemField::Provider => {
                optional_text(&mut item.provider, path, object, notes)?;
            }
            ItemField::ServiceTier => {
                optional_text(&mut item.service_tier, path, object, notes)?;
            }
            ItemField::Meter => {
                item.has_meter = optional_text(&mut item.meter, path, object, notes)?;
            }
            ItemField::Counting => item.counting = counting(value::raw(object)?, path, notes),
            ItemField::Tokens => {
                let mut members = TokenMembers::default();
                let seed = Object { members: &mut members, path, notes };
                item.has_tokens = object.next_value_seed(seed)?;
                item.pools = members.pools;
            }
            ItemField::Quantity => {
                let raw = value::raw(object)?;
                let read = |text: &str| {
                    text.parse::<Quantity>().ok().filter(|quantity| !quantity.is_negative())
                };
                let found = value::parsed(raw, path, Reason::BadQuantity, notes, read);
                item.has_quantity = found.is_present();
                item.quantity = found.value();
            }
            ItemField::VendorCost => {
                let mut members = CostMembers::default();
                let seed = Object { members: &mut members, path, notes };
                if object.next_value_seed(seed)? {
                    item.vendor_cost = members.finish(path, notes);
                }
            }
            ItemField::Attributes => item.attributes = attributes(path, object, notes)?,
            ItemField::Estimated => {
                item.estimated = value::boolean(value::raw(object)?, path, notes);
            }
        }
        Ok(())
    }
}

/// Reads a text; gives whether one stood there.
fn optional_text<'a, A: MapAccess<'a>>(
    into: &mut Option<Text<'a>>,
    path: Path<'_>,
    object: &mut A,
    notes: &mut Notes<'_>,
) -> Result<bool, A::Error> {
    let found = value::text(value::raw(object)?, path, notes);
    let present = found.is_present();
    *into = found.value();
    Ok(present)
}

/// `"inclusive"`, `"exclusive"`, or an object that says it by side.
fn counting(raw: &str, path: Path<'_>, notes: &mut Notes<'_>) -> CountingBySide {
    if !raw.starts_with('{') {
        let found = value::parsed(raw, path, Reason::BadValue, notes, Counting::from_word);
        return found.value().map(CountingBySide::both).unwrap_or_default();
    }
    let mut members = CountingMembers::default();
    let object = Object { members: &mut members, path, notes };
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    if let Err(error) = object.deserialize(&mut deserializer) {
        // Only an escape that the raw reading let pass comes here: a lone surrogate in a name.
        notes.faults.note(Reason::InvalidJson, path, &error.to_string());
    }
    members.counting
}

#[derive(Default)]
struct CountingMembers {
    counting: CountingBySide,
    seen: Seen,
}

impl<'a> Members<'a> for CountingMembers {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let side = match name.as_ref() {
            "input" => &mut self.counting.input,
            "output" => &mut self.counting.output,
            _ => return value::skip_unknown(object, notes),
        };
        let bit = if name.as_ref() == "input" { 1 } else { 2 };
        let path = path.field(name);
        if self.seen.first_time(bit, path, object, notes)? {
            let raw = value::raw(object)?;
            *side = value::parsed(raw, path, Reason::BadValue, notes, Counting::from_word).value();
        }
        Ok(())
    }
}

#[derive(Default)]
struct TokenMembers {
    pools: Pools,
    seen: Seen,
}

impl<'a> Members<'a> for TokenMembers {
    #[inline]
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let path = path.field(name);
        let Some(pool) = Pool::from_name(name) else {
            let raw = value::raw(object)?;
            notes.faults.note(Reason::UnknownPool, path, raw);
            return Ok(());
        };
        if self.seen.first_time(1 << pool as u8, path, object, notes)? {
            let raw = value::raw(object)?;
            if let Some(written) = value::number(raw, path, notes).value() {
                let count = whole_number(written);
                self.pools[pool] = checked_count(count, path, written, notes.faults);
            }
        }
        Ok(())
    }
}

/// Digits alone: `1.0`, `1e3` and `-0` are not how counts are written. JSON has no leading zeros,
/// and what is past the limit in length is past it in value.
#[inline]
fn whole_number(written: &str) -> Option<u64> {
    const DIGITS_MAX: usize = 13;
    if written.len() > DIGITS_MAX {
        return None;
    }
    written.bytes().try_fold(0, |number: u64, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

#[derive(Default)]
struct CostMembers {
    amount: Option<Money>,
    currency: Option<Currency>,
    seen: Seen,
    has_amount: bool,
    has_currency: bool,
}

impl CostMembers {
    fn finish(self, path: Path<'_>, notes: &mut Notes<'_>) -> Option<ReportedCost> {
        for (has, name) in [(self.has_amount, "amount"), (self.has_currency, "currency")] {
            if !has {
                notes.faults.note(Reason::MissingField, path.field(name), "");
            }
        }
        Some(ReportedCost { amount: self.amount?, currency: self.currency? })
    }
}

impl<'a> Members<'a> for CostMembers {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error> {
        let bit = match name.as_ref() {
            "amount" => 1,
            "currency" => 2,
            _ => return value::skip_unknown(object, notes),
        };
        let path = path.field(name);
        if !self.seen.first_time(bit, path, object, notes)? {
            return Ok(());
        }
        let raw = value::raw(object)?;
        if bit == 1 {
            let read = |text: &str| text.parse::<Money>().ok();
            let found = value::parsed(raw, path, Reason::BadAmount, notes, read);
            self.has_amount = found.is_present();
            self.amount = found
                .value()
                .and_then(|money| checked_money(Some(money.atoms()), path, notes.faults));
        } else {
            let found = value::string(raw, path, notes);
            self.has_currency = found.is_present();
            self.currency =
                found.value().and_then(|text| checked_currency(&text, path, notes.faults));
        }
        Ok(())
    }
}
