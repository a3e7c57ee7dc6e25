//! What somebody on call does over HTTP while things break.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::Value;

/// How long something is asked for again that passes by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long all steps of something may take: as long as the load is large.
const STEPS_PATIENCE: Duration = Duration::from_secs(600);
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// Somebody else is at it; the projector has yet to come as far as before it died.
const PASSING: [&str; 2] = ["replay_busy", "replay_ahead"];

/// The API of a scene, and its operator's key.
#[derive(Debug)]
pub struct Api {
    url: String,
    key_file: PathBuf,
    client: Client,
}

/// What the API said that is no answer to what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {status}: {body}")]
pub struct Refused {
    pub path: String,
    pub status: u16,
    pub body: Value,
}

impl Refused {
    /// The problem's type.
    pub fn code(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }
}

impl Api {
    pub(super) fn new(url: String, key_file: PathBuf) -> anyhow::Result<Self> {
        Ok(Self { url, key_file, client: testkit::http_client(ANSWER_PATIENCE)? })
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// [`Refused`]; or when nobody answers for long.
    pub fn ask(&self, method: &Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            let error = match self.ask_once(method, path, body) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let refused: Option<&Refused> = error.downcast_ref();
            let passes =
                refused.is_none_or(|said| said.status >= 500 || PASSING.contains(&said.code()));
            if !passes || started.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(RETRY_WAIT);
        }
    }

    fn ask_once(&self, method: &Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let key = std::fs::read_to_string(&self.key_file)?;
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        request = request.bearer_auth(key.trim());
        if *method != Method::GET {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send()?;
        let status = answer.status();
        let text = answer.text()?;
        let body: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        if status.is_success() {
            return Ok(body);
        }
        Err(Refused { path: path.to_owned(), status: status.as_u16(), body }.into())
    }

    /// Asks for one step after the other, until it is done.
    ///
    /// # Errors
    /// Those of [`Self::ask`].
    pub fn finish(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            let step = self.ask(&Method::POST, path, body)?;
            if step["state"] == "done" || step["caught_up"] == true {
                return Ok(step);
            }
            if started.elapsed() > STEPS_PATIENCE {
                bail!("{path} does not end: {step}");
            }
        }
    }

    /// A text of an answer.
    ///
    /// # Errors
    /// When it is not there.
    pub fn text<'v>(answer: &'v Value, name: &str) -> anyhow::Result<&'v str> {
        answer[name].as_str().with_context(|| format!("no {name} in {answer}"))
    }
}
