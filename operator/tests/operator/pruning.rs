//! The ledger is pruned as far as snapshots and nodes allow, and not at all while it is unclear what they need.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use ctldb::{Author, CtlDb, Fence};
use ledger::snapshot::{
    FORMAT, Manifest, Method, Object, PIECE_BYTES, Part, PartDigest, Scope, SnapshotFile,
};
use ledger::{Chain, CtlDbUrl, Digest, LeaderTs, Mark, Position, Seq};
use operator::{Config, PruneError, Pruning};
use store::{Condition, Location, Store};
use tempfile::TempDir;
use testkit::eventually;

use crate::embedded::Folder;
use crate::world::SOON;

/// A ctldb of so many entries, and a place for snapshots.
struct Site {
    ctldb: CtlDb,
    store: Arc<dyn Store>,
    dir: TempDir,
}

/// What may be wrong with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    NoPart,
    OtherEntry,
}

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

async fn beat(ctldb: &CtlDb, count: usize) -> Result<()> {
    for _ in 0..count {
        ctldb.heartbeat(&Author::system("test"), Fence::Open).await?;
    }
    Ok(())
}

async fn put(store: &Arc<dyn Store>, ctldb: &CtlDb, at: u64, flaw: Flaw) -> Result<Manifest> {
    let history = ctldb.meta().await?.history;
    let entry = ctldb.entries(seq(at).before(), 1).await?.remove(0);
    let digest = match flaw {
        Flaw::OtherEntry => Digest::from_bytes([7; 32]),
        Flaw::None | Flaw::NoPart => entry.digest(),
    };
    let piece = at.to_le_bytes();
    let part = Part { digest: PartDigest::of(&piece), bytes: 8, stored_bytes: 8 };
    if flaw != Flaw::NoPart {
        let key = Object::Part(part.digest).key(history);
        store.put(&key, piece.to_vec(), Condition::Always).await?;
    }
    let manifest = Manifest {
        format: FORMAT,
        min_compatible: FORMAT,
        least_reader: 1,
        position: Position { history, seq: seq(at), digest, chain: Chain::GENESIS },
        taken_at: LeaderTs::UNKNOWN,
        method: Method::Copy,
        files: vec![SnapshotFile::new(Scope::All, PIECE_BYTES, vec![part])],
        tables: Vec::new(),
        signature: None,
    };
    store.put(&manifest.key(), manifest.to_json(), Condition::Always).await?;
    Ok(manifest)
}

async fn point(store: &Arc<dyn Store>, to: &Manifest) -> Result<()> {
    let key = Object::Pointer.key(to.position.history);
    Ok(store.put(&key, to.to_json(), Condition::Always).await?)
}

impl Site {
    async fn new() -> Result<Self> {
        let dir = TempDir::new()?;
        let ctldb = CtlDb::open(CtlDbUrl::Sqlite(dir.path().join("ctldb.db")))?;
        ctldb.migrate().await?;
        beat(&ctldb, 20).await?;
        let snapshots = dir.path().join("snapshots");
        std::fs::create_dir(&snapshots)?;
        let store = store::open(&Location::File(snapshots));
        Ok(Self { ctldb, store, dir })
    }

    async fn snapshot(&self, at: u64, flaw: Flaw) -> Result<Manifest> {
        put(&self.store, &self.ctldb, at, flaw).await
    }

    fn pruning(&self) -> Pruning {
        let snapshots = Some(Arc::clone(&self.store));
        Pruning { keep: Duration::ZERO, snapshots, nodes: Some(Vec::new()) }
    }

    /// How far pruning may go, and what keeps the rest.
    async fn plan(&self) -> Result<(u64, String), PruneError> {
        let plan = self.pruning().plan(&self.ctldb).await?;
        Ok((plan.verdict.through.get(), plan.verdict.bounds[0].because.clone()))
    }

    async fn check(&self, through: u64, because: &str) -> Result<()> {
        let (found, why) = self.plan().await?;
        assert!(found == through && why.contains(because), "{found}: {why}");
        Ok(())
    }
}

