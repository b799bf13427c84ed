use std::path::Path;

use axum::Extension;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// Answers with the subject of the client's certificate.
async fn start(limits: Limits, tls: Option<Arc<Tls>>) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let who = |Extension(peer): Extension<Peer>| async move {
        peer.certificate.map_or_else(|| "nobody".to_owned(), |subject| subject.to_string())
    };
    let server = Server { listener: listener.into(), tls, limits };
    tokio::spawn(serve(server, Router::new().route("/", get(who)), stop.clone(), async {}));
    (addr, stop)
}

/// What the server says until it closes the connection.
async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it was not closed");
    String::from_utf8_lossy(&answer).into_owned()
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off_in_time_and_in_size() {
    let limits = Limits { head_time: Duration::from_millis(200), ..Limits::default() };
    let (addr, _stop) = start(limits, None).await;
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let said = rest(stream).await;
        assert!(!said.contains("200 OK"), "{beginning:?}: {said}");
    }
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(128 << 10));
    // The server may close before all is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    let said = rest(stream).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\n{head}\r\n").as_bytes()).await;
    let said = rest(stream).await;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
}

#[tokio::test]
async fn more_connections_than_places_wait_for_one() {
    let (addr, _stop) = start(Limits { max_connections: 2, ..Limits::default() }, None).await;
    let idle = [TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap()];
    let mut third = TcpStream::connect(addr).await.unwrap();
    third.write_all(ASK).await.unwrap();
    let early = timeout(Duration::from_millis(300), third.read(&mut [0; 16])).await;
    assert!(early.is_err(), "it was served beyond the limit");
    drop(idle);
    assert!(rest(third).await.contains("nobody"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = Limits { head_time: Duration::from_millis(200), ..Limits::default() };
    let (addr, _stop) = start(limits, None).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(rest(stream).await.contains("nobody"));
}

/// An authority whose certificate is in a file.
fn authority(file: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

/// A certificate and its key in files.
fn certificate(issuer: &Issuer<'_, KeyPair>, name: &str, cert: &Path, key: &Path) {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    std::fs::write(cert, params.signed_by(&pair, issuer).unwrap().pem()).unwrap();
    std::fs::write(key, pair.serialize_pem()).unwrap();
}

/// Asks over TLS, trusting the authority in a file, and with a certificate and its key if there are.
async fn ask(
    addr: SocketAddr,
    trusted: &Path,
    own: Option<(&Path, &Path)>,
) -> Result<String, io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
                .unwrap()
        }
    };
    let name = ServerName::try_from("server.example").unwrap();
    let stream = TcpStream::connect(addr).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(ASK).await?;
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn certificates_follow_their_files_and_name_clients() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (old, new) = (authority(&path("old.pem")), authority(&path("new.pem")));
    let clients = authority(&path("clients.pem"));
    certificate(&old, "server.example", &path("cert"), &path("key"));
    certificate(&clients, "team-a", &path("a.cert"), &path("a.key"));
    certificate(&old, "stranger", &path("b.cert"), &path("b.key"));
    let files = |client_ca| TlsFiles { cert: path("cert"), key: path("key"), client_ca };

    // Without an authority for clients, nobody needs a certificate.
    let tls = Arc::new(Tls::load(files(None)).unwrap());
    let (addr, _stop) = start(Limits::default(), Some(Arc::clone(&tls))).await;
    let old_ca = path("old.pem");
    assert!(ask(addr, &old_ca, None).await.unwrap().contains("nobody"));
    assert!(ask(addr, &path("new.pem"), None).await.is_err());
    let mut clear = TcpStream::connect(addr).await.unwrap();
    clear.write_all(ASK).await.unwrap();
    assert!(!rest(clear).await.contains("200 OK"), "it speaks in the clear, too");

    // Files are followed; broken ones change nothing.
    assert!(!tls.reload().unwrap());
    certificate(&new, "server.example", &path("cert"), &path("key.next"));
    assert!(matches!(tls.reload(), Err(TlsError::Pair { .. })), "half of a change was taken");
    assert!(ask(addr, &old_ca, None).await.is_ok());
    std::fs::rename(path("key.next"), path("key")).unwrap();
    assert!(tls.reload().unwrap());
    assert!(ask(addr, &old_ca, None).await.is_err());
    assert!(ask(addr, &path("new.pem"), None).await.is_ok());
    std::fs::write(path("key"), "-----BEGIN PRIVATE KEY-----\nsecret-line").unwrap();
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::NoKey { .. }));
    assert!(!format!("{error:?}").contains("secret-line"));

    // With one, everybody does, and is known by it.
    certificate(&new, "server.example", &path("cert"), &path("key"));
    let tls = Arc::new(Tls::load(files(Some(path("clients.pem")))).unwrap());
    let (addr, _stop) = start(Limits::default(), Some(tls)).await;
    let trusted = path("new.pem");
    let [a, b] = ["a", "b"].map(|who| (path(&format!("{who}.cert")), path(&format!("{who}.key"))));
    assert!(ask(addr, &trusted, Some((&a.0, &a.1))).await.unwrap().contains("team-a"));
    for own in [None, Some((b.0.as_path(), b.1.as_path()))] {
        let answer = ask(addr, &trusted, own).await.unwrap_or_default();
        assert!(answer.is_empty(), "{answer}");
    }
}

#[test]
fn files_that_make_no_tls_are_refused_with_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let files = || TlsFiles { cert: path("cert"), key: path("key"), client_ca: None };
    assert!(matches!(Tls::load(files()), Err(TlsError::Read { .. })));
    std::fs::write(path("cert"), "nothing").unwrap();
    std::fs::write(path("key"), "nothing").unwrap();
    assert!(matches!(Tls::load(files()), Err(TlsError::NoKey { .. })));
    certificate(&authority(&path("ca")), "x", &path("other"), &path("key"));
    let error = Tls::load(files()).unwrap_err().to_string();
    assert!(error.contains("cert holds no certificate, write it as PEM"), "{error}");
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_taken_before_the_answer_and_no_more_than_that() {
    let (addr, _stop) = start(Limits::default(), None).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // More than the kernel's buffers hold: it can only be sent if somebody reads.
    let body = vec![b'x'; 6 << 20];
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    timeout(SOON, stream.write_all(&body)).await.unwrap().unwrap();
    // The connection goes on.
    stream.write_all(ASK).await.unwrap();
    let said = rest(stream).await;
    assert!(said.starts_with("HTTP/1.1 405") && said.ends_with("nobody"), "{said}");
    // Who asks first is not told to send.
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = rest(stream).await;
    assert!(said.starts_with("HTTP/1.1 405"), "{said}");
}
