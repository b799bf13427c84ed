//! A namespace of one scenario's own, with a MariaDB, an S3 server, and the product installed by its chart.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::http::{Answer, Request};
use testkit::{eventually, random_name};

use super::{Cluster, Forward, chart, manifest};
use crate::grants;

/// For what takes long on two cores that carry four nodes.
const PATIENCE: Duration = Duration::from_secs(180);
/// The name of the release, and of its objects.
pub(super) const RELEASE: &str = "ctlstore";
const WRITER: &str = "e2e";

/// The installed product.
#[derive(Debug)]
pub struct Site {
    /// The cluster.
    pub cluster: Cluster,
    /// Where product, MariaDB and S3 server are.
    pub namespace: String,
    /// Where applications and their tables are.
    pub apps: String,
    /// The directory of the LDB on each node.
    pub directory: String,
    secrets: Secrets,
    values: Value,
}

/// What must appear nowhere.
#[derive(Debug)]
struct Secrets {
    operator: String,
    executive: String,
    agent: String,
    admin_token: String,
    writer: String,
    s3: String,
}

/// Runs a scenario on a freshly installed product, and takes all of it away afterwards. Whatever happens, what helps to
/// understand it is collected first, and must hold no secret.
///
/// # Errors
/// What the scenario says; or a secret was found.
pub async fn scenario(
    name: &str,
    values: Value,
    play: impl AsyncFnOnce(&mut Site) -> Result<()>,
) -> Result<()> {
    let cluster = Cluster::connect()?;
    let mut site = Site::prepare(cluster, values)?;
    let played = match site.start().await {
        Ok(()) => play(&mut site).await,
        Err(error) => Err(error.context("install the product")),
    };
    let place = site.cluster.artefacts.join(name);
    let collected = site.collect(&place).and_then(|()| site.keeps_secrets(&place));
    if let Err(error) = &played {
        let told = format!("{error:#}\n");
        std::fs::write(place.join("error.txt"), told).context("write down the error")?;
    }
    let removed = site.remove();
    played.with_context(|| format!("more about it is in {}", place.display()))?;
    collected?;
    removed
}

