//! Hundreds of clients that reserve, spend and settle over HTTP at the same time, each repeating a
//! request until it is answered, and remembering what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use charger::{Clock, SystemClock};
use domain::Credits;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::random::Random;

/// How long a request is repeated before it counts as never answered.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// What every card of these tests charges for one unit of `unit`.
pub const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1"
credit_decimals = 4
[[rule]]
name = "unit"
match = { meter = "unit" }
charge = { credits_per_unit = "1" }
"#;

/// One API and the key to it.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    url: String,
    key: String,
}

/// An answer: its status and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Api {
    /// # Errors
    /// When no client can be made.
    pub fn new(url: String, key: String) -> anyhow::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(trust::client_config(None)?)
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        Ok(Self { client, url, key })
    }

    /// Asks once.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        id: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .header("idempotency-key", id)
            .header("prefer", "wait=15");
        if method != Method::GET {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok(Answer { status, body })
    }

    /// Asks until it is answered: what is not a server's trouble.
    ///
    /// # Errors
    /// When it never is.
    pub async fn insist(
        &self,
        method: Method,
        path: &str,
        id: &str,
        body: &Value,
    ) -> anyhow::Result<(Answer, u64)> {
        let started = Instant::now();
        let mut retries = 0;
        loop {
            match self.ask(method.clone(), path, id, body).await {
                Ok(answer) if !answer.status.is_server_error() => return Ok((answer, retries)),
                Ok(answer) if started.elapsed() > ANSWER_PATIENCE => {
                    bail!("{path}: never answered but with {answer:?}")
                }
                Err(error) if started.elapsed() > ANSWER_PATIENCE => {
                    return Err(error.context(format!("{path}: never answered")));
                }
                Ok(_) | Err(_) => {
                    retries += 1;
                    tokio::time::sleep(RETRY_WAIT).await;
                }
            }
        }
    }
}

/// What the clients were told, added up.
#[derive(Debug, Default)]
pub struct Told {
    pub reserved: AtomicU64,
    pub refused: AtomicU64,
    pub settled: AtomicU64,
    pub abandoned: AtomicU64,
    /// Requests that had to be sent again before they were answered.
    pub retried: AtomicU64,
    /// Answered requests that were sent once more on purpose, and answered the same.
    pub repeated: AtomicU64,
}

/// The spending of one client, by account.
pub type Spent = BTreeMap<String, Credits>;

/// One client: an application's worker.
#[derive(Debug)]
pub struct Spender {
    pub api: Api,
    pub number: u64,
    pub accounts: Vec<String>,
    pub until: Instant,
    pub told: Arc<Told>,
}

impl Spender {
    /// Reserves and spends until the time is over. Returns what its holds were charged.
    ///
    /// # Errors
    /// A request that was never answered, or an answer that it must not get.
    pub async fn run(self) -> anyhow::Result<Spent> {
        let mut random = Random::new(0x5eed ^ self.number);
        let mut spent = Spent::new();
        let mut request = 0;
        while Instant::now() < self.until {
            request += 1;
            let account = self.accounts[random.below(self.accounts.len() as u64) as usize].clone();
            let charged = self.one(&account, request, &mut random).await?;
            *spent.entry(account).or_default() += charged;
        }
        Ok(spent)
    }

    async fn one(
        &self,
        account: &str,
        request: u64,
        random: &mut Random,
    ) -> anyhow::Result<Credits> {
        let id = format!("client-{}-{request}", self.number);
        let amount = random.between(1, 6);
        let body = json!({
            "account": account, "amount": amount.to_string(), "expires_in_s": 4, "feature": "chat",
        });
        let reserved = self.told(Method::POST, "/v1/holds", &id, &body, random).await?;
        match reserved.status {
            StatusCode::CREATED => {}
            StatusCode::PAYMENT_REQUIRED => {
                self.told.refused.fetch_add(1, Ordering::Relaxed);
                let shortfall = reserved.body["shortfall"].as_str().context("a shortfall")?;
                if shortfall.parse::<Credits>()? <= Credits::ZERO {
                    bail!("refused without a shortfall: {reserved:?}");
                }
                // Others may settle meanwhile.
                tokio::time::sleep(Duration::from_millis(random.between(5, 40))).await;
                return Ok(Credits::ZERO);
            }
            _ => bail!("a hold was answered {reserved:?}"),
        }
        self.told.reserved.fetch_add(1, Ordering::Relaxed);
        let hold = reserved.body["hold"].as_str().context("a hold has a name")?.to_owned();
        let used = random.below(amount + 1);
        match random.below(100) {
            // Gone without a word: the hold expires.
            0..=4 => {
                self.told.abandoned.fetch_add(1, Ordering::Relaxed);
                Ok(Credits::ZERO)
            }
            5..=14 => {
                let path = format!("/v1/holds/{hold}");
                self.end(Method::DELETE, &path, (&id, &json!({})), random).await?;
                Ok(Credits::ZERO)
            }
            15..=54 => {
                let path = format!("/v1/holds/{hold}/settle");
                let body = json!({ "amount": used.to_string() });
                let settled = self.end(Method::POST, &path, (&id, &body), random).await?;
                Ok(if settled { Credits::from_units(i64::try_from(used)?) } else { Credits::ZERO })
            }
            _ => {
                self.by_event(account, &id, (&hold, used.max(1))).await?;
                Ok(Credits::from_units(i64::try_from(used.max(1))?))
            }
        }
    }

    /// Settles by the usage event itself.
    async fn by_event(
        &self,
        account: &str,
        id: &str,
        (hold, units): (&str, u64),
    ) -> anyhow::Result<()> {
        let time = SystemClock::default().now().to_string();
        let event = json!({
            "specversion": "1.0", "type": "tally.usage.v1", "source": "/app", "id": id,
            "time": time, "subject": account,
            "data": {
                "feature": "chat", "hold": hold,
                "items": [{ "meter": "unit", "quantity": units.to_string() }],
            },
        });
        let (answer, retries) = self.api.insist(Method::POST, "/v1/events", id, &event).await?;
        self.told.retried.fetch_add(retries, Ordering::Relaxed);
        if answer.status != StatusCode::ACCEPTED || answer.body["accepted"] != 1 {
            bail!("an event was answered {answer:?}");
        }
        self.told.settled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends a hold by call. Returns whether it was this that ended it: a hold that expired while
    /// the services were away is unknown by then.
    async fn end(
        &self,
        method: Method,
        path: &str,
        (id, body): (&str, &Value),
        random: &mut Random,
    ) -> anyhow::Result<bool> {
        let answer = self.told(method, path, &format!("{id}-end"), body, random).await?;
        match answer.status {
            StatusCode::OK => {
                self.told.settled.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            StatusCode::NOT_FOUND => Ok(false),
            _ => bail!("{path} was answered {answer:?}"),
        }
    }

    /// Asks until answered; and now and then asks again, and must be told the same.
    async fn told(
        &self,
        method: Method,
        path: &str,
        id: &str,
        body: &Value,
        random: &mut Random,
    ) -> anyhow::Result<Answer> {
        let (answer, retries) = self.api.insist(method.clone(), path, id, body).await?;
        self.told.retried.fetch_add(retries, Ordering::Relaxed);
        let decided = answer.status != StatusCode::NOT_FOUND;
        if decided && random.per_mille(80) {
            let (again, _) = self.api.insist(method, path, id, body).await?;
            if again != answer {
                bail!("{path} {id} was answered {answer:?}, and the same again {again:?}");
            }
            self.told.repeated.fetch_add(1, Ordering::Relaxed);
        }
        Ok(answer)
    }
}
