//! The leader's watches, and the rounds that are made of what agents tell.

use crds::presence::LEASE_SELECTOR;
use crds::{CtlFamily, CtlTable};
use daemon::admin::Liveness;
use daemon::tasks::Tasks;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::DeserializeGuard;
use kube::{Api, Client};

use crate::args::{Config, PresenceArgs};
use crate::context::Context;
use crate::feed::Feed;
use crate::metrics::Metrics;
use crate::presence::{self, AnyNode, Rounds, Tainted};
use crate::stage::Stage;
use crate::wake::{Wakes, Watched};
use crate::watch::{SILENCE, Seen, Sink, Waking, Watch};

/// What watches share.
pub(super) struct Watching {
    pub(super) client: Client,
    pub(super) wakes: Wakes,
    pub(super) liveness: Liveness,
    pub(super) metrics: Metrics,
}

/// The watches of what reconciles look at.
pub(super) fn spawn_watches(
    tasks: &mut Tasks,
    (families, tables, namespaces): (Feed<CtlFamily>, Feed<CtlTable>, Feed<Namespace>),
    (watching, stage): (&Watching, &Stage),
) {
    fn all<K: Watched>(watching: &Watching, feed: Feed<K>) -> Watch<K, Waking<K>> {
        let sink = Waking { feed, wakes: watching.wakes.clone() };
        watching.watch(Api::all(watching.client.clone()), None, sink)
    }
    spawn_watch(tasks, "watch of families", all(watching, families), (watching, stage));
    spawn_watch(tasks, "watch of tables", all(watching, tables), (watching, stage));
    spawn_watch(tasks, "watch of namespaces", all(watching, namespaces), (watching, stage));
}

/// The watches of agents, and what is made of them.
pub(super) fn spawn_presence(
    tasks: &mut Tasks,
    (config, namespace): (&Config, String),
    context: &Context,
    (watching, stage): (&Watching, &Stage),
) {
    let PresenceArgs { agent_selector, propagated_share, startup_taint } = config.presence.clone();
    let (client, fleet) = (&watching.client, &context.fleet);
    let api = Api::namespaced(client.clone(), &namespace);
    let leases = watching.watch(api, Some(LEASE_SELECTOR.to_owned()), fleet.leases());
    spawn_watch(tasks, "watch of agents' Leases", leases, (watching, stage));
    let api = Api::namespaced(client.clone(), &namespace);
    let pods = watching.watch(api, Some(agent_selector), fleet.pods());
    spawn_watch(tasks, "watch of agents", pods, (watching, stage));
    let tainted = startup_taint.map(Tainted::new);
    if let Some(tainted) = tainted.clone() {
        let nodes = watching.watch::<AnyNode, _>(Api::all(client.clone()), None, tainted);
        spawn_watch(tasks, "watch of nodes", nodes, (watching, stage));
    }
    let rounds = Rounds {
        fleet: fleet.clone(),
        share: propagated_share,
        cache: context.cache.clone(),
        wakes: watching.wakes.clone(),
        metrics: watching.metrics.clone(),
        client: client.clone(),
        namespace,
        tainted,
    };
    let stop = stage.stop.clone();
    let work = async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = presence::run(&rounds) => {}
        }
        anyhow::Ok(())
    };
    tasks.spawn("presence", stage.clone().run(work));
}

impl Watching {
    fn watch<K, S>(
        &self,
        api: Api<DeserializeGuard<K>>,
        labels: Option<String>,
        sink: S,
    ) -> Watch<K, S> {
        Watch { api, labels, sink, metrics: self.metrics.clone() }
    }
}

fn spawn_watch<K: Seen, S: Sink<K> + 'static>(
    tasks: &mut Tasks,
    name: &'static str,
    watch: Watch<K, S>,
    (watching, stage): (&Watching, &Stage),
) {
    let (liveness, stop) = (watching.liveness.clone(), stage.stop.clone());
    let work = async move {
        // Standbys do not watch, and nobody expects them to.
        watch.run(liveness.watch(name, SILENCE), stop).await;
        anyhow::Ok(())
    };
    tasks.spawn(name, stage.clone().run(work));
}
