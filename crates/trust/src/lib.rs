//! TLS, both ways, on one implementation of cryptography.
//!
//! Where tally connects (to the API, to ClickHouse, to webhooks) it believes the authorities of this
//! machine (or of `SSL_CERT_FILE`) and those of a file that the deployment names. Where others
//! connect, it is who its certificate says. Kafka's client has a TLS of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot use {file}: {why}", file = .file.display())]
    File { file: PathBuf, why: String },
    #[error("TLS cannot be set up: {0}")]
    Protocol(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// How to connect over TLS, believing this machine's authorities and those of `ca_file` (PEM, one or
/// more certificates).
///
/// # Errors
/// When the file cannot be read, holds no certificate, or holds one that is none.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (mut believed, _) = roots.add_parsable_certificates(found.certs);
    if let Some(file) = ca_file {
        believed += add_file(&mut roots, file)?;
    }
    if believed == 0 {
        tracing::warn!(errors = ?found.errors, "no certificates to believe: every https will fail");
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// How to serve over TLS, as whom `certificate_file` (PEM: the certificate, then those that signed
/// it) says, with its private key (PEM). Clients show no certificate.
///
/// # Errors
/// When a file cannot be read or holds nothing of its kind, and when the two do not belong together.
pub fn server_config(certificate_file: &Path, key_file: &Path) -> Result<ServerConfig, TrustError> {
    let chain = certificates(certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| unusable(key_file, error))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<usize, TrustError> {
    let certificates = certificates(file)?;
    let count = certificates.len();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| unusable(file, error))?;
    }
    Ok(count)
}

/// At least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(file, error))?;
    if certificates.is_empty() {
        return Err(unusable(file, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn unusable(file: &Path, why: impl ToString) -> TrustError {
    TrustError::File { file: file.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let refusal = || client_config(Some(&file)).unwrap_err().to_string();
        assert!(refusal().contains("ca.pem"), "{}", refusal());
        std::fs::write(&file, "nothing\n").unwrap();
        assert!(refusal().ends_with("there is no certificate in it"), "{}", refusal());
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, broken).unwrap();
        assert!(refusal().contains("ca.pem"), "{}", refusal());
    }
}
