//! Decides what to do for a family. Pure: no client, no clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::CtlFamily;
use crds::condition::Reason;
use ctldb::{OwnerId, RateLimit, WriterLimit};
use kube::Resource;
use ledger::{FamilyName, WriterName};

use crate::precedence::{full_name, goes_before};
use crate::refusal::Refusal;
use crate::spec;

const MINUTE: Duration = Duration::from_secs(60);

/// What other objects tell about a family.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// The family.
    pub(crate) family: Arc<CtlFamily>,
    /// Other families that want the same name in SQL.
    pub(crate) rivals: Vec<Arc<CtlFamily>>,
}

/// A declaration that is legal by itself and among the other objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The family's name in SQL.
    pub(crate) name: FamilyName,
    /// What writers may write.
    pub(crate) limits: BTreeMap<WriterName, RateLimit>,
}

/// What the database tells about a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// It is in the database.
    pub(crate) registered: bool,
    /// The limits that are set, whoever set them.
    pub(crate) limits: Vec<WriterLimit>,
}

/// What is to be done, in this order. Nothing when it is as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The family.
    pub(crate) name: FamilyName,
    /// Put it into the database.
    pub(crate) create: bool,
    /// Limits to set, or to take back.
    pub(crate) limits: Vec<(WriterName, Option<RateLimit>)>,
    /// Limits that are set by other objects and not touched.
    pub(crate) taken: Vec<WriterLimit>,
}

/// Is the declaration legal, as far as objects tell?
///
/// # Errors
/// Why not; then nothing is asked of the database.
pub(crate) fn accept(declared: &Declared) -> Result<Accepted, Refusal> {
    let Declared { family, rivals } = declared;
    if let Some(broken) = spec::family(family).into_iter().next() {
        return Err(Refusal::accepted(Reason::InvalidSpec, broken.to_string()));
    }
    let invalid = |text: String| Refusal::accepted(Reason::InvalidSpec, text);
    let name = FamilyName::parse(&family.sql_name()).map_err(|error| invalid(error.to_string()))?;
    let limit = |crds::WriterLimit { writer, rows_per_minute }: &crds::WriterLimit| {
        let name = WriterName::parse(writer).map_err(|error| invalid(error.to_string()))?;
        let rows = u64::try_from(*rows_per_minute).map_err(|_| {
            invalid(format!("the limit of writer {writer:?} is negative, write 0 to stop it"))
        })?;
        Ok((name, RateLimit { rows, period: MINUTE }))
    };
    let limits = family.spec.writer_limits.iter().map(limit).collect::<Result<_, _>>()?;
    match rivals.iter().find(|rival| goes_before(rival.meta(), family.meta())) {
        None => Ok(Accepted { name, limits }),
        Some(winner) => Err(Refusal::accepted(
            Reason::NameConflict,
            format!(
                "CtlFamily {:?} is older and has the name {name} in SQL: choose another spec.name",
                full_name(winner.meta()),
            ),
        )),
    }
}

/// What is missing, and what of ours is too much.
pub(crate) fn plan(accepted: Accepted, me: &OwnerId, seen: &Seen) -> Plan {
    let Accepted { name, limits: wanted } = accepted;
    let (mut limits, mut taken) = (Vec::new(), Vec::new());
    for found in &seen.limits {
        if found.set_by == *me && !wanted.contains_key(&found.writer) {
            limits.push((found.writer.clone(), None));
        }
    }
    for (writer, limit) in wanted {
        match seen.limits.iter().find(|found| found.writer == writer) {
            Some(found) if found.set_by == *me && found.limit == limit => {}
            // What was said over HTTP gives way; of two objects, the one that was first keeps it.
            Some(found) if found.set_by != *me && found.set_by != OwnerId::Executive => {
                taken.push(found.clone());
            }
            Some(_) | None => limits.push((writer, Some(limit))),
        }
    }
    Plan { name, create: !seen.registered, limits, taken }
}

/// Limits that other objects have set, as a refusal; the rest of the plan is carried out.
pub(crate) fn refused(taken: &[WriterLimit]) -> Result<(), Refusal> {
    let said = |WriterLimit { writer, limit: _, set_by }: &WriterLimit| {
        format!("of writer {:?} by {set_by}", writer.as_str())
    };
    let all: Vec<_> = taken.iter().map(said).collect();
    if all.is_empty() {
        return Ok(());
    }
    let message = format!(
        "limits that other objects have set are left as they are: {}; declare each limit in one place",
        all.join(", "),
    );
    Err(Refusal::programmed(Reason::OwnerConflict, message))
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
            Ok(accepted) => accepted.name.to_string(),
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

    fn owner(name: &str) -> OwnerId {
        OwnerId::Family { cluster: "home".to_owned(), name: name.to_owned() }
    }

    fn limit(writer: &str, rows: u64, set_by: OwnerId) -> WriterLimit {
        let limit = RateLimit { rows, period: MINUTE };
        WriterLimit { writer: WriterName::parse(writer).unwrap(), limit, set_by }
    }

    /// The plan of the family `billing` that limits `importer` to 5 rows.
    fn planned(registered: bool, limits: Vec<WriterLimit>) -> Plan {
        let spec =
            serde_json::json!({"writerLimits": [{"writer": "importer", "rowsPerMinute": 5}]});
        let family = Arc::new(CtlFamily::new("billing", serde_json::from_value(spec).unwrap()));
        let accepted = accept(&Declared { family, rivals: Vec::new() }).unwrap();
        plan(accepted, &owner("billing"), &Seen { registered, limits })
    }

    #[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
    fn check_plan(seen: Vec<WriterLimit>, want: Expect) {
        let Plan { name: _, create, limits, taken } = planned(true, seen);
        assert!(!create);
        let mut have: Vec<_> = limits
            .iter()
            .map(|(writer, limit)| {
                format!("{}={:?}", writer.as_str(), limit.map(|limit| limit.rows))
            })
            .collect();
        have.extend(refused(&taken).err().map(|refusal| refusal.message));
        want.assert_eq(&have.join("; "));
    }

    #[test]
    fn a_family_is_created_and_its_limits_set_once() {
        let first = planned(false, Vec::new());
        assert!(first.create && first.taken.is_empty());
        check_plan(vec![], expect!["importer=Some(5)"]);
        check_plan(vec![limit("importer", 5, owner("billing"))], expect![""]);
        check_plan(vec![limit("importer", 6, owner("billing"))], expect!["importer=Some(5)"]);
        // What was said over HTTP is taken over, even when it is the same.
        check_plan(vec![limit("importer", 5, OwnerId::Executive)], expect!["importer=Some(5)"]);
        check_plan(
            vec![
                limit("exporter", 1, owner("billing")),
                limit("nobody", 1, OwnerId::Executive),
                limit("other", 1, owner("edge")),
            ],
            expect!["exporter=None; importer=Some(5)"],
        );
        check_plan(
            vec![limit("importer", 5, owner("edge"))],
            expect![[
                r#"limits that other objects have set are left as they are: of writer "importer" by CtlFamily edge of cluster home; declare each limit in one place"#
            ]],
        );
    }
}
