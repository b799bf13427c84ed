//! Asks an agent on this node through its control socket.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::control::{Line, REBUILD, SOCKET};

/// Why an agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens, or we may not ask.
    #[error(
        "no agent can be asked through {socket}: is one running on this directory, and are you the user that it runs as?",
        socket = socket.display()
    )]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the agent ended before it had an answer")]
    Broken {
        /// Why.
        source: io::Error,
    },
}

/// Asks for another LDB, shows what the agent says meanwhile; its last word. Blocks for as long as it takes.
///
/// # Errors
/// No agent can be asked, or it ended meanwhile. That it could not be done is an answer.
pub fn rebuild(ldb_dir: &Path, mut each: impl FnMut(&Line)) -> Result<Line, ControlError> {
    let socket = ldb_dir.join(SOCKET);
    let connected = UnixStream::connect(&socket);
    let mut stream = connected.map_err(|source| ControlError::Connect { socket, source })?;
    let broken = |source| ControlError::Broken { source };
    stream.write_all(format!("{REBUILD}\n").as_bytes()).map_err(broken)?;
    for line in BufReader::new(stream).lines() {
        let line: Line = serde_json::from_str(&line.map_err(broken)?)
            .map_err(|error| broken(io::Error::other(error)))?;
        each(&line);
        if line.ok.is_some() {
            return Ok(line);
        }
    }
    Err(broken(io::ErrorKind::UnexpectedEof.into()))
}
