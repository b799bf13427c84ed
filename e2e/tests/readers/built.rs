//! `ctlstore ldb build` makes an LDB for unit tests of programs in any language, without an agent.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use testkit::program::ctlstore;

use crate::languages::{LANGUAGES, tools};

#[test]
fn a_built_ldb_is_read_by_each_language() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("ldb");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut build = Command::new(ctlstore()?);
    build.args(["ldb", "build"]).arg(examples.join("billing/tables.yaml"));
    build.arg(examples.join("readers/rows.jsonl")).arg("--dir").arg(&dir);
    let said = run(&mut build)?;
    ensure!(said.contains("2 tables and 4 rows are in"), "{said}");
    ensure!(!build.status()?.success(), "it writes over what is there");

    let tools = tools()?;
    for language in LANGUAGES {
        let mut reader = Command::new(tools.join(language).join("ldb"));
        let rows = run(reader.arg("once").arg(&dir).arg("billing___plans"))?;
        for row in [
            "seq=4 generation=1 ",
            "free\tFree\t3\t0",
            "large\tNULL\t9007199254740993\tNULL\tNULL\t89504e47",
        ] {
            ensure!(
                rows.lines().any(|line| line.starts_with(row)),
                "{language} has no {row:?}: {rows}"
            );
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
