//! Who may do what: API keys with roles and bounds, and the webhook endpoints beside them.
//!
//! - [`Access`] is the fold of the topic `access`: which keys there are, and until when.
//! - [`NewKey`] makes a key's text and the hash that is kept of it; [`Access::authenticate`] finds
//!   the key again, and gives its [`Caller`].
//! - [`Caller`] says what that key may do. One place decides it, for every route.
//!
//! **Architecture invariant:** nothing here reads a clock, a log or randomness, and nothing here can
//! give a secret back: of a key only a hash comes in. (A webhook's secret must sign, so it is kept;
//! it does not print.)
#![deny(clippy::float_arithmetic)]

mod caller;
mod fold;
mod key;
mod terms;

pub use caller::{Action, Caller};
pub use fold::{Access, Denied, Key, KeyState, Webhook};
pub use key::{Entropy, NewKey, SecretText};
pub use terms::{BadTerms, KeyTerms, NAME_CHARACTERS_MAX, NAMES_MAX};
pub use wire::{KeyBounds, KeyId, Role};
