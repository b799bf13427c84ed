//! What every store promises. One suite; it runs on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use store::{Condition, Kind, Rate, Store, now};

use crate::stores::{bucket, folder, key, open, server};

macro_rules! on_each_store {
    ($($name:ident)*) => {
        mod on_s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::bucket()).await;
            })*
        }
        mod on_a_folder {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let (store, _dir) = super::folder();
                super::$name(store).await;
            })*
        }
    };
}

on_each_store! {
    an_object_comes_back_as_it_was_put
    what_is_not_there_is_said_to_be_missing
    conditions_hold
    one_of_many_creators_wins
    no_conditional_put_is_lost
    lists_are_whole
    removing_twice_is_fine
    large_files_are_put_whole
    a_file_is_put_no_faster_than_it_may
}

const MB: u64 = 1 << 20;

fn bytes(count: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count.div_ceil(8)).flat_map(|_| next()).take(usize::try_from(count).unwrap()).collect()
}

async fn an_object_comes_back_as_it_was_put(store: Arc<dyn Store>) {
    for count in [0, 1, 5000, 17 * MB] {
        let (key, body) = (key(&format!("some/where/{count}.zst")), bytes(count));
        let before = now();
        store.put(&key, body.clone(), Condition::Always).await.unwrap();
        assert!(store.get(&key, count).await.unwrap().bytes == body, "{count}");
        let stat = store.head(&key).await.unwrap();
        assert_eq!(stat.bytes, count);
        let age = stat.modified.as_micros() - before.as_micros();
        assert!((-2_000_000..60_000_000).contains(&age), "{age}");
        if count > 0 {
            let error = store.get(&key, count - 1).await.unwrap_err();
            assert_eq!(error.kind(), Kind::TooLarge, "{error}");
        }
    }
    let body = bytes(5000);
    let range = async |offset, bytes| {
        store.get_range(&key("some/where/5000.zst"), offset, bytes).await.unwrap()
    };
    assert!(range(0, 5000).await == body);
    assert!(range(10, 20).await == body[10..30]);
    assert!(range(4990, 5000).await == body[4990..]);
    assert!(range(5000, 1).await.is_empty());
    assert!(range(9000, 1).await.is_empty());
    // Another content is another object.
    let key = key("some/where/1.zst");
    let old = store.get(&key, MB).await.unwrap();
    store.put(&key, b"new".to_vec(), Condition::Always).await.unwrap();
    let new = store.get(&key, MB).await.unwrap();
    assert!(new.bytes == b"new" && new.tag != old.tag);
}

async fn what_is_not_there_is_said_to_be_missing(store: Arc<dyn Store>) {
    let missing = key("snapshots/v1/legacy/latest.json");
    for error in [
        store.get(&missing, MB).await.unwrap_err(),
        store.get_range(&missing, 0, 5).await.unwrap_err(),
        store.head(&missing).await.unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains("latest.json: it is not there"), "{error}");
    }
    let mut found = 0;
    store.list("snapshots/", &mut |_| found += 1).await.unwrap();
    assert_eq!(found, 0);
}

async fn conditions_hold(store: Arc<dyn Store>) {
    let key = key("a/pointer.json");
    let put = async |text: &str, when| store.put(&key, text.as_bytes().to_vec(), when).await;
    let get = async || store.get(&key, MB).await.unwrap();
    put("1", Condition::Absent).await.unwrap();
    assert!(put("2", Condition::Absent).await.unwrap_err().is_changed());
    let first = get().await;
    assert_eq!(first.bytes, b"1");
    put("3", Condition::Is(first.tag.clone())).await.unwrap();
    assert!(put("4", Condition::Is(first.tag.clone())).await.unwrap_err().is_changed());
    assert_eq!(get().await.bytes, b"3");
    store.delete(&key).await.unwrap();
    let gone = put("5", Condition::Is(first.tag)).await.unwrap_err();
    assert!(gone.is_changed(), "{gone}");
    put("6", Condition::Absent).await.unwrap();
}

async fn one_of_many_creators_wins(store: Arc<dyn Store>) {
    for round in 0..5 {
        let key = key(&format!("race/{round}"));
        let puts = (0..12).map(|who| store.put(&key, vec![who], Condition::Absent));
        let done = join_all(puts).await;
        let winners: Vec<_> = (0_u8..).zip(&done).filter(|(_, done)| done.is_ok()).collect();
        let [(winner, _)] = winners.as_slice() else { panic!("{done:?}") };
        assert!(done.iter().flat_map(|done| done.as_ref().err()).all(|error| error.is_changed()));
        assert_eq!(store.get(&key, MB).await.unwrap().bytes, [*winner]);
    }
}

