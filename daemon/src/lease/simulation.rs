//! Two candidates in simulated time against a server with conflicts, lost requests, lost and late
//! answers, cuts, crashes and restarts: they never both act, and someone always leads again.

use std::sync::{Arc, Mutex};

use axum::http::Method;
use rand::SeedableRng;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fake::{Fault, Server};
use super::*;

const SPAN: Duration = Duration::from_secs(20 * 60);

/// Who acts: leads, and was not stopped by its renew deadline.
#[derive(Debug, Clone, Default)]
struct World(Arc<Mutex<Acting>>);

#[derive(Debug, Default)]
struct Acting {
    now: Vec<String>,
    terms: u32,
    clashes: u32,
}

impl World {
    fn begin(&self, who: &str) {
        let mut acting = self.0.lock().unwrap();
        acting.terms += 1;
        acting.clashes += u32::from(!acting.now.is_empty());
        acting.now.push(who.to_owned());
    }

    fn end(&self, who: &str) {
        self.0.lock().unwrap().now.retain(|acting| acting != who);
    }
}

/// Faults of one candidate's connection: single ones, and cuts of up to half a minute.
fn faults(seed: u64) -> impl FnMut(&Method) -> Fault + Send + 'static {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cut_until = Instant::now();
    move |_| {
        if Instant::now() >= cut_until && rng.random_ratio(1, 60) {
            cut_until = Instant::now() + Duration::from_secs(rng.random_range(1..30));
        }
        let late = Duration::from_millis(rng.random_range(0..30_000));
        let slow = Duration::from_millis(rng.random_range(0..1_400));
        let cut = Instant::now() < cut_until;
        match rng.random_range(if cut { 0..3 } else { 0..40 }) {
            0 => Fault::Unheard,
            1 => Fault::Unanswered,
            2 => Fault::Late(late),
            3 => Fault::Unavailable,
            4..8 => Fault::Conflict,
            8..16 => Fault::Slow(slow),
            _ => Fault::None,
        }
    }
}

/// One replica: process after process, each ended in good order, by a crash, or by its deadline.
async fn replica(server: Server, world: World, name: &'static str, seed: u64, timing: Timing) {
    let mut rng = StdRng::seed_from_u64(seed);
    for life in 0_u32.. {
        let me = format!("{name}-{life}");
        let config = LeaseConfig {
            namespace: "default".to_owned(),
            name: "leader".to_owned(),
            identity: me.clone(),
            timing,
        };
        let client = server.client(faults(rng.random()));
        let (candidate, leadership) = Candidate::unchecked(client, config);
        let (exited, who) = (world.clone(), me.clone());
        let candidate = candidate.seeded(rng.random()).with_on_lost(move |_| exited.end(&who));
        let watcher = tokio::spawn(act(leadership, world.clone(), me.clone()));
        let work_over = CancellationToken::new();
        let mut run = tokio::spawn(candidate.run(work_over.clone()));
        let lifetime = Duration::from_millis(rng.random_range(1_000..120_000));
        if timeout(lifetime, &mut run).await.is_err() {
            if rng.random() {
                work_over.cancel();
                run.await.unwrap().unwrap();
            } else {
                run.abort();
            }
        }
        watcher.abort();
        world.end(&me);
        sleep(Duration::from_millis(rng.random_range(0..5_000))).await;
    }
}

async fn act(mut leadership: watch::Receiver<Leadership>, world: World, me: String) {
    loop {
        let leads = *leadership.borrow_and_update() == Leadership::Leading;
        if leads {
            world.begin(&me)
        } else {
            world.end(&me)
        }
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// The terms of office in 20 minutes, and how many of them began during another.
fn simulate(seed: u64, timing: Timing) -> (u32, u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (server, world) = (Server::default(), World::default());
        let start =
            |name, seed| tokio::spawn(replica(server.clone(), world.clone(), name, seed, timing));
        let replicas = [start("a", seed * 2), start("b", seed * 2 + 1)];
        sleep(SPAN).await;
        replicas.iter().for_each(JoinHandle::abort);
        let acting = world.0.lock().unwrap();
        (acting.terms, acting.clashes)
    })
}

#[test]
fn two_candidates_never_both_act_and_someone_leads_again() {
    for seed in 0..30 {
        let (terms, clashes) = simulate(seed, Timing::default());
        assert_eq!(clashes, 0, "seed {seed}: two acted at once, of {terms} terms");
        assert!(terms >= 10, "seed {seed}: only {terms} terms in {SPAN:?}");
    }
}

/// The simulation is worth something only if it finds a leader that acts for too long.
#[test]
fn the_simulation_notices_a_deadline_beyond_the_duration() {
    let lazy = Timing { renew_deadline: Duration::from_secs(40), ..Timing::default() };
    let clashes: u32 = (0..10).map(|seed| simulate(seed, lazy).1).sum();
    assert!(clashes > 0);
}