impl Site {
    fn prepare(cluster: Cluster, values: Value) -> Result<Self> {
        let word = random_name();
        let site = Self {
            directory: format!("/var/lib/ctlstore-{word}"),
            namespace: format!("ctlstore-{word}"),
            apps: format!("apps-{word}"),
            secrets: Secrets::new(),
            cluster,
            values,
        };
        for (name, level) in [(&site.namespace, "privileged"), (&site.apps, "privileged")] {
            let labels =
                json!({"pod-security.kubernetes.io/enforce": level, "ctlstore-e2e": "true"});
            let metadata = json!({"name": name, "labels": labels});
            site.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))?;
        }
        Ok(site)
    }

    async fn start(&mut self) -> Result<()> {
        self.make_secrets()?;
        let nodes = self.cluster.nodes()?;
        let node = nodes.last().context("the cluster has no node")?;
        let words = [
            ("NAMESPACE", self.namespace.as_str()),
            ("NODE", node),
            ("MARIADB-IMAGE", self.cluster.image("ctlstore-e2e-mariadb")?),
            ("S3-IMAGE", self.cluster.image("ctlstore-e2e-s3")?),
        ];
        self.cluster.apply(&manifest("services.yaml", &words)?)?;
        self.rolled_out("deployment/mariadb")?;
        self.rolled_out("deployment/s3")?;
        let users = self.secrets.placeholders();
        self.sql(&grants::statements("", &users)?)?;
        let began = Instant::now();
        self.helm_upgrade(&[])?;
        // The operator makes the tables, and what is not there cannot be granted. No agent needs a restart for it.
        eventually(PATIENCE, async || self.sql(&grants::statements("agent", &[])?).map(drop))
            .await?;
        for what in [
            "deployment/ctlstore-operator",
            "deployment/ctlstore-executive",
            "daemonset/ctlstore-agent",
        ] {
            self.rolled_out(what)?;
        }
        let took = began.elapsed();
        writeln!(std::io::stdout(), "from helm install to all ready: {took:?}").context("tell")?;
        Ok(())
    }

    /// Upgrades the release, with more arguments for helm; waits until all is ready.
    ///
    /// # Errors
    /// Something does not become ready.
    pub fn upgrade(&self, more: &[&str]) -> Result<()> {
        self.helm_upgrade(&[&["--wait", "--timeout=3m"], more].concat())
    }

    fn helm_upgrade(&self, more: &[&str]) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new().context("make a file of values")?;
        serde_json::to_writer(&mut file, &self.all_values()?).context("write the values")?;
        let (chart, values) = (chart().display().to_string(), file.path().display().to_string());
        let args = ["upgrade", "--install", RELEASE, &chart, "--values", &values];
        let place = ["--namespace", &self.namespace];
        self.cluster.helm(&[&args[..], &place, more].concat()).map(drop)
    }

    /// Removes the release as a user does, and waits until its pods are gone.
    ///
    /// # Errors
    /// Something stays.
    pub fn uninstall(&self) -> Result<()> {
        let args =
            ["uninstall", RELEASE, "--namespace", &self.namespace, "--wait", "--ignore-not-found"];
        self.cluster.helm(&args).map(drop)
    }

    fn all_values(&self) -> Result<Value> {
        let image = self.cluster.image("ctlstore")?;
        let (repository, tag) = image.rsplit_once(':').context("an image without a tag")?;
        let mut values = json!({
            "image": {"repository": repository, "tag": tag},
            "log": {"filter": "debug"},
            "ctldb": {
                "operator": {"existingSecret": "ctldb-operator"},
                "executive": {"existingSecret": "ctldb-executive"},
                "agent": {"existingSecret": "ctldb-agent"},
            },
            "snapshots": {"url": self.snapshots(), "existingSecret": "s3-agent"},
            "executive": {"adminToken": {"existingSecret": "admin-tokens"}},
            // So that what nodes tell is known soon.
            "agent": {"hostPath": self.directory, "pollInterval": "200ms", "presence": {"interval": "2s"}},
        });
        merge(&mut values, &self.values);
        Ok(values)
    }

    fn snapshots(&self) -> String {
        format!(
            "s3://snapshots/e2e?region=us-east-1&path-style=true&endpoint=http://s3.{}:7070",
            self.namespace
        )
    }

    /// Applies an object.
    ///
    /// # Errors
    /// The API server refuses.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.cluster.apply(&object.to_string()).map(drop)
    }

    /// Runs SQL in MariaDB as its root.
    ///
    /// # Errors
    /// The server refuses, or is away.
    pub fn sql(&self, statements: &str) -> Result<String> {
        let namespace = format!("--namespace={}", self.namespace);
        let client =
            ["--", "mariadb", "--socket=/run/mysql.sock", "--batch", "--skip-column-names"];
        let args = ["exec", "--stdin", "deployment/mariadb", &namespace];
        self.cluster.kubectl_with(&[&args[..], &client].concat(), statements)
    }

    /// Waits until a Deployment or DaemonSet of the product's namespace is as it should be.
    ///
    /// # Errors
    /// Not in time.
    pub fn rolled_out(&self, what: &str) -> Result<()> {
        let namespace = format!("--namespace={}", self.namespace);
        self.cluster.kubectl(&["rollout", "status", what, &namespace, "--timeout=180s"]).map(drop)
    }

    /// Declares the family and the table of a scenario, and waits until both are ready.
    ///
    /// # Errors
    /// They do not become ready.
    pub fn declare(&self, family: &str, table: &str) -> Result<()> {
        let version = "ctlstore.dev/v1alpha1";
        self.apply(&json!({"apiVersion": version, "kind": "CtlFamily", "metadata": {"name": family}, "spec": {}}))?;
        self.apply(&self.table(family, table, &[]))?;
        self.wait_for(&format!("ctltable/{table}"), "Ready")
    }

    /// A table of two columns, and more.
    #[must_use]
    pub fn table(&self, family: &str, table: &str, more: &[(&str, &str)]) -> Value {
        let mut columns = vec![
            json!({"name": "id", "type": "String"}),
            json!({"name": "amount", "type": "Integer"}),
        ];
        columns.extend(more.iter().map(|(name, kind)| json!({"name": name, "type": kind})));
        json!({
            "apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlTable", "metadata": {"name": table, "namespace": self.apps},
            "spec": {"familyRef": {"name": family}, "columns": columns, "keyColumns": ["id"]},
        })
    }

    /// Waits for a condition of an object of the applications' namespace, as a pipeline does.
    ///
    /// # Errors
    /// Not in time.
    pub fn wait_for(&self, what: &str, condition: &str) -> Result<()> {
        let (namespace, condition) =
            (format!("--namespace={}", self.apps), format!("--for=condition={condition}"));
        self.cluster.kubectl(&["wait", what, &namespace, &condition, "--timeout=120s"]).map(drop)
    }

    /// The write API.
    ///
    /// # Errors
    /// No executive is ready.
    pub async fn executive(&self) -> Result<Forward> {
        Forward::start(
            &self.cluster,
            &self.namespace,
            &format!("service/{RELEASE}-executive"),
            8080,
        )
        .await
    }

    /// Registers the scenario's writer.
    ///
    /// # Errors
    /// The executive refuses.
    pub fn register(&self, executive: &Forward) -> Result<()> {
        let authorization = format!("Bearer {}", self.secrets.admin_token);
        let headers = [("authorization", authorization.as_str())];
        let (path, body) = (format!("/writers/{WRITER}"), self.secrets.writer.as_bytes());
        Request { method: "POST", path: &path, headers: &headers, body }
            .send(executive.address)?
            .ok()
            .map(drop)
    }

    /// Writes a batch; returns the ledger sequence of its commit.
    ///
    /// # Errors
    /// The executive refuses or is away.
    pub fn write(&self, executive: &Forward, family: &str, batch: &Value) -> Result<u64> {
        let headers =
            [("ctlstore-writer", WRITER), ("ctlstore-secret", self.secrets.writer.as_str())];
        let (path, body) = (format!("/families/{family}/mutations"), batch.to_string());
        let request =
            Request { method: "POST", path: &path, headers: &headers, body: body.as_bytes() };
        let answer: Answer = request.send(executive.address)?.ok()?;
        let seq = answer.header("ctlstore-seq").context("the answer names no sequence")?;
        seq.parse().context("the answer's sequence is no number")
    }

    /// The pods of a component, as the API server describes them.
    ///
    /// # Errors
    /// It does not answer.
    pub fn pods(&self, component: &str) -> Result<Vec<Value>> {
        let namespace = format!("--namespace={}", self.namespace);
        let selector = format!("--selector=app.kubernetes.io/component={component}");
        let pods = self.cluster.get(&["pods", &namespace, &selector])?;
        Ok(pods["items"].as_array().cloned().unwrap_or_default())
    }

    /// What a shell command prints in the LDB's directory of each node. A pod of root's does it: no image of ours has a shell.
    ///
    /// # Errors
    /// It fails somewhere.
    pub fn on_each_node(&self, command: &str) -> Result<Vec<(String, String)>> {
        let namespace = format!("--namespace={}", self.namespace);
        let look = |node: String| {
            let name = format!("look-{}", random_name());
            let container = json!({
                "name": "look", "image": self.cluster.image("ctlstore-e2e-mariadb")?, "workingDir": "/ldb", "command": ["bash", "-ec", command],
                "volumeMounts": [{"name": "ldb", "mountPath": "/ldb"}],
            });
            let volume =
                json!({"name": "ldb", "hostPath": {"path": self.directory, "type": "Directory"}});
            let spec = json!({"nodeName": node, "restartPolicy": "Never", "containers": [container], "volumes": [volume]});
            let metadata = json!({"name": name, "namespace": self.namespace});
            self.apply(
                &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}),
            )?;
            let phase = "--for=jsonpath={.status.phase}=Succeeded";
            self.cluster.kubectl(&[
                "wait",
                &format!("pod/{name}"),
                &namespace,
                phase,
                "--timeout=60s",
            ])?;
            Ok((node, self.cluster.kubectl(&["logs", &name, &namespace])?))
        };
        self.cluster.nodes()?.into_iter().map(look).collect()
    }

    fn make_secrets(&self) -> Result<()> {
        let Secrets { operator, executive, agent, admin_token, s3, .. } = &self.secrets;
        let host = format!("mariadb.{}:3306/ctlstore", self.namespace);
        for (user, password) in [("operator", operator), ("executive", executive), ("agent", agent)]
        {
            let url = format!("mysql://ctlstore_{user}:{password}@{host}\n");
            self.secret(&format!("ctldb-{user}"), &json!({"url": url}))?;
        }
        self.secret("admin-tokens", &json!({"tokens": format!("e2e:{admin_token}\n")}))?;
        self.secret("s3-root", &json!({"ROOT_ACCESS_KEY": "e2e", "ROOT_SECRET_KEY": s3}))?;
        let profile = format!("[default]\naws_access_key_id = e2e\naws_secret_access_key = {s3}\n");
        self.secret("s3-agent", &json!({"credentials": profile}))
    }

    fn secret(&self, name: &str, data: &Value) -> Result<()> {
        let metadata = json!({"name": name, "namespace": self.namespace});
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}))
    }

    /// Objects, events and logs of both namespaces, as somebody sees them who may not read Secrets.
    fn collect(&self, place: &Path) -> Result<()> {
        std::fs::create_dir_all(place).with_context(|| format!("make {}", place.display()))?;
        for namespace in [&self.namespace, &self.apps] {
            let option = format!("--namespace={namespace}");
            let kinds = "pods,events,deployments,daemonsets,configmaps,leases,services,ctltables,ctlfamilies";
            let text = self.cluster.kubectl(&["get", kinds, &option, "--output=yaml"])?;
            write(place, &format!("{namespace}.yaml"), &text)?;
            let pods = self.cluster.get(&["pods", &option])?;
            for pod in pods["items"].as_array().into_iter().flatten() {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                let mut log = String::new();
                for previous in ["false", "true"] {
                    let args = [
                        "logs",
                        name,
                        &option,
                        "--all-containers",
                        "--prefix",
                        &format!("--previous={previous}"),
                    ];
                    // A container that did not start, or was not restarted, has none.
                    let text =
                        self.cluster.kubectl(&args).unwrap_or_else(|error| format!("{error:#}\n"));
                    write!(log, "{text}").context("put logs together")?;
                }
                write(place, &format!("{name}.log"), &log)?;
            }
        }
        Ok(())
    }

    fn keeps_secrets(&self, place: &Path) -> Result<()> {
        let files: Vec<PathBuf> = std::fs::read_dir(place)
            .and_then(|dir| dir.map(|entry| Ok(entry?.path())).collect())
            .context("list what was collected")?;
        ensure!(files.len() > 4, "nearly nothing was collected in {}", place.display());
        for file in files {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("read {}", file.display()))?;
            for (whose, secret) in self.secrets.all() {
                ensure!(!text.contains(secret), "the secret of {whose} is in {}", file.display());
            }
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        self.uninstall()?;
        // The release leaves these on purpose; the next scenario begins without.
        let crds = ["crd/ctltables.ctlstore.dev", "crd/ctlfamilies.ctlstore.dev"];
        self.cluster
            .kubectl(&[&["delete", "--ignore-not-found", "--timeout=60s"], &crds[..]].concat())?;
        let volumes = "--selector=app.kubernetes.io/component=reader";
        self.cluster.kubectl(&["delete", "persistentvolumes", volumes, "--wait=false"])?;
        let namespaces = [self.namespace.as_str(), self.apps.as_str()];
        self.cluster
            .kubectl(
                &[&["delete", "namespace", "--wait=false", "--ignore-not-found"], &namespaces[..]]
                    .concat(),
            )
            .map(drop)
    }
}

