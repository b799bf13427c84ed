//! Who has a generation open. SQLite holds a shared lock on one byte of `-shm` for as long as a process has the file
//! open; a question about that lock disturbs nobody.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// The byte that SQLite calls the deadman switch.
const SWITCH: i64 = 128;

/// How many other processes are attached. At least: those in other containers are seen as one, for the system names
/// no process of another namespace.
pub(crate) fn others(shm: &File) -> std::io::Result<u64> {
    if !is_any(shm)? {
        return Ok(0);
    }
    let listed = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    Ok(count(&listed, shm.metadata()?.ino()).max(1))
}

/// Locks of this process never answer, whichever of its handles asks.
fn is_any(shm: &File) -> std::io::Result<bool> {
    let narrow =
        |value: i32| libc::c_short::try_from(value).expect("BUG: the system's own constant");
    let mut lock = libc::flock {
        l_type: narrow(libc::F_WRLCK),
        l_whence: narrow(libc::SEEK_SET),
        l_start: SWITCH,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(shm, FcntlArg::F_GETLK(&mut lock))?;
    Ok(lock.l_type != narrow(libc::F_UNLCK))
}

/// Lines like `7: POSIX  ADVISORY  READ 4711 fe:01:131 128 128`.
fn count(listed: &str, inode: u64) -> u64 {
    let own = std::process::id().to_string();
    let is_other = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "POSIX", _, "READ", pid, file, start, end] = words.as_slice() else { return false };
        let same = file.rsplit(':').next() == Some(inode.to_string().as_str());
        // Neighbouring locks of a process are listed as one.
        let from: i64 = start.parse().unwrap_or(i64::MAX);
        let to: i64 = end.parse().unwrap_or(i64::MAX);
        same && from <= SWITCH && SWITCH <= to && *pid != own
    };
    u64::try_from(listed.lines().filter(is_other).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_by_their_lock_on_the_switch() {
        let listed = "\
1: POSIX  ADVISORY  READ  4711 fe:01:131 128 128
2: POSIX  ADVISORY  READ  4712 fe:01:131 127 128
2: -> POSIX  ADVISORY  WRITE 4715 fe:01:131 128 128
3: POSIX  ADVISORY  READ  4713 fe:01:132 128 128
4: POSIX  ADVISORY  READ  4714 fe:01:131 123 123
5: FLOCK  ADVISORY  WRITE 4714 fe:01:131 0 EOF
6: OFDLCK ADVISORY  READ  -1 fe:01:131 128 128";
        assert_eq!(count(listed, 131), 2);
        let own = format!("1: POSIX  ADVISORY  READ {} fe:01:131 128 128", std::process::id());
        assert_eq!(count(&own, 131), 0);
    }
}
