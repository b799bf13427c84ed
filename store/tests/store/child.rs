//! A process of its own, with an environment of its own, that uses a store and tells how it went.

use std::process::Command;

use store::Condition;
use testkit::s3::{ACCESS_KEY, SECRET_KEY};

use crate::stores::{key, open};
use crate::unreliable::chain;

const URL: &str = "CTLSTORE_TEST_CHILD_URL";

/// Writes and reads an object with this environment and nothing else. Returns the error with its causes, or nothing. What
/// it says and logs, at the finest level, is searched for secrets.
pub(crate) fn use_store(url: &str, environment: &[(&str, &str)], secrets: &[&str]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child::the_child", "--ignored", "--nocapture"]).env_clear();
    // Whatever else there is on this machine, a cloud's instance service is not asked.
    child.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent").env(URL, url);
    let ended = child.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, logged) = (text(&ended.stdout), text(&ended.stderr));
    assert!(logged.contains("a line that shows that the log works"), "{said}\n{logged}");
    for secret in [&[SECRET_KEY][..], secrets].concat() {
        assert!(!said.contains(secret) && !logged.contains(secret), "{secret}: {said}\n{logged}");
    }
    let outcome = said.split_once("<<<").and_then(|(_, rest)| rest.split_once(">>>"));
    outcome.unwrap_or_else(|| panic!("{said}\n{logged}")).0.to_owned()
}

#[expect(clippy::disallowed_methods, reason = "how the test told this process what to do")]
#[tokio::test]
#[ignore = "run by other tests in a process of its own"]
async fn the_child() {
    let Ok(url) = std::env::var(URL) else { return };
    daemon::log::init(daemon::log::Format::Plain, "trace", None).unwrap();
    tracing::info!("a line that shows that the log works");
    let store = open(&url);
    let outcome = async {
        store.put(&key("a"), b"whole".to_vec(), Condition::Always).await?;
        let found = store.get(&key("a"), 10).await?;
        assert_eq!(found.bytes, b"whole");
        Ok(())
    };
    let outcome: Result<(), store::StoreError> = outcome.await;
    // Debug too: it must not show more than the text.
    println!("{store:?} {} {outcome:?} {ACCESS_KEY}", store.place());
    println!("<<<{}>>>", outcome.err().map(|error| chain(&error)).unwrap_or_default());
}
