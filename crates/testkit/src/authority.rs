//! Certificates for this machine, signed by an authority that only its own tests believe.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{TestkitError, temp_dir};

/// An authority, with one certificate of its own for `localhost` and `127.0.0.1`. Its files go when it is dropped.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Result<Self, TestkitError> {
        let folder = temp_dir()?;
        let refused = |error: rcgen::Error| TestkitError::Certificate(error.to_string());
        let own_key = KeyPair::generate().map_err(refused)?;
        let mut own = CertificateParams::default();
        // By default everybody has the same name, and would seem to have signed itself.
        own.distinguished_name.push(DnType::CommonName, "an authority of tests");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let believed = own.self_signed(&own_key).map_err(refused)?;
        let issuer = Issuer::new(own, own_key);
        let key = KeyPair::generate().map_err(refused)?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)
            .and_then(|server| server.signed_by(&key, &issuer))
            .map_err(refused)?;
        let authority = Self { folder };
        for (path, text) in [
            (authority.ca_file(), believed.pem()),
            (authority.certificate_file(), certificate.pem()),
            (authority.key_file(), key.serialize_pem()),
            (authority.key_and_certificate_file(), key.serialize_pem() + &certificate.pem()),
        ] {
            fs::write(&path, text).map_err(TestkitError::io(&path.display().to_string()))?;
        }
        Ok(authority)
    }

    /// What to believe.
    pub fn ca_file(&self) -> PathBuf {
        self.file("ca.pem")
    }

    pub fn certificate_file(&self) -> PathBuf {
        self.file("certificate.pem")
    }

    pub fn key_file(&self) -> PathBuf {
        self.file("key.pem")
    }

    /// Both in one file, as Kafka wants them.
    pub fn key_and_certificate_file(&self) -> PathBuf {
        self.file("keystore.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}
