//! `ctlstore dev`: from start to stop, and over a kill.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reader::Ldb;
use testkit::eventually;
use testkit::program::Program;

use crate::running::{Folder, batch, plan};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn rows_go_from_http_to_the_file_and_are_found_again_after_a_restart() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    let seq = dev.write(&batch()).unwrap().to_string();

    let waited = folder.read(&["wait", "--seq", &seq, "--timeout", "30s"]).await;
    assert_eq!((waited.code(), waited.stdout.trim()), (Some(0), seq.as_str()), "{waited:?}");
    let want = &batch()["mutations"][1]["values"];
    assert_eq!(folder.get("plans", &["team"]).await, *want);
    let quotas = folder.read(&["scan", "billing", "quotas", "acme"]).await;
    assert_eq!(
        quotas.stdout,
        "tenant  resource             plan_id  amount            etag\n\
         acme    requests_per_second  team     200               0x000102\n\
         acme    storage_bytes        team     9007199254740993  0x000103\n"
    );

    dev.program.signal(Signal::SIGINT).unwrap();
    assert_eq!(dev.program.end(SOON).await.unwrap().code(), Some(0));
    // The file stays, and nobody is needed to read it.
    assert_eq!(folder.get("plans", &["team"]).await, *want);

    let dev = folder.start().await;
    // The writer and its secret are known, and the ledger goes on.
    let next = dev.write(&plan("solo", 1)).unwrap();
    assert!(next > seq.parse().unwrap(), "{next} after {seq}");
    let waited = folder.read(&["wait", "--seq", &next.to_string()]).await;
    assert_eq!(waited.code(), Some(0), "{waited:?}");
    assert_eq!(folder.get("plans", &["solo"]).await["seats"], 1);
    assert_eq!(folder.get("plans", &["team"]).await, *want);
}

#[tokio::test]
async fn a_signal_ends_it_within_two_seconds_whoever_is_connected() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let folder = Folder::new();
        let mut dev = folder.start().await;
        let _idle = [dev.executive, dev.read].map(|addr| TcpStream::connect(addr).unwrap());
        let start = Instant::now();
        dev.program.signal(signal).unwrap();
        let ended = dev.program.end(SOON).await.unwrap();
        let took = start.elapsed();
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert!(took < Duration::from_secs(2), "{signal} took {took:?}");
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let folder = Folder::new();
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        let dev = folder.start().await;
        dev.register();
        let (sent, received) = mpsc::channel();
        let enough = AtomicBool::new(false);
        let first = acknowledged.len();
        let dev = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in first.. {
                    let Ok(seq) = dev.write(&plan(&format!("k{number}"), 0)) else { break };
                    sent.send((number, seq)).unwrap();
                    if number > first + 30 {
                        enough.store(true, Ordering::Relaxed);
                    }
                }
            });
            while !enough.load(Ordering::Relaxed) && !writer.is_finished() {
                std::thread::yield_now();
            }
            // In the middle of a write, more often than not.
            dev.program.signal(Signal::SIGKILL).unwrap();
            writer.join().unwrap();
            &dev
        });
        assert!(dev.program.stdout().contains("write API"));
        acknowledged.extend(received.try_iter());
        assert!(acknowledged.len() > first + 30);
    }
    let _dev = folder.start().await;
    let (_, last) = *acknowledged.last().unwrap();
    let ldb = Ldb::open(folder.ldb()).unwrap();
    let arrived = eventually(SOON, async || {
        anyhow::ensure!(ldb.seq()?.get() >= last, "the LDB is at {}", ldb.seq()?);
        Ok(())
    });
    arrived.await.unwrap();
    let billing = ldb.family("billing").unwrap();
    for (number, _) in acknowledged {
        let id = format!("k{number}");
        assert!(billing.row("plans", &[id.as_str().into()]).unwrap().is_some(), "{id}");
    }
    let url = folder.url_file();
    let args = ["ledger", "verify", "--ctldb-url-file", url.to_str().unwrap()];
    let verified = Program::run(&args).await.unwrap();
    assert_eq!(verified.code(), Some(0), "{verified:?}");
}

#[tokio::test]
async fn a_folder_has_one_master_and_a_port_one_listener() {
    let folder = Folder::new();
    let dev = folder.start().await;
    let second = Program::run(&folder.dev_args()).await.unwrap();
    assert_eq!(second.code(), Some(1), "{second:?}");
    let holder = format!("another agent (process {}) has the LDB directory", dev.program.pid());
    assert!(second.stderr.contains(&holder), "{second:?}");
    assert!(second.stderr.contains("choose another directory"), "{second:?}");

    for (taken, flag) in [(dev.executive, "--executive-bind"), (dev.read, "--read-bind")] {
        let other = Folder::new();
        let mut args = other.dev_args();
        let place = args.iter().position(|arg| arg == flag).unwrap() + 1;
        args[place] = taken.to_string();
        let refused = Program::run(&args).await.unwrap();
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        let want = format!("cannot listen on {taken}, another process has the port");
        assert!(refused.stderr.contains(&want), "{refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    }
    // The first one did not notice.
    dev.register();
    dev.write(&batch()).unwrap();
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new();
    std::fs::remove_dir_all(folder.manifests()).unwrap();
    let refused = Program::run(&folder.dev_args()).await.unwrap();
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let want = format!("ctlstore: no file or folder {}", folder.manifests().display());
    assert!(refused.stderr.starts_with(&want), "{refused:?}");
    assert!(!folder.data().exists(), "nothing is made for nothing");
}

#[tokio::test]
async fn it_beats_and_the_beats_come_to_the_file() {
    let folder = Folder::new();
    let mut args = folder.dev_args();
    *args.last_mut().unwrap() = "100ms".to_owned();
    let _dev = Program::ctlstore(&args).unwrap();
    eventually(SOON, async || {
        let ldb = Ldb::open(folder.ldb())?;
        let row = ldb.family("ctlstore")?.row("heartbeats", &["heartbeat".into()])?;
        anyhow::ensure!(row.is_some(), "no beat");
        Ok(())
    })
    .await
    .unwrap();
}
