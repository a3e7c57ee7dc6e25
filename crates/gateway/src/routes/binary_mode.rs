//! CloudEvents' binary mode over HTTP: the attributes are headers, the body is the data. It becomes
//! the structured event that it stands for, before anything is judged.

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::problem::Problem;

const PREFIX: &str = "ce-";
/// An event in binary mode has this header, and no other request has.
const SPECVERSION: &str = "ce-specversion";

/// The structured event of a request in binary mode; `None` for every other request.
pub(crate) fn structured(headers: &HeaderMap, body: &[u8]) -> Result<Option<Bytes>, Problem> {
    let content_type = media_type(headers);
    if content_type.starts_with("application/cloudevents") {
        let is_json = ["application/cloudevents+json", "application/cloudevents-batch+json"];
        return match is_json.contains(&content_type.as_str()) {
            true => Ok(None),
            false => Err(unsupported(&content_type)),
        };
    }
    if !headers.contains_key(SPECVERSION) {
        return Ok(None);
    }
    let is_json = content_type.is_empty()
        || content_type == "application/json"
        || content_type.ends_with("+json");
    if !is_json {
        return Err(unsupported(&content_type));
    }
    // One whole value: what follows it would be read as further fields of the event.
    let data: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request("invalid_json", error.to_string()).field("data"))?;
    let mut event = String::from("{");
    for name in headers.keys() {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else { continue };
        let mut values = headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            let detail = format!("the header `{name}` stands twice");
            return Err(Problem::bad_request("repeated_field", detail).field(attribute));
        };
        let value = text(value.as_bytes()).ok_or_else(|| {
            let detail = format!("the header `{name}` is not UTF-8, plain or percent-encoded");
            Problem::bad_request("bad_text", detail).field(attribute)
        })?;
        event.push_str(&format!("{}:{},", Value::from(attribute), Value::from(value)));
    }
    event.push_str(&format!("\"data\":{}}}", data.get()));
    Ok(Some(Bytes::from(event)))
}

/// The content type without its parameters, in small letters.
fn media_type(headers: &HeaderMap) -> String {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = said.and_then(|said| said.split(';').next()).unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

fn unsupported(content_type: &str) -> Problem {
    let detail = "events come as JSON: application/cloudevents+json, \
                  application/cloudevents-batch+json, application/x-ndjson, or ce- headers over \
                  application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
        .field("Content-Type")
        .value(content_type)
}

/// A header's value: UTF-8 in which any byte may be percent-encoded.
fn text(value: &[u8]) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
                bytes.push(byte);
                rest = after;
            }
            (b'%', _) => return None,
            (_, after) => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
        values.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const EVENT: &[(&str, &str)] = &[
        ("ce-specversion", "1.0"),
        ("ce-type", "tally.usage.v1"),
        ("ce-source", "/chat"),
        ("ce-id", "caf%C3%A9 %22x%22"),
        ("ce-time", "2026-11-20T12:00:00Z"),
        ("ce-subject", "a"),
        ("content-type", "application/json; charset=utf-8"),
    ];

    #[test]
    fn headers_and_data_make_the_event() {
        let data = br#"{"feature":"chat","items":[{"meter":"m","quantity":"1"}]}"#;
        let event = structured(&headers(EVENT), data).unwrap().unwrap();
        let event = wire::decode_usage(&event).unwrap().event;
        assert_eq!((event.id.as_ref(), event.account.as_ref()), ("café \"x\"", "a"));
        assert_eq!(event.feature, "chat");
    }

    #[test]
    fn data_cannot_bring_fields_of_the_event() {
        for data in [&b"{}, \"subject\":\"b\""[..], b"", b"{", b"{}}", b"\xff"] {
            assert!(structured(&headers(EVENT), data).is_err(), "{data:?}");
        }
    }

    #[test]
    fn what_is_structured_or_unknown_is_told_apart() {
        let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
        assert_eq!(structured(&batch, b"[]").unwrap(), None);
        assert_eq!(structured(&headers(&[]), b"{}").unwrap(), None);
        let avro = headers(&[("content-type", "application/cloudevents+avro")]);
        assert!(structured(&avro, b"x").is_err());
        let mut text = headers(EVENT);
        text.insert("content-type", "text/plain".parse().unwrap());
        assert!(structured(&text, b"{}").is_err());
        let mut broken = headers(EVENT);
        broken.insert("ce-id", "%f".parse().unwrap());
        assert!(structured(&broken, b"{}").is_err());
    }
}
