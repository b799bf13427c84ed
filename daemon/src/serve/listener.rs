//! Where connections come from: a TCP port or a Unix socket.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Bound already, and listening.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A file.
    Unix(UnixListener),
}

/// One that came.
pub(super) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(stream, addr)| Stream::Tcp(stream, addr))
            }
            Listener::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| Stream::Unix(stream))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Listener::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Listener::Unix(listener)
    }
}

impl Stream {
    /// Of the other end.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(_, addr) => Some(*addr),
            Stream::Unix(_) => None,
        }
    }
}
