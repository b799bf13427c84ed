//! Stores that fail: what is said about it, and what is not.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::{Condition, Kind, StoreError};
use testkit::s3::{ACCESS_KEY, Fault, Proxy, SECRET_KEY};

use crate::stores::{behind_proxy, key, open, server};

/// The text of an error and its causes.
pub(crate) fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// Breaks the first `times` requests.
fn break_first(proxy: &Proxy, times: usize, fault: Fault) {
    let left = AtomicUsize::new(times);
    proxy.break_by(move |_| {
        let take = |left: usize| left.checked_sub(1);
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).ok().map(|_| fault)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_retried() {
    let (store, proxy, _) = behind_proxy();
    let key = key("a");
    for fault in
        [Fault::Answer(503, "SlowDown"), Fault::Answer(500, "InternalError"), Fault::LoseAnswer]
    {
        drop(proxy.asked());
        break_first(&proxy, 2, fault);
        store.put(&key, b"whole".to_vec(), Condition::Always).await.unwrap();
        assert_eq!(proxy.asked().len(), 3, "{fault:?}");
        break_first(&proxy, 2, fault);
        assert_eq!(store.get(&key, 10).await.unwrap().bytes, b"whole", "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_is_said_in_words_one_can_decide_by() {
    let (store, proxy, _) = behind_proxy();
    let key = key("a");
    store.put(&key, b"whole".to_vec(), Condition::Always).await.unwrap();
    for (status, code, kind) in [
        (503, "SlowDown", Kind::Unavailable),
        (403, "AccessDenied", Kind::Denied),
        (404, "NoSuchBucket", Kind::NoBucket),
        (404, "NoSuchKey", Kind::NotFound),
        (400, "InvalidArgument", Kind::Refused),
        // To what depends on nothing these are no answers that say that somebody changed it.
        (409, "OperationAborted", Kind::Unavailable),
        (412, "PreconditionFailed", Kind::Refused),
    ] {
        proxy.break_by(move |_| Some(Fault::Answer(status, code)));
        let gets = store.get(&key, 10).await.map(drop);
        let puts = store.put(&key, vec![1], Condition::Always).await;
        for error in [gets.unwrap_err(), puts.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{}", chain(&error));
            assert!(chain(&error).contains(code), "{}", chain(&error));
        }
    }
    for (status, code) in [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")] {
        proxy.break_by(move |asked| asked.conditional.then_some(Fault::Answer(status, code)));
        let error = store.put(&key, vec![1], Condition::Absent).await.unwrap_err();
        assert!(error.is_changed(), "{}", chain(&error));
        let tag = store.get(&key, 10).await.unwrap().tag;
        let error = store.put(&key, vec![1], Condition::Is(tag)).await.unwrap_err();
        assert!(error.is_changed(), "{}", chain(&error));
    }
    proxy.heal();
    assert_eq!(store.get(&key, 10).await.unwrap().bytes, b"whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_object_is_none() {
    let (store, proxy, _) = behind_proxy();
    let key = key("a");
    let body = vec![7; 300_000];
    store.put(&key, body.clone(), Condition::Always).await.unwrap();
    for fault in [Fault::Cut(0), Fault::Cut(1000), Fault::Stall(1000)] {
        proxy.break_by(move |_| Some(fault));
        let error = store.get(&key, 1 << 20).await.unwrap_err();
        assert!(error.is_unavailable(), "{fault:?}: {}", chain(&error));
        let error = store.get_range(&key, 10, 200_000).await.unwrap_err();
        assert!(error.is_unavailable(), "{fault:?}: {}", chain(&error));
    }
    // Slow, but it comes.
    proxy.break_by(|_| Some(Fault::Slow(100_000)));
    assert!(store.get(&key, 1 << 20).await.unwrap().bytes == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_soon() {
    let url = server().url("bucket", "127.0.0.1:1".parse().unwrap()).unwrap();
    let error = open(&url).get(&key("a"), 10).await.unwrap_err();
    assert!(error.is_unavailable(), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_do_not_show_and_new_ones_are_taken() {
    let bucket = server().create_bucket().unwrap();
    let wrong = "a-wrong-secret-key";
    let file = server().credentials_file(ACCESS_KEY, wrong).unwrap();
    let addr = server().addr();
    let place = format!(
        "s3://{bucket}?endpoint=http://{addr}&path-style=true&credentials-file={}",
        file.display()
    );
    let store = open(&place);
    let error = store.put(&key("a"), vec![1], Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{}", chain(&error));
    let shown = format!("{}{error:?}{store:?}{}", chain(&error), store.place());
    for secret in [wrong, ACCESS_KEY, "Signature="] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    let right = std::fs::read_to_string(&file).unwrap().replace(wrong, SECRET_KEY);
    std::fs::write(&file, right).unwrap();
    store.put(&key("a"), vec![1], Condition::Absent).await.unwrap();
    let shown = format!("{store:?}");
    assert!(!shown.contains(SECRET_KEY), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let addr = server().addr();
    let check = async |options: &str, kind, want: &str| {
        let store = open(&format!("s3://bucket?endpoint=http://{addr}&path-style=true&{options}"));
        let error = store.get(&key("a"), 10).await.unwrap_err();
        assert!(chain(&error).contains(want), "{}", chain(&error));
        assert_eq!(error.kind(), kind, "{}", chain(&error));
    };
    check("ca=/nonexistent/ca.pem", Kind::Refused, "/nonexistent/ca.pem").await;
    check("credentials-file=/nonexistent/file", Kind::Denied, "credentials").await;
}
