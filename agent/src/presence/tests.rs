//! What is told, and how often, whatever the API server answers.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;

use super::*;

#[test]
fn a_fork_is_told_in_the_word_that_the_operator_knows() {
    let status = Status::new();
    let told = |state| {
        status.enter(state, None);
        node_report(&status.report(), Some(7))
    };
    let fresh = told(State::Away);
    assert_eq!((fresh.seq, fresh.bootstrapped, fresh.free_bytes), (None, false, Some(7)));
    assert!(told(State::Forked).is_forked());
    let empty = told(State::Following);
    assert_eq!((empty.seq, empty.bootstrapped), (Some(0), true), "nothing is missing");
    assert!(!empty.is_forked());
}

/// How many requests a node makes in ten hours of an API server that always answers so.
async fn requests(code: u16, retry_after: u32) -> u32 {
    let count = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&count);
    let service = tower::service_fn(move |_: Request<Body>| {
        counting.fetch_add(1, Ordering::Relaxed);
        let answer = match code {
            200 => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {}})
            }
            code => json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "details": {"retryAfterSeconds": retry_after},
            }),
        };
        let response =
            Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
        async move { response }
    });
    let cluster = Cluster::with_client(Client::new(service, "default"), "default", "n");
    let presence = Presence::new(cluster, Duration::from_secs(30), NodeReport::default);
    let stop = CancellationToken::new();
    let running = tokio::spawn(presence.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(36_000)).await;
    stop.cancel();
    let Ok(()) = running.await.unwrap();
    count.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn five_thousand_nodes_make_no_more_than_170_writes_a_second() {
    let made = requests(200, 0).await;
    let a_second = f64::from(made) / 36_000.0 * 5_000.0;
    assert!((140.0..=170.0).contains(&a_second), "{a_second}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_in_trouble_is_asked_less() {
    // Alone, 36,000 s hold about 1,090 renewals.
    for code in [403, 429, 500, 503] {
        let made = requests(code, 0).await;
        assert!((50..400).contains(&made), "{code}: {made}");
    }
    let patient = requests(429, 600).await;
    assert!((50..=60).contains(&patient), "as it asked for: {patient}");
    // The Lease is not there and cannot be made: two requests each time.
    assert!(requests(404, 0).await < 800);
}
