//! The event inside an entry: as it was priced, pools disjoint. Its account is the entry's.

use domain::{ALL_POOLS, Item, Measure, Pool, Pools, ReportedCost, Text, UsageEvent};

use crate::avro::Writer;
use crate::record::error::Flaw;
use crate::record::fields::{Bound, Fields};
use crate::record::limits;

const TOKENS_BRANCH: u8 = 0;
const METERED_BRANCH: u8 = 1;
/// Seven fields, and the branch's own byte of one of them.
const ITEM_BYTES_MIN: usize = 8;

#[inline]
pub(super) fn write(writer: &mut Writer<'_>, event: &UsageEvent<'_>) {
    writer.string(&event.source);
    writer.string(&event.id);
    writer.time(event.time);
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
        writer.optional_text(text.as_ref());
    }
    writer.attributes(&event.attributes);
    writer.array(event.items.iter(), write_item);
}

#[inline]
fn write_item(writer: &mut Writer<'_>, item: &Item<'_>) {
    writer.optional_text(item.model.as_ref());
    writer.optional_text(item.provider.as_ref());
    writer.optional_text(item.service_tier.as_ref());
    match &item.measure {
        Measure::Tokens(pools) => {
            writer.branch(TOKENS_BRANCH);
            write_pools(writer, pools);
        }
        Measure::Meter { meter, quantity } => {
            writer.branch(METERED_BRANCH);
            writer.string(meter);
            writer.amount(*quantity);
        }
    }
    writer.optional(item.vendor_cost, |writer, cost| {
        writer.amount(cost.amount);
        writer.string(cost.currency.as_str());
    });
    writer.attributes(&item.attributes);
    writer.boolean(item.estimated);
}

#[inline]
fn write_pools(writer: &mut Writer<'_>, pools: &Pools) {
    let mut counts = [(Pool::Input, 0); Pool::COUNT];
    let mut used = 0;
    for pool in ALL_POOLS {
        if pools[pool] > 0 {
            counts[used] = (pool, pools[pool]);
            used += 1;
        }
    }
    writer.array(counts[..used].iter(), |writer, (pool, count)| {
        writer.branch(*pool as u8);
        writer.number(*count);
    });
}

#[inline]
pub(super) fn read<'a>(fields: &mut Fields<'a>, account: &'a str) -> UsageEvent<'a> {
    UsageEvent {
        account: Text::Borrowed(account),
        source: fields.text("event.source"),
        id: fields.text("event.id"),
        time: fields.time("event.time"),
        feature: fields.text("event.feature"),
        traffic: fields.word("event.traffic"),
        status: fields.word("event.status"),
        hold_action: fields.word("event.hold_action"),
        backfill: fields.boolean("event.backfill"),
        user: fields.optional("event.user", Fields::text),
        team: fields.optional("event.team", Fields::text),
        hold: fields.optional("event.hold", Fields::text),
        run: fields.optional("event.run", Fields::text),
        step: fields.optional("event.step", Fields::text),
        trace: fields.optional("event.trace", Fields::text),
        environment: fields.optional("event.environment", Fields::text),
        conversation: fields.optional("event.conversation", Fields::text),
        requested_model: fields.optional("event.requested_model", Fields::text),
        vendor_request_id: fields.optional("event.vendor_request_id", Fields::text),
        // What corrects another is a correction's own, and no part of the charge that it leaves.
        corrects: None,
        attributes: fields.attributes("event.attributes"),
        items: fields.array(
            "event.items",
            Bound { elements_max: limits::ITEMS, element_bytes_min: ITEM_BYTES_MIN },
            read_item,
        ),
    }
}

fn read_item<'a>(fields: &mut Fields<'a>) -> Item<'a> {
    Item {
        model: fields.optional("item.model", Fields::text),
        provider: fields.optional("item.provider", Fields::text),
        service_tier: fields.optional("item.service_tier", Fields::text),
        measure: read_measure(fields),
        vendor_cost: fields.optional("item.vendor_cost", |fields, field| ReportedCost {
            amount: fields.amount(field),
            currency: fields.currency(field),
        }),
        attributes: fields.attributes("item.attributes"),
        estimated: fields.boolean("item.estimated"),
    }
}

fn read_measure<'a>(fields: &mut Fields<'a>) -> Measure<'a> {
    match fields.branch("item.measure") {
        TOKENS_BRANCH => Measure::Tokens(read_pools(fields)),
        METERED_BRANCH => Measure::Meter {
            meter: fields.text("item.meter"),
            quantity: fields.amount("item.quantity"),
        },
        _ => {
            fields.no_such_branch("item.measure");
            Measure::Tokens(Pools::default())
        }
    }
}

fn read_pools(fields: &mut Fields<'_>) -> Pools {
    let mut pools = Pools::default();
    fields.each("item.tokens", Pool::COUNT, |fields, _| {
        let pool: Pool = fields.word("item.pool");
        if pools[pool] != 0 {
            fields.fail("item.pool", Flaw::RepeatedName);
        }
        pools[pool] = fields.number("item.count");
    });
    pools
}
