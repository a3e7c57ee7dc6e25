//! Who asks, and whether they may: every request but a few open ones carries an API key.
//!
//! - `authenticate` recognises the key, before anything else of a request is looked at: a route that
//!   does not exist answers 401 as well.
//! - [`Routes`] is the table of routes. A route can only be added together with its [`Rule`], and
//!   the rule is checked before the handler runs.
//! - What a rule cannot see (accounts in bodies and parameters, events one by one) the handlers
//!   judge, with the [`Asker`] that they are given.
//!
//! A missing, wrong, revoked or expired key is told one thing: 401. A key that may not is told one
//! thing: 403, whether or not what it asked about exists.

pub(crate) mod asker;
mod first_key;
mod keyring;
mod routes;

pub(crate) use asker::Asker;
pub(crate) use first_key::{ensure, entropy};
pub(crate) use keyring::Keyring;
pub(crate) use routes::{Routes, Rule};

pub use first_key::OperatorKeyError;
pub use routes::{Reach, RouteRow};

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::{Offset, Partition, Topic, TopicPartition};

use crate::app::{App, now};
use crate::appender::{Appending, Outbound};
use crate::body;
use crate::problem::Problem;

pub(crate) const ACCESS: TopicPartition =
    TopicPartition { topic: Topic::Access, partition: Partition(0) };

/// Recognises the key, or answers 401.
pub(crate) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    let now = now();
    let presented = bearer(request.headers());
    let recognised = match presented {
        Some(text) => app.followed.keyring().authenticate(text, now),
        None => Ok(None),
    };
    match recognised {
        Ok(Some(caller)) => {
            if app.followed.keyring().is_due(caller.key(), now) {
                tokio::spawn(record_use(Arc::clone(&app), caller.key(), now));
            }
            request.extensions_mut().insert(Asker(caller));
            next.run(request).await
        }
        Ok(None) => {
            body::discard(request.into_body()).await;
            unauthenticated()
        }
        Err(problem) => problem.into_response(),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut named = headers.get_all(header::AUTHORIZATION).iter();
    // Two of them would let two readers of one request see two callers.
    let (Some(only), None) = (named.next(), named.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start_matches(' '))
}

fn unauthenticated() -> Response {
    let detail = "this needs an API key that is valid, as `Authorization: Bearer tally_…`";
    let mut response =
        Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Notes in the log that a key is in use. That it cannot be is no reason to refuse a request.
async fn record_use(app: App, key: access::KeyId, now: domain::Timestamp) {
    let by = "gateway".to_owned();
    let change = wire::AccessChange::KeyUsed { key };
    let record = wire::AccessRecord { at: now, by, change };
    if append(&app.appending, &record).await.is_err() {
        tracing::warn!(%key, "the use of a key could not be recorded");
        app.followed.keyring().forget_use(key);
    }
}

/// Appends a record to `access`, and returns the offset after it.
pub(crate) async fn append(
    appending: &Appending,
    record: &wire::AccessRecord,
) -> Result<Offset, Problem> {
    let mut value = Vec::new();
    wire::encode_access(record, &mut value);
    let record =
        Outbound { to: ACCESS, key: bytes::Bytes::new(), value: value.into(), headers: Vec::new() };
    let offsets = appending.append(vec![record]).await?;
    let offset = offsets.first().ok_or_else(|| Problem::internal("no offset for a record"))?;
    Ok(offset.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_taken_and_nothing_else() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            headers
        };
        for value in ["Bearer x", "bearer x", "BEARER  x"] {
            assert_eq!(bearer(&headers(&[value])), Some("x"), "{value}");
        }
        for values in [&[][..], &["x"], &["Basic x"], &["Bearer"], &["Bearer x", "Bearer x"]] {
            assert_eq!(bearer(&headers(values)), None, "{values:?}");
        }
    }
}
