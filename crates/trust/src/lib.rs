//! Whose certificates are believed, wherever tally is the one that connects over TLS: to the API, to
//! ClickHouse, to webhooks. Those of this machine (or of `SSL_CERT_FILE`), and those of a file that
//! the deployment names. Kafka's client has a store of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};

/// Why nothing can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("ca_file: {file}: {why}", file = .file.display())]
    File { file: PathBuf, why: String },
    #[error("TLS cannot be set up: {0}")]
    Protocol(#[from] rustls::Error),
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
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<usize, TrustError> {
    let refused = |why: String| TrustError::File { file: file.to_owned(), why };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| refused(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("there is no certificate in it".to_owned()));
    }
    let count = certificates.len();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    Ok(count)
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

    #[test]
    fn this_machines_authorities_suffice() {
        client_config(None).unwrap();
    }
}
