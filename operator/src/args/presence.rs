//! Flags about the agents that the operator looks after.

use std::fmt;
use std::str::FromStr;

/// Flags about agents and how far they are.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct PresenceArgs {
    /// Labels of the agents' pods, as kubectl takes them. They and their Leases are looked for in the namespace of the
    /// operator's own Lease.
    #[arg(long, value_name = "LABELS", default_value = PresenceArgs::AGENTS)]
    pub agent_selector: String,

    /// How many of the ready agents must have a table before it is Propagated. Less than all, for in a large cluster some
    /// node is always away.
    #[arg(long, value_name = "PERCENT", default_value = "99%")]
    pub propagated_share: Percent,

    /// Key of the taint with which new nodes start. The operator takes it away as soon as the node's agent has its LDB, and
    /// never puts it there. Off by default: it needs the right to list, watch and patch nodes.
    #[arg(long, value_name = "KEY")]
    pub startup_taint: Option<String>,
}

impl PresenceArgs {
    /// What the chart gives to agents.
    const AGENTS: &str = "app.kubernetes.io/name=ctlstore,app.kubernetes.io/component=agent";
}

impl Default for PresenceArgs {
    fn default() -> Self {
        Self {
            agent_selector: Self::AGENTS.to_owned(),
            propagated_share: Percent::DEFAULT,
            startup_taint: None,
        }
    }
}

/// A part of all, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u64);

/// The text is no percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a percentage above 0% and up to 100%, like 99% or 99.5%")]
pub struct PercentError;

impl Percent {
    /// Some node is always away.
    pub const DEFAULT: Self = Self(9900);

    /// How many of `all` are at least this part of them.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        usize::try_from(all.saturating_mul(self.0).div_ceil(10_000)).unwrap_or(usize::MAX)
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let number = text.strip_suffix('%').ok_or(PercentError)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.len() > 2 || number.ends_with('.') {
            return Err(PercentError);
        }
        let digits = |text: &str| -> Result<u64, PercentError> {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse().map_err(|_| PercentError) } else { Err(PercentError) }
        };
        let hundredths = digits(whole)?
            .checked_mul(100)
            .and_then(|whole| whole.checked_add(digits(&format!("{part:0<2}")).ok()?));
        match hundredths {
            Some(hundredths @ 1..=10_000) => Ok(Self(hundredths)),
            Some(_) | None => Err(PercentError),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        if part == 0 { write!(f, "{whole}%") } else { write!(f, "{whole}.{part:02}%") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_to_whole_nodes() {
        let check = |text: &str, all, want| {
            assert_eq!(text.parse::<Percent>().unwrap().of(all), want, "{text} of {all}");
        };
        check("99%", 0, 0);
        check("99%", 1, 1);
        check("99%", 3, 3);
        check("99%", 100, 99);
        check("99%", 101, 100);
        check("99%", 5000, 4950);
        check("0.01%", 5000, 1);
        check("100%", 5000, 5000);
        check("99.5%", 1000, 995);
    }

    #[test]
    fn a_percentage_says_so() {
        for text in ["", "%", "99", "0%", "0.99", "100.01%", "1.234%", "-1%", "9.%", "a%", "1e2%"] {
            assert_eq!(text.parse::<Percent>(), Err(PercentError), "{text}");
        }
        for text in ["99%", "99.50%", "0.01%", "100%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        assert_eq!("99%".parse(), Ok(Percent::DEFAULT));
        assert_eq!(PresenceArgs::default().propagated_share, Percent::DEFAULT);
    }
}
