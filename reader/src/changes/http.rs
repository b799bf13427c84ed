//! Follows `/v1/watch` of an agent: a client of HTTP/1.1 as small as that one stream needs, with nothing but the standard
//! library, for applications pay for what this crate links. When the connection ends it comes again and goes on.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ledger::Seq;
use serde::Deserialize;

use crate::changes::line::Line;
use crate::changes::place::{Connection, PATIENCE, Place};
use crate::changes::sse::{Body, Events, Sent};
use crate::changes::{ChangesError, Event, Filter, Resume, Told};

/// The agent says every 10 s that it is there.
const SILENCE: Duration = Duration::from_secs(35);
/// Between two attempts, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Of an event.
const LARGEST: usize = 16 << 20;
/// Of the head of an answer, and of what a refusal says.
const LONGEST: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct WatchSource {
    place: Place,
    query: String,
    token: Option<String>,
    /// Up to here everything was told.
    after: Option<Resume>,
    watch: Option<Watch>,
    pause: Duration,
    /// The next attempt is not made before this.
    next_try: Instant,
}

/// A stream that is open.
#[derive(Debug)]
struct Watch {
    connection: Connection,
    body: Body,
    events: Events,
    heard: Instant,
    /// What came with the head of the answer.
    early: Vec<u8>,
}

#[derive(Debug, Default, Deserialize)]
struct Stand {
    seq: Option<Seq>,
    oldest: Option<Seq>,
    epoch: Option<Arc<str>>,
}

impl WatchSource {
    pub(crate) fn open(
        place: Place,
        after: Option<Resume>,
        filter: &Filter,
        token: Option<String>,
    ) -> Result<Self, ChangesError> {
        let mut query = "/v1/watch?changes=true".to_owned();
        if let Some(family) = &filter.family {
            query += &format!("&family={family}");
        }
        if let Some(table) = &filter.table {
            query += &format!("&table={table}");
        }
        let (watch, pause) = (None, PAUSES.0);
        let next_try = Instant::now();
        let mut source = Self { place, query, token, after, watch, pause, next_try };
        source.watch = Some(source.connect()?);
        Ok(source)
    }

