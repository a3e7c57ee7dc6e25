//! Who may use the API, and who is told of alerts (`schemas/access`).
//!
//! There are few of these records and they are kept for ever, so they own their texts.

use std::fmt;
use std::str::FromStr;

use domain::{Timestamp, Traffic};

use crate::avro::Writer;
use crate::record::error::{Flaw, RecordError};
use crate::record::fields::{Bound, Fields, open_one};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::ACCESS_V1_FINGERPRINT;

/// The most accounts, sources or event types that a key or an endpoint may list.
pub const ACCESS_LIST_MAX: usize = 1_024;
/// The most secrets that an endpoint signs with at once.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
const LIST: Bound = Bound { elements_max: ACCESS_LIST_MAX, element_bytes_min: 1 };
const SECRETS: Bound = Bound { elements_max: WEBHOOK_SECRETS_MAX, element_bytes_min: 2 };

/// What a key is for. What each may do is the `access` crate's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Sends events.
    Producer = 0,
    /// Serves customers: quotes, holds, reads their balances, sends events.
    App = 1,
    /// Grants, adjusts, voids, assigns plans and budgets; reads what that needs.
    Finance = 2,
    /// Everything.
    Operator = 3,
    /// Reads everything, and writes nothing.
    Analyst = 4,
}

impl Role {
    pub const ALL: [Self; 5] =
        [Self::Producer, Self::App, Self::Finance, Self::Operator, Self::Analyst];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::App => "app",
            Self::Finance => "finance",
            Self::Operator => "operator",
            Self::Analyst => "analyst",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    const fn code(self) -> u8 {
        self as u8
    }
}

/// A key's public name: twelve lower-case letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; Self::LENGTH]);

impl KeyId {
    pub const LENGTH: usize = 12;
    /// No letter that is easily taken for another; 32 of them, so that five bits choose evenly.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    /// An id of random bytes: sixty bits of them count.
    pub fn of_random(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes.map(|byte| Self::LETTERS[usize::from(byte & 31)]))
    }

    pub fn as_str(&self) -> &str {
        // Only `from_str` makes one, and it takes ASCII alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for KeyId {
    type Err = NotAKeyId;

    fn from_str(text: &str) -> Result<Self, NotAKeyId> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().map_err(|_| NotAKeyId)?;
        let legal = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if bytes.iter().all(legal) { Ok(Self(bytes)) } else { Err(NotAKeyId) }
    }
}

/// A text that names no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key's id of twelve lower-case letters and digits")]
pub struct NotAKeyId;

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a key is bound to; `None` is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    pub accounts: Option<Vec<String>>,
    pub sources: Option<Vec<String>>,
    pub traffic: Option<Vec<Traffic>>,
}

/// A key that may be used from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCreated {
    pub key: KeyId,
    pub name: String,
    pub role: Role,
    /// BLAKE3 over the secret.
    pub hash: [u8; 32],
    pub bounds: KeyBounds,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    pub replaces: Option<Replaced>,
    /// The idempotency key that it was asked for with.
    pub request: Option<String>,
}

/// The key that another was rotated from: in one record with its successor, so that neither can
/// come without the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub key: KeyId,
    /// From when on it is refused.
    pub until: Timestamp,
}

/// A webhook endpoint, as it is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSet {
    pub webhook: String,
    pub url: String,
    /// What deliveries are signed with, the newest first; [`WEBHOOK_SECRETS_MAX`] at most.
    pub secrets: Vec<WebhookSecret>,
    /// The types of alerts that go there.
    pub events: Vec<String>,
    /// Of which accounts alone.
    pub accounts: Option<Vec<String>>,
    pub enabled: bool,
    /// For people.
    pub description: String,
}

/// A signing secret. It stands in the record itself, because a hash signs nothing; nobody is shown
/// it again.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    pub secret: String,
    /// From when on it signs no more.
    pub until: Option<Timestamp>,
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebhookSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What a record of `access` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessChange {
    KeyCreated(KeyCreated),
    KeyRevoked {
        key: KeyId,
        /// From when on it is refused.
        from: Timestamp,
    },
    /// It was used at the record's time.
    KeyUsed {
        key: KeyId,
    },
    WebhookSet(WebhookSet),
    WebhookRemoved {
        webhook: String,
    },
}

/// A record of `access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRecord {
    pub at: Timestamp,
    pub by: String,
    pub change: AccessChange,
}

/// The places of the changes in their union.
mod change {
    pub(super) const KEY_CREATED: u8 = 0;
    pub(super) const KEY_REVOKED: u8 = 1;
    pub(super) const KEY_USED: u8 = 2;
    pub(super) const WEBHOOK_SET: u8 = 3;
    pub(super) const WEBHOOK_REMOVED: u8 = 4;
}

/// Appends a record to `out` as an Avro single-object record.
pub fn encode_access(record: &AccessRecord, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(ACCESS_V1_FINGERPRINT);
    writer.time(record.at);
    writer.string(&record.by);
    match &record.change {
        AccessChange::KeyCreated(created) => {
            writer.branch(change::KEY_CREATED);
            write_created(writer, created);
        }
        AccessChange::KeyRevoked { key, from } => {
            writer.branch(change::KEY_REVOKED);
            writer.string(key.as_str());
            writer.time(*from);
        }
        AccessChange::KeyUsed { key } => {
            writer.branch(change::KEY_USED);
            writer.string(key.as_str());
        }
        AccessChange::WebhookSet(set) => {
            writer.branch(change::WEBHOOK_SET);
            write_webhook(writer, set);
        }
        AccessChange::WebhookRemoved { webhook } => {
            writer.branch(change::WEBHOOK_REMOVED);
            writer.string(webhook);
        }
    }
}

