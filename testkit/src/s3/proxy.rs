//! An HTTP proxy before an S3 server that breaks what a test wants broken, request by request.
//!
//! Signatures stay good: the `host` header that was signed goes through as it came.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// A request, as far as a test decides by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `PUT` and so on.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// Does it depend on what is there?
    pub conditional: bool,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answer with this status and S3's code for it, without asking the server.
    Answer(u16, &'static str),
    /// Ask the server, then close the connection instead of answering.
    LoseAnswer,
    /// Close the connection after so many bytes of the body.
    Cut(usize),
    /// The body comes so many bytes every tenth of a second.
    Slow(usize),
    /// After so many bytes of the body nothing more comes.
    Stall(usize),
    /// One bit of the body is wrong, at this place or at its end.
    Flip(usize),
    /// The body is shorter by so many bytes, and its length says so.
    Shorten(usize),
}

type Rule = dyn Fn(&Asked) -> Option<Fault> + Send + Sync;

/// A running proxy. Dropping it closes its port.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    rule: Mutex<Arc<Rule>>,
    log: Mutex<Vec<Asked>>,
    stop: AtomicBool,
}

impl Proxy {
    /// Starts a proxy that breaks nothing.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
        let addr = listener.local_addr().context("the proxy's port")?;
        let shared = Arc::new(Shared {
            upstream,
            rule: Mutex::new(Arc::new(|_| None)),
            log: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if own.stop.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(client), own) = (client, Arc::clone(&own)) else { continue };
                // A connection that breaks is what tests are after.
                thread::spawn(move || drop(own.serve(&client)));
            }
        });
        Ok(Self { addr, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on, asks this rule about each request. It may block, to hold a request back.
    pub fn break_by(&self, rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) {
        *lock(&self.shared.rule) = Arc::new(rule);
    }

    /// Breaks nothing any more.
    pub fn heal(&self) {
        self.break_by(|_| None);
    }

    /// The requests since the last call.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut lock(&self.shared.log))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        drop(TcpStream::connect(self.addr));
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(Duration::from_secs(120)))?;
        let mut reader = BufReader::new(client);
        while let Some(head) = read_head(&mut reader)? {
            let asked = head.asked();
            lock(&self.log).push(asked.clone());
            let rule = Arc::clone(&lock(&self.rule));
            let fault = rule(&asked);
            if let Some(Fault::Answer(status, code)) = fault {
                let mut body = vec![0; head.length()];
                if head.wants_continue() {
                    // It waits for leave before it sends the body; it gets the answer instead.
                } else {
                    reader.read_exact(&mut body)?;
                }
                refuse(client, &asked.method, status, code)?;
                break;
            }
            if head.wants_continue() {
                (&mut &*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let mut body = vec![0; head.length()];
            reader.read_exact(&mut body)?;
            let answer = self.forward(&head, &body)?;
            if !deliver(client, answer, fault)? {
                break;
            }
        }
        client.shutdown(Shutdown::Both)
    }

    fn forward(&self, head: &Head, body: &[u8]) -> io::Result<Answer> {
        let upstream = TcpStream::connect(self.upstream)?;
        (&mut &upstream).write_all(&head.bytes_without_expect())?;
        (&mut &upstream).write_all(body)?;
        let mut reader = BufReader::new(&upstream);
        let mut answer = read_head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        while answer.lines[0].contains(" 100 ") {
            answer = read_head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        let empty = head.lines[0].starts_with("HEAD ") || answer.lines[0].contains(" 204");
        let mut content = vec![0; if empty { 0 } else { answer.length() }];
        reader.read_exact(&mut content)?;
        Ok(Answer { head: answer, content })
    }
}

struct Answer {
    head: Head,
    content: Vec<u8>,
}

/// Hands an answer on; true when the connection can be used again.
fn deliver(client: &TcpStream, answer: Answer, fault: Option<Fault>) -> io::Result<bool> {
    let Answer { mut head, mut content } = answer;
    let mut out = client;
    let mut whole = true;
    match fault {
        Some(Fault::LoseAnswer) => return Ok(false),
        Some(Fault::Flip(place)) if !content.is_empty() => {
            let place = place.min(content.len() - 1);
            content[place] ^= 1;
        }
        Some(Fault::Shorten(bytes)) => {
            content.truncate(content.len().saturating_sub(bytes));
            head.set_length(content.len());
        }
        Some(Fault::Cut(bytes) | Fault::Stall(bytes)) => {
            whole = bytes >= content.len();
            content.truncate(bytes);
        }
        Some(Fault::Slow(bytes)) => {
            out.write_all(&head.bytes())?;
            for chunk in content.chunks(bytes.max(1)) {
                out.write_all(chunk)?;
                thread::sleep(Duration::from_millis(100));
            }
            return Ok(true);
        }
        Some(Fault::Flip(_) | Fault::Answer(..)) | None => {}
    }
    out.write_all(&head.bytes())?;
    out.write_all(&content)?;
    if !whole && matches!(fault, Some(Fault::Stall(_))) {
        // Until the client gives up and closes.
        drop(io::copy(&mut &*client, &mut io::sink()));
    }
    Ok(whole)
}

fn refuse(client: &TcpStream, method: &str, status: u16, code: &str) -> io::Result<()> {
    let xml = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>"
    );
    let body = if method == "HEAD" { "" } else { &xml };
    let head = format!(
        "HTTP/1.1 {status} Injected\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        xml.len()
    );
    (&mut &*client).write_all(format!("{head}{body}").as_bytes())
}

/// First line and headers.
struct Head {
    lines: Vec<String>,
}

fn read_head(reader: &mut impl io::BufRead) -> io::Result<Option<Head>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => return Ok(Some(Head { lines })),
            text => lines.push(text.to_owned()),
        }
    }
}

impl Head {
    fn asked(&self) -> Asked {
        let mut words = self.lines[0].split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        Asked {
            method: word(),
            path: word(),
            conditional: self.header("if-match").or(self.header("if-none-match")).is_some(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.lines.iter().skip(1).filter_map(|line| line.split_once(':'));
        all.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn length(&self) -> usize {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn set_length(&mut self, length: usize) {
        self.lines.retain(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
        self.lines.push(format!("content-length: {length}"));
    }

    fn wants_continue(&self) -> bool {
        self.header("expect").is_some()
    }

    fn bytes(&self) -> Vec<u8> {
        format!("{}\r\n\r\n", self.lines.join("\r\n")).into_bytes()
    }

    /// The proxy answered that itself.
    fn bytes_without_expect(&self) -> Vec<u8> {
        let kept =
            self.lines.iter().filter(|line| !line.to_ascii_lowercase().starts_with("expect:"));
        let lines: Vec<_> = kept.map(String::as_str).collect();
        format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A test that panicked in its rule fails by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
