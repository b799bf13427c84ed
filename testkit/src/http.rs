//! A small HTTP client for tests: one request, one connection, no more than HTTP/1.1 asks for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// No server of ours takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(40);

/// What to ask.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'a str,
    /// The path, with its query.
    pub path: &'a str,
    /// More headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request<'_> {
    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// Nobody answers, or what comes is no HTTP.
    pub fn send(self, to: SocketAddr) -> Result<Answer> {
        let Self { method, path, headers, body } = self;
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)
            .with_context(|| format!("connect to {to}"))?;
        stream.set_read_timeout(Some(PATIENCE)).context("bound the wait")?;
        stream.set_write_timeout(Some(PATIENCE)).context("bound the wait")?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).context("send the request")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("read the answer")?;
        parse(&answer).with_context(|| format!("the answer of {to} to {method} {path}"))
    }
}

impl Answer {
    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same answer if its status is 200.
    ///
    /// # Errors
    /// Another status; it is in the error, with the body.
    pub fn ok(self) -> Result<Self> {
        match self.status {
            200 => Ok(self),
            other => bail!("{other}: {}", self.text().trim_end()),
        }
    }
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("it has no head")?;
    let head = std::str::from_utf8(&answer[..end]).context("its head is no text")?;
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).context("it has no status")?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    if headers.iter().any(|(name, _)| name == "transfer-encoding") {
        bail!("it comes in pieces, which this client cannot put together");
    }
    let status = status.parse().context("its status is no number")?;
    Ok(Answer { status, headers, body: answer[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.1 404 Not Found\r\nX-One: two \r\n\r\nno\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.header("x-one")), (404, Some("two")));
        assert_eq!(answer.text(), "no\r\n\r\n");
        assert!(answer.ok().unwrap_err().to_string().starts_with("404: no"));
        assert!(parse(b"nonsense").is_err());
    }
}
