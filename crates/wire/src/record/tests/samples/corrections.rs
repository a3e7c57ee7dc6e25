//! Entries that correct charges, and decisions about what was held back.

use ledger::{Corrected, Corrector, QuarantineDecided, Return, ReturnTo};

use super::*;

pub(super) fn all() -> Vec<(&'static str, Entry<'static>)> {
    vec![
        ("rerated", rerated()),
        ("taken-back", taken_back()),
        ("quarantine-decided", decided()),
        ("let-in", Entry { cause: Cause::Decision { entry: EntryNumber(8_812_344) }, ..debit() }),
    ]
}

fn charge() -> Debit<'static> {
    let Body::Debit(debit) = debit().body else { panic!() };
    *debit
}

fn corrected(by: Corrector<'static>, now: Option<Debit<'static>>) -> Corrected<'static> {
    Corrected {
        by,
        corrects: EntryNumber(8_812_340),
        charge: EntryNumber(8_800_001),
        recorded_at: at("2026-11-20T11:00:00Z"),
        before: charge(),
        now,
        returns: [Return {
            lot: LotId(17),
            category: Category::Included,
            credits: credits("2.5"),
            revenue: money("0.01"),
            to: ReturnTo::Live,
        }]
        .into_iter()
        .collect(),
        forgiven: credits("3"),
        lot: credits("1"),
        draws: Draws::new(),
        overage: Credits::ZERO,
        budgets: holds::budgets(),
    }
}

fn rerated() -> Entry<'static> {
    let now = Debit { catalogue: Offset(9), ..charge() };
    let body = corrected(Corrector::ByHand(by_hand()), Some(now));
    entry(Body::Corrected(Box::new(body)))
}

fn taken_back() -> Entry<'static> {
    let by = Corrector::Producer {
        id: "req_8f2c-void".into(),
        time: at("2026-11-20T12:00:00Z"),
        content: ContentHash(7),
    };
    entry(Body::Corrected(Box::new(corrected(by, None))))
}

fn decided() -> Entry<'static> {
    entry(Body::QuarantineDecided(Box::new(QuarantineDecided {
        by: by_hand(),
        held: EntryNumber(8_812_000),
        topic: Topic::UsageRaw,
        offset: Offset(12_345_600),
        source: "/chat/eu-1".into(),
        id: "req_8f2c".into(),
        reason: Reason::TooLate,
        accepted: true,
    })))
}
