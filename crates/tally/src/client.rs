//! Talks to a running tally over HTTP.

mod key;

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, Problem, failed};
use crate::settings::{Settings, default_data_folder};

pub(crate) use key::{ApiKey, KEY_FILE, KeyFrom};

/// The subfolder of the default data folder that the demo uses.
pub(crate) const DEMO_FOLDER: &str = "demo";
pub(crate) const ADDRESSES_FILE: &str = "addresses.json";
const PLAIN: &str = "http://";
const ENCRYPTED: &str = "https://";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// A verification reads the whole ledger, and an export all lines, before they answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A tally that runs somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: Http,
    url: String,
    key: Option<ApiKey>,
}

/// The answer to a change.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) answer: Value,
    /// It had been made before under the same key, and this is what was answered then.
    pub(crate) replayed: bool,
}

#[derive(Deserialize)]
struct Addresses {
    api: String,
}

impl Client {
    /// The tally at `url`, such as `http://127.0.0.1:9400` or `https://tally.example.com`; `ca_file`
    /// holds authorities to believe besides this machine's.
    pub(crate) fn new(
        url: &str,
        key: Option<ApiKey>,
        ca_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        if !url.starts_with(PLAIN) && !url.starts_with(ENCRYPTED) {
            return Err(Failure::Usage(format!(
                "{url:?} is not the address of a tally: it looks like http://127.0.0.1:9400"
            )));
        }
        let believed =
            trust::client_config(ca_file).map_err(|error| Failure::Usage(error.to_string()))?;
        let http = Http::builder()
            .tls_backend_preconfigured(believed)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("tally/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .map_err(failed("the HTTP client"))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key })
    }

    /// The tally that the settings name; else the one that runs over the data folder; else, when
    /// no folder is named, the demo. With the key that is named, else the operator's of that tally:
    /// its key goes to the address that stands beside it, and to no other.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Failure> {
        let candidates = candidates(settings)?;
        if let Some(url) = settings.text("url") {
            let wanted = url.trim_end_matches('/');
            let folder = candidates
                .iter()
                .find(|folder| address_in(folder).as_deref() == Some(wanted))
                .map(PathBuf::as_path);
            let ca_file = settings.text("ca_file").map(Path::new);
            return Self::new(url, ApiKey::find(settings, folder)?, ca_file);
        }
        let running = candidates.iter().find_map(|folder| {
            let url = address_in(folder).filter(|url| answers(url))?;
            Some((url, folder))
        });
        match running {
            Some((url, folder)) => Self::new(&url, ApiKey::find(settings, Some(folder))?, None),
            None => Err(Failure::Failed(format!(
                "no tally runs over {}: start one with `tally up` (or `tally demo`), or say where \
                 one is with --url",
                settings.data_folder()?.display()
            ))),
        }
    }

    /// Whether it asks with the operator's key that was found by itself.
    pub(crate) fn is_local_operator(&self) -> bool {
        self.key.as_ref().is_some_and(|key| matches!(key.from, KeyFrom::DataFolder(_)))
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
        self.change_by(Method::POST, path, key, body).map(|changed| changed.answer)
    }

