//! TLS before a server that speaks none, and a client for servers on this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{Authority, TestkitError};

/// Ends TLS before a server's plain port, as a load balancer does, until the process ends.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
}

impl TlsFront {
    /// With the certificate of `authority`.
    pub fn before(server: u16, authority: &Authority) -> Result<Self, TestkitError> {
        let config = trust::server_config(&authority.certificate_file(), &authority.key_file())
            .map_err(|error| TestkitError::Certificate(error.to_string()))?;
        let io = TestkitError::io("a TLS front");
        let started = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            let address = listener.local_addr()?;
            let acceptor = TlsAcceptor::from(Arc::new(config));
            thread::Builder::new()
                .name("tls-front".to_owned())
                .spawn(move || runtime.block_on(serve(listener, acceptor, server)))?;
            Ok(address)
        };
        started().map(|address| Self { address }).map_err(io)
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, server: u16) {
    while let Ok((client, _)) = listener.accept().await {
        // Nothing is lost by a connection that could not be served.
        tokio::spawn(join(client, acceptor.clone(), server));
    }
}

async fn join(client: TcpStream, acceptor: TlsAcceptor, server: u16) -> io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

/// Gives up on an answer after `patience`.
pub fn http_client(patience: Duration) -> Result<reqwest::blocking::Client, TestkitError> {
    let unusable = |error: String| TestkitError::Certificate(error);
    let believed = trust::client_config(None).map_err(|error| unusable(error.to_string()))?;
    reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(believed)
        .no_proxy()
        .timeout(patience)
        .build()
        .map_err(|error| unusable(error.to_string()))
}
