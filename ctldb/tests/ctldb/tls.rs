//! TLS as the URL asks for it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ctldb::{CtlDb, Migrated};
use ledger::CtlDbUrl;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use testkit::mariadb::MariaDb;

/// An authority whose certificate is at the path.
fn authority(file: &Path) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    std::fs::write(file, params.self_signed(&key)?.pem())?;
    Ok(Issuer::new(params, key))
}

/// A server whose certificate bears the name `db.example`, and which lets `ctl` in by TLS only.
struct Secured {
    server: MariaDb,
    database: String,
    folder: TempDir,
}

impl Secured {
    fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let path = |name: &str| folder.path().join(name);
        let issuer = authority(&path("ca.pem"))?;
        authority(&path("other.pem"))?;
        let key = KeyPair::generate()?;
        let leaf =
            CertificateParams::new(vec!["db.example".to_owned()])?.signed_by(&key, &issuer)?;
        std::fs::write(path("cert.pem"), leaf.pem())?;
        std::fs::write(path("key.pem"), key.serialize_pem())?;
        let option = |name: &str, file: &str| format!("--ssl-{name}={}", path(file).display());
        let (cert, key) = (option("cert", "cert.pem"), option("key", "key.pem"));
        let server = MariaDb::start_with(&[&cert, &key])?;
        let database = server.create_database()?.name;
        server.sql(&format!(
            "CREATE USER ctl@'%' IDENTIFIED BY 'p' REQUIRE SSL; GRANT ALL ON {database}.* TO ctl@'%'"
        ))?;
        Ok(Self { server, database, folder })
    }

    fn ca(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn connect(&self, query: &str) -> Result<(), ctldb::Error> {
        let Self { server, database, .. } = self;
        let url = format!("mysql://ctl:p@127.0.0.1:{}/{database}?{query}", server.port());
        CtlDb::open(CtlDbUrl::parse(&url).unwrap())?.ping().await
    }
}

#[tokio::test]
async fn the_url_says_how_the_connection_is_secured() -> Result<()> {
    let secured = Secured::start()?;
    let (ca, other) = (secured.ca("ca.pem"), secured.ca("other.pem"));
    let (ca, other) = (ca.display(), other.display());
    for query in [
        String::new(),
        "ssl-mode=preferred".to_owned(),
        "ssl-mode=required".to_owned(),
        format!("ssl-mode=verify-ca&ssl-ca={ca}"),
    ] {
        secured.connect(&query).await.map_err(|error| anyhow::anyhow!("{query}: {error:?}"))?;
    }
    for query in [
        "ssl-mode=disabled".to_owned(),
        // The system does not trust it.
        "ssl-mode=verify-ca".to_owned(),
        format!("ssl-mode=verify-ca&ssl-ca={other}"),
        // It bears another name than 127.0.0.1.
        format!("ssl-mode=verify-identity&ssl-ca={ca}"),
        "ssl-mode=verify-ca&ssl-ca=/nowhere/ca.pem".to_owned(),
    ] {
        let error = secured.connect(&query).await.expect_err(&query);
        assert!(error.is_unavailable(), "{query}: {error:?}");
    }
    Ok(())
}

/// A server without TLS is not spoken to when TLS was asked for.
#[tokio::test]
async fn required_means_required() -> Result<()> {
    let server = MariaDb::start_with(&["--skip-ssl"])?;
    let url = server.create_database()?.url;
    let preferred = CtlDb::open(CtlDbUrl::parse(&format!("{url}?ssl-mode=preferred"))?)?;
    assert_eq!(preferred.migrate().await?, Migrated::Created);
    let required = CtlDb::open(CtlDbUrl::parse(&format!("{url}?ssl-mode=required"))?)?;
    assert!(required.ping().await.is_err_and(|error| error.is_unavailable()));
    Ok(())
}
