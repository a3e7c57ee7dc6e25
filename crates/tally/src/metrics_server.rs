//! `/metrics` and `/healthz` of a service that has no API.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::compose::cannot_listen;
use crate::failure::{Failure, failed};
use crate::service::{Pulse, Watch};

/// What the two routes read.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    registry: Registry,
    pulses: Vec<Pulse>,
    watch: Mutex<Watch>,
}

impl MetricsServer {
    /// Serves until the runtime ends. Returns where.
    pub(crate) fn start(
        runtime: &Runtime,
        listen: SocketAddr,
        registry: Registry,
        pulses: Vec<Pulse>,
    ) -> Result<SocketAddr, Failure> {
        let watch = Mutex::new(Watch::new(&pulses, Instant::now()));
        let server = Arc::new(Self { registry, pulses, watch });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(health))
            .with_state(server);
        let listener = runtime
            .block_on(TcpListener::bind(listen))
            .map_err(|error| cannot_listen(listen, &error))?;
        let address = listener.local_addr().map_err(failed("the metrics' address"))?;
        runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics are not served any more");
            }
        });
        Ok(address)
    }
}

async fn metrics(State(server): State<Arc<MetricsServer>>) -> Response {
    match TextEncoder::new().encode_to_string(&server.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The service's loop goes round; whether it keeps up is what the metrics say.
async fn health(State(server): State<Arc<MetricsServer>>) -> Response {
    let stalled = server
        .watch
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .stalled(&server.pulses, Instant::now());
    match stalled {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(name) => (StatusCode::SERVICE_UNAVAILABLE, format!("the {name} makes no progress\n"))
            .into_response(),
    }
}
