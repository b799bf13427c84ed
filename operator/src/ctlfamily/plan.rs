//! Decides what to do for a family. Pure: no client, no clock.

use std::sync::Arc;

use crds::CtlFamily;
use crds::condition::Reason;
use kube::Resource;
use ledger::FamilyName;

use crate::precedence::{full_name, goes_before};
use crate::refusal::Refusal;
use crate::spec;

/// What other objects tell about a family.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// The family.
    pub(crate) family: Arc<CtlFamily>,
    /// Other families that want the same name in SQL.
    pub(crate) rivals: Vec<Arc<CtlFamily>>,
}

/// What the database tells about a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// It is in the database.
    pub(crate) registered: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It is there.
    Nothing(FamilyName),
    /// Put it into the database.
    Create(FamilyName),
}

/// Is the declaration legal, as far as objects tell?
///
/// # Errors
/// Why not; then nothing is asked of the database.
pub(crate) fn accept(declared: &Declared) -> Result<FamilyName, Refusal> {
    let Declared { family, rivals } = declared;
    if let Some(broken) = spec::family(family).into_iter().next() {
        return Err(Refusal::accepted(Reason::InvalidSpec, broken.to_string()));
    }
    let name = FamilyName::parse(&family.sql_name())
        .map_err(|error| Refusal::accepted(Reason::InvalidSpec, error.to_string()))?;
    match rivals.iter().find(|rival| goes_before(rival.meta(), family.meta())) {
        None => Ok(name),
        Some(winner) => Err(Refusal::accepted(
            Reason::NameConflict,
            format!(
                "CtlFamily {:?} is older and has the name {name} in SQL: choose another spec.name",
                full_name(winner.meta()),
            ),
        )),
    }
}

/// What is missing.
pub(crate) fn plan(name: FamilyName, seen: Seen) -> Plan {
    if seen.registered { Plan::Nothing(name) } else { Plan::Create(name) }
}

#[cfg(test)]
mod tests {
    use crds::CtlFamilySpec;
    use expect_test::{Expect, expect};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn family(object: &str, name: Option<&str>, second: i64) -> Arc<CtlFamily> {
        let spec = CtlFamilySpec { name: name.map(str::to_owned), ..CtlFamilySpec::default() };
        let mut family = CtlFamily::new(object, spec);
        let time = Time(jiff::Timestamp::from_second(second).unwrap());
        family.metadata.creation_timestamp = Some(time);
        Arc::new(family)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
    fn check(family: Arc<CtlFamily>, rivals: &[Arc<CtlFamily>], want: Expect) {
        let have = match accept(&Declared { family, rivals: rivals.to_vec() }) {
            Ok(name) => name.to_string(),
            Err(Refusal { about, reason, message }) => format!("{about}: {reason}: {message}"),
        };
        want.assert_eq(&have);
    }

    #[test]
    fn a_family_is_accepted_or_told_why_not() {
        let mine = || family("team-billing", None, 5);
        check(mine(), &[], expect!["team_billing"]);
        check(family("team-billing", Some("billing"), 5), &[], expect!["billing"]);
        check(mine(), &[family("other", Some("team_billing"), 6)], expect!["team_billing"]);
        check(
            mine(),
            &[family("other", Some("team_billing"), 4)],
            expect![[
                r#"Accepted: NameConflict: CtlFamily "other" is older and has the name team_billing in SQL: choose another spec.name"#
            ]],
        );
        check(
            family("Billing", None, 5),
            &[],
            expect![
                "Accepted: InvalidSpec: the name of a CtlFamily has 3 to 30 characters: lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen"
            ],
        );
        check(
            family("billing", Some("a__b"), 5),
            &[],
            expect![
                "Accepted: InvalidSpec: spec.name: a family name has lower-case letters, digits and single underscores, begins with a letter and does not end with an underscore"
            ],
        );
        check(
            family("billing", Some("ab"), 5),
            &[],
            expect![[
                r#"Accepted: InvalidSpec: family name "ab" is too short: use at least 3 characters"#
            ]],
        );
    }

    #[test]
    fn doing_it_twice_is_doing_it_once() {
        let name = || FamilyName::parse("billing").unwrap();
        assert_eq!(plan(name(), Seen { registered: false }), Plan::Create(name()));
        assert_eq!(plan(name(), Seen { registered: true }), Plan::Nothing(name()));
    }
}
