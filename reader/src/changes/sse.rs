//! Server-sent events out of the body of an HTTP answer, which may come in chunks. Pure: bytes in, events out.

/// An event of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
}

/// Takes the chunks of a body apart (RFC 9112, 7.1), or passes on one that has none.
#[derive(Debug)]
pub(crate) enum Body {
    Plain,
    /// A line with the size of the next chunk, as far as it came.
    Size(Vec<u8>),
    /// So many bytes are missing of this chunk and its end.
    Chunk {
        left: usize,
    },
    Over,
}

/// The end of a line behind a chunk.
const END: usize = 2;

impl Body {
    pub(crate) fn new(chunked: bool) -> Self {
        if chunked { Body::Size(Vec::new()) } else { Body::Plain }
    }

    /// False when it is over, or is none.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> bool {
        while !bytes.is_empty() {
            match self {
                Body::Plain => {
                    out.extend_from_slice(bytes);
                    return true;
                }
                Body::Size(line) => {
                    let (byte, rest) = (bytes[0], &bytes[1..]);
                    bytes = rest;
                    if byte != b'\n' {
                        line.push(byte);
                        continue;
                    }
                    *self = match size(line) {
                        Some(0) | None => Body::Over,
                        Some(size) => Body::Chunk { left: size + END },
                    };
                }
                Body::Chunk { left } => {
                    let taken = bytes.len().min(*left);
                    let data = taken.min(left.saturating_sub(END));
                    out.extend_from_slice(&bytes[..data]);
                    bytes = &bytes[taken..];
                    *left -= taken;
                    if *left == 0 {
                        *self = Body::Size(Vec::new());
                    }
                }
                Body::Over => return false,
            }
        }
        !matches!(self, Body::Over)
    }
}

fn size(line: &[u8]) -> Option<usize> {
    let text = str::from_utf8(line).ok()?;
    let digits = text.split(';').next()?.trim();
    usize::from_str_radix(digits, 16).ok().filter(|size| *size < 1 << 30)
}

/// Takes lines together to events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    rest: Vec<u8>,
    event: Sent,
}

impl Events {
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Sent> {
        self.rest.extend_from_slice(bytes);
        let mut sent = Vec::new();
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return sent };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        for line in lines[..end].split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                sent.extend(Some(event).filter(|event| !event.data.is_empty()));
            } else {
                self.line(line);
            }
        }
        sent
    }

    /// Bytes of an event that is not whole yet.
    pub(crate) fn waiting(&self) -> usize {
        self.rest.len() + self.event.data.len()
    }

    fn line(&mut self, line: &[u8]) {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            // The id is in the data as well; comments keep the connection alive.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": hello\n\nevent: seq\nid: 7\ndata: {\"seq\":7}\n\nevent: change\r\ndata:a\ndata: b\n\ndata";

    fn want() -> Vec<Sent> {
        let sent = |name: &str, data: &[u8]| Sent { name: name.to_owned(), data: data.to_vec() };
        vec![sent("seq", b"{\"seq\":7}"), sent("change", b"a\nb")]
    }

    #[test]
    fn events_come_out_wherever_the_bytes_are_cut() {
        for cut in 0..STREAM.len() {
            let mut events = Events::default();
            let mut sent = events.feed(&STREAM[..cut]);
            sent.extend(events.feed(&STREAM[cut..]));
            assert_eq!(sent, want(), "cut at {cut}");
        }
    }

    #[test]
    fn chunks_are_joined_wherever_the_bytes_are_cut() {
        let mut text = Vec::new();
        for chunk in STREAM.chunks(11) {
            text.extend_from_slice(format!("{:x};ext=1\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        for cut in 0..text.len() {
            let (mut body, mut out) = (Body::new(true), Vec::new());
            assert!(body.feed(&text[..cut], &mut out) && body.feed(&text[cut..], &mut out));
            assert_eq!(out, STREAM, "cut at {cut}");
        }
        let (mut body, mut out) = (Body::new(true), Vec::new());
        assert!(!body.feed(b"1\r\na\r\n0\r\n\r\n", &mut out));
        assert_eq!(out, b"a");
        assert!(!Body::new(true).feed(b"zz\r\n", &mut Vec::new()));
    }
}
