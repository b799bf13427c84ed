//! Listening on an address, with an error that says what to do.

use std::fmt::Display;
use std::io;

use tokio::net::{TcpListener, ToSocketAddrs};

/// Why [`bind`] failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}{}", cure(source.kind()))]
pub struct BindError {
    /// The address as it was given.
    pub addr: String,
    /// What the system said.
    pub source: io::Error,
}

fn cure(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            ", another process has the port: stop it or choose another port (0 = any free one)"
        }
        io::ErrorKind::PermissionDenied => ", choose a port above 1023",
        io::ErrorKind::AddrNotAvailable => ", choose an address of this host",
        _ => ", write it like 127.0.0.1:8080",
    }
}

/// Listens on an address such as `127.0.0.1:8080`; port 0 is any free one.
///
/// # Errors
/// [`BindError`], naming the address and the cure.
pub async fn bind(addr: impl ToSocketAddrs + Display) -> Result<TcpListener, BindError> {
    let text = addr.to_string();
    TcpListener::bind(addr).await.map_err(|source| BindError { addr: text, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_names_the_address_and_the_cure() {
        let first = bind("127.0.0.1:0").await.unwrap();
        let addr = first.local_addr().unwrap();
        let text = bind(addr).await.unwrap_err().to_string();
        assert!(text.contains(&addr.to_string()) && text.contains("another port"), "{text}");
        let text = bind("192.0.2.1:1").await.unwrap_err().to_string();
        assert!(text.contains("192.0.2.1:1, choose an address of this host"), "{text}");
        let text = bind("nonsense").await.unwrap_err().to_string();
        assert!(text.contains("nonsense, write it like"), "{text}");
    }
}
