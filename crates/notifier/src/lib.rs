//! Account events to whom they concern: signed webhooks, retried for about two days, and never
//! forgotten.
//!
//! - [`Outbox`] is what is to be sent and when: the events read, and the fold of
//!   `webhook.deliveries`. It is pure; time comes in as an argument.
//! - [`Notifier`] is the loop around it: reads `account.events`, sends what is due, writes what came
//!   of it to `webhook.deliveries`, and only then commits how far it has read.
//! - [`Sender`] makes one signed request (`Standard Webhooks`); the API uses it as well, to try an
//!   endpoint out.
//!
//! **How nothing is forgotten.** A position on `account.events` is committed only past events that
//! have a record on `webhook.deliveries` for every endpoint that wants them, and the records carry
//! the event. So whatever is killed, an event is read again or its record is; what was sent and not
//! recorded is sent once more under the same `webhook-id`.
//!
//! **Architecture invariant:** what is pending is changed by reading a record back, never by having
//! written it: live and after a restart it is one fold.

mod body;
mod delivery;
mod endpoints;
mod metrics;
mod outbox;
mod schedule;
mod send;
mod service;
mod session;
mod signature;
mod target;

pub use body::{event_id, event_json};
pub use delivery::{Delivery, DeliveryState};
pub use metrics::NotifierMetrics;
pub use outbox::{Limits, Outbox, Retry, Sending, Taken, Tried};
pub use schedule::{ATTEMPTS_MAX, next_at};
pub use send::{Answer, Outgoing, Reach, Sender};
pub use service::{DELIVERIES, Notifier, NotifierError, NotifierSettings, PERMISSIONS};
pub use signature::{SECRET_BYTES, sign, signing, whsec};
pub use target::{BadTarget, Target, URL_BYTES_MAX, is_public};
