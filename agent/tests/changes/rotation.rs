//! Rotation, falling behind, and the async consumer.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::agent::args::{ChangelogFormat, ChangesArgs};
use ::ledger::{Seq, Value};
use reader::changes::{Event, Follow};

use crate::agent::{Agent, SOON, config};
use crate::follower::{Follower, Way};
use crate::ledger::{Ledger, TABLE, upsert};

const SIZE: u64 = 1 << 10;

pub(crate) fn v2(path: &Path, files: u32) -> ChangesArgs {
    ChangesArgs {
        changelog_path: Some(path.to_owned()),
        changelog_size: SIZE,
        changelog_format: ChangelogFormat::V2,
        changelog_files: files,
    }
}

struct Setup {
    dir: tempfile::TempDir,
    ledger: Ledger,
    files: u32,
}

impl Setup {
    fn new(files: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(dir.path());
        ledger.append(&[TABLE]);
        Self { dir, ledger, files }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("elsewhere.log")
    }

    async fn start(&self) -> Agent {
        let mut config = config(&self.dir.path().join("ldb"), self.ledger.url());
        config.changes = v2(&self.log(), self.files);
        let agent = Agent::start_with(config).await.unwrap();
        agent.reaches(self.ledger.head()).await;
        agent
    }

    async fn write(&mut self, agent: &Agent, rows: std::ops::Range<u32>) {
        for row in rows {
            self.ledger.append(&[upsert(&format!("row {row}"), row.into())]);
        }
        agent.reaches(self.ledger.head()).await;
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_log = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("elsewhere.log") && !name.ends_with(".pending")
        };
        paths.filter(is_log).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_bounded_in_size_and_number_and_all_may_read_them() {
    let mut setup = Setup::new(3);
    let agent = setup.start().await;
    let mut keeps_up = Follower::new(&agent.dir, Way::File(setup.log()));
    for part in 0..10 {
        setup.write(&agent, part * 4..part * 4 + 4).await;
        keeps_up.follow(Duration::from_millis(50));
    }
    keeps_up.catches_up(setup.ledger.head());
    assert_eq!((keeps_up.told, keeps_up.reloads), (40, 0));
    let files = setup.files();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let metadata = std::fs::metadata(&file).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644, "{file:?}");
        assert!(metadata.len() <= SIZE, "{file:?} has {}", metadata.len());
        let first = std::fs::read_to_string(&file).unwrap();
        assert!(first.lines().next().unwrap().contains("\"op\":\"start\""), "{first}");
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fell_behind_is_told_to_reload_and_goes_on() {
    let mut setup = Setup::new(2);
    let agent = setup.start().await;
    let mut away = Follower::new(&agent.dir, Way::File(setup.log()));
    setup.write(&agent, 0..3).await;
    away.follow(Duration::from_millis(100));
    assert_eq!((away.told, away.reloads), (3, 0));
    // Its file goes while it has it open, and those after it.
    setup.write(&agent, 10..60).await;
    away.catches_up(setup.ledger.head());
    assert_eq!(away.reloads, 1);
    away.pause();
    setup.write(&agent, 100..103).await;
    // Not away for long: it goes on where it was.
    away.catches_up(setup.ledger.head());
    assert_eq!(away.reloads, 1);
    // Who never followed and asks for the beginning.
    let mut changes = Follow::file(setup.log()).after(Seq::ZERO).open().unwrap();
    assert!(matches!(changes.next_within(SOON).unwrap(), Some(Event::Reload { from: Some(_) })));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_are_seamless_and_another_start_of_the_ldb_means_reload() {
    let mut setup = Setup::new(4);
    let agent = setup.start().await;
    let mut follower = Follower::new(&agent.dir, Way::File(setup.log()));
    for part in 0..3 {
        setup.write(&agent, part..part + 1).await;
    }
    agent.stop().await;
    setup.ledger.append(&crate::ledger::frame([upsert("in a frame", 1)]));
    let agent = setup.start().await;
    follower.catches_up(setup.ledger.head());
    agent.stop().await;
    let agent = setup.start().await;
    setup.write(&agent, 20..22).await;
    follower.catches_up(setup.ledger.head());
    assert_eq!((follower.told, follower.reloads), (6, 0));
    agent.stop().await;
    // Entries that are applied while no log is written.
    setup.ledger.append(&[upsert("unseen", 1)]);
    let plain = config(&setup.dir.path().join("ldb"), setup.ledger.url());
    let agent = Agent::start_with(plain).await.unwrap();
    agent.reaches(setup.ledger.head()).await;
    agent.stop().await;
    let agent = setup.start().await;
    follower.catches_up(setup.ledger.head());
    assert_eq!(follower.reloads, 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn async_programs_follow_on_their_own_runtime() {
    let mut setup = Setup::new(4);
    let agent = setup.start().await;
    let after = agent.seq();
    let file = Follow::file(setup.log()).after(after).open().unwrap();
    let socket = agent.ldb().follow().after(after).family("FAM").table("tbl").open().unwrap();
    let other = agent.ldb().follow().after(after).family("other").open().unwrap();
    let mut streams = [file.into_stream().unwrap(), socket.into_stream().unwrap()];
    let mut other = other.into_stream().unwrap();
    setup.write(&agent, 0..30).await;
    for stream in &mut streams {
        let mut rows = Vec::new();
        while rows.len() < 30 {
            if let Event::Change(change) = stream.next().await.unwrap() {
                rows.push(change.key_values());
            }
        }
        let want = |row| vec![Value::Text(format!("row {row}"))];
        assert_eq!(rows, (0..30).map(want).collect::<Vec<_>>());
    }
    loop {
        match other.next().await.unwrap() {
            Event::Position(seq) if seq.get() == setup.ledger.head() => break,
            Event::Position(_) => {}
            event => panic!("of another family: {event:?}"),
        }
    }
    agent.stop().await;
}
