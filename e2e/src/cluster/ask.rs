//! What the product says of itself when it is asked in its own pods.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::eventually;

use super::Site;

impl Site {
    /// The name of the agent's pod on a node; it runs and is not being deleted.
    ///
    /// # Errors
    /// There is none.
    pub fn agent_on(&self, node: &str) -> Result<String> {
        let pods = self.pods("agent")?;
        let here = |pod: &&Value| {
            pod["spec"]["nodeName"] == node && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let pod = pods.iter().find(here).with_context(|| format!("no agent is on {node}"))?;
        let name = pod["metadata"]["name"].as_str();
        name.map(str::to_owned).context("a pod without a name")
    }

    /// What `ctlstore status` says on a node.
    ///
    /// # Errors
    /// No agent runs there.
    pub fn status(&self, node: &str) -> Result<Value> {
        let pod = self.agent_on(node)?;
        let said = self.product(&pod, &["status", "--output=json"])?;
        serde_json::from_str(&said).with_context(|| format!("{node} says {said:?}"))
    }

    /// Runs a command of the product in one of its pods: `product("deployment/ctlstore-operator", &["ledger", …])`.
    ///
    /// # Errors
    /// It fails.
    pub fn product(&self, pod: &str, args: &[&str]) -> Result<String> {
        let namespace = format!("--namespace={}", self.namespace);
        let exec = ["exec", pod, &namespace, "--", "/usr/bin/ctlstore"];
        self.cluster.kubectl(&[&exec[..], args].concat())
    }

    /// Fails if the ledger has a hole, or an entry that is not what was written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn ledger_holds(&self) -> Result<()> {
        let args = ["ledger", "verify", "--ctldb-url-file=/etc/ctlstore/ctldb/url"];
        let said = self.product("deployment/ctlstore-operator", &args)?;
        ensure!(said.contains("the chain holds"), "{said}");
        Ok(())
    }

    /// Waits until the status of a node is as wanted.
    ///
    /// # Errors
    /// What it is instead.
    pub async fn node_is(
        &self,
        node: &str,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        eventually(deadline, async || {
            let status = self.status(node)?;
            ensure!(wanted(&status), "{node} says {status}");
            Ok(status)
        })
        .await
    }
}
