//! A disk of one directory that can be made slow or full while an agent writes to it: a small file system for the one, and for the
//! other a library that the dynamic linker puts between the agent and the system, as a slow device would stand there. The
//! product knows nothing of either.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Writes and syncs of files whose names hold `ldb.db` take as many milliseconds longer as the file in TRUTH_SLOW says.
const SLOW: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
static void wait_if_slow(int fd) {
    char link[64], name[4096], text[32] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return;
    name[length] = 0;
    const char *file = getenv("TRUTH_SLOW");
    if (!strstr(name, "ldb.db") || !file) return;
    FILE *slow = fopen(file, "r");
    if (!slow) return;
    if (!fgets(text, sizeof text, slow)) text[0] = 0;
    fclose(slow);
    long millis = atol(text);
    struct timespec pause = { millis / 1000, (millis % 1000) * 1000000 };
    if (millis > 0) nanosleep(&pause, NULL);
}
#define BETWEEN(name, type, given, passed) \
    type name given { \
        static type (*real) given; \
        if (!real) real = (type (*) given)dlsym(RTLD_NEXT, #name); \
        wait_if_slow(fd); \
        return real passed; \
    }
BETWEEN(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
BETWEEN(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
BETWEEN(fsync, int, (int fd), (fd))
BETWEEN(fdatasync, int, (int fd), (fd))
"#;

/// A library between the agent and its disk.
pub(crate) struct SlowDisk {
    home: TempDir,
}

impl SlowDisk {
    /// Builds it; the compiler is the one that builds SQLite.
    pub(crate) fn new() -> Result<Self> {
        let home = TempDir::with_prefix("ctlstore-slow-").context("make a folder")?;
        let disk = Self { home };
        let source = disk.home.path().join("slow.c");
        fs::write(&source, SLOW).context("write the library's source")?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(disk.library()).arg(&source).arg("-ldl");
        let built = cc.status().context("run cc")?;
        ensure!(built.success(), "cc does not build the library");
        disk.millis(0)?;
        Ok(disk)
    }

    /// From now on every write takes so much longer.
    pub(crate) fn millis(&self, millis: u32) -> Result<()> {
        let next = self.home.path().join("next");
        fs::write(&next, millis.to_string()).context("write the delay")?;
        fs::rename(next, self.file()).context("set the delay")
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.home.path().join("slow.so")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.home.path().join("millis")
    }
}

/// A small file system in memory; unmounted on drop.
pub(crate) struct SmallDisk {
    home: TempDir,
}

impl SmallDisk {
    pub(crate) fn new(mebibytes: u32) -> Result<Self> {
        let home = TempDir::with_prefix("ctlstore-small-").context("make a folder")?;
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(home.path()).status();
        ensure!(done.context("run mount")?.success(), "cannot mount: run these tests as root");
        Ok(Self { home })
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// Fills it up.
    pub(crate) fn fill(&self) -> Result<()> {
        let block = vec![0_u8; 64 << 10];
        let mut file =
            fs::File::create(self.home.path().join("filler")).context("fill the disk")?;
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        Ok(())
    }

    pub(crate) fn make_room(&self) -> Result<()> {
        fs::remove_file(self.home.path().join("filler")).context("make room")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has files open there ends a moment later.
        let _ = Command::new("umount").arg("-l").arg(self.home.path()).status();
    }
}
