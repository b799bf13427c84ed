//! The subject of a client's certificate, as people write it.

use x509_parser::error::X509Error;
use x509_parser::nom;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The subject of a certificate that was verified: its common name where it has one, else the whole name.
pub(super) fn subject(der: &[u8]) -> Result<String, nom::Err<X509Error>> {
    let (_, certificate) = X509Certificate::from_der(der)?;
    let name = certificate.subject();
    let common = name.iter_common_name().find_map(|part| part.as_str().ok());
    Ok(common.map_or_else(|| name.to_string(), str::to_owned))
}
