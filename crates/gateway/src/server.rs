//! Starting and stopping: the threads, the routes, the listener.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use eventlog::EventLog;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use warehouse::Warehouse;

use crate::GatewaySettings;
use crate::app::{App, Parts, Shared, now};
use crate::appender::Appending;
use crate::auth::{self, OperatorKeyError, RouteRow, Routes, Rule};
use crate::follower::{FollowError, Followed};
use crate::metrics::GatewayMetrics;
use crate::openapi;
use crate::problem::Problem;
use crate::routes::{
    accounts, balance, budgets, commands, dead_letters, doctor, events, explain, holds, ingest,
    keys, metered_cost, plans, price_list, quarantine, quote, rates, raw_replay, replays, rerates,
    sources, sql, status, unrated, usage, verify, webhooks,
};
use crate::tls::{TlsError, TlsListener};

/// Why the gateway did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    OperatorKey(#[from] OperatorKeyError),
    #[error(transparent)]
    Webhooks(#[from] trust::TrustError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    #[error("serving ended: {0}")]
    Serve(std::io::Error),
    #[error("a part of the gateway panicked")]
    Panicked,
}

/// A running gateway. Dropping it without [`Gateway::shutdown`] leaves it running until the runtime
/// ends.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    stop: Arc<AtomicBool>,
    ask_to_end: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<std::io::Result<()>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Reads the ledger's tail, the catalogue and the keys, starts the threads, makes the first
    /// operator key when there is none, and listens. Topics and tables must exist.
    ///
    /// # Errors
    /// When the log cannot be followed, nobody could make keys, the address is taken, or the metrics' names are.
    pub async fn start(
        log: Arc<dyn EventLog>,
        warehouse: Arc<Warehouse>,
        settings: GatewaySettings,
        registry: Registry,
    ) -> Result<Self, GatewayError> {
        let metrics = GatewayMetrics::new(&registry)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (followed, following) = {
            let (log, stop, partitions) =
                (Arc::clone(&log), Arc::clone(&stop), settings.partitions);
            tokio::task::spawn_blocking(move || Followed::start(log, partitions, stop))
                .await
                .map_err(|_| GatewayError::Panicked)??
        };
        let (appending, append_thread) =
            Appending::start(Arc::clone(&log)).map_err(GatewayError::Thread)?;
        let key_file = settings.operator_key_file.as_deref();
        auth::ensure(key_file, &followed, &appending, now()).await?;
        let webhook_sender = notifier::Sender::new(&settings.webhooks)?;
        let listen = settings.listen;
        let source = |source| GatewayError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(source)?;
        let address = listener.local_addr().map_err(source)?;
        let tls = match &settings.tls {
            Some(tls) => Some(TlsListener::bind(tls).await?),
            None => None,
        };
        let tls_address = tls.as_ref().map(TlsListener::address);
        let app = Shared::new(Parts {
            log,
            warehouse,
            settings,
            registry,
            metrics,
            appending,
            followed,
            webhook_sender,
        });
        let (ask_to_end, asked) = watch::channel(false);
        let (recovering, until) = (Arc::clone(&app), asked.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = replays::recover(recovering) => {}
                () = until_asked(until) => {}
            }
        });
        let router = router(app);
        let mut servers = Vec::new();
        if let Some(tls) = tls {
            let service = axum::serve(tls, router.clone());
            let service = service.with_graceful_shutdown(until_asked(asked.clone()));
            servers.push(tokio::spawn(service.into_future()));
        }
        let service = axum::serve(listener, router).with_graceful_shutdown(until_asked(asked));
        servers.push(tokio::spawn(service.into_future()));
        tracing::info!(%address, ?tls_address, "the gateway listens");
        let threads = vec![following, append_thread];
        Ok(Self { address, tls_address, stop, ask_to_end, servers, threads })
    }

    /// Where it listens for TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new requests, finishes those that run, and ends the threads.
    ///
    /// # Errors
    /// What went wrong while serving.
    pub async fn shutdown(self) -> Result<(), GatewayError> {
        // An end that came by itself is seen below.
        self.ask_to_end.send(true).unwrap_or_default();
        for server in self.servers {
            server.await.map_err(|_| GatewayError::Panicked)?.map_err(GatewayError::Serve)?;
        }
        self.stop.store(true, Ordering::Relaxed);
        let threads = self.threads;
        tokio::task::spawn_blocking(move || {
            threads.into_iter().try_for_each(|thread| thread.join().map_err(drop))
        })
        .await
        .map_err(|_| GatewayError::Panicked)?
        .map_err(|()| GatewayError::Panicked)
    }
}

