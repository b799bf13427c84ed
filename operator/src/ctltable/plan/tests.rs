use expect_test::{Expect, expect};
use ledger::ColumnType;

use super::*;
use ctldb::{Deletion, Intent, IntentKind};

/// `id String, note Text`: columns as one writes them in prose.
fn schema(columns: &str) -> TableSchema {
    let column = |text: &str| {
        let (name, kind) = text.trim().split_once(' ').unwrap();
        let column_type = ColumnType::ALL.into_iter().find(|t| t.to_string() == kind).unwrap();
        Column { name: ColumnName::parse(name).unwrap(), column_type }
    };
    let columns: Vec<_> = columns.split(',').map(column).collect();
    let key = vec![columns[0].name.clone()];
    TableSchema::new(LdbTable::parse("billing___plans").unwrap(), columns, key).unwrap()
}

fn id(cluster: &str) -> OwnerId {
    OwnerId::Object { cluster: cluster.into(), namespace: "web".into(), name: "plans".into() }
}

fn owner(cluster: &str) -> Owner {
    Owner { id: id(cluster), deletion: Deletion::Retain }
}

fn accepted(columns: &str) -> Accepted {
    let schema = schema(columns);
    Accepted {
        schema,
        limit: None,
        deletion: Deletion::Retain,
        family_ends: false,
        confirmed: false,
    }
}

/// The database without the table.
fn empty() -> Seen {
    Seen { record: None, live: Live::Absent, limit: None, family: true }
}

/// The database with the table as it should be.
fn holding(columns: &str, owners: &[Owner]) -> Seen {
    let schema = schema(columns);
    let live = Live::Table(schema.clone());
    let schema_seq = Seq::new(7).unwrap();
    let record = TableRecord { schema, owners: owners.to_vec(), schema_seq, intent: None };
    Seen { record: Some(record), live, limit: None, family: true }
}

