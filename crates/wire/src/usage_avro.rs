//! Avro usage events (`schemas/usage-event`) to a draft of an event, and back.
//!
//! Written by hand for speed, and equal to apache-avro by test. Enum numbers are the places of the
//! symbols in the schema; a test holds them to the words of `domain`.

mod encode;

use domain::limits::{ATTRIBUTES_MAX, ITEMS_MAX, TOKENS_MAX};
use domain::{
    Attributes, HoldAction, Pools, Reason, ReportedCost, Status, Text, Traffic, UsageEvent,
};

use crate::avro::{self, AvroError, AvroResult, Blocks, Reader};
use crate::draft::{
    Counting, CountingBySide, Draft, ItemDraft, checked_count, checked_currency, checked_money,
    checked_quantity, checked_text, checked_time, checked_value, plain_text, pool_from_code,
    sort_attributes,
};
use crate::faults::{DATA, NoteFault, Path};

pub(crate) use encode::encode;
#[cfg(test)]
pub(crate) use encode::encode_draft;

/// CRC-64-AVRO of v1's parsing canonical form; held to the schema file by a test.
pub const USAGE_EVENT_V1_FINGERPRINT: u64 = 0xca33_5c26_2d86_d7aa;
/// And of v2's, which may correct another event.
pub const USAGE_EVENT_V2_FINGERPRINT: u64 = 0x38ba_a8e3_df94_ec2a;

/// The smallest encoded item: ten fields of one byte.
const ITEM_BYTES_MIN: usize = 10;

/// The record cannot be read on; why has been noted.
struct Stop;

type Step<T> = Result<T, Stop>;

/// Reads one single-object record.
pub(crate) fn read<'a>(record: &'a [u8], draft: &mut Draft<'a>, faults: &mut impl NoteFault) {
    match avro::split_single_object(record) {
        None => {
            let shown = AvroError::Truncated.to_string();
            faults.note(Reason::InvalidAvro, Path::Root, &shown);
        }
        Some((fingerprint @ (USAGE_EVENT_V1_FINGERPRINT | USAGE_EVENT_V2_FINGERPRINT), body)) => {
            let corrects = fingerprint == USAGE_EVENT_V2_FINGERPRINT;
            let mut usage = UsageReader { reader: Reader::new(body), corrects, faults };
            // A stop has noted its fault, which is all that there is to know of it.
            usage.event(draft).ok();
        }
        Some((unknown, _)) => {
            faults.note(Reason::UnknownSchema, Path::Root, &format!("{unknown:016x}"));
        }
    }
}

struct UsageReader<'a, 'f, F> {
    reader: Reader<'a>,
    /// Whether its version has the field.
    corrects: bool,
    faults: &'f mut F,
}

