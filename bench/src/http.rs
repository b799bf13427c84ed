//! One-row reads over HTTP, beside a raw hyper server that says "hello": on a port and through a Unix socket, by the same
//! client. The agent serves on both, a sidecar beside it on a port of its own.

mod client;
mod hello;

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::http::client::{At, Load, Request, drive};
use crate::http::hello::Hello;
use crate::ldb::node::{FAMILY, Node, TABLE, key};
use crate::process::Sidecar;
use crate::runner::{self, Budget, Contender, Scenario};

pub(crate) use hello::serve as hello_child;

const HELLO_TCP: &str = "raw hyper hello, TCP";
const ROW_TCP: &str = "one row, TCP";
const ROW_SIDECAR: &str = "one row, a sidecar's TCP";
const ORIGINAL_TCP: &str = "one row, the original's route";
const KEYS_TCP: &str = "20 rows by key, TCP";
const HELLO_SOCKET: &str = "raw hyper hello, socket";
const ROW_SOCKET: &str = "one row, socket";

/// Clients at once, each with a connection that it keeps.
const CLIENTS: [(&str, usize); 2] = [("http 1", 1), ("http 16", 16)];

/// Runs the scenario; true when its budgets were kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let folder = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    }?;
    let node = Node::start(folder.path())?;
    let sidecar = Sidecar::start(node.dir())?;
    let hello = Hello::start(&folder.path().join("hello.sock"))?;
    let agent = At::Tcp(node.addr()?);
    let socket = At::Socket(node.dir().join("agent.sock"));
    let runtime = Runtime::new()?;
    let keys: Vec<_> = (0..20).map(|number| [key(number * 7)]).collect();
    let row = |number| Request::get(&format!("/v1/row/{FAMILY}/{TABLE}/{}", key(number)));
    let original = serde_json::json!({"key": [{"value": key(7)}]}).to_string();
    let asked = [
        (HELLO_TCP, At::Tcp(hello.addr()), Request::get("/hello")),
        (ROW_TCP, agent.clone(), row(7)),
        (ROW_SIDECAR, At::Tcp(sidecar.addr()), row(7)),
        (
            ORIGINAL_TCP,
            agent.clone(),
            Request::post(&format!("/get-row-by-key/{FAMILY}/{TABLE}"), original),
        ),
        (
            KEYS_TCP,
            agent,
            Request::post(
                &format!("/v1/rows/{FAMILY}/{TABLE}"),
                serde_json::json!({ "keys": keys }).to_string(),
            ),
        ),
        (HELLO_SOCKET, At::Socket(hello.socket().to_owned()), Request::get("/hello")),
        (ROW_SOCKET, socket, row(7)),
    ];
    let mut kept = true;
    for (name, clients) in CLIENTS {
        kept &= scenario(name, clients, &runtime, &asked, (args.rounds, out, json))?;
    }
    Ok(kept)
}

fn scenario(
    name: &'static str,
    clients: usize,
    runtime: &Runtime,
    asked: &[(&'static str, At, Request)],
    (rounds, out, json): (usize, &mut dyn Write, &mut dyn Write),
) -> Result<bool> {
    let latencies = Mutex::new(Vec::new());
    let contenders = asked.iter().map(|(name, at, request)| {
        let latencies = &latencies;
        let run = move || {
            let Load { per_second, p50, p99 } = runtime
                .block_on(drive(at, request, clients))
                .with_context(|| format!("ask for {name}"))?;
            let mut latencies = latencies.lock().expect("BUG: no contender panicked");
            latencies.push((*name, p50, p99));
            Ok(per_second)
        };
        Contender { name, run: Box::new(run) }
    });
    let budgets = vec![
        Budget::AtLeast { times: 0.4, first: ROW_TCP, second: HELLO_TCP },
        Budget::AtLeast { times: 0.4, first: ROW_SIDECAR, second: HELLO_TCP },
        Budget::AtLeast { times: 0.4, first: ROW_SOCKET, second: HELLO_SOCKET },
    ];
    let contenders = contenders.collect();
    let mut scenario = Scenario { name, unit: "requests/s", contenders, budgets };
    let kept = runner::run(&mut scenario, rounds, out, json)?;
    drop(scenario);
    let latencies = latencies.into_inner().expect("BUG: no contender panicked");
    for (contender, _, _) in asked {
        let of = latencies.iter().filter(|(name, ..)| name == contender);
        let (p50, p99): (Vec<_>, Vec<_>) = of.map(|(_, p50, p99)| (*p50, *p99)).unzip();
        let middle = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        writeln!(out, "{name:<14} {contender:<34} p50 {:?}, p99 {:?}", middle(p50), middle(p99))?;
    }
    Ok(kept)
}
