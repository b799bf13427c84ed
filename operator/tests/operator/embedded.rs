//! Dev mode: the same operator over a folder of manifests and a SQLite file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use ctldb::CtlDb;
use ledger::{CtlDbUrl, LdbTable, Seq};
use operator::{Config, Manifests, Notice};
use testkit::eventually;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::manifest::{family, table};
use crate::world::SOON;

pub(crate) struct Folder {
    dir: tempfile::TempDir,
    notices: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Folder {
    pub(crate) fn start(
        files: &[(&str, String)],
        change: impl FnOnce(Config) -> Config,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("manifests"))?;
        for (name, text) in files {
            std::fs::write(dir.path().join("manifests").join(name), text)?;
        }
        let notices = Arc::new(Mutex::new(Vec::new()));
        let (seen, root) = (Arc::clone(&notices), dir.path().to_owned());
        let place = format!("{}/", root.join("manifests").display());
        let manifests = Manifests {
            path: root.join("manifests"),
            notices: Arc::new(move |notice: Notice| {
                seen.lock().unwrap().push(notice.to_string().replace(&place, ""));
            }),
        };
        let config = change(Config::dev(CtlDbUrl::Sqlite(root.join("ctldb.db")), manifests));
        let stop = CancellationToken::new();
        let task = tokio::spawn(operator::run(config, stop.clone(), |_| ()));
        Ok(Self { dir, notices, stop, task })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("manifests").join(name)
    }

    pub(crate) fn ctldb(&self) -> CtlDb {
        CtlDb::open(CtlDbUrl::Sqlite(self.dir.path().join("ctldb.db"))).unwrap()
    }

    /// Waits for a notice and forgets what came until then.
    async fn says(&self, words: &str) -> Result<()> {
        eventually(SOON, async || {
            let mut notices = self.notices.lock().unwrap();
            let found = notices.iter().position(|notice| notice.contains(words));
            let found = found.with_context(|| format!("no {words:?} in {notices:#?}"))?;
            notices.drain(..=found);
            Ok(())
        })
        .await
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await??
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_followed_in_the_operators_own_words() -> Result<()> {
    let first = table("web", "plans", &["note Text"], &[]);
    let folder = Folder::start(&[("a.yaml", family("billing", &[])), ("b.yaml", first)], |c| c)?;
    folder.says("read 2 objects").await?;
    folder.says("CtlTable web/plans: Ready=True Applied: table billing___plans is in the ledger at sequence 1").await?;

    std::fs::write(
        folder.file("b.yaml"),
        table("web", "plans", &["note Text", "more Integer"], &[]),
    )?;
    folder.says("Ready=True Applied: table billing___plans is in the ledger at sequence 2").await?;
    // What the API server refuses is refused in its words; the object stays as it was.
    std::fs::write(folder.file("b.yaml"), table("web", "plans", &["note Text"], &[]))?;
    folder.says("b.yaml:2: spec.columns: a column cannot be removed, keep it or create a new table; the change is not taken").await?;
    std::fs::write(folder.file("b.yaml"), table("web", "plans", &["n Text"], &[]))?;
    folder.says("spec.columns[1].name: Invalid value: \"boolean\": must be of type string; YAML reads n as false, quote it: \"n\"").await?;
    // A file with a mistake takes nothing away, a file that goes does.
    folder.ctldb().table(&LdbTable::parse("billing___plans")?).await?.context("the table")?;
    std::fs::remove_file(folder.file("b.yaml"))?;
    folder.says("CtlTable web/plans: gone").await?;
    assert_eq!(folder.ctldb().entries(Seq::ZERO, 100).await?.len(), 2);
    folder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_takes_two_keys_here_too() -> Result<()> {
    let delete = "deletionPolicy: Delete";
    let files =
        [("a.yaml", family("billing", &[])), ("b.yaml", table("web", "plans", &[], &[delete]))];
    let folder = Folder::start(&files, |config| config)?;
    folder.says("plans: Ready=True").await?;
    std::fs::remove_file(folder.file("b.yaml"))?;
    folder.says("Ready=False DestructiveChangeBlocked").await?;
    folder.stop().await?;

    let folder = Folder::start(&files, |config| Config { allow_drop: true, ..config })?;
    folder.says("plans: Ready=True").await?;
    std::fs::remove_file(folder.file("b.yaml"))?;
    folder.says("CtlTable web/plans: gone").await?;
    let tables = folder.ctldb().tables(None).await?;
    ensure!(tables.is_empty(), "{tables:?}");
    // It may come again.
    std::fs::write(folder.file("b.yaml"), &files[1].1)?;
    folder.says("is in the ledger at sequence 3").await?;
    folder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_the_tables_by_the_registry() -> Result<()> {
    let files = |columns: &[&str]| {
        [("a.yaml", family("billing", &[])), ("b.yaml", table("web", "plans", columns, &[]))]
    };
    let folder = Folder::start(&files(&["note Text"]), |config| config)?;
    folder.says("plans: Ready=True").await?;
    folder.stop.cancel();
    let Folder { dir, task, .. } = folder;
    task.await??;
    let database = dir.path().join("ctldb.db");
    let again = Folder::start(&files(&["note Binary"]), |config| Config {
        ctldb: CtlDbUrl::Sqlite(database),
        ..config
    })?;
    again.says("Ready=False SchemaConflict: table billing___plans is there already: column \"note\" is Text and cannot become Binary").await?;
    again.stop().await
}
