//! An agent that uploads through a network and to a store that do their worst, at each stage and for as long as they like:
//! what the pointer names is whole, the agent says what is the matter, and all heals when the fault ends.

use std::sync::Arc;
use std::time::Duration;

use agent::snapshot::Catalog;
use futures::future::{join, join_all};
use testkit::s3::{Asked, Fault, Proxy};

use crate::ledger_file::upsert;
use crate::stores::server;
use crate::supervisor::{Site, catalog};
use crate::upload::check_store;
use crate::uploader::{SOON, Uploader};

/// What an upload does, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    ReadPointer,
    ListParts,
    PutPart,
    PutManifest,
    MovePointer,
    /// To verify it.
    ReadManifest,
}

const STAGES: [Stage; 6] = [
    Stage::ReadPointer,
    Stage::ListParts,
    Stage::PutPart,
    Stage::PutManifest,
    Stage::MovePointer,
    Stage::ReadManifest,
];

impl Stage {
    fn is(self, Asked { method, path, .. }: &Asked) -> bool {
        let (pointer, part) = (path.contains("latest.json"), path.contains("/parts/"));
        let list = path.contains("list-type");
        match self {
            Stage::ReadPointer => method == "GET" && pointer,
            Stage::ListParts => method == "GET" && list,
            Stage::PutPart => method == "PUT" && part,
            Stage::PutManifest => method == "PUT" && !part && !pointer,
            Stage::MovePointer => method == "PUT" && pointer,
            Stage::ReadManifest => method == "GET" && !list && !part && !pointer,
        }
    }
}

struct Lane {
    site: Site,
    proxy: Proxy,
    direct: Catalog,
    agent: Uploader,
}

impl Lane {
    async fn new() -> Self {
        let proxy = Proxy::start(server().addr()).unwrap();
        let bucket = server().create_bucket().unwrap();
        let site = Site::new(&server().url(&bucket, proxy.addr()).unwrap());
        let direct = catalog(&server().url(&bucket, server().addr()).unwrap());
        let agent = Uploader::start(&site.plan);
        agent.publishes(1).await;
        Self { site, proxy, direct, agent }
    }

    /// The fault lasts until the agent has said what is the matter, if that is anything; what it said.
    async fn suffer(&mut self, stage: Stage, fault: Fault, passes: bool) -> String {
        let seen = Arc::new(tokio::sync::Notify::new());
        let told = Arc::clone(&seen);
        self.proxy.break_by(move |asked| {
            let hit = stage.is(asked);
            if hit {
                told.notify_one();
            }
            hit.then_some(fault)
        });
        self.site.ledger.append(&[upsert("a", 1)]);
        let head = self.site.ledger.head();
        tokio::time::timeout(SOON, seen.notified())
            .await
            .unwrap_or_else(|_| panic!("{stage:?} was not reached"));
        let said = if passes {
            self.agent.publishes(head).await;
            String::new()
        } else {
            self.agent.ends("failed").await
        };
        // The one before it, or this one: what is named is there.
        check_store(&self.direct).await;
        self.proxy.heal();
        self.agent.publishes(head).await;
        self.heals(head).await;
        said
    }

    async fn heals(&self, head: u64) {
        let healed = testkit::eventually(SOON, async || {
            let at = crate::supervisor::newest(&self.direct).await.position.seq.get();
            let status = self.agent.status().await;
            anyhow::ensure!(at >= head && status["outcome"] != "failed", "{at}: {status}");
            Ok(())
        });
        healed.await.unwrap();
        check_store(&self.direct).await;
    }
}

/// Faults that are refusals: each stage says the words. They all suffer at once, for most of the time is waiting.
async fn refused(fault: Fault, words: &str, stages: &[Stage]) {
    let lanes = stages.iter().map(async |stage| {
        let said = Lane::new().await.suffer(*stage, fault, false).await;
        assert!(said.contains(words), "{fault:?} at {stage:?}: {said}");
    });
    join_all(lanes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_denied_is_said_at_each_stage_and_heals() {
    refused(Fault::Answer(403, "AccessDenied"), "access denied, check the credentials", &STAGES)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_said_at_each_stage_and_heals() {
    refused(Fault::Answer(404, "NoSuchBucket"), "does not exist, make it first", &STAGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_store_is_said_at_each_stage_and_heals() {
    refused(Fault::Answer(503, "SlowDown"), "not available", &STAGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_are_said_at_each_stage_and_heal() {
    // A put that is done all the same is seen to be done by those stages that look.
    let unseen = [Stage::ReadPointer, Stage::ListParts, Stage::PutPart, Stage::ReadManifest];
    refused(Fault::LoseAnswer, "not available", &unseen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_cut_or_too_short_are_said_and_heal() {
    refused(Fault::Cut(3), "not available", &[Stage::ReadManifest, Stage::ListParts]).await;
    refused(Fault::Shorten(5), "manifest", &[Stage::ReadManifest]).await;
}

/// Somebody else is always faster: a conditional put, and only such a one, may say so.
#[tokio::test(flavor = "multi_thread")]
async fn conditional_puts_that_fail_are_said_and_heal() {
    let mut lane = Lane::new().await;
    for fault in
        [Fault::Answer(412, "PreconditionFailed"), Fault::Answer(409, "ConditionalRequestConflict")]
    {
        let said = lane.suffer(Stage::MovePointer, fault, false).await;
        assert!(said.contains("try again later"), "{said}");
        let said = lane.suffer(Stage::PutManifest, fault, false).await;
        assert!(said.contains("the snapshot was not uploaded"), "{said}");
    }
}

/// What depends on nothing is told the same: nobody was faster, and the next try may succeed, or it never will.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_where_nothing_was_asked_for_are_said_and_heal() {
    let stages = [Stage::ReadPointer, Stage::ListParts, Stage::PutPart, Stage::ReadManifest];
    let passes = refused(Fault::Answer(409, "OperationAborted"), "is not available", &stages);
    let stays = refused(Fault::Answer(412, "PreconditionFailed"), "the store refuses", &stages);
    join(passes, stays).await;
}

/// Answers that begin, and of which nothing more comes.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_stall_are_given_up_and_heal() {
    let stages = [Stage::ReadPointer, Stage::ReadManifest];
    refused(Fault::Stall(10), "its content stopped coming", &stages).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: just soak-snapshots"]
async fn lists_that_stall_are_given_up_and_heal() {
    refused(Fault::Stall(10), "is not available", &[Stage::ListParts]).await;
}

/// Wrong bytes: a pointer that reads as damaged is no reason to give up one that is good, and nothing counts as verified.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_found_and_heal() {
    let mut lane = Lane::new().await;
    for stage in [Stage::ReadManifest, Stage::ReadPointer] {
        let said = lane.suffer(stage, Fault::Flip(30), false).await;
        println!("{stage:?}: {said}");
        assert!(!said.is_empty());
    }
    lane.suffer(Stage::ReadPointer, Fault::Slow(64), true).await;
    lane.suffer(Stage::ReadManifest, Fault::Slow(64), true).await;
}

/// Nobody answers at all, for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_holds_requests_back_only_delays() {
    let mut lane = Lane::new().await;
    lane.proxy.break_by(|_| {
        std::thread::sleep(Duration::from_millis(700));
        None
    });
    lane.site.ledger.append(&[upsert("a", 1)]);
    lane.agent.publishes(lane.site.ledger.head()).await;
    lane.proxy.heal();
    lane.heals(lane.site.ledger.head()).await;
}