#[tokio::test]
async fn only_snapshots_that_a_node_can_begin_from_count() -> Result<()> {
    let site = Site::new().await?;
    site.check(0, "there is no verified snapshot of this history").await?;
    // Until the pointer moves, nobody has read it back.
    let newest = site.snapshot(15, Flaw::None).await?;
    site.check(0, "no verified snapshot").await?;
    point(&site.store, &newest).await?;
    site.check(0, "only one verified snapshot of this history, at 15").await?;
    site.snapshot(12, Flaw::NoPart).await?;
    site.snapshot(11, Flaw::OtherEntry).await?;
    site.snapshot(18, Flaw::None).await?;
    site.check(0, "only one verified snapshot").await?;
    site.snapshot(9, Flaw::None).await?;
    site.snapshot(5, Flaw::None).await?;
    site.check(9, "second newest verified snapshot ends at 9").await?;

    let plan = site.pruning().plan(&site.ctldb).await?;
    assert_eq!((plan.prunable.through, plan.prunable.entries), (seq(9), 9));
    let done = site.ctldb.prune(plan.verdict.through, &plan.meta, Fence::Open).await?;
    assert_eq!(done.entries, 9);
    // The second newest is where the ledger begins now, and still counts.
    site.check(9, "ends at 9").await?;
    let node = site.ctldb.entries(seq(13), 1).await?.remove(0);
    let history = plan.meta.history;
    let node = Mark { history, seq: node.seq, digest: node.digest() };
    let newest = site.snapshot(19, Flaw::None).await?;
    point(&site.store, &newest).await?;
    site.check(18, "ends at 18").await?;
    let plan = Pruning { nodes: Some(vec![node]), ..site.pruning() }.plan(&site.ctldb).await?;
    assert_eq!(plan.verdict.through, seq(14));
    let plan = Pruning { keep: Duration::from_secs(3600), ..site.pruning() };
    assert_eq!(plan.plan(&site.ctldb).await?.verdict.through, seq(9), "all are young");
    Ok(())
}

#[tokio::test]
async fn nothing_is_pruned_while_it_is_unclear_what_is_needed() -> Result<()> {
    let site = Site::new().await?;
    let older = site.snapshot(9, Flaw::None).await?;
    // The pointer leads to an entry that the ledger does not have: ctldb was restored.
    let ahead = site.snapshot(15, Flaw::OtherEntry).await?;
    point(&site.store, &ahead).await?;
    let error = site.plan().await.unwrap_err();
    assert!(matches!(error, PruneError::Ahead { seq } if seq.get() == 15), "{error}");
    assert!(error.to_string().contains("new-history"), "{error}");
    let key = Object::Pointer.key(older.position.history);
    for (text, want) in [(&b"{"[..], "damaged"), (br#"{"min_compatible": 99}"#, "future format")] {
        site.store.put(&key, text.to_vec(), Condition::Always).await?;
        let error = site.plan().await.unwrap_err();
        let PruneError::Pointer(source) = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(want), "{source}");
    }
    std::fs::remove_dir_all(site.dir.path().join("snapshots"))?;
    let error = site.plan().await.unwrap_err();
    assert!(matches!(error, PruneError::Store(_)), "{error:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_prunes_by_itself_where_it_was_told_to() -> Result<()> {
    let snapshots = TempDir::new()?;
    let place = Location::File(snapshots.path().to_owned());
    let prune = operator::Prune {
        keep: Duration::from_millis(1),
        snapshots: place.clone(),
        every: Duration::from_millis(200),
    };
    let folder = Folder::start(&[], |config| Config { prune: Some(prune), ..config })?;
    let ctldb = folder.ctldb();
    eventually(SOON, async || Ok(beat(&ctldb, 1).await?)).await?;
    beat(&ctldb, 20).await?;
    let store = store::open(&place);
    for at in [8, 14] {
        point(&store, &put(&store, &ctldb, at, Flaw::None).await?).await?;
    }
    let pruned = async |through: u64| {
        eventually(SOON, async || {
            let (low, first) = (ctldb.meta().await?.pruned_through, ctldb.entries(Seq::ZERO, 1));
            let first = first.await?.remove(0).seq;
            ensure!((low, first) == (seq(through), seq(through + 1)), "{low} {first}");
            Ok(())
        })
        .await
    };
    pruned(8).await?;
    point(&store, &put(&store, &ctldb, 20, Flaw::None).await?).await?;
    pruned(14).await?;
    ctldb.verify().await?;
    folder.stop().await
}
