//! What makes two events the same: identity and meaning, as hashes.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

const LENGTH_BYTES: usize = 8;
/// Identities up to this length are hashed in one go.
const SHORT_BYTES_MAX: usize = 192;

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
        let parts = [account, source, id];
        let length: usize = parts.iter().map(|part| LENGTH_BYTES + part.len()).sum();
        let mut buffer = [0; SHORT_BYTES_MAX];
        let Some(mut rest) = buffer.get_mut(..length) else { return Self::of_long(parts) };
        for part in parts {
            let (head, after) = rest.split_at_mut(LENGTH_BYTES);
            head.copy_from_slice(&(part.len() as u64).to_le_bytes());
            let (body, after) = after.split_at_mut(part.len());
            body.copy_from_slice(part.as_bytes());
            rest = after;
        }
        Self(xxh3_128(&buffer[..length]))
    }

    /// The same hash, without a buffer: the streaming hasher takes three times as long.
    fn of_long(parts: [&str; 3]) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_identities_are_hashed_alike_and_parts_do_not_run_together() {
        for length in [0, 1, 50, 100, 167, 168, 169, 250] {
            let id = "x".repeat(length);
            let parts = ["acct_1", "/source", &id];
            assert_eq!(IdentityKey::new(parts[0], parts[1], parts[2]), IdentityKey::of_long(parts));
        }
        assert_ne!(IdentityKey::new("a", "bc", "d"), IdentityKey::new("ab", "c", "d"));
    }
}
