//! Applications on every node that read while everything else happens.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use testkit::eventually;

use super::{Cluster, manifest};

/// How each pod reads: the names of its containers.
const WAYS: [&str; 3] = ["rust", "python", "http"];

/// A DaemonSet of readers.
#[derive(Debug)]
pub struct Readers {
    cluster: Cluster,
    namespace: String,
}

/// What a container saw last: its rows; and whether it ever saw an error.
type Seen = (Option<u64>, Vec<String>);

impl Readers {
    /// Starts readers of a table on all nodes, which mount the directory.
    ///
    /// # Errors
    /// The API server refuses.
    pub fn start(
        cluster: &Cluster,
        namespace: &str,
        directory: &str,
        table: (&str, &str),
    ) -> Result<Self> {
        let volume = format!("hostPath: {{path: {directory}, type: Directory}}");
        Self::mount(cluster, namespace, &volume, table)
    }

    /// Starts readers of a table on all nodes, which have the directory by a claim.
    ///
    /// # Errors
    /// The API server refuses.
    pub fn claim(
        cluster: &Cluster,
        namespace: &str,
        claim: &str,
        table: (&str, &str),
    ) -> Result<Self> {
        let volume = format!("persistentVolumeClaim: {{claimName: {claim}, readOnly: true}}");
        Self::mount(cluster, namespace, &volume, table)
    }

    fn mount(
        cluster: &Cluster,
        namespace: &str,
        volume: &str,
        (family, table): (&str, &str),
    ) -> Result<Self> {
        // The longer word first: FAMILY and TABLE are parts of it.
        let words = [
            ("NAMESPACE", namespace),
            ("FAMILY", family),
            ("TABLE", table),
            ("LDB-VOLUME", volume),
            ("READER-IMAGE", cluster.image("ctlstore-e2e-reader")?),
            ("PYTHON-IMAGE", cluster.image("ctlstore-e2e-python")?),
        ];
        cluster.apply(&manifest("readers.yaml", &words)?)?;
        Ok(Self { cluster: cluster.clone(), namespace: namespace.to_owned() })
    }

    /// Their pods, by node.
    ///
    /// # Errors
    /// The API server does not answer.
    pub fn pods(&self) -> Result<BTreeMap<String, String>> {
        let namespace = format!("--namespace={}", self.namespace);
        let pods = self.cluster.get(&["pods", &namespace, "--selector=app=readers"])?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let of = |pod: &Value| {
            let node = pod["spec"]["nodeName"].as_str()?.to_owned();
            Some((node, pod["metadata"]["name"].as_str()?.to_owned()))
        };
        Ok(pods.iter().filter_map(of).collect())
    }

    /// Waits until every reader on each of `nodes` nodes has seen so many rows.
    ///
    /// # Errors
    /// One has not, in time.
    pub async fn see(&self, nodes: usize, rows: u64, deadline: Duration) -> Result<()> {
        eventually(deadline, async || {
            let pods = self.pods()?;
            ensure!(pods.len() == nodes, "there are readers on {} of {nodes} nodes", pods.len());
            for (node, pod) in pods {
                for way in WAYS {
                    let (seen, _) = self.seen(&pod, way)?;
                    ensure!(seen == Some(rows), "{way} on {node} sees {seen:?} rows, not {rows}");
                }
            }
            Ok(())
        })
        .await
    }

    /// Fails if any of them ever saw an error or a step back, or was restarted.
    ///
    /// # Errors
    /// What they saw.
    pub fn saw_no_error(&self) -> Result<()> {
        for (node, pod) in self.pods()? {
            for way in WAYS {
                let (_, errors) = self.seen(&pod, way)?;
                ensure!(errors.is_empty(), "{way} on {node} saw: {}", errors.join("; "));
            }
            let namespace = format!("--namespace={}", self.namespace);
            let pod = self.cluster.get(&["pod", &pod, &namespace])?;
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            // The Python example ends where there is no table yet.
            let statuses = statuses.filter(|status| status["name"] != "python");
            let restarts: u64 = statuses.filter_map(|status| status["restartCount"].as_u64()).sum();
            ensure!(restarts == 0, "readers on {node} were restarted {restarts} times");
        }
        Ok(())
    }

    /// Runs a program in the Rust container of a pod.
    ///
    /// # Errors
    /// It fails.
    pub fn exec(&self, pod: &str, command: &[&str]) -> Result<String> {
        let namespace = format!("--namespace={}", self.namespace);
        let args = ["exec", pod, &namespace, "--container=rust", "--"];
        self.cluster.kubectl(&[&args, command].concat())
    }

    fn seen(&self, pod: &str, way: &str) -> Result<Seen> {
        let namespace = format!("--namespace={}", self.namespace);
        let container = format!("--container={way}");
        let log = self.cluster.kubectl(&["logs", pod, &namespace, &container])?;
        if way == "python" { python(&log) } else { program(&log) }
    }
}

fn program(log: &str) -> Result<Seen> {
    let (mut rows, mut errors) = (None, Vec::new());
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).with_context(|| format!("a reader says {line:?}"))?;
        rows = line["rows"].as_u64().or(rows);
        errors.extend(line["error"].as_str().map(str::to_owned));
    }
    Ok((rows, errors))
}

/// The Python example waits for nothing: until the table is there, its container ends and is started again.
fn python(log: &str) -> Result<Seen> {
    let (mut rows, mut seq) = (None, 0);
    for line in log.lines().filter(|line| line.starts_with("seq=")) {
        let numbers: Vec<u64> =
            line.split(['=', ' ']).filter_map(|word| word.parse().ok()).collect();
        let [now, _, _, count] = numbers[..] else { bail!("the Python reader says {line:?}") };
        if now < seq {
            return Ok((rows, vec![format!("seq fell from {seq} to {now}")]));
        }
        (rows, seq) = (Some(count), now);
    }
    let failed = log.lines().find(|line| line.contains("Error"));
    Ok((rows, failed.map(str::to_owned).into_iter().collect()))
}
