//! Who may read what: families, tokens, TLS.

use ::agent::args::ServeArgs;
use clap::Parser;

use crate::client::Client;
use crate::sidecar::{Sidecar, args, filled};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

/// As the command line makes them.
fn flags(flags: &[&str]) -> ServeArgs {
    Cli::try_parse_from(["x"].iter().chain(flags)).unwrap().serve
}

#[tokio::test]
async fn families_that_are_not_listed_are_not_there() {
    let node = Sidecar::serving(filled(), flags(&["--read-families", "billing"])).await;
    assert_eq!(node.get("/v1/row/billing/plans/free").await.status, 200);
    assert_eq!(node.get("/v1/schema").await.text(), r#"{"families":["billing"]}"#);
    for path in [
        "/v1/row/auth/keys/eu/2",
        "/v1/row/AUTH/keys/eu/2",
        "/v1/rows/auth/keys",
        "/v1/stream/auth/keys",
        "/v1/schema/auth",
        "/v1/schema/auth/keys",
        "/v1/watch?family=auth",
    ] {
        let answer = node.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "family_not_found"), "{path}");
        assert!(answer.text().contains("family auth is not served here"), "{}", answer.text());
    }
    let keys = node.post("/v1/rows/auth/keys", r#"{"keys":[["eu",2]]}"#).await;
    assert_eq!(keys.status, 404);
    for path in ["/get-row-by-key/auth/keys", "/get-rows-by-key-prefix/auth/keys"] {
        let answer = node.post(path, "{}").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (500, "family auth is not served here\n")
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn with_tokens_nobody_else_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "app:s3cret\n").unwrap();
    let file = file.to_str().unwrap();
    let node = Sidecar::serving(filled(), flags(&["--read-token-file", file])).await;
    let mut client = Client::connect(node.addr).await;
    let path = "GET /v1/row/billing/plans/free";
    let bearer = |token: &'static str| [("authorization", token)];
    assert_eq!(client.send(path, &bearer("Bearer s3cret"), "").await.status, 200);
    for wrong in ["Bearer S3CRET", "Bearer", "Basic s3cret"] {
        let answer = client.send(path, &bearer(wrong), "").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{wrong}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        assert!(!answer.text().contains("s3cret"));
    }
    for request in ["GET /v1/schema", "GET /v1/status", "GET /v1/watch", "GET /get-ledger-latency"]
    {
        assert_eq!(client.send(request, &[], "").await.status, 401, "{request}");
    }
    // Health and the description are for everybody.
    for request in ["GET /ping", "GET /healthcheck", "GET /openapi.json"] {
        assert_eq!(client.send(request, &[], "").await.status, 200, "{request}");
    }
    node.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let test = filled();
    let missing = flags(&["--read-token-file", "/nowhere/tokens"]);
    let args = ::agent::args::SidecarArgs { serve: missing, ..args(&test) };
    let error = Sidecar::start_with(test, args).await.err().unwrap();
    let text = format!("{error:#}");
    assert!(text.contains("--read-token-file: cannot read /nowhere/tokens"), "{text}");
    let test = filled();
    let tls = flags(&["--read-tls-cert-file", "/nowhere/c", "--read-tls-key-file", "/nowhere/k"]);
    let args = ::agent::args::SidecarArgs { serve: tls, ..crate::sidecar::args(&test) };
    let error = Sidecar::start_with(test, args).await.err().unwrap();
    assert!(format!("{error:#}").contains("cannot read /nowhere/c"), "{error:#}");
}
