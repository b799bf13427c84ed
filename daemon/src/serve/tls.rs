//! The certificate that a server shows, and the authority that its clients' must come from; read again when a file
//! changes. A key is never printed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those above it, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// When present, clients must show a certificate that one of these authorities signed, PEM.
    pub client_ca: Option<PathBuf>,
}

/// What the files hold. New connections get what was read last.
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Loaded>,
}

struct Loaded {
    texts: Texts,
    config: Arc<ServerConfig>,
}

/// The files as they were, to see a change.
#[derive(PartialEq, Eq)]
struct Texts {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// Files that make no TLS. What they hold is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("cannot read {}, check that it is mounted and that we may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No certificate where one should be.
    #[error("{} holds no certificate, write it as PEM (BEGIN CERTIFICATE)", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// No private key.
    #[error("{} holds no private key, write it as PEM (BEGIN PRIVATE KEY)", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("the certificate of {} cannot be used with the key of {}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authority for clients cannot be used.
    #[error("the certificates of {} cannot be an authority for clients", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The same, for the store as a whole.
    #[error("the certificates of {} make no authority for clients", path.display())]
    Verifier {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, or they make no TLS together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let texts = Texts::read(&files)?;
        let config = Arc::new(config(&files, &texts)?);
        Ok(Self { files, current: RwLock::new(Loaded { texts, config }) })
    }

    /// Reads the files again; false when nothing is different. Connections that are open stay as they are.
    ///
    /// # Errors
    /// As [`Tls::load`]; what was read before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let texts = Texts::read(&self.files)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).texts == texts {
            return Ok(false);
        }
        let config = Arc::new(config(&self.files, &texts)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Loaded { texts, config };
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Tls").field(&self.files).finish()
    }
}

impl Texts {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let TlsFiles { cert, key, client_ca } = files;
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        let client_ca = client_ca.as_deref().map(read).transpose()?;
        Ok(Self { cert: read(cert)?, key: read(key)?, client_ca })
    }
}

fn config(files: &TlsFiles, texts: &Texts) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("BUG: ring speaks TLS 1.2 and 1.3");
    let builder = match (&files.client_ca, &texts.client_ca) {
        (Some(path), Some(text)) => {
            builder.with_client_cert_verifier(authority(path, text, provider)?)
        }
        _ => builder.with_no_client_auth(),
    };
    // The reason may repeat a line of the key.
    let key = PrivateKeyDer::from_pem_slice(&texts.key)
        .map_err(|_| TlsError::NoKey { path: files.key.clone() })?;
    let mut config =
        builder.with_single_cert(certificates(&files.cert, &texts.cert)?, key).map_err(
            |source| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source },
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn authority(
    path: &Path,
    text: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, text)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Authority { path: path.to_owned(), source })?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|source| TlsError::Verifier { path: path.to_owned(), source })
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsError::NoCertificate { path: path.to_owned() };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(missing)
}
