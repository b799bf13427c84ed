//! Small servers of one test: one that gives answers of the test's own, and an HTTP proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request: its head, line by line, and its body.
pub(crate) struct Asked {
    pub(crate) lines: Vec<String>,
    pub(crate) body: String,
}

/// Listens until it is dropped, and keeps the first lines of requests.
pub(crate) struct Server {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Answers with what `answer` returns, one request a connection.
    pub(crate) fn answering(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |asked, _, client| {
            // Whoever went away does not want it.
            drop((&mut &*client).write_all(answer(&asked).as_bytes()));
        })
    }

    /// A proxy for requests in the clear, and for tunnels.
    pub(crate) fn proxy() -> Self {
        Self::start(|asked, reader, client| {
            let mut words = asked.lines[0].split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            let authority = target.strip_prefix("http://").unwrap_or(target);
            let (host, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
            let Ok(upstream) = TcpStream::connect(host) else { return };
            if method == "CONNECT" {
                let (mut to, mut from) =
                    (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                (&mut &*client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let back = thread::spawn(move || drop(std::io::copy(&mut &upstream, &mut from)));
                drop(std::io::copy(reader, &mut to));
                drop(to.shutdown(Shutdown::Both));
                return drop(back.join());
            }
            let rest = asked.lines[1..].join("\r\n");
            let head = format!("{method} {path} HTTP/1.1\r\n{rest}\r\nconnection: close\r\n\r\n");
            (&mut &upstream).write_all(&[head.as_bytes(), asked.body.as_bytes()].concat()).unwrap();
            drop(std::io::copy(&mut &upstream, &mut &*client));
        })
    }

    fn start(
        serve: impl Fn(Asked, &mut BufReader<&TcpStream>, &TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (log, over, serve) = (Arc::clone(&asked), Arc::clone(&stop), Arc::new(serve));
        thread::spawn(move || {
            for client in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let (client, log, serve) = (client.unwrap(), Arc::clone(&log), Arc::clone(&serve));
                thread::spawn(move || {
                    let mut reader = BufReader::new(&client);
                    let Some(asked) = read(&mut reader) else { return };
                    log.lock().unwrap().push(asked.lines[0].clone());
                    serve(asked, &mut reader, &client);
                    drop(client.shutdown(Shutdown::Both));
                });
            }
        });
        Self { addr, asked, stop }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// First lines of the requests since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.addr));
    }
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.lines[1..].iter().filter_map(|line| line.split_once(':'));
        all.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut asked = Asked { lines, body: String::new() };
    let length = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}

/// An answer with this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
