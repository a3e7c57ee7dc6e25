//! Entries of plans, and of lots that plans bring.

use ledger::{
    Billed, LotExpiring, PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled, RolledOver,
};

use super::*;

pub(super) fn all() -> Vec<(&'static str, Entry<'static>)> {
    let scheduled =
        PlanScheduled { by: by_hand(), plan: some("starter"), at: at("2026-11-30T23:00:00Z") };
    vec![
        ("plan-assigned", assigned()),
        ("plan-scheduled", entry(Body::PlanScheduled(Box::new(scheduled)))),
        ("plan-renewed", renewed()),
        ("rolled-over", rolled_over()),
        ("lot-expiring", lot_expiring()),
    ]
}

fn plan_grant() -> PlanGrant {
    PlanGrant {
        credits: credits("20000"),
        category: Category::Included,
        effective: at("2026-10-31T23:00:00Z"),
        expires: at("2026-11-30T23:00:00Z"),
        paid: money("49"),
        currency: Some(Currency::USD),
    }
}

fn assigned() -> Entry<'static> {
    entry(Body::PlanAssigned(Box::new(PlanAssigned {
        by: Some(by_hand()),
        plan: "pro".into(),
        version: CatalogueId(7),
        replaces: some("free"),
        from: at("2026-11-20T12:00:00.456Z"),
        anchor: at("2026-11-20T11:00:00Z"),
        period: Some(november()),
        trial: true,
        grant: Some(plan_grant()),
        repays: Some(draw(1_203, Category::Included, "2.5", "0.006")),
        low_balance: Some(credits("1000")),
    })))
}

fn renewed() -> Entry<'static> {
    by_timer(Body::PlanRenewed(Box::new(PlanRenewed {
        plan: "pro".into(),
        version: CatalogueId(8),
        replaces: some("team"),
        anchor: at("2026-11-20T11:00:00Z"),
        period: Some(november()),
        grant: Some(plan_grant()),
        billed: Some(Billed {
            credits: credits("12.5"),
            price: money("0.0375"),
            currency: Some(Currency::USD),
        }),
        repays: Some(draw(1_203, Category::Included, "2.5", "0.006")),
        low_balance: Some(credits("1000")),
    })))
}

fn rolled_over() -> Entry<'static> {
    by_timer(Body::RolledOver(RolledOver {
        from: LotId(17),
        category: Category::Included,
        priority: 50,
        credits: credits("431.5"),
        paid: money("1.057175"),
        currency: Some(Currency::USD),
        effective: at("2026-10-31T23:00:00Z"),
        expires: at("2026-12-31T23:00:00Z"),
    }))
}

fn lot_expiring() -> Entry<'static> {
    by_timer(Body::LotExpiring(LotExpiring {
        lot: LotId(17),
        category: Category::Purchased,
        credits: credits("60"),
        expires: at("2026-11-27T12:00:00Z"),
    }))
}
