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
use axum::routing::{get, post};
use eventlog::EventLog;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use warehouse::Warehouse;

use crate::GatewaySettings;
use crate::app::{App, Parts, Shared};
use crate::appender::Appending;
use crate::follower::{FollowError, Followed};
use crate::metrics::GatewayMetrics;
use crate::problem::Problem;
use crate::routes::{
    accounts, commands, events, explain, ingest, quote, rates, sql, status, usage, verify,
};

/// Why the gateway did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Follow(#[from] FollowError),
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
    stop: Arc<AtomicBool>,
    ask_to_end: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Reads the ledger's tail and the catalogue, starts the threads, and listens. Topics and
    /// tables must exist.
    ///
    /// # Errors
    /// When the log cannot be followed, the address is taken, or the metrics' names are.
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
        let listen = settings.listen;
        let source = |source| GatewayError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(source)?;
        let address = listener.local_addr().map_err(source)?;
        let app =
            Shared::new(Parts { log, warehouse, settings, registry, metrics, appending, followed });
        let (ask_to_end, asked) = oneshot::channel::<()>();
        let service = axum::serve(listener, router(app)).with_graceful_shutdown(async {
            // A handle that is gone asks for nothing.
            if asked.await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let server = tokio::spawn(service.into_future());
        tracing::info!(%address, "the gateway listens");
        Ok(Self { address, stop, ask_to_end, server, threads: vec![following, append_thread] })
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
        self.ask_to_end.send(()).unwrap_or_default();
        self.server.await.map_err(|_| GatewayError::Panicked)?.map_err(GatewayError::Serve)?;
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

fn router(app: App) -> Router {
    Router::new()
        .route("/v1/events", post(events::post).get(explain::get))
        .route("/v1/ingest", post(ingest::post))
        .route("/v1/quote", post(quote::post))
        .route("/v1/accounts/{id}/grants", post(commands::grant))
        .route("/v1/accounts/{id}/adjustments", post(commands::adjust))
        .route("/v1/accounts/{id}/lots/{lot}/void", post(commands::void))
        .route("/v1/accounts/{id}/balance", get(accounts::balance))
        .route("/v1/accounts/{id}/entries", get(accounts::entries))
        .route("/v1/accounts/{id}/usage", get(usage::of_account))
        .route("/v1/usage", get(usage::of_all))
        .route("/v1/rates", get(rates::list))
        .route("/v1/rates/versions", post(rates::publish))
        .route("/v1/rates/import/litellm", post(rates::import))
        .route("/v1/rates/{kind}/{id}", get(rates::show))
        .route("/v1/sql", post(sql::sql))
        .route("/v1/schema", get(sql::schema))
        .route("/v1/export", get(sql::export))
        .route("/v1/status", get(status::status))
        .route("/v1/freshness", get(status::freshness))
        .route("/v1/verify", get(verify::get))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
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
