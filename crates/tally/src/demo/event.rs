//! A usage event as its producer writes it: CloudEvents JSON, fields in the order of the format.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) specversion: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) source: &'static str,
    pub(crate) id: String,
    pub(crate) time: Timestamp,
    pub(crate) subject: String,
    pub(crate) data: Data,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Data {
    pub(crate) user: String,
    pub(crate) team: &'static str,
    pub(crate) feature: &'static str,
    pub(crate) traffic: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) attributes: BTreeMap<&'static str, &'static str>,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Item {
    Tokens(TokenItem),
    Quantity(QuantityItem),
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TokenItem {
    pub(crate) model: &'static str,
    pub(crate) provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counting: Option<Counting>,
    pub(crate) tokens: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Counting {
    Both(&'static str),
    PerSide { input: &'static str, output: &'static str },
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct QuantityItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<&'static str>,
    pub(crate) meter: &'static str,
    pub(crate) quantity: String,
}
