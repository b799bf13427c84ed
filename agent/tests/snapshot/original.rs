//! The original's layout.

use std::io::Read as _;

use agent::snapshot::{read_original, write_original};
use base64::Engine as _;
use sha1::Digest as _;
use store::{Condition, Rate};
use tempfile::TempDir;

use crate::ldbs::{Node, chain};
use crate::stores::{bucket, folder, key};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_what_the_originals_reflectors_read() {
    let (folder, _dir) = folder();
    for store in [bucket(), folder] {
        for name in ["prod/ldb.db.gz", "prod/ldb.db"] {
            let (node, key, work) = (Node::new(5000), key(name), TempDir::new().unwrap());
            write_original(&*store, &key, &node.file(), work.path(), Rate::default())
                .await
                .unwrap();
            let stored = store.get(&key, 1 << 30).await.unwrap().bytes;
            let mut plain = Vec::new();
            if name.ends_with(".gz") {
                flate2::read::GzDecoder::new(&stored[..]).read_to_end(&mut plain).unwrap();
            } else {
                plain = stored;
            }
            let file = std::fs::read(node.file()).unwrap();
            assert!(plain == file, "{name}");
            let sum = base64::prelude::BASE64_STANDARD.encode(sha1::Sha1::digest(&file));
            let kept = store.head(&key).await.unwrap().checksum;
            assert_eq!(kept, store.place().starts_with("s3").then_some(sum));
            let got = read_original(&*store, &key, work.path()).await.unwrap();
            assert!(node.is_same(&got), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found() {
    let store = bucket();
    let (node, work) = (Node::new(5000), TempDir::new().unwrap());
    let (plain, gzip) = (key("ldb.db"), key("ldb.db.gz"));
    // The metadata of another file.
    write_original(&*store, &plain, &node.file(), work.path(), Rate::default()).await.unwrap();
    let file = node.dir.path().join("changed");
    let mut bytes = std::fs::read(node.file()).unwrap();
    bytes[9000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let sum = store.head(&plain).await.unwrap().checksum.unwrap();
    store.put_file(&plain, &file, &sum, Rate::default()).await.unwrap();
    let error = read_original(&*store, &plain, work.path()).await.unwrap_err();
    assert!(chain(&error).contains("its checksum is not"), "{}", chain(&error));
    assert!(error.is_bad_copy());
    write_original(&*store, &gzip, &node.file(), work.path(), Rate::default()).await.unwrap();
    let stored = store.get(&gzip, 1 << 30).await.unwrap().bytes;
    for bytes in [stored[..stored.len() / 2].to_vec(), b"no gzip at all".to_vec()] {
        store.put(&gzip, bytes, Condition::Always).await.unwrap();
        let error = read_original(&*store, &gzip, work.path()).await.unwrap_err();
        assert!(error.is_bad_copy(), "{}", chain(&error));
    }
    let error = read_original(&*store, &key("nothing"), work.path()).await.unwrap_err();
    assert!(error.is_bad_copy() && chain(&error).contains("not there"), "{}", chain(&error));
}
