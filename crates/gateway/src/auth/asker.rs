//! Who asks, as handlers see it.

use access::{Caller, Role};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::{Fault, Reason, UsageEvent};

use crate::form::Form;
use crate::problem::Problem;

/// The key that a request came with.
#[derive(Clone, Debug)]
pub(crate) struct Asker(pub(super) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Only a route that stands beside the table comes here without one.
        parts.extensions.get::<Self>().cloned().ok_or_else(forbidden)
    }
}

impl Asker {
    pub(crate) fn caller(&self) -> &Caller {
        &self.0
    }

    /// Refuses what is about an account that the key may not touch.
    pub(crate) fn must_reach(&self, account: &str) -> Result<(), Problem> {
        if self.0.may_reach(account) { Ok(()) } else { Err(forbidden()) }
    }

    /// Refuses what is about all accounts, unless it is about one that the key may touch.
    pub(crate) fn must_reach_all_of(&self, account: Option<&str>) -> Result<(), Problem> {
        match account {
            Some(account) => self.must_reach(account),
            None if self.0.may_span_accounts() => Ok(()),
            None => Err(forbidden()),
        }
    }

    /// Refuses what is about a source that the key may not touch.
    pub(crate) fn must_reach_source(&self, source: &str) -> Result<(), Problem> {
        if self.0.may_reach_source(source) { Ok(()) } else { Err(forbidden()) }
    }

    /// Judges an event by the key that it came with.
    pub(crate) fn judge(&self, event: &UsageEvent<'_>) -> Result<(), Fault> {
        let (source, account) = (event.source.as_ref(), event.account.as_ref());
        self.0.may_send(source, event.traffic, account).map_err(|field| {
            let value = match field {
                "subject" => account,
                "source" => source,
                _ => event.traffic.word(),
            };
            Fault::new(Reason::NotAllowed, field, value)
        })
    }

    /// Who did it, for the record: the key, unless an operator says on whose behalf.
    pub(crate) fn actor(&self, form: &mut Form) -> Result<String, Problem> {
        match form.text("actor")? {
            None => Ok(self.0.actor()),
            Some(actor) if self.0.role() == Role::Operator => Ok(actor),
            Some(actor) => Err(forbidden().field("actor").value(&actor)),
        }
    }
}

/// The one answer to a key that may not.
pub(crate) fn forbidden() -> Problem {
    let detail = "the key's role, or what it is bound to, does not allow this";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

#[cfg(test)]
pub(crate) mod tests {
    use access::{Access, Entropy, KeyBounds, NewKey};
    use domain::Timestamp;
    use wire::{AccessChange, AccessRecord, KeyCreated};

    use super::*;

    /// Somebody with a key of this role, bound to these accounts.
    pub(crate) fn asker(role: Role, accounts: &[&str]) -> Asker {
        let key = NewKey::of(&Entropy { id: [0; 12], secret: [0; 32] });
        let (at, accounts) =
            (Timestamp::from_micros(0), accounts.iter().map(|id| (*id).to_owned()));
        let created = KeyCreated {
            key: key.id,
            name: "test".to_owned(),
            role,
            hash: key.hash,
            bounds: KeyBounds { accounts: Some(accounts.collect()), ..KeyBounds::default() },
            expires: None,
            replaces: None,
            request: None,
        };
        let mut access = Access::default();
        let change = AccessChange::KeyCreated(created);
        access.apply(AccessRecord { at, by: "test".to_owned(), change });
        Asker(access.authenticate(key.text.reveal(), at).unwrap())
    }
}
