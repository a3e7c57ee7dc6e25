//! Signing, as Standard Webhooks says: HMAC-SHA256 over `id.timestamp.body`, in base64, one per
//! secret. Source: standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`, "Signature
//! scheme".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wire::WebhookSecret;

/// How long a new secret is.
pub const SECRET_BYTES: usize = 32;
const PREFIX: &str = "whsec_";

/// A secret's text, of random bytes that the caller brings.
pub fn whsec(random: &[u8; SECRET_BYTES]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(random))
}

/// The secrets that sign at `now`, the newest first: two of them while one is being replaced.
pub fn signing(secrets: &[WebhookSecret], now: Timestamp) -> impl Iterator<Item = &str> {
    secrets
        .iter()
        .filter(move |secret| secret.until.is_none_or(|until| now < until))
        .map(|secret| secret.secret.as_str())
}

/// The header `webhook-signature`: a signature per secret, with a space between. A text that is no
/// secret signs nothing.
pub fn sign<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    id: &str,
    timestamp_s: i64,
    body: &[u8],
) -> String {
    let mut header = String::new();
    for secret in secrets {
        let Ok(key) = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)) else {
            continue;
        };
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { continue };
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        STANDARD.encode_string(mac.finalize().into_bytes(), &mut header);
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_published_vector() {
        let signed = sign([SECRET], ID, 1_614_265_330, BODY);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn everything_that_is_signed_counts() {
        let signed = sign([SECRET], ID, 1_614_265_330, BODY);
        assert_ne!(signed, sign([SECRET], ID, 1_614_265_331, BODY));
        assert_ne!(signed, sign([SECRET], "msg_2", 1_614_265_330, BODY));
        assert_ne!(signed, sign([SECRET], ID, 1_614_265_330, b"{}"));
        assert_ne!(signed, sign([whsec(&[7; 32]).as_str()], ID, 1_614_265_330, BODY));
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let until = "2026-11-21T12:00:00Z".parse().unwrap();
        let new = WebhookSecret { secret: whsec(&[1; SECRET_BYTES]), until: None };
        let old = WebhookSecret { secret: SECRET.to_owned(), until: Some(until) };
        let secrets = [new.clone(), old];
        let at = |now| sign(signing(&secrets, now), ID, 1_614_265_330, BODY);
        let alone = sign([new.secret.as_str()], ID, 1_614_265_330, BODY);
        let both = format!("{alone} v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(at(until.plus_micros(-1)), both);
        assert_eq!(at(until), alone);
    }

    #[test]
    fn a_secret_is_its_bytes_in_base64() {
        let text = whsec(&[0xfb; SECRET_BYTES]);
        assert_eq!(STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap(), [0xfb; 32]);
        assert_eq!(sign(["whsec_no base64"], ID, 0, BODY), "");
    }
}
