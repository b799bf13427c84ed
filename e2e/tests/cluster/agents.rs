//! Scenario 4: agents come and go under readers.

use anyhow::Result;
use e2e::cluster::scenario;
use serde_json::json;

use crate::{SOON, one_row, rows};

const AGENTS: &str = "--selector=app.kubernetes.io/component=agent";

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn readers_do_not_notice_that_agents_are_replaced() -> Result<()> {
    scenario("agents", json!({}), async |site| {
        let (readers, executive) = one_row(site).await?;
        let (nodes, namespace) =
            (site.cluster.nodes()?.len(), format!("--namespace={}", site.namespace));
        let delete = ["delete", "pods", AGENTS, &namespace];
        site.cluster.kubectl(&delete)?;
        site.write(&executive, "billing", &rows(["after a stop"]))?;
        readers.see(nodes, 2, SOON).await?;
        // The kubelet sends SIGKILL at once, and new pods do not wait for the old ones.
        site.cluster.kubectl(&[&delete[..], &["--grace-period=0", "--force"]].concat())?;
        site.write(&executive, "billing", &rows(["after a kill"]))?;
        readers.see(nodes, 3, SOON).await?;
        site.upgrade(&["--set=agent.podAnnotations.round=two"])?;
        site.rolled_out("daemonset/ctlstore-agent")?;
        site.write(&executive, "billing", &rows(["after an upgrade"]))?;
        readers.see(nodes, 4, SOON).await?;
        readers.saw_no_error()
    })
    .await
}