/// One word a step.
fn show(step: &Step) -> String {
    let column = |column: &Column| format!("{} {}", column.name, column.column_type);
    let list = |columns: &[Column]| columns.iter().map(column).collect::<Vec<_>>().join(", ");
    match step {
        Step::FinishIntents => "finish intents".to_owned(),
        Step::CreateFamily => "family".to_owned(),
        Step::Create(schema) => format!("create ({})", list(schema.columns())),
        Step::AddColumns(columns) => format!("add ({})", list(columns)),
        Step::Claim => "claim".to_owned(),
        Step::Limit(limit) => format!("limit {:?}", limit.map(|limit| limit.max_bytes)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
fn check(accepted: Accepted, seen: Seen, want: Expect) {
    let have = match plan(accepted, &id("here"), &seen) {
        Ok(plan) => plan.steps.iter().map(show).collect::<Vec<_>>().join("; "),
        Err(Refusal { about, reason, message }) => format!("{about}: {reason}: {message}"),
    };
    want.assert_eq(&have);
}

#[test]
fn a_table_is_created_widened_or_left_alone() {
    let two = "id String, note Text";
    check(accepted(two), empty(), expect!["create (id String, note Text)"]);
    check(
        accepted(two),
        Seen { family: false, ..empty() },
        expect!["family; create (id String, note Text)"],
    );
    check(accepted(two), holding(two, &[owner("here")]), expect![""]);
    check(
        accepted("id String, more Integer, note Text"),
        holding(two, &[owner("here")]),
        expect!["add (more Integer)"],
    );
    check(accepted("id String"), holding("id String", &[]), expect!["claim"]);
    check(accepted(two), holding("id String", &[]), expect!["claim; add (note Text)"]);
    let delete = Accepted { deletion: Deletion::Delete, ..accepted(two) };
    check(delete, holding(two, &[owner("here")]), expect!["claim"]);
    let executive = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
    check(accepted(two), holding("id String", &[executive]), expect!["claim; add (note Text)"]);
}

#[test]
fn a_family_that_ends_takes_no_new_table_and_keeps_the_old() {
    let ends = || Accepted { family_ends: true, ..accepted("id String, note Text") };
    check(
        ends(),
        empty(),
        expect!["Accepted: FamilyNotReady: family billing is being deleted, choose another family"],
    );
    check(ends(), holding("id String", &[owner("here")]), expect!["add (note Text)"]);
}

#[test]
fn limits_follow_the_declaration() {
    let limit = |max_bytes| Some(SizeLimit { max_bytes, warn_bytes: 1 });
    let wanted = || Accepted { limit: limit(9), ..accepted("id String") };
    let held = || holding("id String", &[owner("here")]);
    check(wanted(), empty(), expect!["create (id String); limit Some(9)"]);
    check(wanted(), held(), expect!["limit Some(9)"]);
    check(wanted(), Seen { limit: limit(8), ..held() }, expect!["limit Some(9)"]);
    check(wanted(), Seen { limit: limit(9), ..held() }, expect![""]);
    check(accepted("id String"), Seen { limit: limit(9), ..held() }, expect!["limit None"]);
}

#[test]
fn what_would_lose_rows_is_refused() {
    let two = "id String, note Text";
    check(
        accepted("id String"),
        holding(two, &[owner("here")]),
        expect![
            "Accepted: SchemaConflict: table billing___plans is there already: the table has note, which the request lacks, and columns are never removed: add to the request what it lacks"
        ],
    );
    check(
        accepted("id String, note Binary"),
        holding(two, &[]),
        expect![[
            r#"Accepted: SchemaConflict: table billing___plans is there already: column "note" is Text and cannot become Binary: add a column of another name, or create a new table"#
        ]],
    );
    check(
        accepted("id Integer, note Text"),
        holding(two, &[]),
        expect![[
            r#"Accepted: SchemaConflict: table billing___plans is there already: column "id" is String and cannot become Integer: add a column of another name, or create a new table"#
        ]],
    );
    check(
        accepted("other String, id String"),
        holding("id String, other String", &[]),
        expect![
            "Accepted: SchemaConflict: table billing___plans is there already: the key is (id) and cannot become (other): create a new table"
        ],
    );
    let wide = (0..90).fold("id String".to_owned(), |all, n| format!("{all}, c{n} String"));
    check(
        accepted(&wide),
        holding("id String", &[]),
        expect![
            "Accepted: TableTooWide: a row of table billing___plans takes up to 69718 bytes, at most 65535 are possible: use Text or Binary for wide columns, or split the table"
        ],
    );
}

#[test]
fn another_cluster_may_own_it_too_while_both_agree() {
    let two = "id String, note Text";
    check(accepted(two), holding(two, &[owner("there")]), expect!["claim"]);
    check(accepted(two), holding(two, &[owner("there"), owner("here")]), expect![""]);
    check(
        accepted(two),
        holding("id String", &[owner("there")]),
        expect![[
            r#"Programmed: OwnerConflict: table billing___plans is also owned by CtlTable web/plans of cluster "there", and this declaration adds column "note": add it to theirs too, and confirm here with the annotation ctlstore.dev/confirm-changes=GENERATION"#
        ]],
    );
    check(
        accepted("id String"),
        holding(two, &[owner("there"), owner("here")]),
        expect![[
            r#"Programmed: OwnerConflict: table billing___plans is also owned by CtlTable web/plans of cluster "there", and the table has note, which the request lacks, and columns are never removed: add to the request what it lacks"#
        ]],
    );
    let confirmed = Accepted { confirmed: true, ..accepted(two) };
    check(
        confirmed,
        holding("id String", &[owner("there"), owner("here")]),
        expect!["add (note Text)"],
    );
}

#[test]
fn what_others_did_in_the_database_is_told_and_left_alone() {
    let two = "id String, note Text";
    let seen = |live: Live| Seen { live, ..holding(two, &[owner("here")]) };
    let foreign = || Live::Foreign { what: "the column note is NULLable".to_owned() };
    check(
        accepted(two),
        seen(Live::Table(schema("id String"))),
        expect![[
            r#"Programmed: Drifted: table billing___plans was changed behind ctlstore's back: it has lost column "note"; undo that, nothing is written to the table until then"#
        ]],
    );
    check(
        accepted(two),
        seen(Live::Table(schema("id String, a Text, note Text, z Text"))),
        expect![[
            r#"Programmed: Drifted: table billing___plans was changed behind ctlstore's back: it has got columns "a", "z"; undo that, nothing is written to the table until then"#
        ]],
    );
    check(
        accepted(two),
        seen(Live::Table(schema("id String, note Binary"))),
        expect![[
            r#"Programmed: Drifted: table billing___plans was changed behind ctlstore's back: column "note" has become Binary; undo that, nothing is written to the table until then"#
        ]],
    );
    check(
        accepted(two),
        seen(Live::Absent),
        expect![
            "Programmed: Drifted: table billing___plans was changed behind ctlstore's back: it is gone from the database; undo that, nothing is written to the table until then"
        ],
    );
    check(
        accepted(two),
        seen(foreign()),
        expect![
            "Programmed: Drifted: table billing___plans was changed behind ctlstore's back: the column note is NULLable; undo that, nothing is written to the table until then"
        ],
    );
    check(
        accepted(two),
        Seen { live: foreign(), ..empty() },
        expect![
            "Accepted: SchemaConflict: the database has a table billing___plans that ctlstore did not make: rename it, or choose another spec.name"
        ],
    );
    check(
        accepted(two),
        Seen { live: Live::Table(schema(two)), ..empty() },
        expect![
            "Accepted: SchemaConflict: the database has a table billing___plans that ctlstore did not make: rename it, or choose another spec.name"
        ],
    );
}

#[test]
fn an_unfinished_change_is_finished_before_anything_is_judged() {
    let mut seen = Seen { live: Live::Absent, ..holding("id String", &[owner("here")]) };
    let author = ctldb::Author::system("test");
    let id = "0c6b7f6e-35a2-4b3c-9d2a-0f2d0b2c9a11".parse().unwrap();
    seen.record.as_mut().unwrap().intent = Some(Intent { id, kind: IntentKind::Create, author });
    check(accepted("id Integer"), seen, expect!["finish intents"]);
}

/// What the database holds when the plan was carried out.
fn carry_out(plan: &Plan, seen: &mut Seen) {
    for step in &plan.steps {
        match (step, &mut seen.record) {
            (Step::CreateFamily, _) => seen.family = true,
            (Step::Limit(limit), _) => seen.limit = *limit,
            (Step::Create(schema), record) => {
                let owners = vec![plan.owner.clone()];
                let schema_seq = Seq::FIRST;
                *record =
                    Some(TableRecord { schema: schema.clone(), owners, schema_seq, intent: None });
            }
            (Step::AddColumns(columns), Some(record)) => {
                record.schema = record.schema.with_columns(columns.iter().cloned()).unwrap();
            }
            (Step::Claim, Some(record)) => {
                record.owners.retain(|owner| owner.id != plan.owner.id);
                record.owners.push(plan.owner.clone());
            }
            (step, _) => panic!("{step:?} without a table"),
        }
        if let Some(record) = &seen.record {
            seen.live = Live::Table(record.schema.clone());
        }
    }
}

proptest::proptest! {
    #[test]
    fn doing_it_twice_is_doing_it_once(
        wanted in 0_usize..5, there in proptest::option::of(0_usize..5), family: bool,
        claimed: bool, delete: bool, limits in (proptest::option::of(0_u64..3), proptest::option::of(0_u64..3)),
    ) {
        let columns = |n: usize| (0..n).fold("id String".to_owned(), |all, n| format!("{all}, c{n} Text"));
        let limit = |max: Option<u64>| max.map(|max_bytes| SizeLimit { max_bytes, warn_bytes: 0 });
        let owners = if claimed { vec![owner("here")] } else { Vec::new() };
        let there = there.map(|n| holding(&columns(n), &owners));
        let mut seen = Seen { family, limit: limit(limits.0), ..there.unwrap_or_else(empty) };
        let deletion = if delete { Deletion::Delete } else { Deletion::Retain };
        let wanted = Accepted { limit: limit(limits.1), deletion, ..accepted(&columns(wanted)) };
        if let Ok(first) = plan(wanted.clone(), &id("here"), &seen) {
            carry_out(&first, &mut seen);
            let second = plan(wanted, &id("here"), &seen).unwrap();
            proptest::prop_assert!(second.steps.is_empty(), "{second:?}");
        }
    }
}
