//! Whom to trust when the executive is reached over TLS.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// The authorities cannot be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read certificates from {}, the file of --ca-file", file.display())]
    Read { file: PathBuf, source: pem::Error },
    #[error("{}, the file of --ca-file, holds no certificate", file.display())]
    Empty { file: PathBuf },
    #[error("a certificate of {}, the file of --ca-file, cannot be used", file.display())]
    Unusable { file: PathBuf, source: rustls::Error },
}

/// Trusts the authorities of the file, and nobody else.
pub(crate) fn trusting(file: &Path) -> Result<ClientConfig, TlsError> {
    let file = || file.to_owned();
    let unread = |source| TlsError::Read { file: file(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file()).map_err(unread)? {
        let certificate = certificate.map_err(unread)?;
        roots.add(certificate).map_err(|source| TlsError::Unusable { file: file(), source })?;
    }
    if roots.is_empty() {
        return Err(TlsError::Empty { file: file() });
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
