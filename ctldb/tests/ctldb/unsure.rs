//! A connection that breaks during the commit: nothing is lost and nothing is written twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use anyhow::{Context, Result};
use ctldb::CtlDb;
use ledger::CtlDbUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{batch, item, ledger_texts, shop};

/// What becomes of the next COMMIT.
const PASS: u8 = 0;
const SWALLOW: u8 = 1;
const ANSWER_LOST: u8 = 2;

/// Stands between us and the server.
struct Proxy {
    address: SocketAddr,
    next_commit: Arc<AtomicU8>,
}

impl Proxy {
    async fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let next_commit = Arc::new(AtomicU8::new(PASS));
        let order = Arc::clone(&next_commit);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (order, server) = (Arc::clone(&order), server.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.unwrap();
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let lost = AtomicBool::new(false);
                    // Whoever ends first takes the other with it, and both sockets close.
                    tokio::select! {
                        () = requests(from_client, to_server, &order, &lost) => {}
                        () = answers(from_server, to_client, &lost) => {}
                    }
                });
            }
        });
        Ok(Self { address, next_commit })
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    order: &AtomicU8,
    lost: &AtomicBool,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let request = &buffer[..length];
        let commit = request.ends_with(b"COMMIT") && !request.ends_with(b"--- COMMIT");
        let order = if commit { order.swap(PASS, Ordering::SeqCst) } else { PASS };
        // Before the server has it, so that no answer slips through.
        lost.store(order == ANSWER_LOST, Ordering::SeqCst);
        if order == SWALLOW || to.write_all(request).await.is_err() {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lost: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if lost.load(Ordering::SeqCst) || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn written_once(order: u8) -> Result<()> {
    let place = Place::server()?;
    let direct = place.migrated().await?;
    let items = shop(&direct).await?;
    let Place::Server(database) = &place else { panic!("BUG: Place::server() makes a server") };
    let (login, rest) = database.url.split_once('@').context("no user in the URL")?;
    let (server, name) = rest.split_once('/').context("no database in the URL")?;
    let proxy = Proxy::start(server.to_owned()).await?;
    // Without TLS, for the proxy must see the COMMIT.
    let url = format!("{login}@{}/{name}?ssl-mode=disabled", proxy.address);
    let ctldb = CtlDb::open(CtlDbUrl::parse(&url)?)?;
    ctldb.mutate(&batch(vec![item(&items, "before", 1)])).await?;

    proxy.next_commit.store(order, Ordering::SeqCst);
    let done = ctldb.mutate(&batch(vec![item(&items, "a", 1), item(&items, "b", 2)])).await?;
    assert_eq!(proxy.next_commit.load(Ordering::SeqCst), PASS, "the commit met its fate");
    assert_eq!((done.first_seq.get(), done.mark.seq.get()), (3, 6));
    assert_eq!(ledger_texts(&direct).await?.len(), 6, "written once");
    let last = direct.meta().await?.last.context("an empty ledger")?;
    assert_eq!(last.mark(), done.mark);
    consistent(&place, &direct).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_arrive_is_made_again() -> Result<()> {
    written_once(SWALLOW).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_not_made_again() -> Result<()> {
    written_once(ANSWER_LOST).await
}
