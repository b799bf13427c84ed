//! `ctlstore ldb`: what is done to an LDB's directory without an agent. `build` makes one from text files, for unit tests
//! in any language; `prepare` gives the directory to the agent's user.

mod document;
mod prepare;

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use reader::testing::TestError;
use serde_json::json;

use crate::args::{Ldb, Output};
use crate::client::say;
use crate::ldb::document::{Built, DocumentError};
use crate::outcome::Outcome;

/// Why there is no LDB.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("cannot read {file}", file = file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("document {number} of {file}", file = file.display())]
    Document { file: PathBuf, number: usize, source: DocumentError },
    #[error("make an LDB in {dir}", dir = dir.display())]
    Build { dir: PathBuf, source: TestError },
}

/// `ctlstore ldb`
pub(crate) fn ldb(args: &Ldb, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        Ldb::Build { files, dir, output } => build(files, (dir, *output), out),
        Ldb::Prepare { dir, owner, output } => {
            let given = prepare::prepare(dir, *owner)?;
            let at = dir.display();
            let words = format!("{at} belongs to user {owner} ({given} entries changed)");
            say(*output, (words, &json!({ "dir": dir, "owner": owner, "changed": given })), out)?;
            Ok(Outcome::Done)
        }
    }
}

fn build(
    files: &[PathBuf],
    (dir, output): (&Path, Output),
    out: &mut dyn Write,
) -> Result<Outcome> {
    let mut built = Built::default();
    for file in files {
        add(file, &mut built)?;
    }
    let (tables, rows) = (built.tables, built.rows);
    let failed = |source| BuildError::Build { dir: dir.to_owned(), source };
    built.builder.build(dir).map_err(failed)?;
    let words = format!("{tables} tables and {rows} rows are in {}", dir.display());
    say(output, (words, &json!({ "tables": tables, "rows": rows, "dir": dir })), out)?;
    Ok(Outcome::Done)
}

fn add(file: &Path, built: &mut Built) -> Result<()> {
    let failed = |source| BuildError::Read { file: file.to_owned(), source };
    let text = match file.to_str() {
        Some("-") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        _ => std::fs::read_to_string(file),
    };
    let documents = document::all(&text.map_err(failed)?);
    for (index, document) in documents.into_iter().enumerate() {
        let added = document.and_then(|document| built.add(document));
        let number = index + 1;
        added.map_err(|source| BuildError::Document { file: file.to_owned(), number, source })?;
    }
    Ok(())
}
