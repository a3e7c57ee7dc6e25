//! Talks to a running tally over HTTP.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, Problem, failed};
use crate::settings::{Settings, default_data_folder};

/// The subfolder of the default data folder that the demo uses.
pub(crate) const DEMO_FOLDER: &str = "demo";
pub(crate) const ADDRESSES_FILE: &str = "addresses.json";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// A verification reads the whole ledger, and an export all lines, before they answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A tally that runs somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: Http,
    url: String,
}

#[derive(Deserialize)]
struct Addresses {
    api: String,
}

impl Client {
    /// The tally at `url`, such as `http://127.0.0.1:9400`.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        if !url.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "{url:?} is not the address of a tally: it looks like http://127.0.0.1:9400"
            )));
        }
        let http = Http::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("tally/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .map_err(failed("the HTTP client"))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned() })
    }

    /// The tally that the settings name; else the one that runs over the data folder; else, when
    /// no folder is named, the demo.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Failure> {
        if let Some(url) = settings.text("url") {
            return Self::new(url);
        }
        let data = settings.data_folder()?;
        let mut candidates = vec![data.clone()];
        if settings.text("data").is_none() {
            candidates.push(default_data_folder()?.join(DEMO_FOLDER));
        }
        let found =
            candidates.iter().filter_map(|folder| address_in(folder)).find(|url| answers(url));
        match found {
            Some(url) => Self::new(&url),
            None => Err(Failure::Failed(format!(
                "no tally runs over {}: start one with `tally up` (or `tally demo`), or say where \
                 one is with --url",
                data.display()
            ))),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.json(self.http.get(self.at(path)).query(query))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.json(
            self.http
                .post(self.at(path))
                .body(body.to_string())
                .header("content-type", "application/json"),
        )
    }

    /// A change by hand under an idempotency key.
    pub(crate) fn change(&self, path: &str, key: &str, body: &Value) -> Result<Value, Failure> {
        let request = self
            .http
            .post(self.at(path))
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body.to_string());
        self.json(request)
    }

    /// Lines to `usage.raw`, as they are.
    pub(crate) fn ingest(&self, lines: Vec<u8>, wait_s: Option<u32>) -> Result<Value, Failure> {
        let mut request = self
            .http
            .post(self.at("/v1/ingest"))
            .header("content-type", "application/x-ndjson")
            .body(lines);
        if let Some(wait_s) = wait_s {
            request = request.query(&[("wait_s", wait_s)]);
        }
        self.json(request)
    }

    /// An answer that is not JSON, or that is too large to hold: to be read as it comes.
    pub(crate) fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        let request = match body {
            Some(body) => self
                .http
                .post(self.at(path))
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => self.http.get(self.at(path)),
        };
        self.send(request.query(query))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let text = self.send(request)?.text().map_err(failed("reading tally's answer"))?;
        serde_json::from_str(&text).map_err(failed("tally's answer is not JSON"))
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().map_err(|error| {
            Failure::Failed(match error.is_connect() {
                true => format!("nothing answers at {}: is it running? (`tally up`)", self.url),
                false => format!("{}: {}", self.url, with_causes(&error)),
            })
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().map_err(failed("reading tally's answer"))?;
        Err(Failure::Refused(Box::new(Problem::read(status.as_u16(), &body))))
    }
}

/// One segment of a path: account ids may have any character.
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn address_in(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(ADDRESSES_FILE)).ok()?;
    serde_json::from_str::<Addresses>(&text).ok().map(|addresses| addresses.api)
}

/// Whether something listens: a process that was killed leaves its addresses behind.
fn answers(url: &str) -> bool {
    let Some(host) = url.strip_prefix("http://") else { return false };
    let addresses = host.trim_end_matches('/').to_socket_addrs();
    addresses
        .into_iter()
        .flatten()
        .any(|address| TcpStream::connect_timeout(&address, PROBE_TIMEOUT).is_ok())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_one_segment() {
        assert_eq!(segment("acct_42"), "acct_42");
        assert_eq!(segment("a/b c?é"), "a%2Fb%20c%3F%C3%A9");
    }

    #[test]
    fn an_address_is_found_in_the_data_folder_and_asked_whether_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(address_in(folder.path()), None);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let text = format!("{{\"api\":\"{url}\",\"clickhouse_http\":\"http://127.0.0.1:1\"}}");
        std::fs::write(folder.path().join(ADDRESSES_FILE), text).unwrap();
        assert_eq!(address_in(folder.path()), Some(url.clone()));
        assert!(answers(&url));
        drop(listener);
        assert!(!answers(&url));
    }

    #[test]
    fn a_url_without_a_scheme_is_wrong_usage() {
        assert!(matches!(Client::new("localhost:9400"), Err(Failure::Usage(_))));
    }
}
