//! Usage events to Avro, for producers that have them as domain values.

use domain::{Attributes, Item, Measure, Pools, UsageEvent};

use super::{USAGE_EVENT_V1_FINGERPRINT, USAGE_EVENT_V2_FINGERPRINT};
use crate::avro::Writer;
#[cfg(test)]
use crate::draft::Draft;
use crate::draft::{Counting, CountingBySide};

/// Appends one single-object record. The pools of a domain event are disjoint, which is what
/// counting exclusively means; it is said where there are tokens.
pub(crate) fn encode(event: &UsageEvent<'_>, out: &mut Vec<u8>) {
    let items = event.items.iter().map(|item| (item, CountingBySide::EXCLUSIVE));
    encode_with_counting(event, items, out);
}

/// Appends an event as it was sent.
#[cfg(test)]
pub(crate) fn encode_draft(draft: &Draft<'_>, out: &mut Vec<u8>) {
    let items = draft.event.items.iter().zip(draft.counting.iter().copied());
    encode_with_counting(&draft.event, items, out);
}

fn encode_with_counting<'e, 'a: 'e>(
    event: &'e UsageEvent<'a>,
    items: impl ExactSizeIterator<Item = (&'e Item<'a>, CountingBySide)>,
    out: &mut Vec<u8>,
) {
    let mut writer = Writer::new(out);
    // The older version where it will do: whoever reads knows it.
    writer.single_object_header(match event.corrects {
        None => USAGE_EVENT_V1_FINGERPRINT,
        Some(_) => USAGE_EVENT_V2_FINGERPRINT,
    });
    writer.string(&event.source);
    writer.string(&event.id);
    writer.long(event.time.micros());
    writer.string(&event.account);
    writer.string(&event.feature);
    writer.branch(event.traffic.code());
    writer.branch(event.status.code());
    writer.branch(event.hold_action.code());
    writer.boolean(event.backfill);
    for text in [
        &event.user,
        &event.team,
        &event.hold,
        &event.run,
        &event.step,
        &event.trace,
        &event.environment,
        &event.conversation,
        &event.requested_model,
        &event.vendor_request_id,
    ] {
        writer.optional(text.as_deref(), Writer::string);
    }
    if let Some(corrects) = &event.corrects {
        writer.optional(Some(corrects.as_ref()), Writer::string);
    }
    write_attributes(&mut writer, &event.attributes);
    writer.array(items, |writer, (item, counting)| write_item(writer, item, counting));
}

fn write_attributes(writer: &mut Writer<'_>, attributes: &Attributes<'_>) {
    writer.array(attributes.iter(), |writer, (name, value)| {
        writer.string(name);
        writer.string(value);
    });
}

fn write_item(writer: &mut Writer<'_>, item: &Item<'_>, counting: CountingBySide) {
    writer.optional(item.model.as_deref(), Writer::string);
    writer.optional(item.provider.as_deref(), Writer::string);
    writer.optional(item.service_tier.as_deref(), Writer::string);
    match &item.measure {
        Measure::Tokens(pools) => {
            write_counting(writer, counting);
            writer.optional(Some(pools), write_tokens);
            writer.optional(None, Writer::string);
            writer.optional(None, Writer::decimal);
        }
        Measure::Meter { meter, quantity } => {
            // A quantity has no parts, so there is no counting to say.
            write_counting(writer, CountingBySide::default());
            writer.optional(None, write_tokens);
            writer.optional(Some(meter.as_ref()), Writer::string);
            writer.optional(Some(quantity.atoms()), Writer::decimal);
        }
    }
    writer.optional(item.vendor_cost, |writer, cost| {
        writer.decimal(cost.amount.atoms());
        writer.string(cost.currency.as_str());
    });
    write_attributes(writer, &item.attributes);
    writer.boolean(item.estimated);
}

fn write_counting(writer: &mut Writer<'_>, counting: CountingBySide) {
    match (counting.input, counting.output) {
        (None, None) => writer.branch(0),
        (Some(input), Some(output)) if input == output => {
            writer.branch(1);
            writer.branch(input as u8);
        }
        (input, output) => {
            writer.branch(2);
            for side in [input, output] {
                writer.optional(side, |writer, said: Counting| writer.branch(said as u8));
            }
        }
    }
}

fn write_tokens(writer: &mut Writer<'_>, pools: &Pools) {
    let count = pools.nonzero().count();
    if count > 0 {
        // At most one per pool.
        writer.long(count as i64);
        for (pool, tokens) in pools.nonzero() {
            writer.branch(pool as u8);
            writer.long(tokens.cast_signed());
        }
    }
    writer.long(0);
}