fn write_created(writer: &mut Writer<'_>, created: &KeyCreated) {
    let KeyBounds { accounts, sources, traffic } = &created.bounds;
    writer.string(created.key.as_str());
    writer.string(&created.name);
    writer.branch(created.role.code());
    writer.fixed(&created.hash);
    writer.optional(accounts.as_ref(), |writer, accounts| write_texts(writer, accounts));
    writer.optional(sources.as_ref(), |writer, sources| write_texts(writer, sources));
    writer.optional(traffic.as_ref(), |writer, traffic| {
        writer.array(traffic.iter(), |writer, traffic| writer.branch(traffic.code()));
    });
    writer.optional(created.expires, Writer::time);
    writer.optional(created.replaces, |writer, replaced| {
        writer.string(replaced.key.as_str());
        writer.time(replaced.until);
    });
    writer.optional(created.request.as_ref(), |writer, request| writer.string(request));
}

fn write_webhook(writer: &mut Writer<'_>, set: &WebhookSet) {
    writer.string(&set.webhook);
    writer.string(&set.url);
    writer.array(set.secrets.iter(), |writer, secret| {
        writer.string(&secret.secret);
        writer.optional(secret.until, Writer::time);
    });
    write_texts(writer, &set.events);
    writer.optional(set.accounts.as_ref(), |writer, accounts| write_texts(writer, accounts));
    writer.boolean(set.enabled);
    writer.string(&set.description);
}

fn write_texts(writer: &mut Writer<'_>, texts: &[String]) {
    writer.array(texts.iter(), |writer, text| writer.string(text));
}

/// Reads a record of `access`.
///
/// # Errors
/// For a record that is none. A reader must not pass over [`RecordError::UnknownSchema`]: it may be
/// what takes a key's rights away.
pub fn decode_access(record: &[u8]) -> Result<AccessRecord, RecordError> {
    let mut fields = open_one(record, LEDGER_RECORD_BYTES_MAX, ACCESS_V1_FINGERPRINT)?;
    let record = AccessRecord {
        at: fields.time("at"),
        by: fields.owned("by"),
        change: read_change(&mut fields),
    };
    fields.end(record)
}

fn read_change(fields: &mut Fields<'_>) -> AccessChange {
    match fields.branch("change") {
        change::KEY_CREATED => AccessChange::KeyCreated(read_created(fields)),
        change::KEY_REVOKED => {
            AccessChange::KeyRevoked { key: fields.key_id("key"), from: fields.time("from") }
        }
        change::KEY_USED => AccessChange::KeyUsed { key: fields.key_id("key") },
        change::WEBHOOK_SET => AccessChange::WebhookSet(read_webhook(fields)),
        change::WEBHOOK_REMOVED => {
            AccessChange::WebhookRemoved { webhook: fields.owned("webhook") }
        }
        _ => {
            fields.no_such_branch("change");
            AccessChange::WebhookRemoved { webhook: String::new() }
        }
    }
}

fn read_created(fields: &mut Fields<'_>) -> KeyCreated {
    KeyCreated {
        key: fields.key_id("key"),
        name: fields.owned("name"),
        role: fields.word("role"),
        hash: fields.fixed("hash"),
        bounds: KeyBounds {
            accounts: fields.optional("accounts", Fields::texts),
            sources: fields.optional("sources", Fields::texts),
            traffic: fields.optional("traffic", |fields, name| {
                fields.array(name, LIST, |fields| fields.word(name))
            }),
        },
        expires: fields.optional("expires", Fields::time),
        replaces: fields.optional("replaces", |fields, _| Replaced {
            key: fields.key_id("replaces.key"),
            until: fields.time("replaces.until"),
        }),
        request: fields.optional("request", Fields::owned),
    }
}

fn read_webhook(fields: &mut Fields<'_>) -> WebhookSet {
    WebhookSet {
        webhook: fields.owned("webhook"),
        url: fields.owned("url"),
        secrets: fields.array("secrets", SECRETS, |fields| WebhookSecret {
            secret: fields.owned("secrets.secret"),
            until: fields.optional("secrets.until", Fields::time),
        }),
        events: fields.texts("events"),
        accounts: fields.optional("accounts", Fields::texts),
        enabled: fields.boolean("enabled"),
        description: fields.owned("description"),
    }
}

impl Fields<'_> {
    fn owned(&mut self, field: &'static str) -> String {
        self.str(field).to_owned()
    }

    fn texts(&mut self, field: &'static str) -> Vec<String> {
        self.array(field, LIST, |fields| fields.owned(field))
    }

    fn key_id(&mut self, field: &'static str) -> KeyId {
        self.str(field).parse().unwrap_or_else(|_| {
            self.fail(field, Flaw::BadKeyId);
            KeyId([b'0'; KeyId::LENGTH])
        })
    }
}

#[cfg(test)]
pub(super) mod arbitrary;
