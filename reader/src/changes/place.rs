//! Where an agent listens, and the connection to it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// To get an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where an agent listens.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Socket(PathBuf),
    /// `HOST:PORT`
    Tcp(String),
}

impl Place {
    /// Of `http://HOST:PORT`, with nothing behind it.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let place = url.strip_prefix("http://")?;
        let place = place.strip_suffix('/').unwrap_or(place);
        let clean = place.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte));
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "80"));
        let good = clean && !host.is_empty() && port.parse::<u16>().is_ok();
        good.then(|| Place::Tcp(format!("{host}:{port}")))
    }

    pub(crate) fn connect(&self) -> io::Result<Connection> {
        match self {
            Place::Socket(path) => UnixStream::connect(path).map(Connection::Unix),
            Place::Tcp(place) => {
                let mut refused = io::Error::from(ErrorKind::NotFound);
                for addr in place.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&addr, PATIENCE) {
                        Ok(stream) => return Ok(Connection::Tcp(stream)),
                        Err(error) => refused = error,
                    }
                }
                Err(refused)
            }
        }
    }

    pub(crate) fn host(&self) -> &str {
        match self {
            Place::Socket(_) => "agent",
            Place::Tcp(place) => place,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Socket(path) => write!(out, "{}", path.display()),
            Place::Tcp(place) => write!(out, "http://{place}"),
        }
    }
}

/// To an agent.
#[derive(Debug)]
pub(crate) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Connection {
    pub(crate) fn read(&mut self, into: &mut [u8], time: Duration) -> io::Result<usize> {
        // Zero would mean for ever.
        let time = Some(time.max(Duration::from_millis(1)));
        match self {
            Connection::Unix(stream) => {
                stream.set_read_timeout(time)?;
                stream.read(into)
            }
            Connection::Tcp(stream) => {
                stream.set_read_timeout(time)?;
                stream.read(into)
            }
        }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Connection::Unix(stream) => {
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.write_all(text)
            }
            Connection::Tcp(stream) => {
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.write_all(text)
            }
        }
    }
}
