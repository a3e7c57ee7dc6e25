//! What may be asked of a new key.

use domain::limits::TEXT_BYTES_MAX;
use domain::{Timestamp, Traffic};
use wire::{KeyBounds, Role};

/// The longest name of a key.
pub const NAME_CHARACTERS_MAX: usize = 64;
/// The most accounts or sources that a key may be bound to.
pub const NAMES_MAX: usize = 500;

/// What a key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    pub name: String,
    pub role: Role,
    pub bounds: KeyBounds,
    pub expires: Option<Timestamp>,
}

/// Why a key cannot be made like that: the field, and what is the matter with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct BadTerms {
    pub field: &'static str,
    pub why: &'static str,
}

impl KeyTerms {
    /// Checks them, and says what they leave open: a key that sends events and is not told which
    /// traffic may send `customer` alone, so that usage does not become free by a word in it.
    ///
    /// # Errors
    /// Names the field that does not work.
    pub fn checked(mut self, now: Timestamp) -> Result<Self, BadTerms> {
        let bad = |field, why| Err(BadTerms { field, why });
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return bad("name", "a key has a name, in plain text");
        }
        if self.name.chars().count() > NAME_CHARACTERS_MAX || self.name.len() > TEXT_BYTES_MAX / 2 {
            return bad("name", "a name has at most 64 characters, and 128 bytes");
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return bad("expires", "the expiry is not ahead");
        }
        check_names("accounts", self.bounds.accounts.as_deref())?;
        check_names("sources", self.bounds.sources.as_deref())?;
        if self.bounds.traffic.as_ref().is_some_and(Vec::is_empty) {
            return bad("traffic", "an empty list lets nothing through; leave it out");
        }
        match self.role {
            Role::Producer | Role::App => {
                self.bounds.traffic.get_or_insert_with(|| vec![Traffic::Customer]);
            }
            // An operator makes keys: a bound on what it sends itself would bind nobody.
            Role::Operator | Role::Finance | Role::Analyst => {
                if self.bounds.sources.is_some() {
                    return bad("sources", "only producer and app keys are bound to sources");
                }
                if self.bounds.traffic.is_some() {
                    return bad("traffic", "only producer and app keys are bound to traffic");
                }
            }
        }
        Ok(self)
    }
}

fn check_names(field: &'static str, names: Option<&[String]>) -> Result<(), BadTerms> {
    let Some(names) = names else { return Ok(()) };
    let bad = |why| Err(BadTerms { field, why });
    if names.is_empty() {
        return bad("an empty list lets nothing through; leave it out");
    }
    if names.len() > NAMES_MAX {
        return bad("a key is bound to at most 500 of them");
    }
    let legal = |name: &String| {
        !name.is_empty() && name.len() <= TEXT_BYTES_MAX && !name.chars().any(char::is_control)
    };
    if !names.iter().all(legal) {
        return bad("each is a plain text of 1 to 256 bytes");
    }
    Ok(())
}
