//! Disks without room: no snapshot is taken, or none arrives; it is said, and ends when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::ledger_file::upsert;
use crate::supervisor::{Site, catalog, newest};
use crate::upload::check_store;
use crate::uploader::Uploader;

/// A disk of its own.
struct Disk(TempDir);

impl Disk {
    fn new(mebibytes: u32) -> Self {
        let disk = Self(TempDir::new().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(disk.path());
        assert!(mount.status().unwrap().success(), "tests mount a small disk, as root");
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes what is free, but for so much.
    fn fill(&self, left: u64) -> PathBuf {
        let stat = nix::sys::statvfs::statvfs(self.path()).unwrap();
        let free = stat.blocks_available() * stat.fragment_size();
        let path = self.path().join("filler");
        std::fs::write(&path, vec![1; usize::try_from(free - left).unwrap()]).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_room_takes_no_snapshot_and_says_so() {
    let (disk, place) = (Disk::new(160), TempDir::new().unwrap());
    let url = format!("file://{}", place.path().display());
    let mut site = Site::new(&url);
    site.plan.ldb_dir = disk.path().join("ldb");
    let agent = Uploader::start(&site.plan);
    agent.publishes(1).await;
    // Room for the LDB, and for a copy; none for the WAL that grows meanwhile.
    let filler = disk.fill(32 << 20);
    site.ledger.append(&[upsert("a", 1)]);
    let message = agent.ends("skipped").await;
    assert!(message.contains("bytes free") && message.contains("make space"), "{message}");
    assert_eq!(newest(&catalog(&url)).await.position.seq.get(), 1);
    assert!(!site.plan.ldb_dir.join(".snapshot").exists());
    std::fs::remove_file(filler).unwrap();
    agent.publishes(2).await;
    check_store(&catalog(&url)).await;
}

/// The store's folder is full: what the pointer names stays whole, and nothing of the attempts is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_room_keeps_what_it_has() {
    let disk = Disk::new(8);
    let url = format!("file://{}", disk.path().display());
    let mut site = Site::new(&url);
    let agent = Uploader::start(&site.plan);
    agent.publishes(1).await;
    let filler = disk.fill(0);
    site.ledger.append(&[upsert("a", 1)]);
    let message = agent.ends("failed").await;
    assert!(message.contains("No space left on device"), "{message}");
    assert_eq!(newest(&catalog(&url)).await.position.seq.get(), 1);
    check_store(&catalog(&url)).await;
    std::fs::remove_file(filler).unwrap();
    agent.publishes(2).await;
    check_store(&catalog(&url)).await;
    assert_eq!(std::fs::read_dir(disk.path().join(".work")).unwrap().count(), 0);
}
