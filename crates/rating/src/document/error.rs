//! Why a document is refused: a stable code, the place, and a sentence.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal;)*) => {
        /// The stable code of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DocumentFault { $($(#[$doc])* $variant),* }

        impl DocumentFault {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }
        }
    };
}

codes! {
    /// Not TOML, or longer than [`super::DOCUMENT_BYTES_MAX`].
    InvalidToml "invalid_toml";
    /// A key stands twice.
    RepeatedKey "repeated_key";
    /// A key that the document's kind does not have.
    UnknownKey "unknown_key";
    MissingKey "missing_key";
    /// Another TOML type than the key takes; amounts are strings.
    WrongType "wrong_type";
    /// A text that is empty, too long or has a control character.
    BadText "bad_text";
    BadTime "bad_time";
    BadCurrency "bad_currency";
    /// A number that is not a plain decimal, or out of its range.
    BadNumber "bad_number";
    /// Not one of the words that the key takes.
    UnknownWord "unknown_word";
    /// Not a token pool.
    UnknownPool "unknown_pool";
    /// A service tier that neither vendors in general nor the price books have.
    UnknownTier "unknown_tier";
    /// Not a time zone of the IANA database.
    UnknownTimezone "unknown_timezone";
    /// Keys that exclude or need one another.
    KeysConflict "keys_conflict";
    /// Two prices for the same model, meter and provider.
    RepeatedPrice "repeated_price";
    /// A rule that earlier rules leave nothing for.
    UnreachableRule "unreachable_rule";
    /// A list that is too long.
    TooMany "too_many";
    /// A card under `cost_plus`, a plan or a book in another currency than the price books'.
    CurrencyMismatch "currency_mismatch";
    /// A document that is named and does not exist.
    UnknownDocument "unknown_document";
    /// The version exists with other content, or would leave a gap.
    VersionConflict "version_conflict";
}

/// A refused document. Prints as one sentence that says where and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    pub fault: DocumentFault,
    /// The document's id, empty when it could not be read.
    pub document: String,
    /// The rule or price: its number from 1 and its name; empty for the document itself.
    pub place: String,
    /// The key's path within the place.
    pub field: String,
    pub message: String,
}

impl DocumentError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = match self.document.as_str() {
            "" => "the document".to_owned(),
            id => format!("`{id}`"),
        };
        let field = match self.field.as_str() {
            "" => String::new(),
            field => format!("`{field}`"),
        };
        let at: Vec<&str> = [document.as_str(), &self.place, &field]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        write!(formatter, "{}: {} ({})", at.join(", "), self.message, self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = DocumentFault::ALL.iter().map(|fault| fault.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), DocumentFault::ALL.len());
    }
}
