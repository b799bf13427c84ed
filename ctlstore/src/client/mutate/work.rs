//! Sends the lines of an input in batches, and decides what to do about each answer.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use ledger::Seq;
use serde::Serialize;

use crate::args::Mutate;
use crate::client::answer;
use crate::client::error::Error;
use crate::client::http::{Answer, Ask, Http};
use crate::client::mutate::cookie::{self, Place};
use crate::client::mutate::lines::{Change, Line, Lines, LinesError};
use crate::client::mutate::waiting::Waiting;
use crate::client::progress::Progress;

/// Below the 1 MiB that an executive takes, with room for what is around the lines.
const BYTES_MAX: u64 = 900 << 10;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) rows: usize,
    pub(super) batches: u64,
    /// The last ledger entry, where the executive says it.
    pub(super) seq: Option<Seq>,
    /// Columns that no table has.
    pub(super) ignored: BTreeSet<String>,
}

/// One run.
pub(super) struct Work<'a> {
    args: &'a Mutate,
    http: Http,
    progress: Progress,
    reason: Option<HeaderValue>,
    done: Done,
}

/// A batch as the executive takes it.
#[derive(Debug, Serialize)]
struct Order<'a> {
    cookie: String,
    check_cookie: String,
    mutations: Vec<&'a Change>,
}

/// What a refusal means for the lines that were sent.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// So many of them are written all the same.
    Written(usize),
    /// It may pass.
    Wait,
    /// Fewer of them may go through.
    Fewer(usize),
    /// It will not pass.
    GiveUp,
}

impl<'a> Work<'a> {
    pub(super) fn new(args: &'a Mutate, http: Http, progress: Progress) -> Result<Self> {
        let reason = args.reason.as_deref().map(HeaderValue::from_str).transpose();
        let reason = reason.context("--reason has characters that no HTTP header can carry")?;
        Ok(Self { args, http, progress, reason, done: Done::default() })
    }

    /// These bytes were written before.
    pub(super) fn pass(&mut self, bytes: u64) {
        self.progress.skip(bytes);
    }

    /// The writer's cookie.
    pub(super) async fn cookie(&mut self) -> Result<Vec<u8>> {
        let mut waiting = Waiting::new(self.args.patience);
        loop {
            let error = match self.http.send(Ask::get(&["cookie"])).await {
                Ok(answer) => return Ok(answer.body.to_vec()),
                Err(error) => error,
            };
            let Some(pause) = error.passes_after() else {
                let who = &self.args.credentials.writer;
                let unknown = error.is(StatusCode::NOT_FOUND);
                let cure = "register it with ctlstore writer register, or correct its secret";
                return match unknown {
                    true => Err(error).context(format!("writer {who:?}: {cure}")),
                    false => Err(error.into()),
                };
            };
            waiting.pause(pause, error.into(), &mut self.progress).await?;
        }
    }

    /// Writes all lines that are left. `cookie` is the one that is stored, `last` the place that it tells.
    pub(super) async fn run(
        mut self,
        (mut cookie, mut last): (Vec<u8>, Option<Place>),
        lines: &mut Lines,
    ) -> Result<Done> {
        let (mut hand, mut bad) = (Vec::new(), None);
        loop {
            if bad.is_none() {
                bad = self.fill(&mut hand, lines).err();
            }
            if changes(&hand) == 0 {
                break;
            }
            let written = self.write(&hand, &mut cookie, lines.name()).await?;
            let rest = hand.split_off(written);
            self.progress.advance(hand.iter().map(|line| line.bytes).sum(), self.done.rows);
            last = hand.pop().map(|line| line.place);
            hand = rest;
        }
        self.progress.end();
        if let Some(bad) = bad {
            return Err(bad.into());
        }
        // The next input of this writer is another one, and not this one gone wrong.
        let end = hand.pop().map(|line| line.place).or(last);
        let end = end.map(|end| cookie::render(&end, true)).filter(|end| *end != cookie);
        if let Some(end) = end {
            let ask = Ask::new(Method::POST, &["cookie"]).raw(end);
            self.http.send(ask).await.context(
                "all is written, but cannot be noted as finished: give the command again",
            )?;
        }
        Ok(self.done)
    }

    /// Takes lines until a batch is full. A line that is no change ends it: what stands before it is written first.
    fn fill(&self, hand: &mut Vec<Line>, lines: &mut Lines) -> Result<(), LinesError> {
        let bytes = |hand: &[Line]| hand.iter().map(|line| line.bytes).sum::<u64>();
        while changes(hand) < usize::from(self.args.batch) && bytes(hand) < BYTES_MAX {
            let Some(line) = lines.next()? else { break };
            hand.push(line);
        }
        Ok(())
    }

