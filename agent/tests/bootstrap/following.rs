//! Who follows changes while another file takes the place of the served one: told to reload if something was passed over.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::agent::{Agent, SOON};
use crate::begin::prune;
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;

/// `/v1/watch`, as it comes.
struct Watch {
    stream: TcpStream,
    text: String,
}

impl Watch {
    async fn open(addr: SocketAddr, after: u64) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let ask = format!("GET /v1/watch?after={after}&changes=true HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        Self { stream, text: String::new() }
    }

    /// Until these words came; all that came by then.
    async fn until(&mut self, words: &str) -> &str {
        let read = async {
            while !self.text.contains(words) {
                let mut chunk = [0; 4096];
                let count = self.stream.read(&mut chunk).await.unwrap();
                assert!(count > 0, "the stream ended: {}", self.text);
                self.text.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
            }
        };
        let came = tokio::time::timeout(SOON, read).await;
        assert!(came.is_ok(), "no {words:?} in {}", self.text);
        &self.text
    }
}

fn fill(ledger: &mut Ledger, rows: std::ops::Range<i64>) {
    for row in rows {
        ledger.append(&[upsert(&format!("row {row}"), row)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_told_to_reload_when_a_snapshot_passes_entries_over() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::folder());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    fill(&mut ledger, 0..10);
    let ldb = dir.path().join("ldb");
    let agent = Agent::start_with(place.config(&ldb, ledger.url())).await.unwrap();
    agent.reaches(ledger.head()).await;
    let stood = ledger.head();
    let mut watch = Watch::open(agent.read, stood).await;
    fill(&mut ledger, 10..11);
    watch.until(&format!("\"seq\":{}", stood + 1)).await;

    // The node sleeps while the ledger goes on, and is pruned beyond it.
    let away = ledger.path.with_extension("away");
    std::fs::rename(&ledger.path, &away).unwrap();
    agent.enters("ctldb_away").await;
    fill(&mut ledger, 11..40);
    let elsewhere = tempfile::tempdir().unwrap();
    let whole = ledger.copy(elsewhere.path());
    let newer = place.publish(whole.url(), ledger.head()).await.position.seq.get();
    prune(&ledger, newer - 2);
    std::fs::rename(&away, &ledger.path).unwrap();
    agent.reaches(newer).await;
    let told = watch.until("fell_behind").await.to_owned();
    let told = watch.until(&format!("\"oldest\":{newer}")).await.to_owned() + &told;
    assert!(told.contains("read again what you keep"), "{told}");

    // And it goes on from there.
    fill(&mut ledger, 40..41);
    watch.until("row 40").await;
    agent.stop().await;
}

/// Rows of the old file may have been wrong, which is why somebody wants another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_told_to_reload_after_a_rebuild() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::folder());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    fill(&mut ledger, 0..10);
    place.publish(ledger.url(), ledger.head()).await;
    fill(&mut ledger, 10..20);
    let ldb = dir.path().join("ldb");
    let agent = Agent::start_with(place.config(&ldb, ledger.url())).await.unwrap();
    agent.reaches(ledger.head()).await;
    agent.enters("following").await;
    let mut watch = Watch::open(agent.read, ledger.head()).await;
    let asked = agent.dir.clone();
    let ask = move || ::agent::control::client::rebuild(&asked, |_| ()).unwrap();
    let line = tokio::task::spawn_blocking(ask).await.unwrap();
    assert_eq!(line.ok, Some(true), "{line:?}");
    fill(&mut ledger, 20..21);
    watch.until("fell_behind").await;
    fill(&mut ledger, 21..22);
    watch.until("row 21").await;
    agent.stop().await;
}
