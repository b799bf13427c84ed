//! What becomes of Leases and pods that come, change, stand still and go.

use crds::presence::NodeReport;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde_json::json;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn renewed_at(node: &str, seq: Option<i64>, renewed: Timestamp, version: u32) -> Lease {
    let digest = "0".repeat(64);
    let report = NodeReport {
        position: seq.map(|seq| format!("legacy.{seq}.{digest}")),
        seq,
        bootstrapped: seq.is_some(),
        ..NodeReport::default()
    };
    let annotations = report.annotations().into_iter();
    let annotations = annotations.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Lease {
        metadata: ObjectMeta {
            name: Some(lease_name(node)),
            resource_version: Some(version.to_string()),
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec { renew_time: Some(MicroTime(renewed)), ..LeaseSpec::default() }),
    }
}

fn lease(node: &str, seq: Option<i64>) -> Lease {
    renewed_at(node, seq, Timestamp::now(), 1)
}

fn pod(name: &str, node: &str, ready: bool) -> AgentPod {
    let status = if ready { "True" } else { "False" };
    let pod = json!({
        "metadata": {"name": name},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": status}]},
    });
    serde_json::from_value(pod).unwrap()
}

async fn see<K>(sink: &mut impl Sink<K>, events: impl IntoIterator<Item = Event<K>>) {
    for event in events {
        sink.take(&event).await;
    }
}

async fn list<K>(sink: &mut impl Sink<K>, objects: Vec<K>) {
    see(sink, [Event::Init]).await;
    see(sink, objects.into_iter().map(Event::InitApply)).await;
    see(sink, [Event::InitDone]).await;
}

/// Where nodes are, worst first, and how many have entry 10.
fn told(fleet: &Fleet) -> String {
    let census = fleet.count().unwrap();
    format!("{} of {}: {}", census.reached(10), census.nodes(), census.laggards(10))
}

#[tokio::test(start_paused = true)]
async fn nodes_count_while_their_agents_are_ready() {
    let fleet = Fleet::default();
    let (mut leases, mut pods) = (fleet.leases(), fleet.pods());
    list(&mut leases, vec![lease("a", Some(10)), lease("b", Some(9)), lease("x", Some(1))]).await;
    assert!(fleet.count().is_none() && fleet.census().is_none(), "pods were not listed yet");
    let ready = vec![pod("pa", "a", true), pod("pb", "b", true), pod("pc", "c", true)];
    list(&mut pods, ready).await;
    assert_eq!(told(&fleet), "1 of 3: c (no report) and b");
    assert_eq!(fleet.census(), fleet.count());

    see(&mut leases, [Event::Apply(lease("b", Some(10)))]).await;
    see(&mut pods, [Event::Apply(pod("pc", "c", false))]).await;
    assert_eq!(told(&fleet), "2 of 2: ");
    // A rolling update: the next pod of the node.
    see(&mut pods, [Event::Delete(pod("pb", "b", true))]).await;
    assert_eq!(told(&fleet), "1 of 1: ");
    see(&mut pods, [Event::Apply(pod("pb2", "b", true)), Event::Apply(pod("pb3", "b", true))])
        .await;
    assert_eq!(told(&fleet), "2 of 2: ", "two pods of a node are one node");
    // A list without somebody: he is gone.
    list(&mut pods, vec![pod("pa", "a", true)]).await;
    assert_eq!(told(&fleet), "1 of 1: ");
    assert_eq!(fleet.usable(), HashSet::from(["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_node_is_remembered_for_a_day_and_its_lease_for_an_hour() {
    let fleet = Fleet::default();
    let (mut leases, mut pods) = (fleet.leases(), fleet.pods());
    let reported = async || {
        fleet.count();
        let marks = fleet.reported().await.unwrap();
        let mut seqs: Vec<_> = marks.iter().map(|mark| mark.seq.to_i64()).collect();
        seqs.sort_unstable();
        seqs
    };
    assert!(fleet.reported().await.is_err(), "nothing was listed yet");
    let before = |minutes: i64| Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
    let old = renewed_at("old", Some(2), before(59), 7);
    let ahead = renewed_at("ahead", Some(3), before(-600), 8);
    list(&mut leases, vec![old, ahead, lease("new", None)]).await;
    list(&mut pods, Vec::new()).await;
    assert_eq!(reported().await, [2, 3]);
    assert_eq!(fleet.silent(9), [], "nobody was looked at for long enough");
    tokio::time::advance(MINUTE * 11).await;
    let gone = SilentLease { name: lease_name("old"), version: "7".to_owned() };
    assert_eq!(fleet.silent(9), [gone]);
    assert_eq!(fleet.silent(0), []);
    // It was deleted, and its position holds pruning still.
    see(&mut leases, [Event::Delete(lease("old", None))]).await;
    assert_eq!(fleet.silent(9), []);
    assert_eq!(reported().await, [2, 3]);
    tokio::time::advance(MINUTE * 60 * 23).await;
    assert_eq!(reported().await, [3], "a day is over");
    // That its clock is wrong keeps nobody for ever.
    assert_eq!(fleet.silent(9).len(), 2);
    tokio::time::advance(MINUTE * 60).await;
    assert_eq!(reported().await, [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_never_swept_whatever_its_clock_says() {
    let fleet = Fleet::default();
    let mut leases = fleet.leases();
    let slow = |minute: i64| {
        let renewed = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_mins(minute);
        renewed_at("slow", Some(1), renewed, 1)
    };
    list(&mut leases, vec![slow(0)]).await;
    for minute in 1..100 {
        tokio::time::advance(MINUTE).await;
        see(&mut leases, [Event::Apply(slow(minute))]).await;
        assert_eq!(fleet.silent(9), [], "minute {minute}");
    }
    tokio::time::advance(MINUTE * 60).await;
    assert_eq!(fleet.silent(9).len(), 1);
}
