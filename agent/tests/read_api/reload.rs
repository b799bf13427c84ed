//! Files of secrets that change while the node serves: tokens and the certificate.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::agent::args::ServeArgs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::SOON;
use crate::sidecar::{Sidecar, filled};

/// Puts a new certificate into the files, and gives it.
fn certify(cert: &Path, key: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(key, pair.signing_key.serialize_pem()).unwrap();
    std::fs::write(cert, pair.cert.pem()).unwrap();
    CertificateDer::from_pem_file(cert).unwrap()
}

/// The status of a read by one who trusts this certificate alone and bears this token.
async fn read(
    addr: SocketAddr,
    trusted: &CertificateDer<'static>,
    token: &str,
) -> anyhow::Result<u16> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost")?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let request = format!(
        "GET /v1/row/billing/plans/free HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said.split(' ').nth(1).unwrap_or_default().parse()?)
}

#[tokio::test]
async fn a_certificate_and_tokens_are_followed_and_broken_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let [cert, key, tokens] = ["cert", "key", "tokens"].map(|name| dir.path().join(name));
    let first = certify(&cert, &key);
    std::fs::write(&tokens, "app:old\n").unwrap();
    let serve = ServeArgs {
        read_token_file: Some(tokens.clone()),
        read_tls_cert_file: Some(cert.clone()),
        read_tls_key_file: Some(key.clone()),
        ..ServeArgs::default()
    };
    let node = Sidecar::serving(filled(), serve).await;
    assert_eq!(read(node.addr, &first, "old").await.unwrap(), 200);
    assert_eq!(read(node.addr, &first, "new").await.unwrap(), 401);
    // Who speaks no TLS is no client of this port.
    let mut plain = TcpStream::connect(node.addr).await.unwrap();
    plain.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(SOON, plain.read_to_end(&mut said)).await.unwrap();
    assert!(!said.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&said));

    // The tokens are good and the certificate is not: each is followed by itself.
    std::fs::write(&tokens, "app:new\n").unwrap();
    std::fs::write(&key, "nonsense").unwrap();
    testkit::eventually(SOON, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        anyhow::ensure!(read(node.addr, &first, "new").await? == 200);
        anyhow::ensure!(read(node.addr, &first, "old").await? == 401);
        Ok(())
    })
    .await
    .unwrap();

    let second = certify(&cert, &key);
    std::fs::write(&tokens, "").unwrap();
    testkit::eventually(SOON, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        anyhow::ensure!(read(node.addr, &second, "new").await? == 200);
        Ok(())
    })
    .await
    .unwrap();
    assert!(read(node.addr, &first, "new").await.is_err(), "the old certificate is shown");
    node.stop().await;
}
