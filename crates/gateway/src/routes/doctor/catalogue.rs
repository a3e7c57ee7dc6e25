//! The catalogue: whether usage can be priced at all, and how old the prices are.

use domain::Timestamp;
use rating::{Body, Catalogue};

use super::{Finding, Severity};

const CHECK: &str = "catalogue";
/// Vendors change their prices more often.
const BOOK_OLD_DAYS: i64 = 180;
const DAY_MICROS: i64 = 86_400 * 1_000_000;

pub(super) fn findings(catalogue: &Catalogue, now: Timestamp) -> Vec<Finding> {
    if catalogue.is_empty() {
        return vec![Finding::new(
            CHECK,
            Severity::Warning,
            "nothing is published: all usage is kept as unrated",
            "tally rates publish CARD.toml",
        )];
    }
    let mut findings = Vec::new();
    let plan = catalogue.default_plan(now);
    findings.push(match catalogue.rate_card_for(plan, now) {
        Some((id, _)) => {
            let name = catalogue.version(id).map_or("?", |version| version.document.id());
            Finding::fine(CHECK, format!("accounts without a plan are priced by rate card {name}"))
        }
        None => Finding::new(
            CHECK,
            Severity::Warning,
            "accounts without a plan have no rate card: their usage is kept as unrated",
            "publish a `defaults` document that names `default_rate_card`: tally rates publish \
             defaults.toml",
        ),
    });
    for version in catalogue.versions() {
        if let Body::Plan(_) = version.document.body() {
            let id = version.document.id();
            let in_force = catalogue.plan(id, now).is_some_and(|(newest, _)| newest == version.id);
            if in_force && catalogue.rate_card_for(Some(id), now).is_none() {
                findings.push(Finding::new(
                    CHECK,
                    Severity::Wrong,
                    format!("plan {id} names a rate card that is not in force"),
                    "tally rates publish that card, or the plan with another one",
                ));
            }
        }
    }
    for (id, _) in catalogue.price_books(now) {
        let Some(version) = catalogue.version(id) else { continue };
        let days = now.since(version.document.effective_from()) / DAY_MICROS;
        let name = version.document.id();
        let found =
            format!("price book {name} version {} is in force for {days} days", version.ordinal);
        findings.push(match days > BOOK_OLD_DAYS {
            false => Finding::fine(CHECK, found),
            true => Finding::new(
                CHECK,
                Severity::Note,
                found,
                "compare it with what vendors bill; a new version is published beside it: tally rates \
                 import litellm FILE --effective-from TIME",
            ),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use domain::CatalogueId;
    use rating::Document;

    use super::*;

    fn severities(documents: &[&str]) -> Vec<Severity> {
        let mut catalogue = Catalogue::new();
        for (offset, toml) in (0..).zip(documents) {
            catalogue.apply(CatalogueId(offset), Document::parse(toml).unwrap()).unwrap();
        }
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        findings(&catalogue, now).iter().map(|finding| finding.severity).collect()
    }

    const CARD: &str = "id = \"standard\"\neffective_from = \"2023-01-01T00:00:00Z\"\n\
        currency = \"USD\"\ncredits_per_currency_unit = \"1\"\ncredit_decimals = 4\n[[rule]]\nname = \"all\"\nmatch = {}\n\
        charge = { free = true }\n";

    #[test]
    fn nothing_published_two_cards_and_old_books_are_told() {
        assert_eq!(severities(&[]), [Severity::Warning]);
        assert_eq!(severities(&[CARD]), [Severity::Fine]);
        let second = CARD.replace("standard", "other");
        assert_eq!(severities(&[CARD, &second]), [Severity::Warning]);
        let book = "id = \"vendors\"\neffective_from = \"2026-11-01T00:00:00Z\"\ncurrency = \"USD\"\n\
            [[price]]\nmeter = \"pages\"\nper_unit = \"1\"\n";
        assert_eq!(severities(&[CARD, book]), [Severity::Fine, Severity::Fine]);
        let old = book.replace("2026-11", "2025-11");
        assert_eq!(severities(&[CARD, &old]), [Severity::Fine, Severity::Note]);
    }
}
