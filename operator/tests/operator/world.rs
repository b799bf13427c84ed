//! One cluster, one database, and the operators that a test starts between them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crds::condition::{ConditionType, Reason, find};
use crds::{CtlFamily, CtlTable};
use ctldb::{ClusterName, CtlDb, TableRecord};
use daemon::lease::Timing;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use ledger::{CtlDbUrl, LdbTable, Seq};
use operator::{Cluster, Config, MaxChanges, PresenceArgs, Source};
use testkit::apiserver::ApiServer;
use testkit::eventually;
use testkit::mariadb::MariaDb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::rights;

/// Patience with a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// API servers at a time: each takes a core to start.
static PLACES: Semaphore = Semaphore::const_new(2);

/// A cluster with our CRDs and a namespace `web`, and where its database is.
pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    pub(crate) url: String,
    /// Of one with the operator's rights, and no others.
    kubeconfig: PathBuf,
    _place: Option<SemaphorePermit<'static>>,
}

/// A running operator.
pub(crate) struct Operator {
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
    admin: SocketAddr,
}

impl World {
    /// A cluster and an empty database.
    pub(crate) async fn new() -> Result<Self> {
        let place = PLACES.acquire().await?;
        let url = MariaDb::shared().create_database()?.url;
        let mut world = Self::with_database(&url).await?;
        world._place = Some(place);
        Ok(world)
    }

