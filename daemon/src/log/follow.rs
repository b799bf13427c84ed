//! A file that holds the filter, read again while the process runs: finer logs without a restart, which would end what
//! one wants to look at.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::log::{Chain, LogError, parse};

/// Between two looks. The kubelet takes a minute to bring a changed ConfigMap, and a look is cheap.
const PAUSE: Duration = Duration::from_secs(1);

/// The file, and what it said last.
#[derive(Debug)]
pub(super) struct FilterFile {
    path: PathBuf,
    usual: String,
    /// The filter in force.
    filter: String,
    /// What was complained about last; told once.
    complaint: Option<String>,
}

impl FilterFile {
    pub(super) fn new(path: &Path, usual: &str) -> Self {
        let (path, usual, filter) = (path.to_owned(), usual.to_owned(), usual.to_owned());
        Self { path, usual, filter, complaint: None }
    }

    /// Follows the file for as long as the process lives. It is a thread of its own: when the tasks hang, finer logs are
    /// what one wants.
    pub(super) fn follow(mut self, set: impl Fn(EnvFilter) + Send + 'static) {
        let run = move || loop {
            self.look(&set);
            std::thread::sleep(PAUSE);
        };
        let name = "log-filter".to_owned();
        if let Err(error) = std::thread::Builder::new().name(name).spawn(run) {
            tracing::warn!(%error, "cannot follow the file of the log filter");
        }
    }

    /// Reads the file, and sets the filter if it is another.
    fn look(&mut self, set: &impl Fn(EnvFilter)) {
        let wanted = match self.read() {
            Ok(wanted) => wanted,
            Err(complaint) => {
                if self.complaint.as_ref() != Some(&complaint) {
                    let (file, filter) = (self.path.display(), &self.filter);
                    tracing::warn!(error = complaint, %file, %filter, "the log filter stays as it is");
                    self.complaint = Some(complaint);
                }
                return;
            }
        };
        self.complaint = None;
        if wanted == self.filter {
            return;
        }
        // Checked when it was read. Told under both filters: one of them may let nothing through.
        let Ok(parsed) = parse(&wanted) else { return };
        let file = self.path.display();
        tracing::info!(%file, filter = wanted, "the log filter changes");
        set(parsed);
        tracing::info!(%file, filter = wanted, before = self.filter, "the log filter has changed");
        self.filter = wanted;
    }

    /// The filter that the file asks for. Without a file, or with an empty one, the usual.
    fn read(&self) -> Result<String, String> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read the file: {error}")),
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(self.usual.clone());
        }
        match parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error @ LogError::Filter { .. }) => Err(Chain(&error).to_string()),
            Err(other) => Err(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;

    use super::*;

    #[test]
    fn a_change_is_followed_and_nonsense_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filter");
        let mut file = FilterFile::new(&path, "info");
        let sets = RefCell::new(Vec::new());
        let set = |filter: EnvFilter| sets.borrow_mut().push(filter.to_string());
        let mut look = || {
            file.look(&set);
            (file.filter.clone(), file.complaint.is_some())
        };
        assert_eq!(look(), ("info".to_owned(), false));
        fs::write(&path, "warn,agent=debug\n").unwrap();
        assert_eq!(look(), ("warn,agent=debug".to_owned(), false));
        assert_eq!(look(), ("warn,agent=debug".to_owned(), false));
        fs::write(&path, "agent=loud").unwrap();
        assert_eq!(look(), ("warn,agent=debug".to_owned(), true));
        fs::write(&path, " \n").unwrap();
        assert_eq!(look(), ("info".to_owned(), false));
        fs::write(&path, "error").unwrap();
        assert_eq!(look(), ("error".to_owned(), false));
        fs::remove_file(&path).unwrap();
        assert_eq!(look(), ("info".to_owned(), false));
        fs::create_dir(&path).unwrap();
        assert_eq!(look(), ("info".to_owned(), true));
        assert_eq!(sets.borrow().len(), 4, "{sets:?}");
    }
}
