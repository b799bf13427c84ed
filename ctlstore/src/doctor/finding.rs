//! What a check says: all is well, a warning, or a failure; and the cure.

use serde::Serialize;

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it; none when all is well.
    pub(crate) cure: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Ok,
    /// It works, and should be looked at.
    Warn,
    /// It does not do what it is for.
    Fail,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), cure: None }
    }

    pub(crate) fn warn(
        check: &'static str,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { check, verdict: Verdict::Warn, found: found.into(), cure: Some(cure.into()) }
    }

    pub(crate) fn fail(
        check: &'static str,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { check, verdict: Verdict::Fail, found: found.into(), cure: Some(cure.into()) }
    }
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "OK",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        }
    }
}
