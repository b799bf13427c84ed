//! What the numbers of `/metrics` mean. The help text of a metric is its only description: what it counts, and after
//! `Alert:` when it should wake somebody, or `none`. From the texts a page for people is made, which therefore lacks no
//! metric and says nothing else than the process itself.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// Stands between what a metric means and its alert.
const ALERT: &str = " Alert: ";
/// All metrics of the product.
const PREFIX: &str = "ctlstore_";

/// A metric, as its registration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// As queries name it: with unit, and with `_total` for a counter.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// By the end of its name: `seconds`, `bytes`; otherwise it is a number of things, or 0 and 1.
    pub unit: Option<&'static str>,
    /// What its series differ by.
    pub labels: Vec<String>,
    /// What is counted.
    pub meaning: String,
    /// When it should wake somebody, if ever.
    pub alert: Option<String>,
}

/// Why a registry is not described. Each names the metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// It says only half.
    #[error(
        "metric {name} says no alert, end its help text with \"Alert: WHEN\" or \"Alert: none\": {help:?}"
    )]
    NoAlert {
        /// The metric.
        name: String,
        /// Its text.
        help: String,
    },
    /// Nobody would find it.
    #[error("metric {name} does not begin with ctlstore_ and the name of its service")]
    Name {
        /// The metric.
        name: String,
    },
    /// Prometheus' own rule: seconds and bytes, no fractions of them.
    #[error("metric {name} ends with a unit that is not seconds or bytes")]
    Unit {
        /// The metric.
        name: String,
    },
    /// Its labels are not known, and it is not even printed.
    #[error(
        "a family of metrics has no example, give it one series in the service's example: {help:?}"
    )]
    NoExample {
        /// Its text.
        help: String,
    },
    /// The page is none.
    #[error("the metrics cannot be printed")]
    Print,
}

/// Describes all metrics of a registry, by name. Every family of them must have at least one series.
///
/// # Errors
/// A metric says too little of itself.
pub fn describe(registry: &Registry) -> Result<Vec<Described>, DescribeError> {
    let mut page = String::new();
    text::encode(&mut page, registry).map_err(|_| DescribeError::Print)?;
    let helps: BTreeMap<_, _> = comments(&page, "# HELP ").collect();
    // The library prints no family without a series, and shows it to nobody but a debugger.
    let registered = format!("{registry:?}");
    for help in registered.split("Descriptor { name: ").skip(1) {
        let help = help.split("help: \"").nth(1).and_then(|rest| rest.split("\", unit: ").next());
        let help = help.unwrap_or_default().replace("\\\"", "\"").replace("\\'", "'");
        if !helps.values().any(|printed| **printed == help) {
            return Err(DescribeError::NoExample { help });
        }
    }
    let labels = labels(&page);
    let kinds = comments(&page, "# TYPE ");
    let all: Result<BTreeMap<_, _>, _> = kinds
        .map(|(name, kind)| {
            let help = helps.get(name).copied().unwrap_or_default();
            let labels = labels.get(name).map(|set| set.iter().map(|l| (*l).to_owned()).collect());
            let described = described((name, kind), help, labels.unwrap_or_default())?;
            Ok((described.name.clone(), described))
        })
        .collect();
    Ok(all?.into_values().collect())
}

fn described(
    (name, kind): (&str, &str),
    help: &str,
    labels: Vec<String>,
) -> Result<Described, DescribeError> {
    let named = name.to_owned();
    if !name.starts_with(PREFIX) {
        return Err(DescribeError::Name { name: named });
    }
    if ["_ms", "_millis", "_milliseconds", "_micros", "_kib", "_mib", "_minutes", "_hours"]
        .iter()
        .any(|unit| name.ends_with(unit))
    {
        return Err(DescribeError::Unit { name: named });
    }
    let Some((meaning, alert)) = help.split_once(ALERT) else {
        return Err(DescribeError::NoAlert { name: named, help: help.to_owned() });
    };
    let alert = alert.trim_end_matches('.');
    let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
    Ok(Described {
        name: if kind == "counter" { format!("{name}_total") } else { named },
        kind: kind.to_owned(),
        unit,
        labels,
        meaning: meaning.trim_end_matches('.').to_owned(),
        alert: (alert != "none").then(|| alert.to_owned()),
    })
}

/// Lines such as `# HELP NAME TEXT`.
fn comments<'a>(page: &'a str, what: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    page.lines().filter_map(move |line| line.strip_prefix(what)?.split_once(' '))
}

/// The labels of each metric, by the name in its comments. Lines such as `NAME_bucket{le="1",kind="x"} 7`.
fn labels(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut name = "";
    for line in page.lines() {
        if let Some((of, _)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            name = of;
        } else if let Some((_, inside)) = line.split_once('{')
            && !line.starts_with('#')
        {
            // A value ends with a quote, and names come before `="`.
            let names = inside.split("=\"").filter_map(|part| part.rsplit(['"', ',', '{']).next());
            let names = names.filter(|name| !name.starts_with('}') && *name != "le");
            labels.entry(name).or_default().extend(names.filter(|name| !name.is_empty()));
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Unit;

    use super::*;

    type Labels = [(&'static str, &'static str); 2];

    fn registered(help: &str, name: &str) -> Registry {
        let mut registry = Registry::default();
        registry.register(name, help, Gauge::<i64>::default());
        registry
    }

    #[test]
    fn a_registry_describes_itself() {
        let mut root = Registry::default();
        let registry = root.sub_registry_with_prefix("ctlstore_agent");
        let errors = Family::<Labels, Counter>::default();
        errors.get_or_create(&[("kind", "a \"b\", c=\"d\""), ("op", "x")]).inc();
        registry.register("errors", "Failed looks. Alert: more than \"1\" a minute", errors);
        let apply = Histogram::new([1.0]);
        apply.observe(0.5);
        registry.register_with_unit("apply", "Time. Alert: none", Unit::Seconds, apply);
        let described = describe(&root).unwrap();
        let want = Described {
            name: "ctlstore_agent_errors_total".to_owned(),
            kind: "counter".to_owned(),
            unit: None,
            labels: vec!["kind".to_owned(), "op".to_owned()],
            meaning: "Failed looks".to_owned(),
            alert: Some("more than \"1\" a minute".to_owned()),
        };
        assert_eq!(described[1], want);
        let Described { name, kind, unit, labels, meaning, alert } = &described[0];
        assert_eq!((name.as_str(), kind.as_str()), ("ctlstore_agent_apply_seconds", "histogram"));
        assert_eq!(
            (*unit, labels.len(), meaning.as_str(), alert),
            (Some("seconds"), 0, "Time", &None)
        );
    }

    #[test]
    fn a_metric_that_says_too_little_is_named() {
        let check = |registry: &Registry, want: &str| {
            let error = describe(registry).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        check(&registered("Its lag", "ctlstore_lag"), "metric ctlstore_lag says no alert");
        check(&registered("Its lag. Alert: none", "lag"), "does not begin with ctlstore_");
        check(&registered("Its lag. Alert: none", "ctlstore_lag_ms"), "not seconds or bytes");
        let mut registry = registered("Its lag. Alert: none", "ctlstore_lag");
        registry.register(
            "ctlstore_x",
            "Who's \"x\". Alert: none",
            Family::<Labels, Gauge>::default(),
        );
        check(&registry, "has no example");
    }
}