    /// What is there, waited for at most so long. May bring nothing.
    pub(crate) fn poll(
        &mut self,
        out: &mut VecDeque<Told>,
        time: Duration,
    ) -> Result<(), ChangesError> {
        let Some(watch) = &mut self.watch else { return self.again(time) };
        let mut bytes = std::mem::take(&mut watch.early);
        if bytes.is_empty() {
            bytes.resize(CHUNK, 0);
            match watch.connection.read(&mut bytes, time) {
                Ok(length) if length > 0 => bytes.truncate(length),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if watch.heard.elapsed() > SILENCE {
                        self.watch = None;
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
                // The agent ended: it comes again.
                Ok(_) | Err(_) => {
                    self.watch = None;
                    return Ok(());
                }
            }
        }
        watch.heard = Instant::now();
        let mut body = Vec::new();
        let goes_on = watch.body.feed(&bytes, &mut body);
        let sent = watch.events.feed(&body);
        // No agent sends an event that long.
        if !goes_on || watch.events.waiting() > LARGEST {
            self.watch = None;
        }
        sent.into_iter().try_for_each(|sent| self.take(&sent, out))
    }

    fn take(&mut self, sent: &Sent, out: &mut VecDeque<Told>) -> Result<(), ChangesError> {
        let stand = || serde_json::from_slice::<Stand>(&sent.data).unwrap_or_default();
        match sent.name.as_str() {
            "seq" => {
                let Stand { seq: Some(seq), epoch, .. } = stand() else { return Ok(()) };
                self.moved(Event::Position(seq), epoch.or_else(|| self.epoch()), out);
            }
            "change" => match Line::parse(&sent.data) {
                Some(Line::Change(change)) => {
                    self.moved(Event::Change(change), self.epoch(), out);
                }
                // Of a later version: what it would have told is not known.
                _ => {
                    let from = self.after.as_ref().map(Resume::seq);
                    out.push_back(Event::Reload { from }.into());
                }
            },
            "fell_behind" => {
                let Stand { oldest, epoch, .. } = stand();
                self.moved(Event::Reload { from: oldest }, epoch, out);
            }
            "mode" => {
                self.watch = None;
                return Err(ChangesError::SequencesOnly);
            }
            _ => {}
        }
        Ok(())
    }

    fn epoch(&self) -> Option<Arc<str>> {
        self.after.as_ref()?.epoch.clone()
    }

    /// Tells an event, and remembers from where to go on after it.
    fn moved(&mut self, event: Event, epoch: Option<Arc<str>>, out: &mut VecDeque<Told>) {
        if self.epoch() != epoch {
            out.push_back(Told::Epoch(epoch.clone()));
        }
        if let Some(seq) = event.seq() {
            self.after = Some(Resume { seq, epoch });
        }
        out.push_back(event.into());
    }

    /// Connects again, after a pause that grows: not sooner when it is asked more often.
    fn again(&mut self, time: Duration) -> Result<(), ChangesError> {
        let wait = self.next_try.saturating_duration_since(Instant::now());
        thread::sleep(wait.min(time));
        if wait > time {
            return Ok(());
        }
        let connected = self.connect();
        self.next_try = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
        match connected {
            Ok(watch) => {
                (self.watch, self.pause) = (Some(watch), PAUSES.0);
                Ok(())
            }
            Err(ChangesError::Refused { status, message }) if status < 500 && status != 429 => {
                Err(ChangesError::Refused { status, message })
            }
            Err(_) => Ok(()),
        }
    }

    fn connect(&self) -> Result<Watch, ChangesError> {
        let failed = |source| ChangesError::Connect { place: self.place.to_string(), source };
        let mut connection = self.place.connect().map_err(failed)?;
        let mut request = format!("GET {}", self.query);
        if let Some(Resume { seq, epoch }) = &self.after {
            request += &format!("&after={seq}");
            // With a sequence alone the agent takes the caller's word.
            if let Some(epoch) = epoch {
                request += &format!("&epoch={epoch}");
            }
        }
        request +=
            &format!(" HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n", self.place.host());
        // One that could end the line is not passed on, and refused.
        if let Some(token) = self.token.as_ref().filter(|token| !token.contains(['\r', '\n'])) {
            request += &format!("authorization: Bearer {token}\r\n");
        }
        request += "connection: close\r\n\r\n";
        connection.write(request.as_bytes()).map_err(failed)?;
        let (head, early) = head(&mut connection).map_err(failed)?;
        let Some(status) = status(&head) else {
            return Err(failed(io::Error::other("it does not speak HTTP")));
        };
        let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
        let body = Body::new(chunked);
        if status == 200 {
            let heard = Instant::now();
            return Ok(Watch { connection, body, events: Events::default(), heard, early });
        }
        Err(ChangesError::Refused { status, message: refusal(connection, body, &early) })
    }
}

/// Read at once.
const CHUNK: usize = 16 << 10;

/// The head of an answer, and what came with it.
fn head(connection: &mut Connection) -> io::Result<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let (mut bytes, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    loop {
        if let Some(end) = bytes.windows(END.len()).position(|window| window == END) {
            let early = bytes.split_off(end + END.len());
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), early));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > LONGEST {
            return Err(ErrorKind::TimedOut.into());
        }
        let mut chunk = [0; 4096];
        match connection.read(&mut chunk, left)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}

fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// What the agent says, on one line.
fn refusal(mut connection: Connection, mut body: Body, early: &[u8]) -> String {
    let mut text = Vec::new();
    let mut goes_on = body.feed(early, &mut text);
    let deadline = Instant::now() + PATIENCE;
    let mut chunk = [0; 4096];
    while goes_on && text.len() < LONGEST {
        let left = deadline.saturating_duration_since(Instant::now());
        match connection.read(&mut chunk, left) {
            Ok(length) if length > 0 && !left.is_zero() => {
                goes_on = body.feed(&chunk[..length], &mut text);
            }
            Ok(_) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
