//! Names of what entries hold as numbers: versions, rules, the currency.

use domain::{CatalogueId, RuleId};
use rating::Catalogue;

/// Looks names up in the catalogue, which must be at least as new as the entries.
#[derive(Debug)]
pub struct Names<'c> {
    catalogue: &'c Catalogue,
    currency: String,
}

impl<'c> Names<'c> {
    pub fn new(catalogue: &'c Catalogue) -> Self {
        let currency =
            catalogue.currency().map(|currency| currency.to_string()).unwrap_or_default();
        Self { catalogue, currency }
    }

    /// The deployment's currency; empty before any price is published.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// A version's id and its ordinal within it; empty and 0 for none.
    pub fn version(&self, id: Option<CatalogueId>) -> (&str, u32) {
        id.and_then(|id| self.catalogue.version(id))
            .map_or(("", 0), |version| (version.document.id(), version.ordinal))
    }

    /// A rule's name.
    pub fn rule(&self, card: CatalogueId, rule: RuleId) -> &str {
        self.catalogue.rule(card, rule).map_or("", |rule| rule.name.as_ref())
    }
}
