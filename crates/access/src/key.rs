//! A key's text: `tally_<id>_<secret>`.

use std::fmt;

use wire::KeyId;

const PREFIX: &str = "tally_";
const SECRET_BYTES: usize = 32;
/// 32 bytes in base64url, without padding.
const SECRET_CHARACTERS: usize = 43;
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The random bytes that a key is made of; whoever asks for one brings them from the system.
#[derive(Clone)]
pub struct Entropy {
    pub id: [u8; KeyId::LENGTH],
    pub secret: [u8; SECRET_BYTES],
}

impl fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Entropy(redacted)")
    }
}

/// A key's whole text, which is shown once. Does not print by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text, for whoever is to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(redacted)")
    }
}

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub id: KeyId,
    pub text: SecretText,
    /// What is kept of it.
    pub hash: [u8; 32],
}

impl NewKey {
    /// A key of the given randomness.
    pub fn of(entropy: &Entropy) -> Self {
        let id = KeyId::of_random(entropy.id);
        let secret = base64url(&entropy.secret);
        let text = format!("{PREFIX}{id}_{secret}");
        Self { id, hash: hash(&secret), text: SecretText(text) }
    }

    /// A key whose text somebody has, such as one that was written to a file and not yet recorded.
    pub fn read(text: &str) -> Option<Self> {
        let presented = Presented::read(text)?;
        Some(Self {
            id: presented.id,
            hash: hash(presented.secret),
            text: SecretText(text.to_owned()),
        })
    }
}

/// A key's text taken apart.
pub(crate) struct Presented<'t> {
    pub(crate) id: KeyId,
    secret: &'t str,
}

impl<'t> Presented<'t> {
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_at_checked(KeyId::LENGTH)?;
        let secret = secret.strip_prefix('_')?;
        let legal = secret.bytes().all(|byte| BASE64URL.contains(&byte));
        (secret.len() == SECRET_CHARACTERS && legal)
            .then_some(Self { id: id.parse().ok()?, secret })
    }

    /// Whether this is the secret that was hashed; takes as long whatever differs.
    pub(crate) fn is(&self, kept: &[u8; 32]) -> bool {
        // The comparison of these is the one that blake3 makes in constant time.
        blake3::hash(self.secret.as_bytes()) == blake3::Hash::from_bytes(*kept)
    }
}

/// The secret is 32 random bytes, so one round of a fast hash gives nothing away.
fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..=chunk.len() {
            let six = (word >> (18 - 6 * place)) & 63;
            text.push(char::from(BASE64URL[six as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(base64url(&[0; SECRET_BYTES]).len(), SECRET_CHARACTERS);
    }

    #[test]
    fn a_key_is_read_back_and_prints_nothing() {
        let key = NewKey::of(&Entropy { id: [7; 12], secret: [9; 32] });
        let read = NewKey::read(key.text.reveal()).unwrap();
        assert_eq!((read.id, read.hash), (key.id, key.hash));
        let secret = key.text.reveal().rsplit('_').next().unwrap();
        assert!(!format!("{key:?}").contains(secret));
        for text in ["", "tally_", "tally_op_00", &key.text.reveal()[1..], "tally_777777777777_ü"]
        {
            assert!(NewKey::read(text).is_none(), "{text}");
        }
        for changed in
            [format!("{}A", key.text.reveal()), key.text.reveal().replace("tally_7", "tally_L")]
        {
            assert!(NewKey::read(&changed).is_none(), "{changed}");
        }
    }
}
