//! The commands that talk to a running tally.

pub(crate) mod answers;
mod budget;
mod change;
pub(crate) mod credits;
mod dlq;
mod doctor;
pub(crate) mod explain;
mod history;
mod hold;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod on_call;
mod plan;
mod price_list;
pub(crate) mod proofs;
pub(crate) mod quarantine;
mod quote;
pub(crate) mod rates;
pub(crate) mod reconcile;
mod refusal;
pub(crate) mod replay;
pub(crate) mod rerate;
pub(crate) mod spending;
pub(crate) mod status;
mod topup;
pub(crate) mod warehouse;
pub(crate) mod webhook;

use std::io::Read;
use std::path::Path;

use domain::Timestamp;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::failure::{Failure, failed};
use crate::output::Output;
use crate::settings::Settings;

/// What every such command has.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) output: Output,
    /// Who changes things, where a flag does not say; `None` lets the key speak for itself.
    pub(crate) actor: Option<String>,
}

impl Context {
    pub(crate) fn new(settings: &Settings, output: Output) -> Result<Self, Failure> {
        let client = Client::find(settings)?;
        let actor = actor(settings, client.is_local_operator());
        Ok(Self { client, output, actor })
    }

    /// Who makes a change: as a flag says, else as it stands in the context.
    pub(crate) fn name_actor(&self, flag: Option<&String>, body: &mut Map<String, Value>) {
        if let Some(actor) = flag.or(self.actor.as_ref()) {
            body.insert("actor".to_owned(), Value::from(actor.as_str()));
        }
    }
}

/// The actor as set. Whoever uses the operator's key because it lies there is known to the system
/// by name; a key that was made for somebody says itself who that is.
fn actor(settings: &Settings, is_local_operator: bool) -> Option<String> {
    let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    let named = settings.text("actor").map(str::to_owned);
    named.or_else(|| is_local_operator.then(user).flatten()).filter(|name| !name.is_empty())
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_micros(micros)
}

/// A file's text; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        false => std::fs::read_to_string(path).map(|read| text = read),
    };
    match read {
        Ok(()) => Ok(text),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", path.display()))),
    }
}

/// Checks a time that was given on the command line before it travels.
pub(crate) fn time(flag: &str, text: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(Some(time.to_string())),
        Err(error) => Err(Failure::Usage(format!("{flag} {text:?}: {error}"))),
    }
}

/// An id for a change: nobody else makes the same one.
pub(crate) fn new_id(prefix: &str) -> Result<String, Failure> {
    Ok(format!("{prefix}-{}", random_hex(8)?))
}

/// So many random bytes from the system, in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> Result<String, Failure> {
    let mut random = vec![0; bytes];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(failed("/dev/urandom"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A field as text; nothing when it is absent or null.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

pub(crate) fn number(value: &Value, name: &str) -> Option<i64> {
    match value.get(name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The objects of an array.
pub(crate) fn objects(value: Option<&Value>) -> Vec<Map<String, Value>> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item.as_object().cloned()).collect()
}

/// How old the figures are, in a sentence.
pub(crate) fn freshness_line(value: &Value) -> String {
    let Some(freshness) = value.get("freshness").filter(|freshness| freshness.is_object()) else {
        return String::new();
    };
    let as_of = text(freshness, "as_of").or_else(|| text(freshness, "complete_up_to"));
    let lag = match freshness.get("lag_s") {
        Some(Value::String(lag)) => Some(lag.clone()),
        Some(Value::Number(lag)) => Some(lag.to_string()),
        _ => None,
    };
    match (as_of, lag) {
        (Some(as_of), Some(lag)) => format!("as of {as_of}, {lag} s behind\n"),
        (Some(as_of), None) => format!("as of {as_of}\n"),
        (None, Some(lag)) => format!("{lag} s behind\n"),
        (None, None) => String::new(),
    }
}