    /// A cluster, and a database that somebody else made.
    pub(crate) async fn with_database(url: &str) -> Result<Self> {
        // The binary does it first thing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = tokio::task::spawn_blocking(|| {
            let server = ApiServer::start()?;
            server.install_crds()?;
            server.kubectl(&["create", "namespace", "web"])?;
            server.kubectl_with(&["apply", "--filename=-"], &rights::objects())?;
            let kubeconfig = server.kubeconfig_as(rights::USER)?;
            anyhow::Ok((server, kubeconfig))
        });
        let (server, kubeconfig) = server.await??;
        let client = server.client().await?;
        Ok(Self { server, client, url: url.to_owned(), kubeconfig, _place: None })
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            ctldb: CtlDbUrl::parse(&self.url).unwrap(),
            ctldb_url_file: None,
            cluster_name: ClusterName::parse("here").unwrap(),
            allow_drop: false,
            max_changes: MaxChanges::default(),
            admin_bind: Some("127.0.0.1:0".parse().unwrap()),
            recheck: Duration::from_secs(600),
            chores: Duration::from_secs(1),
            heartbeat: Duration::ZERO,
            table_size: ctldb::SizeLimit::default(),
            prune: None,
            presence: PresenceArgs::default(),
            source: Source::Cluster(Cluster {
                kubeconfig: Some(self.kubeconfig.clone()),
                lease_namespace: "default".to_owned(),
                lease_name: rights::LEASE.to_owned(),
                pod_name: "operator-0".to_owned(),
                timing: Timing::default(),
            }),
        }
    }

    /// Starts an operator with the usual settings.
    pub(crate) async fn operator(&self) -> Result<Operator> {
        Operator::start(self.config()).await
    }

    pub(crate) fn apply(&self, manifests: &[String]) -> Result<()> {
        self.server.kubectl_with(&["apply", "--filename=-"], &manifests.concat()).map(drop)
    }

    pub(crate) fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<()> {
        let args = ["delete", kind, name, "--namespace", namespace, "--wait=false"];
        self.server.kubectl(&args).map(drop)
    }

    pub(crate) fn tables(&self, namespace: &str) -> Api<CtlTable> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The table as soon as its condition `Ready` has this reason, said of its present generation.
    pub(crate) async fn table(&self, name: &str, reason: Reason) -> Result<CtlTable> {
        self.table_in("web", name, reason).await
    }

    pub(crate) async fn table_in(
        &self,
        namespace: &str,
        name: &str,
        reason: Reason,
    ) -> Result<CtlTable> {
        let api = self.tables(namespace);
        eventually(SOON, async || {
            let table = api.get(name).await?;
            let status = table.status.clone().unwrap_or_default();
            let ready = find(&status.conditions, ConditionType::Ready).context("no condition")?;
            ensure!(
                ready.reason == reason.to_string(),
                "{name}: {}: {}",
                ready.reason,
                ready.message
            );
            ensure!(
                status.observed_generation == table.metadata.generation,
                "{name}: not yet seen"
            );
            Ok(table)
        })
        .await
    }

    pub(crate) async fn family(&self, name: &str, reason: Reason) -> Result<CtlFamily> {
        let api = Api::<CtlFamily>::all(self.client.clone());
        eventually(SOON, async || {
            let family = api.get(name).await?;
            let status = family.status.clone().unwrap_or_default();
            let ready = find(&status.conditions, ConditionType::Ready).context("no condition")?;
            ensure!(
                ready.reason == reason.to_string(),
                "{name}: {}: {}",
                ready.reason,
                ready.message
            );
            Ok(family)
        })
        .await
    }

    pub(crate) async fn gone(&self, namespace: &str, name: &str) -> Result<()> {
        let api = self.tables(namespace);
        eventually(SOON, async || {
            ensure!(api.get_opt(name).await?.is_none(), "{name} is still there");
            Ok(())
        })
        .await
    }

    /// Reasons of the events about an object, in the order they came, with how often each was seen.
    async fn events(&self, kind: &str, name: &str) -> Result<Vec<String>> {
        let api = Api::<Event>::all(self.client.clone());
        let mut events = api.list(&ListParams::default()).await?.items;
        events.retain(|event| {
            event.regarding.as_ref().is_some_and(|object| {
                object.kind.as_deref() == Some(kind) && object.name.as_deref() == Some(name)
            })
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let show = |event: &Event| {
            let count = event.series.as_ref().map_or(1, |series| series.count);
            let reason = event.reason.clone().unwrap_or_default();
            if count == 1 { reason } else { format!("{reason} x{count}") }
        };
        Ok(events.iter().map(show).collect())
    }

    /// Waits until the events about an object are these; they follow its status.
    pub(crate) async fn told(&self, kind: &str, name: &str, want: &[&str]) -> Result<()> {
        eventually(SOON, async || {
            let events = self.events(kind, name).await?;
            ensure!(events == want, "{name}: {events:?}");
            Ok(())
        })
        .await
    }

    pub(crate) fn ctldb(&self) -> CtlDb {
        CtlDb::open(CtlDbUrl::parse(&self.url).unwrap()).unwrap()
    }

    pub(crate) async fn record(&self, table: &str) -> Result<Option<TableRecord>> {
        Ok(self.ctldb().table(&LdbTable::parse(table)?).await?)
    }

    /// The statements of the ledger.
    pub(crate) async fn ledger(&self) -> Result<Vec<String>> {
        let entries = self.ctldb().entries(Seq::ZERO, 10_000).await?;
        Ok(entries.into_iter().map(|entry| entry.statement).collect())
    }
}

impl Operator {
    pub(crate) async fn start(config: Config) -> Result<Self> {
        let stop = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let run = operator::run(config, stop.clone(), move |started| {
            let _ = tell.send(started.admin_addr);
        });
        let task = tokio::spawn(run);
        match told.await {
            Ok(admin) => Ok(Self { stop, task, admin: admin.context("an admin port")? }),
            Err(_) => {
                task.await??;
                bail!("the operator ended without a word")
            }
        }
    }

    /// Stops it; returns what it said at its end.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<()> {
        tokio::time::timeout(SOON, self.task).await.context("the operator does not end")??
    }

    /// The answer of its admin port.
    pub(crate) async fn ask(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.admin).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Waits until it is ready, or says in its answer what it is not ready for.
    pub(crate) async fn says(&self, path: &str, words: &str) -> Result<()> {
        eventually(SOON, async || {
            let answer = self.ask(path).await?;
            ensure!(answer.contains(words), "{answer}");
            Ok(())
        })
        .await
    }
}

/// Waits until what is made now is younger: the API server's times have seconds.
pub(crate) async fn grow_old(table: &CtlTable) -> Result<()> {
    let made = table.metadata.creation_timestamp.clone().context("a time")?.0;
    eventually(SOON, async || {
        ensure!(jiff::Timestamp::now().as_second() > made.as_second(), "still the same second");
        Ok(())
    })
    .await
}

/// The message of the condition `Ready`.
pub(crate) fn message(table: &CtlTable) -> String {
    condition(table, ConditionType::Ready).map(|ready| ready.message).unwrap_or_default()
}

pub(crate) fn condition(table: &CtlTable, type_: ConditionType) -> Option<Condition> {
    find(&table.status.as_ref()?.conditions, type_).cloned()
}

/// All conditions, one `Type=Status/Reason` a word.
pub(crate) fn conditions(table: &CtlTable) -> String {
    let conditions = table.status.clone().unwrap_or_default().conditions;
    let show = |c: &Condition| format!("{}={}/{}", c.type_, c.status, c.reason);
    conditions.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// The version that the API server gave to what is stored; it changes with each write.
pub(crate) fn version(table: &CtlTable) -> String {
    table.resource_version().unwrap()
}
