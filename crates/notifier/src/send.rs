//! One signed request to one endpoint.
//!
//! Names are looked up here, and every address is judged before anything connects to it: a name that
//! was harmless when the endpoint was made may lead inside by now. Redirects are answers like any
//! other, and are not followed; no proxy is used.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::Timestamp;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use trust::TrustError;
use wire::{AttemptOutcome, WebhookSecret};

use crate::schedule::retry_after;
use crate::signature::{sign, signing};
use crate::target::{Target, is_public};

/// How long an endpoint has for its answer, from the look-up of its name on.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer's body is read; no more is needed to see what went wrong.
const EXCERPT_BYTES_MAX: usize = 1_024;
const EXCERPT_PATIENCE: Duration = Duration::from_secs(1);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 3;

/// Sends alerts.
#[derive(Clone)]
pub struct Sender {
    tls: TlsConnector,
    allow_private: bool,
    timeout: Duration,
}

/// Where webhooks may be, and whom they are believed to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether endpoints may be at private and local addresses: on one's own machine.
    pub allow_private: bool,
    /// PEM: authorities to believe besides this machine's.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("allow_private", &self.allow_private)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub url: String,
    /// The same at each try.
    pub id: String,
    pub body: String,
    pub secrets: Vec<WebhookSecret>,
    /// When it is sent; signed with it.
    pub at: Timestamp,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub outcome: AttemptOutcome,
    pub took_ms: u32,
    /// How long the endpoint asked to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of the answer's body, for people.
    pub excerpt: String,
}

impl Sender {
    /// # Errors
    /// When the file with authorities cannot be used.
    pub fn new(reach: &Reach) -> Result<Self, TrustError> {
        let config = trust::client_config(reach.ca_file.as_deref())?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            allow_private: reach.allow_private,
            timeout: TIMEOUT,
        })
    }

    /// As [`Sender::new`], with another time for answers.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it, and says what came back. Whatever happens is an answer.
    pub async fn post(&self, outgoing: &Outgoing) -> Answer {
        let started = Instant::now();
        let answered = match tokio::time::timeout(self.timeout, self.try_post(outgoing)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs_f64())),
        };
        let took_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        match answered {
            Ok((status, retry_after, excerpt)) => Answer {
                outcome: AttemptOutcome::Answered { status },
                took_ms,
                retry_after,
                excerpt,
            },
            Err(error) => Answer {
                outcome: AttemptOutcome::Unanswered { error: shortened(&error) },
                took_ms,
                retry_after: None,
                excerpt: String::new(),
            },
        }
    }

    async fn try_post(&self, outgoing: &Outgoing) -> Result<Came, String> {
        let target = Target::parse(&outgoing.url, self.allow_private).map_err(text)?;
        let request = request(&target, outgoing)?;
        let stream = self.connect(&target).await?;
        if !target.is_tls() {
            return exchange(stream, request, outgoing.at).await;
        }
        let name = ServerName::try_from(target.host()).map_err(text)?;
        let stream = self.tls.connect(name, stream).await.map_err(text)?;
        exchange(stream, request, outgoing.at).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, String> {
        let found = tokio::net::lookup_host((target.host(), target.port())).await;
        let found: Vec<SocketAddr> =
            found.map_err(|error| format!("{}: {error}", target.host()))?.collect();
        let allowed = found.iter().filter(|at| self.allow_private || is_public(at.ip()));
        let mut why = match found.first() {
            Some(first) => format!("{} is a private or local address", first.ip()),
            None => format!("{} has no address", target.host()),
        };
        for address in allowed.take(ADDRESSES_MAX) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(why)
    }
}

/// Status, wish to be left alone, and the beginning of the body.
type Came = (u16, Option<Duration>, String);

fn request(target: &Target, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, String> {
    let timestamp_s = outgoing.at.micros().div_euclid(1_000_000);
    let secrets = signing(&outgoing.secrets, outgoing.at);
    let signature = sign(secrets, &outgoing.id, timestamp_s, outgoing.body.as_bytes());
    if signature.is_empty() {
        return Err("the endpoint has no secret to sign with".to_owned());
    }
    Request::post(target.path())
        .header(HOST, target.authority())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("tally/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", outgoing.id.as_str())
        .header("webhook-timestamp", timestamp_s)
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::from(outgoing.body.clone())))
        .map_err(text)
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    at: Timestamp,
) -> Result<Came, String>
where
    S: AsyncRead + AsyncWrite + Unpin + std::marker::Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    // Ends with the sender, or when this is given up.
    let _driven = Driven(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a webhook endpoint broke");
        }
    }));
    let response = sender.send_request(request).await.map_err(text)?;
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = asked.and_then(|value| retry_after(value, at));
    let status = response.status().as_u16();
    // The status has come: a body that dawdles takes nothing away from it.
    let excerpt = tokio::time::timeout(EXCERPT_PATIENCE, excerpt(response)).await;
    Ok((status, wait, excerpt.unwrap_or_default()))
}

async fn excerpt(mut response: Response<hyper::body::Incoming>) -> String {
    let mut read = Vec::new();
    while read.len() < EXCERPT_BYTES_MAX {
        let Some(Ok(frame)) = response.body_mut().frame().await else { break };
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(&data[..data.len().min(EXCERPT_BYTES_MAX - read.len())]);
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A task that ends with this.
struct Driven(tokio::task::JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Short enough for a record.
fn shortened(error: &str) -> String {
    error.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that looked harmless when the endpoint was made.
    #[test]
    fn an_address_is_judged_after_the_name_was_looked_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let target = Target::parse(&url, true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connect = |allow_private: bool| {
            let sender = Sender::new(&Reach { allow_private, ..Reach::default() }).unwrap();
            runtime.block_on(sender.connect(&target))
        };
        let refused = connect(false).unwrap_err();
        assert!(refused.ends_with("is a private or local address"), "{refused}");
        assert!(connect(true).is_ok());
    }
}
