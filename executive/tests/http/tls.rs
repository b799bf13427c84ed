//! The API over TLS, with clients that show certificates.

use std::path::Path;
use std::sync::Arc;

use daemon::serve::TlsFiles;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ledger::Seq;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::server::{AS_WRITER, Backend, Server, kv};

fn authority(file: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

/// Writes `NAME.cert` and `NAME.key`.
fn certificate(dir: &Path, issuer: &Issuer<'_, KeyPair>, name: &str) {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let signed = params.signed_by(&pair, issuer).unwrap();
    std::fs::write(dir.join(format!("{name}.cert")), signed.pem()).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), pair.serialize_pem()).unwrap();
}

fn client(dir: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(dir.join("team-a.cert")).unwrap()];
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(dir.join("team-a.key")).unwrap())
        .unwrap()
}

#[tokio::test]
async fn the_subject_of_a_certificate_is_recorded_with_what_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let issuer = authority(&path.join("ca"));
    certificate(path, &issuer, "executive");
    certificate(path, &issuer, "team-a");
    let plain = Server::start(Backend::Sqlite).await.with_kv().await;
    let files = TlsFiles {
        cert: path.join("executive.cert"),
        key: path.join("executive.key"),
        client_ca: Some(path.join("ca")),
    };
    let secured = Server::launch(plain.url.clone(), tempfile::tempdir().unwrap(), |config| {
        config.tls = Some(files)
    })
    .await;

    let stream = TcpStream::connect(secured.addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client(path)));
    let name = ServerName::try_from("executive").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post("/families/fam/mutations").header("host", "executive");
    for (name, value) in AS_WRITER {
        request = request.header(name, value);
    }
    let body = Full::new(Bytes::from(kv(&[(1, "x")], None, None)));
    let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(answer.into_body().collect().await.unwrap());
    connection.abort();

    let records = plain.db.ledger(Seq::ZERO, 100).await.unwrap();
    let author = &records.last().unwrap().batch.as_ref().unwrap().author;
    assert_eq!(author.principal, "team-a");
    assert_eq!(author.writer.as_ref().unwrap().as_str(), "writer1");
    secured.end().await;
    plain.end().await;
}
