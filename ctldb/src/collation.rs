//! Which collation the server has that compares text as SQLite does: byte by byte, trailing spaces included.
//! Never `utf8mb4_bin`, for which `'a'` and `'a '` are the same key.

use crate::Error;
use crate::dialect::Dialect;
use crate::session::Session;

/// MariaDB's, and MySQL's since 8.0.17.
const KNOWN: [&str; 2] = ["utf8mb4_nopad_bin", "utf8mb4_0900_bin"];

impl Session {
    /// The collation of all our tables.
    pub(crate) async fn collation(&mut self) -> Result<&'static str, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok("BINARY");
        }
        const SQL: &str = "SELECT CAST(collation_name AS CHAR) FROM information_schema.collations WHERE collation_name IN (?, ?)";
        let rows = self.query("ask for collations", SQL, &KNOWN.map(Into::into)).await?;
        let found =
            |name: &&&str| rows.iter().any(|row| row.text(0).is_ok_and(|text| text == **name));
        KNOWN.iter().find(found).copied().ok_or(Error::Collation)
    }
}
