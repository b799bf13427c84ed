//! The SQL of `docs/grants.md`, as an administrator would copy it.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The statements of the blocks with this label; those without one have the label "". `passwords` replaces the page's
/// placeholders, which must all be there.
///
/// # Errors
/// The page has no such block, or a placeholder is missing.
pub fn statements(label: &str, passwords: &[(&str, &str)]) -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/grants.md");
    let page = std::fs::read_to_string(page).context("read docs/grants.md")?;
    let mut sql = blocks(&page, label).concat();
    ensure!(!sql.is_empty(), "docs/grants.md has no block of SQL labelled {label:?}");
    for (placeholder, password) in passwords {
        ensure!(sql.contains(placeholder), "docs/grants.md does not say {placeholder}");
        sql = sql.replace(placeholder, password);
    }
    Ok(sql)
}

fn blocks<'a>(page: &'a str, label: &str) -> Vec<&'a str> {
    // Every second part stands between fences.
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.strip_prefix("sql")?.split_once('\n'))
        .filter(|(found, _)| found.trim() == label)
        .map(|(_, sql)| sql)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_by_their_labels() {
        let page = "a\n```sql\nONE;\n```\nb `c`\n```sql more\nTWO;\n```\n```\nnot sql\n```\n```sql\nTHREE;\n```\n";
        assert_eq!(blocks(page, ""), ["ONE;\n", "THREE;\n"]);
        assert_eq!(blocks(page, "more"), ["TWO;\n"]);
        assert!(statements("no such label", &[]).is_err());
        assert!(statements("", &[("NO-SUCH-PASSWORD", "x")]).is_err());
    }
}