/// A handle that is gone asks for nothing.
async fn until_asked(mut asked: watch::Receiver<bool>) {
    if asked.wait_for(|asked| *asked).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Runs a gateway until `stop` is done.
///
/// # Errors
/// Those of [`Gateway::start`] and [`Gateway::shutdown`].
pub async fn serve(
    log: Arc<dyn EventLog>,
    warehouse: Arc<Warehouse>,
    settings: GatewaySettings,
    registry: Registry,
    stop: impl Future<Output = ()>,
) -> Result<(), GatewayError> {
    let gateway = Gateway::start(log, warehouse, settings, registry).await?;
    stop.await;
    gateway.shutdown().await
}

/// Every route, with who may use it.
pub fn route_table() -> Vec<RouteRow> {
    routes().rows()
}

fn routes() -> Routes {
    use access::Action::{
        ChangeCredits, Explain, Export, Hold, ManageKeys, ManageWebhooks, Operate, PublishRates,
        Query, Quote, ReadAccount, ReadFreshness, ReadPrices, ReadStatus, ReadUsage, ReadWebhooks,
        SendUsage, Verify,
    };
    Routes::default()
        .post("/v1/events", Rule::judged(SendUsage), events::post)
        .get("/v1/events", Rule::judged(Explain), explain::get)
        .post("/v1/ingest", Rule::judged(SendUsage), ingest::post)
        .post("/v1/quote", Rule::judged(Quote), quote::post)
        .post("/v1/holds", Rule::judged(Hold), holds::reserve)
        .get("/v1/holds/{hold}", Rule::judged(Hold), holds::get)
        .post("/v1/holds/{hold}/extend", Rule::judged(Hold), holds::extend)
        .post("/v1/holds/{hold}/capture", Rule::judged(Hold), holds::capture)
        .post("/v1/holds/{hold}/settle", Rule::judged(Hold), holds::settle)
        .delete("/v1/holds/{hold}", Rule::judged(Hold), holds::release)
        .post("/v1/accounts/{id}/grants", Rule::of_account(ChangeCredits), commands::grant)
        .post("/v1/accounts/{id}/adjustments", Rule::of_account(ChangeCredits), commands::adjust)
        .post("/v1/accounts/{id}/lots/{lot}/void", Rule::of_account(ChangeCredits), commands::void)
        .post(
            "/v1/accounts/{id}/lots/{lot}/refund",
            Rule::of_account(ChangeCredits),
            commands::refund,
        )
        .post(
            "/v1/accounts/{id}/entries/{entry}/reverse",
            Rule::of_account(ChangeCredits),
            commands::reverse,
        )
        .post("/v1/accounts/{id}/plan", Rule::of_account(ChangeCredits), plans::assign)
        .get("/v1/accounts/{id}/plan", Rule::of_account(ReadAccount), plans::get)
        .post("/v1/accounts/{id}/budgets", Rule::of_account(ChangeCredits), budgets::set)
        .get("/v1/accounts/{id}/budgets", Rule::of_account(ReadAccount), budgets::list)
        .delete(
            "/v1/accounts/{id}/budgets/{budget}",
            Rule::of_account(ChangeCredits),
            budgets::remove,
        )
        .post("/v1/accounts/{id}/notices", Rule::of_account(ChangeCredits), budgets::notices)
        .get("/v1/accounts/{id}/notices", Rule::of_account(ReadAccount), budgets::noticed)
        .get("/v1/accounts/{id}/holds", Rule::of_account(ReadAccount), holds::list)
        .get("/v1/accounts/{id}/lots", Rule::of_account(ReadAccount), balance::lots)
        .get("/v1/accounts/{id}/balance", Rule::of_account(ReadAccount), balance::balance)
        .get("/v1/accounts/{id}/entries", Rule::of_account(ReadAccount), accounts::entries)
        .get("/v1/accounts/{id}/usage", Rule::of_account(ReadAccount), usage::of_account)
        .get("/v1/usage", Rule::judged(ReadUsage), usage::of_all)
        .get("/v1/price-list", Rule::judged(ReadPrices), price_list::get)
        .get("/v1/rates", Rule::of_no_account(ReadPrices), rates::list)
        .post("/v1/rates/versions", Rule::of_all_accounts(PublishRates), rates::publish)
        .post("/v1/rates/import/litellm", Rule::of_no_account(PublishRates), rates::import)
        .get("/v1/rates/{kind}/{id}", Rule::of_no_account(ReadPrices), rates::show)
        .post("/v1/sql", Rule::of_all_accounts(Query), sql::sql)
        .get("/v1/schema", Rule::of_no_account(Query), sql::schema)
        .get("/v1/export", Rule::judged(Export), sql::export)
        .get("/v1/status", Rule::of_all_accounts(ReadStatus), status::status)
        .get("/v1/dead-letters", Rule::of_all_accounts(Operate), dead_letters::list)
        .get("/v1/dead-letters/records", Rule::of_all_accounts(Operate), dead_letters::records)
        .post("/v1/dead-letters/retry", Rule::of_all_accounts(Operate), dead_letters::retry)
        .get("/v1/dead-letters/{letter}", Rule::of_all_accounts(Operate), dead_letters::show)
        .get("/v1/entries/{entry}", Rule::judged(Explain), explain::by_entry::get)
        .get("/v1/doctor", Rule::of_all_accounts(Operate), doctor::get)
        .get("/v1/unrated", Rule::of_all_accounts(Operate), unrated::list)
        .get("/v1/sources", Rule::of_all_accounts(Operate), sources::list)
        .get("/v1/freshness", Rule::of_no_account(ReadFreshness), status::freshness)
        .get("/v1/replay/raw", Rule::of_all_accounts(Verify), raw_replay::get)
        .get("/v1/verify", Rule::of_all_accounts(Verify), verify::get)
        .post("/v1/rerates/plan", Rule::of_all_accounts(Operate), rerates::plan)
        .post("/v1/rerates", Rule::of_all_accounts(Operate), rerates::apply)
        .get("/v1/metered-cost", Rule::of_all_accounts(Operate), metered_cost::get)
        .get("/v1/quarantine", Rule::of_all_accounts(Operate), quarantine::list)
        .post("/v1/quarantine/{entry}/accept", Rule::of_all_accounts(Operate), quarantine::accept)
        .post("/v1/quarantine/{entry}/reject", Rule::of_all_accounts(Operate), quarantine::reject)
        .post("/v1/replays/plan", Rule::of_all_accounts(Operate), replays::plan)
        .post("/v1/replays", Rule::of_all_accounts(Operate), replays::begin)
        .get("/v1/replays", Rule::of_all_accounts(Operate), replays::current)
        .get("/v1/replays/{id}", Rule::of_all_accounts(Operate), replays::show)
        .post("/v1/replays/{id}/advance", Rule::of_all_accounts(Operate), replays::advance)
        .post("/v1/replays/{id}/diff", Rule::of_all_accounts(Operate), replays::diff)
        .post("/v1/replays/{id}/swap", Rule::of_all_accounts(Operate), replays::swap)
        .post("/v1/replays/{id}/abort", Rule::of_all_accounts(Operate), replays::abort)
        .delete("/v1/replays/{id}", Rule::of_all_accounts(Operate), replays::discard)
        .post("/v1/keys", Rule::of_all_accounts(ManageKeys), keys::create)
        .get("/v1/keys", Rule::of_all_accounts(ManageKeys), keys::list)
        .post("/v1/keys/{id}/rotate", Rule::of_all_accounts(ManageKeys), keys::rotate)
        .delete("/v1/keys/{id}", Rule::of_all_accounts(ManageKeys), keys::revoke)
        .post("/v1/webhooks", Rule::of_all_accounts(ManageWebhooks), webhooks::create)
        .get("/v1/webhooks", Rule::of_all_accounts(ReadWebhooks), webhooks::list)
        .delete("/v1/webhooks/{id}", Rule::of_all_accounts(ManageWebhooks), webhooks::remove)
        .post("/v1/webhooks/{id}/rotate", Rule::of_all_accounts(ManageWebhooks), webhooks::rotate)
        .post("/v1/webhooks/{id}/test", Rule::of_all_accounts(ManageWebhooks), webhooks::test)
        .get(
            "/v1/webhooks/{id}/deliveries",
            Rule::of_all_accounts(ReadWebhooks),
            webhooks::deliveries,
        )
        .post(
            "/v1/webhooks/{id}/deliveries/{delivery}/replay",
            Rule::of_all_accounts(ManageWebhooks),
            webhooks::replay,
        )
        .get("/v1/accounts/{id}/events", Rule::of_account(ReadAccount), webhooks::account_events)
        .open("/openapi.json", openapi::get)
        .open("/healthz", status::healthz)
        .open("/readyz", status::readyz)
        .open("/metrics", status::metrics)
}

fn router(app: App) -> Router {
    let (guarded, open) = routes().into_routers();
    let authenticated = middleware::from_fn_with_state(Arc::clone(&app), auth::authenticate);
    guarded
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        // Also before what is not there: without a key nothing is told but that.
        .layer(authenticated)
        .merge(open.method_not_allowed_fallback(no_method))
        // Each handler reads its body within its own limit.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), measure))
        .with_state(app)
}

async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail)
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "unknown_method", detail)
}

async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    // Paths that no route has would make a label each.
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status();
    app.metrics.requests.with_label_values(&[route, status.as_str()]).inc();
    app.metrics
        .request_seconds
        .with_label_values(&[route])
        .observe(started.elapsed().as_secs_f64());
    response
}