impl<'a, F: NoteFault> UsageReader<'a, '_, F> {
    /// Turns an Avro error into the fault of a field.
    #[inline]
    fn at<T>(&mut self, path: Path<'_>, read: AvroResult<T>) -> Step<T> {
        read.map_err(|error| {
            self.faults.note(Reason::InvalidAvro, path, &error.to_string());
            Stop
        })
    }

    fn event(&mut self, draft: &mut Draft<'a>) -> Step<()> {
        let root = Path::Root;
        let event = &mut draft.event;
        event.source = self.text(root.field("source"))?.unwrap_or_default();
        event.id = self.text(root.field("id"))?.unwrap_or_default();
        let time = self.reader.long();
        let time = self.at(root.field("time"), time)?;
        event.time = checked_time(time, root.field("time"), self.faults);
        event.account = self.text(root.field("subject"))?.unwrap_or_default();
        event.feature = self.text(DATA.field("feature"))?.unwrap_or_default();
        event.traffic = self.word(DATA.field("traffic"), Traffic::from_code)?.unwrap_or_default();
        event.status = self.word(DATA.field("status"), Status::from_code)?.unwrap_or_default();
        event.hold_action =
            self.word(DATA.field("hold_action"), HoldAction::from_code)?.unwrap_or_default();
        event.backfill = self.boolean(DATA.field("backfill"))?;
        self.optional_texts(event)?;
        event.attributes = self.attributes(DATA.field("attributes"))?;
        self.items(draft)?;
        let end = self.reader.end();
        self.at(root, end)
    }

    fn optional_texts(&mut self, event: &mut UsageEvent<'a>) -> Step<()> {
        self.optional_text(DATA.field("user"), &mut event.user)?;
        self.optional_text(DATA.field("team"), &mut event.team)?;
        self.optional_text(DATA.field("hold"), &mut event.hold)?;
        self.optional_text(DATA.field("run"), &mut event.run)?;
        self.optional_text(DATA.field("step"), &mut event.step)?;
        self.optional_text(DATA.field("trace"), &mut event.trace)?;
        self.optional_text(DATA.field("environment"), &mut event.environment)?;
        self.optional_text(DATA.field("conversation"), &mut event.conversation)?;
        self.optional_text(DATA.field("requested_model"), &mut event.requested_model)?;
        self.optional_text(DATA.field("vendor_request_id"), &mut event.vendor_request_id)?;
        if self.corrects {
            self.optional_text(DATA.field("corrects"), &mut event.corrects)?;
        }
        Ok(())
    }

    fn items(&mut self, draft: &mut Draft<'a>) -> Step<()> {
        let path = DATA.field("items");
        let mut blocks = Blocks::new(ITEMS_MAX);
        // Not the items kept: one at fault is not.
        let mut index = 0;
        loop {
            match blocks.more(&mut self.reader) {
                Ok(true) => {}
                Ok(false) => {
                    draft.items_seen = index;
                    draft.check_has_items(self.faults);
                    return Ok(());
                }
                Err(AvroError::TooManyElements) => {
                    let shown = AvroError::TooManyElements.to_string();
                    self.faults.note(Reason::TooManyItems, path, &shown);
                    return Err(Stop);
                }
                Err(error) => return self.at(path, Err(error)),
            }
            let items = &mut draft.event.items;
            if items.len() == items.capacity() {
                // What the block announces, unless the record is too short to hold it.
                let possible = self.reader.remaining() / ITEM_BYTES_MIN;
                items.reserve_exact(1 + blocks.left_in_block().min(possible));
            }
            let path = path.index(index);
            let mut item = ItemDraft::default();
            self.item(path, &mut item)?;
            draft.push_item(item, path, self.faults);
            index += 1;
        }
    }

    #[inline]
    fn item(&mut self, path: Path<'_>, item: &mut ItemDraft<'a>) -> Step<()> {
        item.has_model = self.optional_text(path.field("model"), &mut item.model)?;
        self.optional_text(path.field("provider"), &mut item.provider)?;
        self.optional_text(path.field("service_tier"), &mut item.service_tier)?;
        item.counting = self.counting(path.field("counting"))?;
        let tokens = path.field("tokens");
        item.has_tokens = self.is_present(tokens)?;
        if item.has_tokens {
            self.tokens(tokens, &mut item.pools)?;
        }
        item.has_meter = self.optional_text(path.field("meter"), &mut item.meter)?;
        let quantity = path.field("quantity");
        item.has_quantity = self.is_present(quantity)?;
        if item.has_quantity {
            let atoms = self.decimal(quantity)?;
            item.quantity = checked_quantity(atoms, quantity, self.faults);
        }
        item.vendor_cost = self.vendor_cost(path.field("vendor_cost"))?;
        item.attributes = self.attributes(path.field("attributes"))?;
        item.estimated = self.boolean(path.field("estimated"))?;
        Ok(())
    }

    fn tokens(&mut self, path: Path<'_>, pools: &mut Pools) -> Step<()> {
        let mut seen = 0_u32;
        // An element takes two bytes, so the record's length bounds the loop.
        let mut blocks = Blocks::new(self.reader.remaining());
        loop {
            let more = blocks.more(&mut self.reader);
            if !self.at(path, more)? {
                return Ok(());
            }
            let code = self.reader.int();
            let code = self.at(path, code)?;
            let count = self.reader.long();
            let count = self.at(path, count)?;
            let Some(pool) = u8::try_from(code).ok().and_then(pool_from_code) else {
                self.faults.note(Reason::UnknownPool, path, &code.to_string());
                continue;
            };
            let within = u64::try_from(count).ok().filter(|count| *count <= TOKENS_MAX);
            if seen & (1 << code) != 0 {
                let path = path.field(pool.name());
                self.faults.note(Reason::RepeatedField, path, &count.to_string());
            } else if let Some(count) = within {
                pools[pool] = count;
            } else {
                let path = path.field(pool.name());
                checked_count(None, path, &count.to_string(), self.faults);
            }
            seen |= 1 << code;
        }
    }

    fn counting(&mut self, path: Path<'_>) -> Step<CountingBySide> {
        let branch = self.reader.branch(3);
        match self.at(path, branch)? {
            0 => Ok(CountingBySide::default()),
            1 => {
                let said = self.word(path, Counting::from_code)?;
                Ok(said.map(CountingBySide::both).unwrap_or_default())
            }
            _ => Ok(CountingBySide {
                input: self.counting_of_side(path.field("input"))?,
                output: self.counting_of_side(path.field("output"))?,
            }),
        }
    }

    fn counting_of_side(&mut self, path: Path<'_>) -> Step<Option<Counting>> {
        if self.is_present(path)? { self.word(path, Counting::from_code) } else { Ok(None) }
    }

    fn vendor_cost(&mut self, path: Path<'_>) -> Step<Option<ReportedCost>> {
        if !self.is_present(path)? {
            return Ok(None);
        }
        let amount_path = path.field("amount");
        let atoms = self.decimal(amount_path)?;
        let amount = checked_money(atoms, amount_path, self.faults);
        let currency_path = path.field("currency");
        let currency = self
            .string(currency_path)?
            .and_then(|text| checked_currency(text, currency_path, self.faults));
        Ok(amount.zip(currency).map(|(amount, currency)| ReportedCost { amount, currency }))
    }

    fn attributes(&mut self, path: Path<'_>) -> Step<Attributes<'a>> {
        let mut attributes = Attributes::new();
        let mut count = 0;
        // An element takes two bytes, so the record's length bounds the loop.
        let mut blocks = Blocks::new(self.reader.remaining());
        loop {
            let more = blocks.more(&mut self.reader);
            if !self.at(path, more)? {
                break;
            }
            let name = self.text(path)?;
            let value_path = path.field(name.as_deref().unwrap_or_default());
            let value = self
                .string(value_path)?
                .and_then(|value| checked_value(Text::Borrowed(value), value_path, self.faults));
            count += 1;
            if let (Some(name), Some(value), 1..=ATTRIBUTES_MAX) = (name, value, count) {
                attributes.push((name, value));
            }
        }
        if count > ATTRIBUTES_MAX {
            let shown = format!("{count} attributes");
            self.faults.note(Reason::TooManyAttributes, path, &shown);
        }
        sort_attributes(&mut attributes, path, self.faults);
        Ok(attributes)
    }

    #[inline]
    fn string(&mut self, path: Path<'_>) -> Step<Option<&'a str>> {
        match self.reader.string() {
            Ok(text) => Ok(Some(text)),
            Err(AvroError::NotUtf8) => {
                let shown = AvroError::NotUtf8.to_string();
                self.faults.note(Reason::InvalidUtf8, path, &shown);
                Ok(None)
            }
            Err(error) => self.at(path, Err(error)),
        }
    }

    #[inline]
    fn text(&mut self, path: Path<'_>) -> Step<Option<Text<'a>>> {
        let before = self.reader.clone();
        if let Some(plain) = self.reader.bytes().ok().and_then(plain_text) {
            return Ok(Some(Text::Borrowed(plain)));
        }
        self.reader = before;
        self.other_text(path)
    }

    #[cold]
    fn other_text(&mut self, path: Path<'_>) -> Step<Option<Text<'a>>> {
        let text = self.string(path)?;
        Ok(text.and_then(|text| checked_text(Text::Borrowed(text), path, self.faults)))
    }

    /// Gives whether a text stood there.
    #[inline]
    fn optional_text(&mut self, path: Path<'_>, into: &mut Option<Text<'a>>) -> Step<bool> {
        let present = self.is_present(path)?;
        if present {
            *into = self.text(path)?;
        }
        Ok(present)
    }

    #[inline]
    fn is_present(&mut self, path: Path<'_>) -> Step<bool> {
        let present = self.reader.is_present();
        self.at(path, present)
    }

    #[inline]
    fn boolean(&mut self, path: Path<'_>) -> Step<bool> {
        let value = self.reader.boolean();
        self.at(path, value)
    }

    /// The number of steps, if it fits.
    fn decimal(&mut self, path: Path<'_>) -> Step<Option<i128>> {
        let bytes = self.reader.bytes();
        Ok(avro::decimal(self.at(path, bytes)?))
    }

    #[inline]
    fn word<T>(
        &mut self,
        path: Path<'_>,
        from_code: impl FnOnce(u8) -> Option<T>,
    ) -> Step<Option<T>> {
        let code = self.reader.int();
        let code = self.at(path, code)?;
        let word = u8::try_from(code).ok().and_then(from_code);
        if word.is_none() {
            self.faults.note(Reason::BadValue, path, &code.to_string());
        }
        Ok(word)
    }
}
