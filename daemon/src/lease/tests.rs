//! What one or two candidates do in single situations.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::Method;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fake::{Fault, Server};
use super::*;

const RETRY: Duration = Duration::from_secs(2);

fn config(me: &str) -> LeaseConfig {
    LeaseConfig {
        namespace: "default".to_owned(),
        name: "leader".to_owned(),
        identity: me.to_owned(),
        timing: Timing::default(),
    }
}

/// A candidate at work, and the switch that cuts it off from the server.
struct Runner {
    leadership: watch::Receiver<Leadership>,
    work_over: CancellationToken,
    cut: Arc<AtomicBool>,
    lost: Arc<Mutex<Vec<(Instant, String)>>>,
    task: JoinHandle<Result<(), LeaseError>>,
}

fn start(server: &Server, me: &str) -> Runner {
    let (cut, lost) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
    let (is_cut, told) = (cut.clone(), lost.clone());
    let client = server.client(move |_| match is_cut.load(Ordering::SeqCst) {
        true => Fault::Unheard,
        false => Fault::None,
    });
    let (candidate, leadership) = Candidate::new(client, config(me)).unwrap();
    let candidate = candidate.with_on_lost(move |error| {
        told.lock().unwrap().push((Instant::now(), error.to_string()));
    });
    let work_over = CancellationToken::new();
    let task = tokio::spawn(candidate.run(work_over.clone()));
    Runner { leadership, work_over, cut, lost, task }
}

impl Runner {
    async fn leads(&mut self) {
        let leads = self.leadership.wait_for(|now| *now == Leadership::Leading);
        timeout(RETRY * 30, leads).await.unwrap().unwrap();
    }

    fn follows(&self, whom: &str) -> bool {
        *self.leadership.borrow() == Leadership::Following { holder: Some(whom.to_owned()) }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_and_renews_and_the_second_follows() {
    let server = Server::default();
    let mut a = start(&server, "a");
    a.leads().await;
    let b = start(&server, "b");
    sleep(RETRY * 30).await;
    assert!(*a.leadership.borrow() == Leadership::Leading && b.follows("a"));
    let spec = server.spec();
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(0)));
    assert!(spec.renew_time > spec.acquire_time);
    assert!(server.lock().writes >= 30);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_hands_over_within_a_retry_period() {
    let server = Server::default();
    let mut a = start(&server, "a");
    a.leads().await;
    let mut b = start(&server, "b");
    sleep(RETRY * 5).await;
    a.work_over.cancel();
    timeout(RETRY, b.leads()).await.unwrap();
    a.task.await.unwrap().unwrap();
    let spec = server.spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("b"), Some(1)));
    assert_eq!(a.lost.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn past_the_renew_deadline_the_hook_is_called_and_only_then_another_leads() {
    let server = Server::default();
    let mut a = start(&server, "a");
    a.leads().await;
    let mut b = start(&server, "b");
    sleep(RETRY * 5).await;
    a.cut.store(true, Ordering::SeqCst);
    let cut = Instant::now();
    b.leads().await;
    let (at, why) = a.lost.lock().unwrap()[0].clone();
    assert_eq!(why, "lease default/leader could not be renewed for 10s");
    assert!(at - cut > Duration::from_secs(7) && at - cut <= Duration::from_secs(10));
    assert!(at + Duration::from_secs(4) < Instant::now(), "b must wait for 15 s");
    assert!(matches!(a.task.await.unwrap(), Err(LeaseError::Late { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_finds_another_in_its_place_is_lost_at_once() {
    let server = Server::default();
    let mut a = start(&server, "a");
    a.leads().await;
    {
        let mut stored = server.lock();
        let lease = stored.lease.as_mut().unwrap();
        lease.spec.as_mut().unwrap().holder_identity = Some("intruder".to_owned());
    }
    let outcome = timeout(RETRY, a.task).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(LeaseError::Deposed { .. })), "{outcome:?}");
    assert!(a.lost.lock().unwrap()[0].1.contains("held by intruder"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_stays_with_its_leader() {
    let server = Server::default();
    let mut a = start(&server, "a");
    a.leads().await;
    let b = start(&server, "b");
    sleep(RETRY).await;
    for _ in 0..20 {
        server.lock().lease = None;
        sleep(RETRY * 2).await;
        assert_eq!(server.spec().holder_identity.as_deref(), Some("a"));
    }
    assert!(b.follows("a") && a.lost.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_never_makes_a_leader() {
    let server = Server::default();
    let client = server.client(|_| Fault::Conflict);
    let (candidate, mut leadership) = Candidate::new(client, config("a")).unwrap();
    let _task = tokio::spawn(candidate.run(CancellationToken::new()));
    let leads = leadership.wait_for(|now| *now == Leadership::Leading);
    assert!(timeout(RETRY * 100, leads).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_acquisition_whose_answer_was_lost_is_found_again() {
    let server = Server::default();
    let mut first = true;
    let client = server.client(move |method| match *method == Method::POST && first {
        true => {
            first = false;
            Fault::Unanswered
        }
        false => Fault::None,
    });
    let (candidate, mut leadership) = Candidate::new(client, config("a")).unwrap();
    let _task = tokio::spawn(candidate.run(CancellationToken::new()));
    let leads = leadership.wait_for(|now| *now == Leadership::Leading);
    timeout(RETRY * 3, leads).await.unwrap().unwrap();
    assert_eq!(server.spec().lease_transitions, Some(0));
}

const CHILD: &str = "DAEMON_LEASE_TEST_CHILD";

/// The default hook ends the process, so the test runs itself again as a child.
#[test]
fn without_a_hook_the_process_ends_though_its_other_work_does_not() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(lose_for_real());
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("lease::tests::without_a_hook_the_process_ends_though_its_other_work_does_not")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.status.signal()), (Some(1), None), "{said}");
    assert!(said.contains("could not be renewed for 10s"), "{said}");
}

async fn lose_for_real() {
    crate::log::init(crate::log::Format::Json, "error", None).unwrap();
    let mut calls = 0;
    let client = Server::default().client(move |_| {
        calls += 1;
        if calls > 2 { Fault::Unavailable } else { Fault::None }
    });
    let (candidate, _leadership) = Candidate::new(client, config("a")).unwrap();
    let outcome = candidate.run(CancellationToken::new()).await;
    panic!("still here: {outcome:?}");
}
