//! The catalogue: every version that was published, in order, and what may be published next.

use std::sync::{Arc, OnceLock};

use domain::{CatalogueId, ContentHash, Currency, PriceRef, RuleId, Timestamp, suggestion};

use crate::document::{
    Body, ChargeForm, Document, DocumentError, DocumentFault, Key, Kind, Plan, Price, PriceBook,
    RateCard, Rule,
};
use crate::pattern::Pattern;
use crate::view::{View, views};

/// Service tiers that vendors have; price books may name further ones.
const COMMON_TIERS: &[&str] = &["standard", "batch", "flex", "priority", "scale"];

/// The fold of `rates.catalog`. Cloning shares everything, so that a catalogue before and after a
/// version can be held side by side.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// In the order of publication, which is the order of their ids.
    versions: Vec<Arc<Version>>,
    /// Chained over the versions; zero when there are none.
    hash: ContentHash,
    /// What is in force when; made at the first rating after a change.
    views: OnceLock<Box<[View]>>,
}

/// One published document.
#[derive(Debug)]
pub struct Version {
    /// Its offset in `rates.catalog`.
    pub id: CatalogueId,
    /// Its number within its kind and id, from 1: its public name is the id and this.
    pub ordinal: u32,
    pub document: Document,
}

/// What publishing a document would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It becomes this version of its id.
    New { ordinal: u32 },
    /// The same content is there already, as this version.
    AlreadyPublished { id: CatalogueId, ordinal: u32 },
}

/// A version whose id does not come after those already applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalogue version {id} does not come after {last}")]
pub struct OutOfOrder {
    pub id: CatalogueId,
    pub last: CatalogueId,
}

impl Default for Inner {
    fn default() -> Self {
        Self { versions: Vec::new(), hash: ContentHash(0), views: OnceLock::new() }
    }
}

impl Catalogue {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a published version. Nothing is checked but the order: what was published holds, also
    /// when a later tally would refuse it.
    ///
    /// # Errors
    /// An id that is not larger than all before it.
    pub fn apply(
        &mut self,
        id: CatalogueId,
        document: Document,
    ) -> Result<Arc<Version>, OutOfOrder> {
        if let Some(last) = self.last().filter(|last| *last >= id) {
            return Err(OutOfOrder { id, last });
        }
        let ordinal = self.next_ordinal(document.kind(), document.id());
        let version = Arc::new(Version { id, ordinal, document });
        let hash = chained(self.inner.hash, &version);
        // Shared clones keep what they saw; a catalogue that is held alone is changed in place.
        let mut versions = match Arc::get_mut(&mut self.inner) {
            Some(alone) => std::mem::take(&mut alone.versions),
            None => self.inner.versions.clone(),
        };
        versions.push(Arc::clone(&version));
        self.inner = Arc::new(Inner { versions, hash, views: OnceLock::new() });
        Ok(version)
    }

    /// Whether a document may be published beside those there are.
    ///
    /// The same content again is [`Standing::AlreadyPublished`], whatever has been published in
    /// between; a document that must go in again all the same says its `version`.
    ///
    /// # Errors
    /// A claimed version that exists with other content or leaves a gap; a document named that
    /// does not exist; a currency that differs from the price books'; a service tier that neither
    /// vendors in general nor the price books have.
    pub fn check(&self, document: &Document) -> Result<Standing, DocumentError> {
        let standing = self.standing(document)?;
        match document.body() {
            Body::PriceBook(book) => self.check_book_currency(document, book)?,
            Body::RateCard(card) => {
                self.check_card_currency(document, card)?;
                self.check_tiers(document, card)?;
            }
            Body::Plan(plan) => {
                self.check_exists(document, "rate_card", Kind::RateCard, &plan.rate_card)?;
                self.check_plan_currency(document, plan)?;
            }
            Body::Defaults(defaults) => {
                if let Some(card) = &defaults.default_rate_card {
                    self.check_exists(document, "default_rate_card", Kind::RateCard, card)?;
                }
                for book in defaults.price_books.iter().flatten() {
                    self.check_exists(document, "price_books", Kind::PriceBook, book)?;
                }
                if let Some(plan) = &defaults.default_plan {
                    self.check_exists(document, "default_plan", Kind::Plan, plan)?;
                }
            }
        }
        Ok(standing)
    }

    fn standing(&self, document: &Document) -> Result<Standing, DocumentError> {
        let next = self.next_ordinal(document.kind(), document.id());
        let same =
            |version: &&Arc<Version>| version.document.normal_form() == document.normal_form();
        let mut siblings = self.siblings(document.kind(), document.id());
        let found = match document.claimed_version() {
            None => siblings.find(same),
            Some(claimed) if claimed == next => None,
            Some(claimed) if claimed > next => {
                let message = format!("is {claimed}, but the next version is {next}");
                return Err(refuse(document, DocumentFault::VersionConflict, "version", message));
            }
            Some(claimed) => match siblings.find(|version| version.ordinal == claimed).filter(same)
            {
                Some(version) => Some(version),
                None => {
                    let message = format!(
                        "version {claimed} is published with other content; a version never changes"
                    );
                    let fault = DocumentFault::VersionConflict;
                    return Err(refuse(document, fault, "version", message));
                }
            },
        };
        Ok(match found {
            Some(version) => {
                Standing::AlreadyPublished { id: version.id, ordinal: version.ordinal }
            }
            None => Standing::New { ordinal: next },
        })
    }

