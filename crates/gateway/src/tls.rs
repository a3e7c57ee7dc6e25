//! The same API over TLS, on an address of its own: for what reaches tally from another machine. The
//! plain listener stays, for what runs on this one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Connections whose handshake is done and that wait to be served.
const WAITING_MAX: usize = 128;
/// Handshakes under way at the same time.
const HANDSHAKES_MAX: usize = 256;
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Where the API is served over TLS, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    pub listen: SocketAddr,
    /// PEM: the certificate, then those that it was signed with.
    pub certificate_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Unusable(#[from] trust::TrustError),
    #[error("cannot listen for TLS on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// Connections whose handshake is done.
#[derive(Debug)]
pub(crate) struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    pub(crate) async fn bind(settings: &TlsSettings) -> Result<Self, TlsError> {
        let config = trust::server_config(&settings.certificate_file, &settings.key_file)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let source = |source| TlsError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(source)?;
        let address = listener.local_addr().map_err(source)?;
        let (done, ready) = mpsc::channel(WAITING_MAX);
        let accepting = tokio::spawn(accept(listener, acceptor, done));
        Ok(Self { address, ready, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A slow handshake holds up nobody else's.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let under_way = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: it passes.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                // Nobody serves any more: the connection ends.
                Ok(Ok(stream)) => done.send((stream, peer)).await.unwrap_or_default(),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
            drop(permit);
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The task that accepts ends with this listener alone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