    /// Writes the first lines of `hand`, at least one; says how many.
    async fn write(&mut self, hand: &[Line], cookie: &mut Vec<u8>, name: &str) -> Result<usize> {
        let mut waiting = Waiting::new(self.args.patience);
        let mut count = hand.len();
        loop {
            let batch = &hand[..count];
            let place = &batch.last().expect("BUG: there is a line").place;
            let next = cookie::render(place, false);
            let error = match self.http.send(self.ask(batch, cookie, &next)?).await {
                Ok(answer) => {
                    self.note(batch, Some(&answer));
                    *cookie = next;
                    return Ok(count);
                }
                Err(error) => error,
            };
            let step = match is_cookie_conflict(&error) {
                true => self.after_conflict(batch, cookie).await?,
                false => step(&error, batch),
            };
            match step {
                Step::Written(written) => {
                    self.note(&batch[..written], None);
                    *cookie = cookie::render(&batch[written - 1].place, false);
                    return Ok(written);
                }
                Step::Fewer(fewer) => count = fewer,
                Step::Wait => {
                    let pause = error.passes_after().unwrap_or_default();
                    if error.is(StatusCode::TOO_MANY_REQUESTS) {
                        // A limit below the batch's size lets only less through, however long we wait.
                        count = half(batch);
                    }
                    let error = anyhow::Error::from(error).context(whose(batch, None, name));
                    waiting.pause(pause, error, &mut self.progress).await?;
                }
                Step::GiveUp => {
                    let blamed = blamed(&error, batch);
                    return Err(anyhow::Error::from(error).context(whose(batch, blamed, name)));
                }
            }
        }
    }

    fn ask(&self, batch: &[Line], cookie: &[u8], next: &[u8]) -> Result<Ask> {
        let order = Order {
            cookie: BASE64_STANDARD.encode(next),
            check_cookie: BASE64_STANDARD.encode(cookie),
            mutations: batch.iter().filter_map(|line| line.change.as_ref()).collect(),
        };
        let ask = Ask::new(Method::POST, &["families", &self.args.family, "mutations"]);
        let mut ask = ask.raw(serde_json::to_vec(&order)?);
        if self.args.strict {
            ask = ask.header("ctlstore-strict", HeaderValue::from_static("true"));
        }
        if let Some(reason) = &self.reason {
            ask = ask.header("ctlstore-reason", reason.clone());
        }
        Ok(ask)
    }

    fn note(&mut self, written: &[Line], answer: Option<&Answer>) {
        self.done.rows += changes(written);
        self.done.batches += 1;
        let Some(answer) = answer else { return };
        self.done.seq = answer::seq(&answer.headers).or(self.done.seq);
        let ignored = answer.headers.get("ctlstore-ignored").and_then(|names| names.to_str().ok());
        self.done
            .ignored
            .extend(ignored.into_iter().flat_map(|names| names.split(", ")).map(str::to_owned));
    }

    /// The cookie is not the one that we built on. An executive that does not recognise a batch that it has committed
    /// says the same, and so it is when the last request of a run that was killed came in after we had begun.
    async fn after_conflict(&mut self, batch: &[Line], cookie: &[u8]) -> Result<Step> {
        let stored = self.cookie().await?;
        if stored == cookie {
            return Ok(Step::Wait);
        }
        let reached = batch.iter().position(|line| cookie::render(&line.place, false) == stored);
        match reached {
            Some(index) => Ok(Step::Written(index + 1)),
            None => bail!(
                "another program moves the cookie of writer {:?}: end it, and begin again",
                self.args.credentials.writer
            ),
        }
    }
}

/// What to do about a refusal, other than one of the cookie.
fn step(error: &Error, batch: &[Line]) -> Step {
    if error.passes_after().is_some() {
        return Step::Wait;
    }
    match blamed(error, batch) {
        // What stands before the bad line goes first.
        Some(index) if changes(&batch[..index]) > 0 => Step::Fewer(index),
        None if error.is(StatusCode::PAYLOAD_TOO_LARGE) && changes(batch) > 1 => {
            Step::Fewer(half(batch))
        }
        Some(_) | None => Step::GiveUp,
    }
}

/// The original says it with 500.
fn is_cookie_conflict(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| {
        refusal.code.as_deref() == Some("cookie_conflict") || refusal.message == "Cookie conflict"
    })
}

/// The line that a refusal is about: it names the change, as `mutations[3]`.
fn blamed(error: &Error, batch: &[Line]) -> Option<usize> {
    let field = error.refusal()?.field.as_deref()?.strip_prefix("mutations[")?;
    let change: usize = field.split(']').next()?.parse().ok()?;
    let mut lines = batch.iter().enumerate().filter(|(_, line)| line.change.is_some());
    lines.nth(change).map(|(index, _)| index)
}

/// Which lines a failure is about.
fn whose(batch: &[Line], blamed: Option<usize>, name: &str) -> String {
    let number = |line: Option<&Line>| line.map_or(0, |line| line.place.lines);
    let first = batch.iter().find(|line| line.change.is_some());
    match (blamed, number(first), number(batch.last())) {
        (Some(index), ..) => {
            format!("line {} of {name}, before which all is written", number(batch.get(index)))
        }
        (None, first, last) if first == last => format!("line {first} of {name}"),
        (None, first, last) => format!("lines {first} to {last} of {name}"),
    }
}

fn changes(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.change.is_some()).count()
}

/// Half of the lines, with at least one change.
fn half(batch: &[Line]) -> usize {
    let first = batch.iter().position(|line| line.change.is_some()).unwrap_or_default();
    (batch.len() / 2).max(first + 1)
}

#[cfg(test)]
mod tests;
