//! What embedded mode prints when it is up: where everything is, and what to try.

use std::io::{self, Write};
use std::path::Path;

use crate::dev::Places;

/// One block, for somebody who has never seen it.
pub(crate) fn print(places: &Places, manifests: &Path, out: &mut dyn Write) -> io::Result<()> {
    let Places { executive, read, ldb, ctldb } = places;
    let shown = manifests.display();
    let (family, table) = match operator::first_table(manifests) {
        Some(table) => (table.family().to_string(), table.table().to_string()),
        None => ("FAMILY".to_owned(), "TABLE".to_owned()),
    };
    let batch = manifests.join("batches/rows.json");
    let batch = if batch.is_file() {
        format!("@{}", batch.display())
    } else {
        format!(r#"'{{"mutations":[{{"table":"{table}","values":{{"COLUMN":"VALUE"}}}}]}}'"#)
    };
    let (ldb, ctldb, ctlstore) = (ldb.display(), ctldb.display(), ourselves());
    writeln!(
        out,
        "ctlstore runs on this machine until Ctrl-C. It is for trying out: whoever reaches its ports may write.

  write API   http://{executive}
  read API    http://{read}
  LDB         {ldb}   (any SQLite program can read {ldb}/ldb.db)
  ctldb       {ctldb}
  manifests   {shown}   (read again when they change)

Try, in another terminal:

  curl --data-binary a-secret http://{executive}/writers/trial
  curl -H ctlstore-writer:trial -H ctlstore-secret:a-secret --data {batch} http://{executive}/families/{family}/mutations
  {ctlstore} scan {family} {table} --ldb {ldb}
  {ctlstore} status --ldb {ldb}

What becomes of the resources, as it happens:
"
    )
}

/// The binary as it can be typed here: it often was built in a folder below, which no shell looks into.
fn ourselves() -> String {
    let known = std::env::current_exe().ok().zip(std::env::current_dir().ok());
    let near = known.map(|(exe, here)| exe.strip_prefix(here).map(Path::to_owned).unwrap_or(exe));
    near.map_or_else(|| "ctlstore".to_owned(), |path| path.display().to_string())
}
