//! What makes two events the same: identity and meaning, as hashes.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The identity of an event: XXH3-128 over account, source and id, each length-prefixed.
///
/// A collision between two real identities at 10¹⁰ of them has a probability below 10⁻¹⁸; a forged
/// one gains nothing, because an event that meets an identity with another meaning is quarantined
/// and shown, never dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey(pub u128);

/// The meaning of an event: XXH3-64 over its canonical bytes (see `wire`'s canonical form).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct ContentHash(pub u64);

impl IdentityKey {
    pub fn new(account: &str, source: &str, id: &str) -> Self {
        let mut hasher = Xxh3::new();
        for part in [account, source, id] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hasher.digest128())
    }

    /// The identity of a command, in a space apart from events.
    pub fn of_command(account: &str, id: &str) -> Self {
        Self::new(account, "\u{0}command", id)
    }
}

impl ContentHash {
    pub fn of(canonical: &[u8]) -> Self {
        Self(xxh3_64(canonical))
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
