//! Who holds locks on the served file, out of the kernel's list. SQLite locks single bytes of `-shm`; to ask for a lock
//! there would need a handle, and closing that in a process which reads the LDB would be a disaster.

/// The first byte that SQLite locks: the writer's.
const WRITER: u64 = 120;
/// Those of the marks up to which a reader has read.
const MARKS: std::ops::RangeInclusive<u64> = 123..=127;
/// Held by every process that has the file open.
const ATTACHED: u64 = 128;

/// Processes, by what they hold. Those of other containers may be missing: the kernel lists what this one may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Locks {
    /// That of the directory.
    pub(crate) agent: Option<u32>,
    /// Those who have the file open.
    pub(crate) attached: Vec<u32>,
    /// Those in the middle of a read.
    pub(crate) reading: Vec<u32>,
    pub(crate) writing: Vec<u32>,
}

impl Locks {
    /// Lines like `7: POSIX  ADVISORY  READ 4711 fe:01:131 128 128` and `1: FLOCK  ADVISORY  WRITE 4711 fe:01:99 0 EOF`.
    pub(crate) fn parse(listed: &str, shm: Option<u64>, lock: Option<u64>) -> Self {
        let mut locks = Self::default();
        for line in listed.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, kind, _, _, pid, file, start, end] = words.as_slice() else { continue };
            let inode = file.rsplit(':').next().and_then(|inode| inode.parse::<u64>().ok());
            let Ok(pid) = pid.parse::<u32>() else { continue };
            if *kind == "FLOCK" && inode.is_some() && inode == lock {
                locks.agent = Some(pid);
            }
            if *kind != "POSIX" || inode.is_none() || inode != shm {
                continue;
            }
            let from: u64 = start.parse().unwrap_or(u64::MAX);
            let to: u64 = end.parse().unwrap_or(u64::MAX);
            let holds = |byte: u64| from <= byte && byte <= to;
            note(&mut locks.attached, pid, holds(ATTACHED));
            note(&mut locks.reading, pid, MARKS.clone().any(holds));
            note(&mut locks.writing, pid, holds(WRITER));
        }
        locks
    }
}

fn note(pids: &mut Vec<u32>, pid: u32, holds: bool) {
    if holds && !pids.contains(&pid) {
        pids.push(pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_known_by_the_bytes_that_they_lock() {
        let listed = "\
1: FLOCK  ADVISORY  WRITE 100 fe:01:7 0 EOF
2: POSIX  ADVISORY  READ  100 fe:01:131 128 128
3: POSIX  ADVISORY  WRITE 100 fe:01:131 120 121
4: POSIX  ADVISORY  READ  200 fe:01:131 127 128
4: -> POSIX  ADVISORY  WRITE 300 fe:01:131 120 120
5: POSIX  ADVISORY  READ  400 fe:01:132 128 128
6: OFDLCK ADVISORY  READ  -1 fe:01:131 128 128
7: POSIX  ADVISORY  WRITE 500 fe:01:131 0 EOF";
        let want = Locks {
            agent: Some(100),
            attached: vec![100, 200, 500],
            reading: vec![200, 500],
            writing: vec![100, 500],
        };
        assert_eq!(Locks::parse(listed, Some(131), Some(7)), want);
        assert_eq!(Locks::parse(listed, None, None), Locks::default());
    }
}