    fn check_book_currency(
        &self,
        document: &Document,
        book: &PriceBook,
    ) -> Result<(), DocumentError> {
        for version in self.versions() {
            let (currency, why) = match version.document.body() {
                Body::PriceBook(other) => (other.currency, "all price books share one currency"),
                Body::RateCard(card) if card.uses_vendor_cost() => {
                    (card.currency, "its cost_plus rules multiply vendor costs")
                }
                Body::Plan(plan) => match plan.price {
                    Some(price) => (price.currency, "its price is in the deployment's currency"),
                    None => continue,
                },
                Body::RateCard(_) | Body::Defaults(_) => continue,
            };
            if currency != book.currency {
                let message = format!(
                    "{} differs from {currency} of `{}`: {why}",
                    book.currency,
                    version.document.id()
                );
                return Err(refuse(document, DocumentFault::CurrencyMismatch, "currency", message));
            }
        }
        Ok(())
    }

    fn check_card_currency(
        &self,
        document: &Document,
        card: &RateCard,
    ) -> Result<(), DocumentError> {
        let Some((book, currency)) = self.book_currency() else {
            return Ok(());
        };
        if currency == card.currency {
            return Ok(());
        }
        let cost_plus = card
            .rules
            .iter()
            .enumerate()
            .find(|(_, rule)| matches!(rule.charge.compiled, ChargeForm::Cost(_)));
        let Some((index, rule)) = cost_plus else {
            return Ok(());
        };
        Err(DocumentError {
            fault: DocumentFault::CurrencyMismatch,
            document: document.id().to_owned(),
            place: format!("rule {} {:?}", index + 1, rule.name),
            field: "charge.cost_plus".to_owned(),
            message: format!(
                "the card's currency {} differs from {currency} of the price book `{book}`",
                card.currency
            ),
        })
    }

    fn check_plan_currency(&self, document: &Document, plan: &Plan) -> Result<(), DocumentError> {
        match (plan.price, self.currency()) {
            (Some(price), Some(currency)) if price.currency != currency => {
                let message =
                    format!("{} differs from {currency}, the deployment's", price.currency);
                let fault = DocumentFault::CurrencyMismatch;
                Err(refuse(document, fault, "price.currency", message))
            }
            _ => Ok(()),
        }
    }

    fn check_tiers(&self, document: &Document, card: &RateCard) -> Result<(), DocumentError> {
        let mut known: Vec<&str> = COMMON_TIERS.to_vec();
        for version in self.versions() {
            if let Body::PriceBook(book) = version.document.body() {
                known.extend(book.tiers());
            }
        }
        for (index, rule) in card.rules.iter().enumerate() {
            let patterns = rule.keys.iter().filter_map(|key| match key {
                Key::ServiceTier(patterns) => Some(patterns),
                Key::Traffic(_)
                | Key::Status(_)
                | Key::Feature(_)
                | Key::Model(_)
                | Key::Meter(_)
                | Key::Provider(_)
                | Key::Plan(_)
                | Key::Team(_)
                | Key::Attribute(..) => None,
            });
            let is_unknown = |pattern: &&Pattern| !known.iter().any(|tier| pattern.matches(tier));
            if let Some(unknown) = patterns.flat_map(|all| all.iter()).find(is_unknown) {
                let unknown = unknown.to_string();
                let near = suggestion(&unknown, known.iter().copied());
                return Err(DocumentError {
                    fault: DocumentFault::UnknownTier,
                    document: document.id().to_owned(),
                    place: format!("rule {} {:?}", index + 1, rule.name),
                    field: "match.service_tier".to_owned(),
                    message: format!("no vendor and no price book has the tier `{unknown}`{near}"),
                });
            }
        }
        Ok(())
    }

    fn check_exists(
        &self,
        document: &Document,
        field: &str,
        kind: Kind,
        id: &str,
    ) -> Result<(), DocumentError> {
        if self.siblings(kind, id).next().is_some() {
            return Ok(());
        }
        let known = self.versions().filter(|version| version.document.kind() == kind);
        let near = suggestion(id, known.map(|version| version.document.id()));
        let message = format!("there is no {} `{id}`{near}", kind.word());
        Err(refuse(document, DocumentFault::UnknownDocument, field, message))
    }

    fn siblings<'c>(&'c self, kind: Kind, id: &'c str) -> impl Iterator<Item = &'c Arc<Version>> {
        self.versions()
            .filter(move |version| version.document.kind() == kind && version.document.id() == id)
    }

