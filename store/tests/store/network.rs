//! What stands between us and the store: certificates, proxies, regions, silence.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use store::{Condition, Kind};
use testkit::s3::{ACCESS_KEY, Fault, S3Server, SECRET_KEY};

use crate::child::use_store;
use crate::servers::{Server, answer};
use crate::stores::{behind_proxy, key, open, server};
use crate::unreliable::chain;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server behind TLS whose certificate is of this authority.
fn tls_server(authority: &CertifiedIssuer<'static, KeyPair>, dir: &Path) -> S3Server {
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, authority).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&key, own.serialize_pem()).unwrap();
    S3Server::start_tls(&cert, &key).unwrap()
}

/// A place in a fresh bucket of this server.
fn place(server: &S3Server, scheme: &str, more: &str) -> String {
    let bucket = server.create_bucket().unwrap();
    let file = server.credentials_file(ACCESS_KEY, SECRET_KEY).unwrap();
    let (addr, file) = (server.addr(), file.display());
    format!(
        "s3://{bucket}?endpoint={scheme}://{addr}&path-style=true&credentials-file={file}{more}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (authority("own"), authority("other"));
    let server = tls_server(&own, dir.path());
    let untrusted = open(&place(&server, "https", ""));
    let error = untrusted.get(&key("a"), 10).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{}", chain(&error));
    assert!(chain(&error).contains("with ca= in the URL"), "{}", chain(&error));

    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, other.pem()).unwrap();
    let store = open(&place(&server, "https", &format!("&ca={}", ca.display())));
    let error = store.put(&key("a"), vec![1], Condition::Absent).await.unwrap_err();
    assert!(chain(&error).contains("with ca= in the URL"), "{}", chain(&error));
    // The mounted file is replaced; nobody restarts us.
    std::fs::write(&ca, format!("{}{}", other.pem(), own.pem())).unwrap();
    store.put(&key("a"), vec![1], Condition::Absent).await.unwrap();
    assert_eq!(store.get(&key("a"), 10).await.unwrap().bytes, [1]);

    // Through a proxy, TLS goes from end to end.
    let proxy = Server::proxy();
    let more = format!("&ca={}&proxy={}", ca.display(), proxy.url());
    let store = open(&place(&server, "https", &more));
    store.put(&key("a"), vec![1], Condition::Absent).await.unwrap();
    let asked = proxy.asked();
    let tunnel = format!("CONNECT {} HTTP/1.1", server.addr());
    assert!(!asked.is_empty() && asked.iter().all(|line| *line == tunnel), "{asked:?}");

    let proxied = [("HTTPS_PROXY", &*proxy.url())];
    let url = place(&server, "https", &format!("&ca={}", ca.display()));
    assert_eq!(use_store(&url, &proxied, &[]), "");
    assert_eq!(proxy.asked().first(), Some(&tunnel));
    let around = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "127.0.0.1")];
    assert_eq!(use_store(&url, &around, &[]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_used_when_it_is_named() {
    let proxy = Server::proxy();
    let store = open(&place(server(), "http", &format!("&proxy={}", proxy.url())));
    store.put(&key("a"), vec![1, 2], Condition::Absent).await.unwrap();
    assert_eq!(store.get_range(&key("a"), 1, 5).await.unwrap(), [2]);
    let asked = proxy.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].starts_with(&format!("PUT http://{}/", server().addr())), "{asked:?}");
    drop(proxy);
    let store = open(&place(server(), "http", "&proxy=http://127.0.0.1:1"));
    let error = store.get(&key("a"), 10).await.unwrap_err();
    assert!(error.is_unavailable(), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_found_by_what_is_said() {
    let elsewhere = Server::answering(|_| {
        let body = "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>";
        answer("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", body)
    });
    let file = server().credentials_file(ACCESS_KEY, SECRET_KEY).unwrap();
    let (url, file) = (elsewhere.url(), file.display());
    let store =
        open(&format!("s3://bucket?endpoint={url}&path-style=true&credentials-file={file}"));
    for error in [
        store.get(&key("a"), 10).await.unwrap_err(),
        store.head(&key("a")).await.unwrap_err(),
        store.list("", &mut |_| {}).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Refused, "{}", chain(&error));
        assert!(chain(&error).contains("write region=eu-west-1 into"), "{}", chain(&error));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_ranges_is_not_believed() {
    let whole = Server::answering(|_| answer("200 OK", "etag: \"x\"\r\n", "0123456789"));
    let file = server().credentials_file(ACCESS_KEY, SECRET_KEY).unwrap();
    let (url, file) = (whole.url(), file.display());
    let store =
        open(&format!("s3://bucket?endpoint={url}&path-style=true&credentials-file={file}"));
    let error = store.get_range(&key("a"), 5, 100).await.unwrap_err();
    assert!(chain(&error).contains("another range"), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_is_given_up_in_time() {
    let (store, proxy, _) = behind_proxy();
    proxy.break_by(|_| Some(Fault::Answer(503, "SlowDown")));
    let since = Instant::now();
    let error = store.get(&key("a"), 10).await.unwrap_err();
    assert!(error.is_unavailable(), "{}", chain(&error));
    assert!(chain(&error).contains("it answered 503 SlowDown"), "{}", chain(&error));
    assert_eq!(proxy.asked().len(), 4);
    // Pauses of a quarter, a half and a whole second at most.
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_not_waited_for_longer_than_an_answer_takes() {
    let (store, proxy, _) = behind_proxy();
    store.put(&key("a"), vec![1], Condition::Absent).await.unwrap();
    let first = AtomicBool::new(true);
    proxy.break_by(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(40));
        }
        None
    });
    let since = Instant::now();
    assert_eq!(store.get(&key("a"), 10).await.unwrap().bytes, [1]);
    assert!(since.elapsed() < Duration::from_secs(35), "{:?}", since.elapsed());
}
