//! What is in force when: the catalogue cut into stretches of time within which nothing changes.
//!
//! Half-open everywhere: a version holds from `effective_from`, itself included, until before
//! `effective_to`. Of one id's versions the latest `effective_from` wins; between equals, the one
//! published later.

use std::sync::Arc;

use domain::{CatalogueId, Timestamp};
use hashbrown::HashMap;

use crate::catalogue::Version;
use crate::document::{Body, Defaults, Kind, Plan, PriceBook, RateCard};

/// The versions in force from an instant until the next view's.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) from: Timestamp,
    /// In the order in which they are asked.
    pub(crate) books: Vec<(CatalogueId, Arc<PriceBook>)>,
    default_card: Option<CardInForce>,
    /// The plan of accounts without one, when it is in force.
    default_plan: Option<Box<str>>,
    plans: HashMap<Box<str>, PlanInForce>,
}

#[derive(Clone, Debug)]
pub(crate) struct CardInForce {
    pub(crate) id: CatalogueId,
    pub(crate) card: Arc<RateCard>,
}

#[derive(Debug)]
struct PlanInForce {
    id: CatalogueId,
    plan: Arc<Plan>,
    /// `None` while the plan names a card of which no version is in force.
    card: Option<CardInForce>,
}

impl View {
    /// The plan that holds for an account, and its card. A plan that is named and not in force has
    /// neither: pricing it under another card would be a guess.
    #[inline]
    pub(crate) fn card_for<'v: 'p, 'p>(
        &'v self,
        plan: Option<&'p str>,
    ) -> Option<(Option<&'p str>, Option<&'v CardInForce>)> {
        match plan.or(self.default_plan.as_deref()) {
            Some(name) => Some((Some(name), self.plans.get(name)?.card.as_ref())),
            None => Some((None, self.default_card.as_ref())),
        }
    }

    pub(crate) fn plan(&self, id: &str) -> Option<(CatalogueId, &Plan)> {
        self.plans.get(id).map(|found| (found.id, &*found.plan))
    }

    pub(crate) fn default_plan(&self) -> Option<&str> {
        self.default_plan.as_deref()
    }
}

/// One view per instant at which some version begins or ends.
pub(crate) fn views(versions: &[Arc<Version>]) -> Box<[View]> {
    let mut instants: Vec<Timestamp> = versions
        .iter()
        .flat_map(|version| {
            let document = &version.document;
            [Some(document.effective_from()), document.effective_to()]
        })
        .flatten()
        .collect();
    instants.sort_unstable();
    instants.dedup();
    let ids = Ids::new(versions);
    instants.into_iter().map(|from| ids.view(from)).collect()
}

/// The versions by kind and id, the ids in the order of their first publication.
struct Ids<'v> {
    ids: Vec<(Kind, &'v str, Vec<&'v Version>)>,
}

impl<'v> Ids<'v> {
    fn new(versions: &'v [Arc<Version>]) -> Self {
        let mut ids: Vec<(Kind, &str, Vec<&Version>)> = Vec::new();
        let mut places: HashMap<(Kind, &str), usize> = HashMap::new();
        for version in versions {
            let (kind, id) = (version.document.kind(), version.document.id());
            let place = *places.entry((kind, id)).or_insert_with(|| {
                ids.push((kind, id, Vec::new()));
                ids.len() - 1
            });
            ids[place].2.push(version);
        }
        Self { ids }
    }

    /// The version in force of each id of a kind, `None` for an id that has none at the time.
    fn in_force(
        &self,
        kind: Kind,
        time: Timestamp,
    ) -> impl Iterator<Item = (&'v str, Option<&'v Version>)> {
        self.ids.iter().filter(move |(of, ..)| *of == kind).map(move |(_, id, versions)| {
            let holding = versions
                .iter()
                .filter(|version| version.document.is_in_force(time))
                .max_by_key(|version| (version.document.effective_from(), version.id));
            (*id, holding.copied())
        })
    }

    fn card(&self, id: &str, time: Timestamp) -> Option<CardInForce> {
        let (_, version) = self.in_force(Kind::RateCard, time).find(|(card, _)| *card == id)?;
        as_card(version?)
    }

    fn view(&self, from: Timestamp) -> View {
        let defaults: Option<&Defaults> =
            self.in_force(Kind::Defaults, from).find_map(|(_, version)| {
                match version?.document.body() {
                    Body::Defaults(defaults) => Some(&**defaults),
                    Body::PriceBook(_) | Body::RateCard(_) | Body::Plan(_) => None,
                }
            });
        let plans: HashMap<Box<str>, PlanInForce> = self
            .in_force(Kind::Plan, from)
            .filter_map(|(id, version)| {
                let version = version?;
                let Body::Plan(plan) = version.document.body() else {
                    return None;
                };
                let card = self.card(&plan.rate_card, from);
                Some((id.into(), PlanInForce { id: version.id, plan: Arc::clone(plan), card }))
            })
            .collect();
        let default_plan = defaults
            .and_then(|defaults| defaults.default_plan.clone())
            .filter(|plan| plans.contains_key(plan));
        View {
            from,
            books: self.books(defaults, from),
            default_card: self.default_card(defaults, from),
            default_plan,
            plans,
        }
    }

    fn default_card(&self, defaults: Option<&Defaults>, from: Timestamp) -> Option<CardInForce> {
        if let Some(named) = defaults.and_then(|defaults| defaults.default_rate_card.as_deref()) {
            return self.card(named, from);
        }
        let mut cards = self.in_force(Kind::RateCard, from);
        match (cards.next(), cards.next()) {
            (Some((_, only)), None) => as_card(only?),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    fn books(
        &self,
        defaults: Option<&Defaults>,
        from: Timestamp,
    ) -> Vec<(CatalogueId, Arc<PriceBook>)> {
        let mut books: Vec<(&str, Option<&Version>)> =
            self.in_force(Kind::PriceBook, from).collect();
        if let Some(order) = defaults.and_then(|defaults| defaults.price_books.as_deref()) {
            let place = |id: &str| order.iter().position(|listed| **listed == *id);
            books.retain(|(id, _)| place(id).is_some());
            books.sort_by_key(|(id, _)| place(id));
        }
        books
            .into_iter()
            .filter_map(|(_, version)| {
                let version = version?;
                match version.document.body() {
                    Body::PriceBook(book) => Some((version.id, Arc::clone(book))),
                    Body::RateCard(_) | Body::Plan(_) | Body::Defaults(_) => None,
                }
            })
            .collect()
    }
}

fn as_card(version: &Version) -> Option<CardInForce> {
    match version.document.body() {
        Body::RateCard(card) => Some(CardInForce { id: version.id, card: Arc::clone(card) }),
        Body::PriceBook(_) | Body::Plan(_) | Body::Defaults(_) => None,
    }
}
