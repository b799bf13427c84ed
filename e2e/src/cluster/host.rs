//! What an administrator of nodes does on one: it takes a pod that is root there, as only tests have it.

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::random_name;

use super::Site;

impl Site {
    /// Runs a shell script in a node's own namespaces, as its root; returns what it printed.
    ///
    /// # Errors
    /// It fails.
    pub fn on_host(&self, node: &str, script: &str) -> Result<String> {
        let name = self.begin_on_host(node, script)?;
        let namespace = format!("--namespace={}", self.namespace);
        let ended = "--for=jsonpath={.status.phase}=Succeeded";
        let pod = format!("pod/{name}");
        self.cluster
            .kubectl(&["wait", &pod, &namespace, ended, "--timeout=60s"])
            .with_context(|| format!("run {script:?} on {node}"))?;
        self.cluster.kubectl(&["logs", &name, &namespace])
    }

    /// Begins to run it, and returns the name of the pod that does.
    ///
    /// # Errors
    /// The API server refuses.
    pub fn begin_on_host(&self, node: &str, script: &str) -> Result<String> {
        let name = format!("host-{}", random_name());
        let inside = ["nsenter", "--target=1", "--mount", "--net", "--", "sh", "-ec", script];
        let container = json!({
            "name": "host", "image": self.cluster.image("ctlstore-e2e-mariadb")?, "command": inside,
            "securityContext": {"privileged": true},
        });
        let spec = json!({
            "nodeName": node, "restartPolicy": "Never", "hostPID": true, "hostNetwork": true, "terminationGracePeriodSeconds": 1,
            "containers": [container],
        });
        let metadata = json!({"name": name, "namespace": self.namespace});
        self.apply(
            &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}),
        )?;
        Ok(name)
    }
}
