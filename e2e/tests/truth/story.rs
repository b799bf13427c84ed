//! All that an agent says of itself at one moment, and whether it is one story.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::node::{Node, metrics_page};

/// Between two questions of one story, time goes by.
const APART: f64 = 10.0;

/// What was said. It hangs together, else there would be none.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// Of `/v1/status`.
    pub(crate) status: Value,
    /// Series to value.
    pub(crate) metrics: BTreeMap<String, f64>,
    /// The body of `/livez`, which was 200.
    pub(crate) live: String,
}

impl Story {
    /// Asks all, and holds one against the other.
    pub(crate) async fn of(node: &Node) -> Result<Self> {
        let status: Value = serde_json::from_slice(&node.read("/v1/status")?.ok()?.body)?;
        let (ready, live) = (node.admin("/readyz")?, node.admin("/livez")?);
        let page = node.admin("/metrics")?.ok()?.text();
        let story = Self { status, metrics: metrics(&page), live: live.text() };
        // Old data is better than none, and none of these faults is mended by a restart.
        ensure!(
            (ready.status, ready.text().as_str()) == (200, "ok\n"),
            "not ready: {}",
            ready.text()
        );
        ensure!(live.status == 200, "not alive: {}", story.live);
        story.agrees()?;
        story.fits(&node.command().await?)?;
        story.lag_on_demand(node)?;
        is_documented(&page)?;
        Ok(story)
    }

    pub(crate) fn state(&self) -> &str {
        self.status["state"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn seconds(&self, name: &str) -> Option<f64> {
        self.status[name].as_f64()
    }

    pub(crate) fn position(&self) -> Option<u64> {
        self.status["position"]["seq"].as_u64()
    }

    /// A series of the agent, by its name after the prefix.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(&format!("ctlstore_agent_{name}")).copied()
    }

    /// Status, metrics and liveness.
    fn agrees(&self) -> Result<()> {
        let state = self.state();
        let of_state = |of: &str| self.metric(&format!("state{{state=\"{of}\"}}"));
        ensure!(of_state(state) == Some(1.0), "the metrics do not say {state}");
        let prefix = "ctlstore_agent_state{";
        let states = self.metrics.iter().filter(|(name, _)| name.starts_with(prefix));
        ensure!(states.map(|(_, value)| value).sum::<f64>() == 1.0, "in several states");
        let condition = self.status["ldb"]["condition"].as_str().context("no condition")?;
        let series = format!("ldb_condition{{condition=\"{condition}\"}}");
        ensure!(self.metric(&series) == Some(1.0), "the metrics do not say {condition}");

        let told = self.metric("position");
        ensure!(told == whole(self.position().unwrap_or(0)), "another position: {told:?}");
        let head = self.status["ledger"]["head"].as_u64();
        ensure!(self.metric("ledger_head") == head.and_then(whole), "another head");
        let pairs = [
            ("lag_seconds", "lag_seconds"),
            ("nothing_new_seconds", "nothing_new_seconds"),
            ("clock_behind_seconds", "clock_behind_seconds"),
        ];
        for (field, metric) in pairs {
            near(field, self.seconds(field), self.metric(metric))?;
        }
        // A loop that does not do what it is for says so, with the same reason.
        let message = self.message();
        if message.is_empty() {
            ensure!(self.live == "ok\n", "no message, but /livez: {}", self.live);
        } else {
            ensure!(self.live.contains(message), "/livez does not say {message:?}: {}", self.live);
        }
        Ok(())
    }

    /// The command says what the API says.
    fn fits(&self, command: &Value) -> Result<()> {
        for field in ["state", "message", "position"] {
            ensure!(command[field] == self.status[field], "the command says {command}");
        }
        near("lag_seconds", self.seconds("lag_seconds"), command["lag_seconds"].as_f64())
    }

    /// Who asks for a lag gets an answer that fits the lag.
    fn lag_on_demand(&self, node: &Node) -> Result<()> {
        let Some(lag) = self.seconds("lag_seconds") else { return Ok(()) };
        let strict = node.admin("/readyz?max-lag=1ms")?;
        ensure!(strict.status == 503 && strict.text().starts_with("lag: "), "{strict:?}");
        let told: f64 = strict.text()[5..].split(' ').next().unwrap_or_default().parse()?;
        near("the lag of /readyz", Some(told), Some(lag))?;
        let generous = node.admin(&format!("/readyz?max-lag={:.0}s", lag + 60.0))?;
        ensure!(generous.status == 200, "{generous:?}");
        ensure!(node.admin("/readyz?max-lag=soon")?.status == 400, "nonsense is taken");
        Ok(())
    }
}

fn near(what: &str, one: Option<f64>, other: Option<f64>) -> Result<()> {
    let near = match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < APART,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    ensure!(near, "{what}: {one:?} and {other:?}");
    Ok(())
}

fn whole(number: u64) -> Option<f64> {
    u32::try_from(number).ok().map(f64::from)
}

fn metrics(page: &str) -> BTreeMap<String, f64> {
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    series.filter_map(pair).collect()
}

/// A metric that is registered somewhere else than in the agent's example would not be on the page.
fn is_documented(page: &str) -> Result<()> {
    let listed = metrics_page()?;
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').context("a type without a name")?;
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        ensure!(listed.contains(&format!("| `{name}` |")), "{name} is not in docs/metrics.md");
    }
    Ok(())
}