async fn no_conditional_put_is_lost(store: Arc<dyn Store>) {
    let (key, done) = (key("race/counter"), AtomicU64::new(0));
    store.put(&key, b"0".to_vec(), Condition::Absent).await.unwrap();
    let count = async || {
        for _ in 0..10 {
            let found = store.get(&key, MB).await.unwrap();
            let number: u64 = std::str::from_utf8(&found.bytes).unwrap().parse().unwrap();
            let next = (number + 1).to_string().into_bytes();
            match store.put(&key, next, Condition::Is(found.tag)).await {
                Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                Err(error) => assert!(error.is_changed(), "{error}"),
            }
        }
    };
    join_all((0..6).map(|_| count())).await;
    let last = store.get(&key, MB).await.unwrap().bytes;
    assert_eq!(last, done.load(Ordering::Relaxed).to_string().into_bytes());
}

async fn lists_are_whole(store: Arc<dyn Store>) {
    // A page of S3 has a thousand.
    for hundred in 0..11 {
        let keys: Vec<_> = (0..100).map(|one| key(&format!("in/{hundred}/{one}.zst"))).collect();
        let puts = keys.iter().map(|key| store.put(key, vec![1, 2], Condition::Always));
        join_all(puts).await.into_iter().for_each(Result::unwrap);
    }
    store.put(&key("out/1"), vec![1], Condition::Always).await.unwrap();
    let list = async |prefix: &str| {
        let mut found = Vec::new();
        store
            .list(prefix, &mut |object| {
                assert!(object.modified.as_micros() > 0);
                found.push((object.key, object.bytes));
            })
            .await
            .unwrap();
        found.sort();
        found
    };
    let all = list("in/").await;
    assert_eq!(all.len(), 1100);
    assert_eq!(all[0], ("in/0/0.zst".to_owned(), 2));
    assert_eq!(list("in/7/").await.len(), 100);
    assert_eq!(list("").await.len(), 1101);
    assert!(list("nowhere/").await.is_empty());
}

async fn removing_twice_is_fine(store: Arc<dyn Store>) {
    let key = key("a/b");
    store.put(&key, vec![1], Condition::Always).await.unwrap();
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert!(store.head(&key).await.unwrap_err().is_not_found());
}

async fn large_files_are_put_whole(store: Arc<dyn Store>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    for count in [5, 16 * MB, 40 * MB + 1] {
        let (key, body) = (key("prod/ldb.db.gz"), bytes(count));
        std::fs::write(&file, &body).unwrap();
        store.put_file(&key, &file, "c2hhMQ==", Rate::default()).await.unwrap();
        let stat = store.head(&key).await.unwrap();
        assert_eq!(stat.bytes, count);
        // Folders keep none, as those of the original.
        let kept = store.place().starts_with("s3:").then(|| "c2hhMQ==".to_owned());
        assert_eq!(stat.checksum, kept);
        assert!(store.get(&key, count).await.unwrap().bytes == body, "{count}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_said_so() {
    let url = server().url("no-such-bucket", server().addr()).unwrap();
    for url in [url, "file:///nonexistent/folder".to_owned()] {
        let store = open(&url);
        let put = store.put(&key("a"), vec![1], Condition::Absent).await.unwrap_err();
        let get = store.get(&key("a"), 5).await.unwrap_err();
        let list = store.list("", &mut |_| {}).await.unwrap_err();
        for error in [put, get, list] {
            assert_eq!(error.kind(), Kind::NoBucket, "{error}");
        }
    }
}

async fn a_file_is_put_no_faster_than_it_may(store: Arc<dyn Store>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    // In one piece, and in parts.
    for (count, rate) in [(MB, 2 * MB), (17 * MB, 20 * MB)] {
        std::fs::write(&file, bytes(count)).unwrap();
        let (rate, start) = (Rate { bytes_per_second: Some(rate) }, std::time::Instant::now());
        store.put_file(&key("prod/ldb.db"), &file, "c2hhMQ==", rate).await.unwrap();
        let took = start.elapsed();
        assert!(took >= std::time::Duration::from_millis(490), "{count} bytes in {took:?}");
        assert_eq!(store.head(&key("prod/ldb.db")).await.unwrap().bytes, count);
    }
}
