//! The same API over TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::tally::Tally;

#[test]
fn the_api_is_served_over_tls_with_the_same_keys() {
    let tally = Tally::start();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/certificate.pem");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let config =
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let ask = |key: &str| {
        // One that says nothing holds nobody up.
        let _silent = TcpStream::connect(tally.tls_address()).unwrap();
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let stream = TcpStream::connect(tally.tls_address()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        write!(
            stream,
            "GET /v1/keys HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
             connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask(tally.operator_key()).starts_with("HTTP/1.1 200"));
    assert!(ask("tally_no_key").starts_with("HTTP/1.1 401"));
    // Plain HTTP is not answered there.
    let mut plain = TcpStream::connect(tally.tls_address()).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
}