impl Secrets {
    fn new() -> Self {
        let secret = |who: &str| format!("{who}-{}-{}", random_name(), random_name());
        Self {
            operator: secret("op"),
            executive: secret("ex"),
            agent: secret("ag"),
            admin_token: secret("token"),
            writer: secret("writer"),
            s3: secret("s3"),
        }
    }

    fn placeholders(&self) -> [(&'static str, &str); 3] {
        [
            ("OPERATOR-PASSWORD", &self.operator),
            ("EXECUTIVE-PASSWORD", &self.executive),
            ("AGENT-PASSWORD", &self.agent),
        ]
    }

    fn all(&self) -> [(&'static str, &str); 6] {
        let Self { operator, executive, agent, admin_token, writer, s3 } = self;
        [
            ("operator", operator),
            ("executive", executive),
            ("agent", agent),
            ("admin", admin_token),
            ("writer", writer),
            ("S3", s3),
        ]
    }
}

/// Lays `more` over `values`, as helm does.
fn merge(values: &mut Value, more: &Value) {
    match (values, more) {
        (Value::Object(values), Value::Object(more)) => {
            for (name, value) in more {
                merge(values.entry(name).or_insert(Value::Null), value);
            }
        }
        (values, more) => *values = more.clone(),
    }
}

fn write(place: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::write(place.join(name), text).with_context(|| format!("write {name}"))
}
