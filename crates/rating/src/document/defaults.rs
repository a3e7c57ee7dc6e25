//! The `defaults` document: what holds when nothing else says.

use super::error::{DocumentError, DocumentFault};
use super::fields::Fields;

pub(super) const KEYS: &[&str] = &[
    "id",
    "effective_from",
    "effective_to",
    "version",
    "description",
    "default_rate_card",
    "price_books",
    "default_plan",
];

/// Which card, plan and books hold by default. What is absent is decided as if there were no
/// `defaults` document: the only rate card, the books by first publication, no plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    pub default_rate_card: Option<Box<str>>,
    /// The books to ask, in order; no other book is asked.
    pub price_books: Option<Vec<Box<str>>>,
    /// The plan of accounts that were assigned none.
    pub default_plan: Option<Box<str>>,
}

impl Defaults {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, DocumentError> {
        let owned = |text: Option<&str>| text.map(Box::from);
        let price_books: Option<Vec<Box<str>>> =
            fields.texts("price_books")?.map(|books| books.into_iter().map(Box::from).collect());
        for (place, book) in price_books.iter().flatten().enumerate() {
            if price_books.iter().flatten().take(place).any(|earlier| earlier == book) {
                let message = format!("names `{book}` twice");
                return Err(fields.error(DocumentFault::KeysConflict, "price_books", message));
            }
        }
        Ok(Self {
            default_rate_card: owned(fields.text("default_rate_card")?),
            price_books,
            default_plan: owned(fields.text("default_plan")?),
        })
    }
}
