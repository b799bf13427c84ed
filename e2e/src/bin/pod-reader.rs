//! An application in a pod, which reads its node's LDB and tells what it saw, a JSON object a line:
//!
//! * `pod-reader rows DIR FAMILY TABLE` reads all rows through the crate `reader`, for ever: `{"seq": 7, "rows": 2}` after each
//!   change, `{"error": …}` for a read that failed or went back. Until its first rows it waits, as it would in an init container.
//! * `pod-reader http DIR FAMILY TABLE` does the same over HTTP on `agent.sock`; that the agent is away is no error, it says so.
//! * `pod-reader attempt DIR` tries to write in DIR in all ways: `{"uid": 10001, "create": "…", …}` with the errors.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reader::Ldb;
use serde_json::{Value, json};

/// Between two reads: it shares two cores with a whole cluster.
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["rows", dir, family, table] => watch(|| rows(Path::new(dir), family, table)),
        ["http", dir, family, table] => {
            watch(|| http(&Path::new(dir).join("agent.sock"), family, table))
        }
        ["attempt", dir] => attempt(Path::new(dir)),
        _ => bail!("usage: pod-reader rows|http DIR FAMILY TABLE, pod-reader attempt DIR"),
    }
}

/// What a read found: a position where there is one, and the number of rows. None: nobody is there to answer.
type Found = Option<(Option<u64>, usize)>;

/// A way to read.
type Read = Box<dyn FnMut() -> Result<Found>>;

/// Reads for ever, by what `open` gives again and again until it has given something once.
fn watch(open: impl Fn() -> Result<Read>) -> Result<()> {
    let mut waits = String::new();
    let mut read = loop {
        let why = match open().and_then(|mut read| Ok((read()?, read))) {
            Ok((Some(_), read)) => break read,
            Ok((None, _)) => "nobody answers".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if why != waits {
            let says = json!({"waits": why});
            writeln!(std::io::stdout(), "{says}").context("say why nothing comes")?;
            waits = why;
        }
        std::thread::sleep(PAUSE);
    };
    let (mut last_seq, mut said) = (0, Value::Null);
    loop {
        let says = match read() {
            Ok(Some((Some(seq), _))) if seq < last_seq => {
                json!({"error": format!("seq fell from {last_seq} to {seq}")})
            }
            Ok(Some((seq, rows))) => {
                last_seq = seq.unwrap_or(last_seq);
                json!({"seq": seq, "rows": rows})
            }
            Ok(None) => json!({"away": true}),
            Err(error) => json!({"error": format!("{error:#}")}),
        };
        if says != said {
            writeln!(std::io::stdout(), "{says}").context("say what was seen")?;
            said = says;
        }
        std::thread::sleep(PAUSE);
    }
}

fn rows(dir: &Path, family: &str, table: &str) -> Result<Read> {
    let ldb = Ldb::open(dir).context("open the LDB")?;
    let family = ldb.family(family).context("open the family")?;
    let table = table.to_owned();
    Ok(Box::new(move || {
        let seq = ldb.seq().context("read the position")?;
        let rows = family.all(&table).context("read the rows")?;
        Ok(Some((Some(seq.get()), rows.len())))
    }))
}

fn http(socket: &Path, family: &str, table: &str) -> Result<Read> {
    let socket = socket.to_owned();
    // In version 1.0, so that the answer comes in one piece.
    let request = format!("GET /v1/stream/{family}/{table} HTTP/1.0\r\nhost: agent\r\n\r\n");
    Ok(Box::new(move || {
        let Ok(mut stream) = UnixStream::connect(&socket) else { return Ok(None) };
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).is_err()
            || stream.read_to_end(&mut answer).is_err()
            || answer.is_empty()
        {
            return Ok(None);
        }
        let answer = String::from_utf8(answer).context("the answer is no text")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
        ensure!(head.split(' ').nth(1) == Some("200"), "{answer}");
        Ok(Some((None, body.lines().count())))
    }))
}

fn attempt(dir: &Path) -> Result<()> {
    let uid = fs::metadata("/proc/self").context("look at the own process")?.uid();
    let tried = |result: std::io::Result<()>| {
        result.err().map_or_else(|| "done".to_owned(), |error| error.kind().to_string())
    };
    let append = |name: &str| File::options().append(true).open(dir.join(name)).map(drop);
    let says = json!({
        "uid": uid,
        "create": tried(File::create(dir.join("intruder")).map(drop)),
        "write ldb.db": tried(append("current/ldb.db")),
        "write ctl": tried(append("ctl")),
        "remove ctl": tried(fs::remove_file(dir.join("ctl"))),
        "rename current": tried(fs::rename(dir.join("current"), dir.join("old"))),
    });
    writeln!(std::io::stdout(), "{says}").context("say what was tried")
}
