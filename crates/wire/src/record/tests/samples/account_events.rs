//! Account events.

use ledger::{AccountEvent, Happening, HoldId};

use super::*;

pub(super) fn all() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let event = |what| AccountEvent {
        account: "acct_42".into(),
        number: 91,
        entry: EntryNumber(8_812_345),
        at: at("2026-11-20T12:00:00.456Z"),
        what,
    };
    happenings()
        .into_iter()
        .map(|(name, what)| {
            ("account-event", name, written(|out| encode_account_event(&event(what), out)))
        })
        .collect()
}

pub(in crate::record::tests) fn happenings() -> [(&'static str, Happening<'static>); 8] {
    let available = credits("-2.5");
    [
        ("balance-low", Happening::BalanceLow { below: credits("1000"), available }),
        ("balance-exhausted", Happening::BalanceExhausted { available }),
        (
            "budget-threshold",
            Happening::BudgetThreshold {
                budget: "growth-monthly".into(),
                percent: 80,
                used: credits("4180.25"),
                limit: credits("5000"),
            },
        ),
        (
            "lot-expiring",
            Happening::LotExpiring {
                lot: LotId(17),
                credits: credits("60"),
                expires: at("2026-11-27T12:00:00Z"),
            },
        ),
        (
            "hold-expired",
            Happening::HoldExpired {
                hold: HoldId(EntryNumber(8_812_300)),
                amount: credits("250"),
                captured: credits("12.5"),
            },
        ),
        (
            "usage-unrated",
            Happening::UsageUnrated {
                source: "/chat/eu-1".into(),
                id: "req_8f2c".into(),
                reason: Reason::NoVendorPrice,
            },
        ),
        (
            "allowance-renewed",
            Happening::AllowanceRenewed {
                plan: "pro".into(),
                credits: credits("20000"),
                period: Some(november()),
            },
        ),
        (
            "topup-wanted",
            Happening::TopUpWanted { below: credits("500"), amount: credits("10000"), available },
        ),
    ]
}
