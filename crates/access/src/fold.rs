//! The fold of the topic `access`.

use std::collections::BTreeMap;

use domain::Timestamp;
use wire::{AccessChange, AccessRecord, KeyCreated, KeyId, Role, WebhookSecret};

use crate::caller::Caller;
use crate::key::Presented;
use crate::terms::KeyTerms;

/// All keys and webhook endpoints, as the records so far make them.
#[derive(Clone, Debug, Default)]
pub struct Access {
    keys: BTreeMap<KeyId, Key>,
    webhooks: BTreeMap<String, Webhook>,
}

/// A key, with everything that may be shown of it.
#[derive(Clone, Debug)]
pub struct Key {
    caller: Caller,
    hash: [u8; 32],
    pub created_at: Timestamp,
    pub created_by: String,
    /// From when on it is refused, as it was made.
    pub expires: Option<Timestamp>,
    /// From when on it is refused, because somebody said so.
    pub revoked_from: Option<Timestamp>,
    pub revoked_by: Option<String>,
    /// As far as it was recorded: the hour is right, the minute may be older.
    pub last_used: Option<Timestamp>,
    /// The key that it was rotated from.
    pub replaces: Option<KeyId>,
    /// The key that it was rotated to.
    pub replaced_by: Option<KeyId>,
    /// The idempotency key that it was asked for with.
    pub request: Option<String>,
}

/// What a key is at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Active,
    /// Still accepted, until it is revoked.
    Retiring,
    Revoked,
    Expired,
}

impl KeyState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// Whether requests are accepted with it.
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Active | Self::Retiring => true,
            Self::Revoked | Self::Expired => false,
        }
    }
}

impl Key {
    /// Who asks with it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether it may make keys, while it is valid.
    pub fn is_operator(&self) -> bool {
        self.caller.role() == Role::Operator && self.caller.may_span_accounts()
    }

    /// What it is at `now`.
    pub fn state(&self, now: Timestamp) -> KeyState {
        let past = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        match (past(self.revoked_from), past(self.expires)) {
            (true, _) => KeyState::Revoked,
            (false, true) => KeyState::Expired,
            (false, false) if self.revoked_from.is_some() => KeyState::Retiring,
            (false, false) => KeyState::Active,
        }
    }

    /// The terms that it was made with: a rotation makes another with the same.
    pub fn terms(&self) -> KeyTerms {
        KeyTerms {
            name: self.caller.name().to_owned(),
            role: self.caller.role(),
            bounds: self.caller.bounds().clone(),
            expires: self.expires,
        }
    }
}

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: String,
    /// What deliveries are signed with, the newest first. Never shown again.
    pub secrets: Vec<WebhookSecret>,
    /// The types of alerts that go there.
    pub events: Vec<String>,
    /// Of which accounts alone.
    pub accounts: Option<Vec<String>>,
    pub enabled: bool,
    /// For people.
    pub description: String,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub changed_by: String,
}

/// Why a key is not accepted. For logs; whoever asks is told one thing for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("not a key's text")]
    Malformed,
    #[error("no such key")]
    Unknown,
    #[error("the secret is not the key's")]
    WrongSecret,
    #[error("the key was revoked")]
    Revoked,
    #[error("the key has expired")]
    Expired,
}

impl Access {
    /// Takes the next record of the topic.
    pub fn apply(&mut self, record: AccessRecord) {
        let AccessRecord { at, by, change } = record;
        match change {
            AccessChange::KeyCreated(created) => self.created(at, by, created),
            AccessChange::KeyRevoked { key, from } => {
                if let Some(key) = self.keys.get_mut(&key) {
                    key.revoke(from, by);
                }
            }
            AccessChange::KeyUsed { key } => {
                if let Some(key) = self.keys.get_mut(&key) {
                    key.last_used = key.last_used.max(Some(at));
                }
            }
            AccessChange::WebhookSet(set) => {
                let created_at =
                    self.webhooks.get(&set.webhook).map_or(at, |webhook| webhook.created_at);
                let webhook = Webhook {
                    url: set.url,
                    secrets: set.secrets,
                    events: set.events,
                    accounts: set.accounts,
                    enabled: set.enabled,
                    description: set.description,
                    created_at,
                    changed_at: at,
                    changed_by: by,
                };
                self.webhooks.insert(set.webhook, webhook);
            }
            AccessChange::WebhookRemoved { webhook } => {
                self.webhooks.remove(&webhook);
            }
        }
    }

    fn created(&mut self, at: Timestamp, by: String, created: KeyCreated) {
        let KeyCreated { key: id, name, role, hash, bounds, expires, replaces, request } = created;
        if let Some(replaced) = replaces
            && let Some(old) = self.keys.get_mut(&replaced.key)
        {
            old.replaced_by = Some(id);
            old.revoke(replaced.until, by.clone());
        }
        let key = Key {
            caller: Caller::new(id, &name, role, bounds),
            hash,
            created_at: at,
            created_by: by,
            expires,
            revoked_from: None,
            revoked_by: None,
            last_used: None,
            replaces: replaces.map(|replaced| replaced.key),
            replaced_by: None,
            request,
        };
        // A record that stands twice, because its append was repeated, changes nothing.
        self.keys.entry(id).or_insert(key);
    }

    /// Whose text this is, if it is anybody's and valid at `now`.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn authenticate(&self, presented: &str, now: Timestamp) -> Result<Caller, Denied> {
        let presented = Presented::read(presented).ok_or(Denied::Malformed)?;
        let Some(key) = self.keys.get(&presented.id) else { return Err(Denied::Unknown) };
        if !presented.is(&key.hash) {
            return Err(Denied::WrongSecret);
        }
        match key.state(now) {
            KeyState::Active | KeyState::Retiring => Ok(key.caller.clone()),
            KeyState::Revoked => Err(Denied::Revoked),
            KeyState::Expired => Err(Denied::Expired),
        }
    }

    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(&id)
    }

    /// All keys that ever were, by id.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &Key)> {
        self.keys.iter().map(|(id, key)| (*id, key))
    }

    pub fn webhook(&self, id: &str) -> Option<&Webhook> {
        self.webhooks.get(id)
    }

    /// The endpoints that there are, by id.
    pub fn webhooks(&self) -> impl Iterator<Item = (&str, &Webhook)> {
        self.webhooks.iter().map(|(id, webhook)| (id.as_str(), webhook))
    }

    /// The key that was asked for with this idempotency key.
    pub fn requested(&self, request: &str) -> Option<(KeyId, &Key)> {
        self.keys().find(|(_, key)| key.request.as_deref() == Some(request))
    }

    /// Whether somebody can make keys at `now`.
    pub fn has_operator(&self, now: Timestamp) -> bool {
        self.keys.values().any(|key| key.is_operator() && key.state(now).is_valid())
    }

    /// Whether somebody but `except` can make keys, without an end in sight.
    pub fn has_lasting_operator(&self, now: Timestamp, except: KeyId) -> bool {
        self.keys().any(|(id, key)| {
            id != except
                && key.is_operator()
                && key.expires.is_none()
                && key.state(now) == KeyState::Active
        })
    }
}

impl Key {
    /// The earliest revocation holds: a later word does not bring a key back.
    fn revoke(&mut self, from: Timestamp, by: String) {
        if self.revoked_from.is_none_or(|already| from < already) {
            self.revoked_from = Some(from);
            self.revoked_by = Some(by);
        }
    }
}
