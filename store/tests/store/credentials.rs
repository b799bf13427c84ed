//! Where credentials come from, each from a real source, and that none of them shows.

use testkit::s3::{ACCESS_KEY, SECRET_KEY};

use crate::child::use_store;
use crate::servers::{Server, answer};
use crate::stores::server;

const TOKEN: &str = "session-token-of-the-test";
const IDENTITY: &str = "identity-token-of-the-test";

/// A fresh bucket, without a word on credentials.
fn bare() -> String {
    let bucket = server().create_bucket().unwrap();
    format!("s3://{bucket}/x?endpoint=http://{}&path-style=true", server().addr())
}

/// A bucket that lets in who shows the session token: the real server knows no sessions.
fn bucket_of_the_session() -> (Server, String) {
    let bucket = Server::answering(|asked| {
        let signed = asked.header("authorization").unwrap_or_default();
        let known = signed.contains(&format!("Credential={ACCESS_KEY}/"))
            && signed.contains("x-amz-security-token");
        if !known || asked.header("x-amz-security-token") != Some(TOKEN) {
            return answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>");
        }
        let put = asked.lines[0].starts_with("PUT");
        answer("200 OK", "etag: \"x\"\r\n", if put { "" } else { "whole" })
    });
    let url = format!("s3://bucket/x?endpoint={}&path-style=true", bucket.url());
    (bucket, url)
}

#[test]
fn from_the_environment() {
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    assert_eq!(use_store(&bare(), &keys, &[]), "");
    let wrong = [keys[0], ("AWS_SECRET_ACCESS_KEY", "another-secret-key")];
    let said = use_store(&bare(), &wrong, &["another-secret-key"]);
    assert!(said.contains("SignatureDoesNotMatch") && said.contains("correct it"), "{said}");
    let at = format!("http://{}: it answered 403", server().addr());
    assert!(said.contains(&at) && said.contains("write s3://"), "{said}");
}

#[test]
fn from_a_mounted_file_of_profiles() {
    let file = server().credentials_file(ACCESS_KEY, SECRET_KEY).unwrap();
    let file = file.display().to_string();
    assert_eq!(use_store(&bare(), &[("AWS_SHARED_CREDENTIALS_FILE", &file)], &[]), "");
    assert_eq!(use_store(&format!("{}&credentials-file={file}", bare()), &[], &[]), "");
    let other = format!("{}&credentials-file={file}&profile=other", bare());
    let said = use_store(&other, &[], &[]);
    assert!(said.contains("access denied") && said.contains("credentials-file="), "{said}");
}

#[test]
fn from_a_workload_identity() {
    let sts = Server::answering(|asked| {
        let wanted = ["Action=AssumeRoleWithWebIdentity", IDENTITY, "role%2Fctlstore"];
        if !wanted.iter().all(|part| asked.body.contains(part)) {
            let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
            return answer("403 Forbidden", "content-type: text/xml\r\n", denied);
        }
        let body = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        answer("200 OK", "content-type: text/xml\r\n", &body)
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, IDENTITY).unwrap();
    let (sts_url, file) = (sts.url(), file.display().to_string());
    let environment = |role| {
        [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.as_str()),
            ("AWS_ROLE_ARN", role),
            ("AWS_ENDPOINT_URL_STS", sts_url.as_str()),
        ]
    };
    let own = environment("arn:aws:iam::1:role/ctlstore");
    let (_bucket, place) = bucket_of_the_session();
    assert_eq!(use_store(&place, &own, &[TOKEN, IDENTITY]), "");
    assert_eq!(sts.asked().len(), 1, "once, and not for each request");
    let other = environment("arn:aws:iam::1:role/other");
    let said = use_store(&place, &other, &[TOKEN, IDENTITY]);
    assert!(said.contains("access denied") && said.contains("workload identity"), "{said}");
}

#[test]
fn from_the_agent_of_the_pods_node() {
    let agent = Server::answering(|asked| {
        if asked.header("authorization") != Some(IDENTITY) {
            return answer("403 Forbidden", "", "");
        }
        let body = format!(
            r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"{TOKEN}","Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        answer("200 OK", "content-type: application/json\r\n", &body)
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, IDENTITY).unwrap();
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*format!("{}/v1/credentials", agent.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &*file.display().to_string()),
    ];
    let (_bucket, place) = bucket_of_the_session();
    assert_eq!(use_store(&place, &environment, &[TOKEN, IDENTITY]), "");
    assert_eq!(agent.asked(), ["GET /v1/credentials HTTP/1.1"]);
}

#[test]
fn from_nowhere_or_from_elsewhere() {
    let session = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_SESSION_TOKEN", TOKEN),
    ];
    let said = use_store(&bare(), &session, &[TOKEN]);
    assert!(said.contains("session token is none of this store's"), "{said}");
    let said = use_store(&bare(), &[], &[]);
    assert!(said.contains("access denied") && said.contains("AWS_ACCESS_KEY_ID"), "{said}");
    let bucket = server().create_bucket().unwrap();
    let said = use_store(&format!("s3://{bucket}/x"), &[], &[]);
    assert!(said.contains("?region=eu-west-1"), "{said}");
}