    fn next_ordinal(&self, kind: Kind, id: &str) -> u32 {
        u32::try_from(self.siblings(kind, id).count()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn book_currency(&self) -> Option<(&str, Currency)> {
        self.versions().find_map(|version| match version.document.body() {
            Body::PriceBook(book) => Some((version.document.id(), book.currency)),
            Body::RateCard(_) | Body::Plan(_) | Body::Defaults(_) => None,
        })
    }

    /// The deployment's one currency: the price books', or without any the first card's.
    pub fn currency(&self) -> Option<Currency> {
        let of_cards = || {
            self.versions().find_map(|version| match version.document.body() {
                Body::RateCard(card) => Some(card.currency),
                Body::PriceBook(_) | Body::Plan(_) | Body::Defaults(_) => None,
            })
        };
        self.book_currency().map(|(_, currency)| currency).or_else(of_cards)
    }

    /// The catalogue as it was before the version `next` was published: the versions with smaller
    /// ids, shared with this one.
    pub fn as_of(&self, next: CatalogueId) -> Self {
        let known = self.inner.versions.partition_point(|version| version.id < next);
        let versions = self.inner.versions[..known].to_vec();
        let hash = versions.iter().fold(ContentHash(0), |hash, version| chained(hash, version));
        Self { inner: Arc::new(Inner { versions, hash, views: OnceLock::new() }) }
    }

    /// Every version, in the order of publication.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.inner.versions.iter()
    }

    pub fn version(&self, id: CatalogueId) -> Option<&Version> {
        let index = self.inner.versions.binary_search_by_key(&id, |version| version.id).ok()?;
        Some(&self.inner.versions[index])
    }

    /// The id of the last version: the catalogue offset in use.
    pub fn last(&self) -> Option<CatalogueId> {
        self.inner.versions.last().map(|version| version.id)
    }

    /// A hash over all versions in their order; equal for equal folds.
    pub fn content_hash(&self) -> ContentHash {
        self.inner.hash
    }

    pub fn is_empty(&self) -> bool {
        self.inner.versions.is_empty()
    }

    /// The rate card that prices an account of this plan (or of none) at a time.
    pub fn rate_card_for(
        &self,
        plan: Option<&str>,
        time: Timestamp,
    ) -> Option<(CatalogueId, &RateCard)> {
        let card = self.view_at(time)?.card_for(plan)?.1?;
        Some((card.id, &card.card))
    }

    /// The version of a plan in force at a time.
    pub fn plan(&self, id: &str, time: Timestamp) -> Option<(CatalogueId, &Plan)> {
        self.view_at(time)?.plan(id)
    }

    /// The plan of accounts that were assigned none.
    pub fn default_plan(&self, time: Timestamp) -> Option<&str> {
        self.view_at(time)?.default_plan()
    }

    /// The price books in force at a time, in the order in which they are asked.
    pub fn price_books(&self, time: Timestamp) -> impl Iterator<Item = (CatalogueId, &PriceBook)> {
        let books = self.view_at(time).map_or(&[][..], |view| &view.books);
        books.iter().map(|(id, book)| (*id, &**book))
    }

    /// The row that priced a line.
    pub fn price_row(&self, price: PriceRef) -> Option<&Price> {
        match self.version(price.book)?.document.body() {
            Body::PriceBook(book) => book.prices.get(usize::from(price.row)),
            Body::RateCard(_) | Body::Plan(_) | Body::Defaults(_) => None,
        }
    }

    /// The rule that charged a line.
    pub fn rule(&self, card: CatalogueId, rule: RuleId) -> Option<&Rule> {
        self.rate_card(card)?.rules.get(usize::from(rule.0))
    }

    pub fn rate_card(&self, id: CatalogueId) -> Option<&RateCard> {
        match self.version(id)?.document.body() {
            Body::RateCard(card) => Some(card),
            Body::PriceBook(_) | Body::Plan(_) | Body::Defaults(_) => None,
        }
    }

    #[inline]
    pub(crate) fn view_at(&self, time: Timestamp) -> Option<&View> {
        let views = self.inner.views.get_or_init(|| views(&self.inner.versions));
        let after = views.partition_point(|view| view.from <= time);
        views.get(after.checked_sub(1)?)
    }
}

fn chained(before: ContentHash, version: &Version) -> ContentHash {
    let mut bytes = before.0.to_le_bytes().to_vec();
    bytes.extend(version.id.0.to_le_bytes());
    bytes.extend(version.document.normal_form().as_bytes());
    ContentHash::of(&bytes)
}

fn refuse(
    document: &Document,
    fault: DocumentFault,
    field: &str,
    message: String,
) -> DocumentError {
    DocumentError {
        fault,
        document: document.id().to_owned(),
        place: String::new(),
        field: field.to_owned(),
        message,
    }
}
