//! Stores for tests: a fresh bucket of a real server, and a fresh folder.

use std::sync::{Arc, OnceLock};

use ledger::snapshot::ObjectKey;
use store::{Location, Store};
use tempfile::TempDir;
use testkit::s3::{Proxy, S3Server};

pub(crate) fn server() -> &'static S3Server {
    static SERVER: OnceLock<S3Server> = OnceLock::new();
    SERVER.get_or_init(|| S3Server::start().expect("an S3 server for the tests"))
}

pub(crate) fn open(url: &str) -> Arc<dyn Store> {
    store::open(&Location::parse(url).unwrap())
}

pub(crate) fn bucket() -> Arc<dyn Store> {
    let bucket = server().create_bucket().unwrap();
    open(&server().url(&bucket, server().addr()).unwrap())
}

pub(crate) fn folder() -> (Arc<dyn Store>, TempDir) {
    let dir = TempDir::new().unwrap();
    (open(&format!("file://{}", dir.path().display())), dir)
}

/// A fresh bucket behind a proxy.
pub(crate) fn behind_proxy() -> (Arc<dyn Store>, Proxy, String) {
    let proxy = Proxy::start(server().addr()).unwrap();
    let bucket = server().create_bucket().unwrap();
    (open(&server().url(&bucket, proxy.addr()).unwrap()), proxy, bucket)
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::chosen(text).unwrap()
}
