//! Rows written through the `ctldb` crate, as the operator and the executive write them, are the rows of the LDB.

use std::collections::BTreeMap;

use ::ledger::testing::{mutation, schema};
use ::ledger::{CtlDbUrl, Mutation, Row, TableSchema, Value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use testkit::mariadb::MariaDb;

use crate::agent::Agent;
use crate::writer::Writer;

/// What the rows should be: by key, in a form that can be compared.
#[derive(Default)]
struct Model(BTreeMap<String, Vec<Value>>);

impl Model {
    fn apply(&mut self, schema: &TableSchema, mutation: &Mutation) {
        match mutation {
            Mutation::Upsert(row) => {
                self.0.insert(format!("{:?}", row.key(schema).values()), row.values().to_vec());
            }
            Mutation::Delete(key) => drop(self.0.remove(&format!("{:?}", key.values()))),
        }
    }
}

fn draw<T>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

async fn rows_are_equal(url: CtlDbUrl, rounds: u32) {
    let mut runner = TestRunner::deterministic();
    let writer = Writer::new(url.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(&dir.path().join("ldb"), url).await;
    for round in 0..rounds {
        let schema = draw(&mut runner, schema());
        if schema.check_width().is_err()
            || writer.ctldb.table(schema.table()).await.unwrap().is_some()
        {
            continue;
        }
        writer.create(&schema).await;
        let (mut model, mut seq) = (Model::default(), 0);
        for _ in 0..4 {
            let mutations = draw(&mut runner, prop::collection::vec(mutation(&schema), 1..6));
            mutations.iter().for_each(|one| model.apply(&schema, one));
            seq = writer.write(&schema, mutations).await;
        }
        agent.reaches(seq).await;
        let table = schema.table();
        let family = agent.ldb().family(table.family().as_str()).unwrap();
        let have = family.all(table.table().as_str()).unwrap();
        assert_eq!(family.schema(table.table().as_str()).unwrap(), schema, "round {round}");
        let have: BTreeMap<_, _> = have
            .into_iter()
            .map(|row| {
                let row = Row::new(&schema, row.values().to_vec()).unwrap();
                (format!("{:?}", row.key(&schema).values()), row.values().to_vec())
            })
            .collect();
        assert_eq!(have, model.0, "round {round}");
    }
    let meta = writer.ctldb.meta().await.unwrap();
    assert_eq!(agent.ldb().position().unwrap(), meta.last);
    agent.stop().await;
}

fn rounds() -> u32 {
    Config::default().cases.min(64)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_rows_are_equal_through_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    rows_are_equal(CtlDbUrl::Sqlite(dir.path().join("ctldb")), rounds()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_rows_are_equal_through_mariadb() {
    let database = MariaDb::shared().create_database().unwrap();
    rows_are_equal(CtlDbUrl::parse(&database.url).unwrap(), rounds()).await;
}
