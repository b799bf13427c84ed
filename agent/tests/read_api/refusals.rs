//! Bad input, each with a clear answer that names the thing and the cure.

use serde_json::Value;

use crate::client::Answer;
use crate::sidecar::{Sidecar, filled, numbered};

fn refused(answer: &Answer, status: u16, code: &str, field: Option<&str>, words: &str) {
    let text = answer.text();
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{text}");
    let error = &answer.json()["error"];
    assert_eq!(error["field"].as_str(), field, "{text}");
    assert!(error["message"].as_str().unwrap().contains(words), "{text}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("ctlstore-seq").is_some());
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let node = Sidecar::start(filled()).await;
    let check = async |path: &str, status, code, field, words| {
        refused(&node.get(path).await, status, code, field, words);
    };
    let (family, table) = ("family_not_found", "table_not_found");
    for path in [
        "/v1/row/nobody/keys/1",
        "/v1/rows/nobody/keys",
        "/v1/stream/nobody/keys",
        "/v1/schema/nobody",
    ] {
        check(path, 404, family, Some("family"), "no family nobody in this LDB: create a table")
            .await;
    }
    for path in [
        "/v1/row/auth/none/1",
        "/v1/rows/auth/none",
        "/v1/stream/auth/none",
        "/v1/schema/auth/none",
    ] {
        check(path, 404, table, Some("table"), "no table auth___none").await;
    }
    let words = "table auth___keys has no column \"nope\", /v1/schema tells those";
    for path in [
        "/v1/row/auth/keys/eu/2?columns=id,nope",
        "/v1/row/auth/keys/eu/404?columns=nope",
        "/v1/rows/auth/keys/zz?columns=nope",
        "/v1/stream/auth/keys?columns=nope",
    ] {
        check(path, 400, "column_unknown", Some("columns"), words).await;
    }
    check("/v1/row/a__b/keys/1", 400, "name_invalid", Some("family"), "amily").await;
    check("/v1/nothing", 404, "route_not_found", None, "404").await;
    check("/v1/row/auth/keys", 404, "route_not_found", None, "404").await;
    let wrong = node.post("/v1/row/auth/keys/eu/2", "").await;
    refused(&wrong, 405, "method_not_allowed", None, "405");
    assert_eq!(wrong.header("allow"), Some("GET,HEAD"));
    let text = node.get("/nothing").await;
    assert_eq!((text.status, text.text().as_str()), (404, "404 page not found\n"));
    node.stop().await;
}

#[tokio::test]
async fn keys_of_the_wrong_count_or_type_are_refused() {
    let node = Sidecar::start(filled()).await;
    let check = async |path: &str, words| {
        refused(&node.get(path).await, 400, "key_invalid", Some("key"), words);
    };
    check("/v1/row/auth/keys/eu", "1 key values for table auth___keys, whose key is (zone, id)")
        .await;
    check("/v1/row/auth/keys/eu/2/3", "3 key values").await;
    check("/v1/rows/auth/keys/eu/2/3", "3 key values").await;
    check("/v1/row/auth/keys/eu/x", "\"id\" takes a whole number of 64 bits, not x").await;
    check("/v1/row/auth/keys/eu/9223372036854775808", "64 bits").await;
    check("/v1/row/auth/blobs/0x6", "takes bytes").await;
    refused(&node.get("/v1/row/auth/keys/%ff/1").await, 400, "path_invalid", None, "UTF-8");

    let check = async |body: &str, status, code, field, words| {
        refused(&node.post("/v1/rows/auth/keys", body).await, status, code, field, words);
    };
    for body in [
        "",
        "not json",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":["eu"]}"#,
        r#"{"keys":[],"limit":1}"#,
    ] {
        check(body, 400, "json_invalid", None, "{\"keys\":[[VALUE,…],…]}").await;
    }
    let key = "key_invalid";
    check(r#"{"keys":[["eu",2],["eu"]]}"#, 400, key, Some("key"), "1 key values").await;
    check(r#"{"keys":[["eu",2,3]]}"#, 400, key, Some("key"), "3 key values").await;
    check(r#"{"keys":[["eu",1.5]]}"#, 400, key, Some("key"), "not 1.5").await;
    check(r#"{"keys":[[7,1]]}"#, 400, key, Some("key"), "\"zone\" takes text, not 7").await;
    check(r#"{"keys":[[null,1]]}"#, 400, key, Some("key"), "not null").await;
    node.stop().await;
}

#[tokio::test]
async fn parameters_out_of_range_or_unknown_are_refused() {
    let node = Sidecar::start(filled()).await;
    let check = async |query: &str, field: Option<&str>, words: &str| {
        let answer = node.get(&format!("/v1/rows/auth/keys?{query}")).await;
        refused(&answer, 400, "query_invalid", field, words);
    };
    for limit in ["0", "10001", "-1", "x", ""] {
        check(&format!("limit={limit}"), Some("limit"), "whole number from 1 to 10000").await;
    }
    check("limt=5", None, "there is no parameter \"limt\" here").await;
    check("int64=text", Some("int64"), "send number or string").await;
    check("min-seq=-1", Some("min-seq"), "whole number").await;
    check("max-lag-ms=soon", Some("max-lag-ms"), "whole number").await;
    check("min-position=7", Some("min-position"), "ctlstore-position").await;
    let watch = node.get("/v1/watch?after=x").await;
    refused(&watch, 400, "query_invalid", Some("after"), "whole number");
    node.stop().await;
}

#[tokio::test]
async fn a_continuation_belongs_to_its_list() {
    let node = Sidecar::start(numbered(100)).await;
    node.test.sql("CREATE TABLE many___twin(\"group\" VARCHAR(191), n INTEGER, PRIMARY KEY(\"group\", n)) WITHOUT ROWID").unwrap();
    let page = node.get("/v1/rows/many/rows?limit=5").await.json();
    let Value::String(token) = &page["continue"] else { panic!("{page}") };
    for (path, words) in [
        (
            format!("/v1/rows/many/twin?continue={token}"),
            "belongs to another table or another prefix",
        ),
        (format!("/v1/rows/many/rows/odd?continue={token}"), "another prefix"),
        (format!("/v1/rows/many/rows?continue={}x", token), "continue"),
        ("/v1/rows/many/rows?continue=nonsense".to_owned(), "none of ours"),
    ] {
        refused(&node.get(&path).await, 400, "continue_invalid", Some("continue"), words);
    }
    assert_eq!(node.get(&format!("/v1/rows/many/rows?continue={token}")).await.status, 200);
    node.stop().await;
}
