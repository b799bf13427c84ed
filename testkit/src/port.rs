//! Picks ports for servers.

use std::net::{Ipv4Addr, TcpListener};

/// Below Linux' range for outgoing connections, so that no client takes a server's port while it restarts.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port on 127.0.0.1 that nobody listens on now. Someone else may be faster: a server that finds it taken tries another.
#[must_use]
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(RANGE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
