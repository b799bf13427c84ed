//! `ctlstore metrics-doc`: the page about metrics, made of what the services register, so that it cannot be out of date
//! without being noticed.

use std::io::Write;

use anyhow::Result;
use daemon::metrics::{Described, describe};

use crate::outcome::Outcome;

const HEAD: &str = "\
<!-- Made by `just metrics-doc` of the help texts in the code. Do not edit. -->

# Metrics

Every service serves its metrics at `/metrics` on its admin port, in the OpenMetrics format. What a metric means and when it
should wake somebody also stands in its `# HELP` line. Times are in seconds, sizes in bytes. Labels are bounded: their values are routes, reasons, kinds and
states out of the code, and families and tables, of which there are as many as are declared; never rows, writers or texts of errors.

A histogram has `_bucket`, `_sum` and `_count`. Which alerts to set first: [observing.md](observing.md).
";

/// Prints the page.
pub(crate) fn print(out: &mut dyn Write) -> Result<Outcome> {
    out.write_all(HEAD.as_bytes())?;
    // What holds a connection pool wants a runtime, though nothing is asked.
    let runtime = tokio::runtime::Runtime::new()?;
    let _within = runtime.enter();
    let services = [
        ("The agent", agent::metrics::example()),
        ("The executive", executive::metrics::example()),
        ("The operator", operator::metrics::example()),
    ];
    for (service, registry) in services {
        writeln!(out, "\n## {service}\n\n| name | type | unit | labels | meaning | alert |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for metric in describe(&registry)? {
            writeln!(out, "{}", row(&metric))?;
        }
    }
    Ok(Outcome::Done)
}

fn row(metric: &Described) -> String {
    let Described { name, kind, unit, labels, meaning, alert } = metric;
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let (labels, alert) = (labels.join(", "), alert.as_deref().unwrap_or(""));
    let unit = unit.unwrap_or("");
    format!("| `{name}` | {kind} | {unit} | {labels} | {meaning} | {alert} |")
        .replace("|  |", "| |")
}