    /// The same by another method, and whether it had been made before.
    pub(crate) fn change_by(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Changed, Failure> {
        let request = self
            .http
            .request(method, self.at(path))
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = self.send(request)?;
        let replayed = is_replayed(&response);
        Ok(Changed { answer: read_json(response)?, replayed })
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.json(self.http.delete(self.at(path)))
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
        read_json(self.send(request)?)
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = match &self.key {
            // The header is marked as secret, so that no log of the library shows it.
            Some(key) => request.bearer_auth(key.text()),
            None => request,
        };
        let response = request.send().map_err(|error| {
            Failure::Failed(match error.is_connect() {
                // Over TLS, somebody may answer who is not believed.
                true if self.url.starts_with(PLAIN) => {
                    format!("nothing answers at {}: is it running? (`tally up`)", self.url)
                }
                _ => format!("{}: {}", self.url, with_causes(&error)),
            })
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let replayed = is_replayed(&response);
        let body = response.text().map_err(failed("reading tally's answer"))?;
        let mut problem = Problem { replayed, ..Problem::read(status.as_u16(), &body) };
        if status == reqwest::StatusCode::UNAUTHORIZED {
            problem.detail = self.unauthenticated();
        }
        Err(Failure::Refused(Box::new(problem)))
    }

    fn unauthenticated(&self) -> String {
        match &self.key {
            Some(key) => format!(
                "the API key in {} is not valid at {}: it was revoked, has expired, or is another tally's",
                key.from, self.url
            ),
            None => format!(
                "{} wants an API key: name a file that holds one with --key-file or TALLY_KEY_FILE, \
                 or put one into TALLY_KEY; `tally up` writes the operator's to {KEY_FILE} in its data \
                 folder",
                self.url
            ),
        }
    }
}

fn is_replayed(response: &Response) -> bool {
    response.headers().get("idempotent-replayed").is_some_and(|value| value.as_bytes() == b"true")
}

fn read_json(response: Response) -> Result<Value, Failure> {
    let text = response.text().map_err(failed("reading tally's answer"))?;
    serde_json::from_str(&text).map_err(failed("tally's answer is not JSON"))
}

/// The data folders that a tally may run over: the one that is named, else tally's own and the
/// demo's.
fn candidates(settings: &Settings) -> Result<Vec<PathBuf>, Failure> {
    let mut candidates = Vec::new();
    // With a URL no folder is needed, and there may be no home to have one.
    match settings.data_folder() {
        Ok(folder) => candidates.push(folder),
        Err(_) if settings.text("url").is_some() => return Ok(candidates),
        Err(error) => return Err(error),
    }
    if settings.text("data").is_none() {
        candidates.push(default_data_folder()?.join(DEMO_FOLDER));
    }
    Ok(candidates)
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
    let Some(host) = url.strip_prefix(PLAIN) else { return false };
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

    /// Whoever says `--url` of another machine does not send it this machine's operator key.
    #[test]
    fn the_operators_key_goes_to_its_own_tally_alone() {
        let folder = tempfile::tempdir().unwrap();
        let own = "http://127.0.0.1:9";
        std::fs::write(folder.path().join(ADDRESSES_FILE), format!("{{\"api\":\"{own}\"}}"))
            .unwrap();
        std::fs::write(folder.path().join(KEY_FILE), "tally_a_b").unwrap();
        let find = |url: &str| {
            let mut settings = Settings::default();
            settings.flag("data", Some(folder.path().display()));
            settings.flag("url", Some(url));
            Client::find(&settings).unwrap()
        };
        assert!(find(own).is_local_operator());
        assert!(find("http://127.0.0.1:9/").is_local_operator());
        assert!(find("http://127.0.0.1:90").key.is_none());
        assert!(find("http://evil.example").key.is_none());
        assert!(!format!("{:?}", find(own)).contains("tally_a_b"));
    }

    /// Answers one request with 401, and returns what was sent.
    fn refuse_one(listener: std::net::TcpListener) -> std::thread::JoinHandle<String> {
        use std::io::{BufRead, Write};
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            stream
                .write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                .unwrap();
            head.join("\n")
        })
    }

    #[test]
    fn the_key_travels_in_its_header_and_a_refusal_says_which_it_was() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(KEY_FILE), "tally_a_b\n").unwrap();
        for with_key in [true, false] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let asked = refuse_one(listener);
            let key = ApiKey::in_folder(folder.path()).unwrap().filter(|_| with_key);
            let refused = Client::new(&url, key, None).unwrap().get("/v1/keys", &[]).unwrap_err();
            let head = asked.join().unwrap();
            assert_eq!(head.contains("authorization: Bearer tally_a_b"), with_key, "{head}");
            let said = refused.to_string();
            assert!(said.contains(if with_key { KEY_FILE } else { "--key-file" }), "{said}");
            assert!(!said.contains("tally_a_b"), "{said}");
        }
    }

    #[test]
    fn a_url_without_a_scheme_is_wrong_usage() {
        assert!(matches!(Client::new("localhost:9400", None, None), Err(Failure::Usage(_))));
    }
}
