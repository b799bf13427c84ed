//! Runs contenders side by side: round by round, each once a round, the order turned by one each time, so that a slow
//! minute of the machine falls on all of them. Reports medians with their spread, and ratios taken within a round.

use std::io::Write;

use anyhow::{Context, Result};
use serde::Serialize;

/// Something that is measured beside others.
pub(crate) struct Contender<'a> {
    /// What it is called in reports.
    pub(crate) name: &'static str,
    /// Does the work once and returns the figure.
    pub(crate) run: Box<dyn FnMut() -> Result<f64> + 'a>,
}

/// What a scenario promises.
pub(crate) enum Budget {
    /// The first contender's figure is at least so many times the second's.
    AtLeast { times: f64, first: &'static str, second: &'static str },
    /// The first contender's figure is at most so many times the second's.
    AtMostTimes { times: f64, first: &'static str, second: &'static str },
    /// A contender's figure is at least this.
    NotBelow { limit: f64, of: &'static str },
    /// A contender's figure is at most this.
    AtMost { limit: f64, of: &'static str },
}

/// A scenario, ready to run.
pub(crate) struct Scenario<'a> {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What the figures count.
    pub(crate) unit: &'static str,
    /// Who takes part.
    pub(crate) contenders: Vec<Contender<'a>>,
    /// What is promised.
    pub(crate) budgets: Vec<Budget>,
}

/// The figures of one contender over all rounds.
#[derive(Debug, Serialize)]
struct Line<'a> {
    scenario: &'a str,
    contender: &'a str,
    unit: &'a str,
    median: f64,
    min: f64,
    max: f64,
    figures: &'a [f64],
}

/// How a promise was kept.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    scenario: &'a str,
    budget: String,
    measured: f64,
    kept: bool,
}

/// Runs a scenario and writes a table to `out` and JSON lines to `json`. True when every budget was kept.
///
/// # Errors
/// A contender failed.
pub(crate) fn run(
    scenario: &mut Scenario<'_>,
    rounds: usize,
    out: &mut dyn Write,
    json: &mut dyn Write,
) -> Result<bool> {
    let count = scenario.contenders.len();
    let mut figures = vec![Vec::with_capacity(rounds); count];
    for round in 0..rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let contender = &mut scenario.contenders[index];
            let figure = (contender.run)().with_context(|| format!("run {}", contender.name))?;
            figures[index].push(figure);
        }
    }
    let names: Vec<_> = scenario.contenders.iter().map(|contender| contender.name).collect();
    writeln!(
        out,
        "{:<14} {:<34} {:>12} {:>12} {:>12}  unit",
        "scenario", "contender", "median", "min", "max"
    )?;
    for (name, figures) in names.iter().zip(&figures) {
        let line = Line {
            scenario: scenario.name,
            contender: name,
            unit: scenario.unit,
            median: median(figures),
            min: figures.iter().copied().fold(f64::INFINITY, f64::min),
            max: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            figures,
        };
        writeln!(
            out,
            "{:<14} {:<34} {:>12.2} {:>12.2} {:>12.2}  {}",
            line.scenario, line.contender, line.median, line.min, line.max, line.unit
        )?;
        writeln!(json, "{}", serde_json::to_string(&line)?)?;
    }
    let of =
        |name: &str| names.iter().position(|other| *other == name).map(|index| &figures[index]);
    let mut all_kept = true;
    for budget in &scenario.budgets {
        let verdict =
            judge(scenario.name, budget, of).context("BUG: a budget names no contender")?;
        all_kept &= verdict.kept;
        let word = if verdict.kept { "kept" } else { "NOT KEPT" };
        writeln!(out, "{:<14} {}: {:.2}, {word}", scenario.name, verdict.budget, verdict.measured)?;
        writeln!(json, "{}", serde_json::to_string(&verdict)?)?;
    }
    Ok(all_kept)
}

fn judge<'a, 'f>(
    scenario: &'a str,
    budget: &Budget,
    figures: impl Fn(&str) -> Option<&'f Vec<f64>>,
) -> Option<Verdict<'a>> {
    Some(match budget {
        Budget::AtLeast { times, first, second } => {
            let measured = ratio(figures(first)?, figures(second)?);
            let budget = format!("{first} is at least {times} times {second}");
            Verdict { scenario, budget, measured, kept: measured >= *times }
        }
        Budget::AtMostTimes { times, first, second } => {
            let measured = ratio(figures(first)?, figures(second)?);
            let budget = format!("{first} is at most {times} times {second}");
            Verdict { scenario, budget, measured, kept: measured <= *times }
        }
        Budget::NotBelow { limit, of } => {
            let measured = median(figures(of)?);
            let budget = format!("{of} is at least {limit}");
            Verdict { scenario, budget, measured, kept: measured >= *limit }
        }
        Budget::AtMost { limit, of } => {
            let measured = median(figures(of)?);
            Verdict {
                scenario,
                budget: format!("{of} is at most {limit}"),
                measured,
                kept: measured <= *limit,
            }
        }
    })
}

/// The median of the ratios within a round.
fn ratio(first: &[f64], second: &[f64]) -> f64 {
    median(&first.iter().zip(second).map(|(first, second)| first / second).collect::<Vec<_>>())
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        let (mut fast, mut slow) = ([10.0, 100.0, 30.0].into_iter(), [1.0, 10.0, 2.0].into_iter());
        let mut scenario = Scenario {
            name: "example",
            unit: "per s",
            contenders: vec![
                Contender { name: "fast", run: Box::new(|| Ok(fast.next().unwrap())) },
                Contender { name: "slow", run: Box::new(|| Ok(slow.next().unwrap())) },
            ],
            budgets: vec![
                Budget::AtLeast { times: 10.0, first: "fast", second: "slow" },
                Budget::AtMostTimes { times: 9.0, first: "fast", second: "slow" },
                Budget::AtMost { limit: 29.0, of: "fast" },
            ],
        };
        let (mut out, mut json) = (Vec::new(), Vec::new());
        let kept = run(&mut scenario, 3, &mut out, &mut json).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("fast is at least 10 times slow: 10.00, kept"), "{out}");
        assert!(out.contains("fast is at most 9 times slow: 10.00, NOT KEPT"), "{out}");
        assert!(out.contains("fast is at most 29: 30.00, NOT KEPT"), "{out}");
        assert!(!kept);
        assert_eq!(String::from_utf8(json).unwrap().lines().count(), 5);
    }
}
