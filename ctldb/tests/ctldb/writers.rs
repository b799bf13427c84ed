//! Writers: registration, secrets, cookies.

use anyhow::Result;
use ctldb::{Created, Credentials, Error, MAX_COOKIE_BYTES, Secret};
use ledger::WriterName;

use crate::on_both;
use crate::place::Place;
use crate::shape::credentials;

on_both!(
    a_writer_is_registered_once,
    the_first_cookie_is_the_originals,
    only_the_hash_of_a_secret_is_stored,
    a_wrong_secret_and_an_unknown_writer_look_the_same,
    a_cookie_is_set_whatever_it_was,
    names_that_a_collation_merges_are_two_writers,
);

async fn a_writer_is_registered_once(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let Credentials { writer, secret } = credentials();
    assert_eq!(ctldb.register_writer(&writer, &secret).await?, Created::New);
    ctldb.set_cookie(&credentials(), b"kept").await?;
    assert_eq!(ctldb.register_writer(&writer, &secret).await?, Created::AlreadyThere);
    assert_eq!(ctldb.cookie(&credentials()).await?, b"kept");
    let error = ctldb.register_writer(&writer, &Secret::from("another")).await.unwrap_err();
    assert!(matches!(error, Error::WriterExists(_)), "{error}");
    assert!(error.is_conflict());
    for secret in ["ab", &"x".repeat(101)] {
        let error = ctldb.register_writer(&writer, &Secret::from(secret)).await.unwrap_err();
        assert!(matches!(error, Error::SecretLength), "{error}");
    }
    Ok(())
}

async fn the_first_cookie_is_the_originals(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let Credentials { writer, secret } = credentials();
    ctldb.register_writer(&writer, &secret).await?;
    let cookie = String::from_utf8(ctldb.cookie(&credentials()).await?)?;
    assert_eq!(cookie, "d3JpdGVyMWvvyLhIjKvjOx0M5y3UgjITxDifKeSscYpRbLUKk7iS");
    Ok(())
}

async fn only_the_hash_of_a_secret_is_stored(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let Credentials { writer, secret } = credentials();
    ctldb.register_writer(&writer, &secret).await?;
    // printf secret | sha256sum
    let sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    assert_eq!(place.text("SELECT secret FROM mutators").await?, sha256);
    assert!(!format!("{:?}", credentials()).contains("secret\""));
    assert!(!format!("{:?}", credentials().secret).contains("secret"));
    Ok(())
}

async fn a_wrong_secret_and_an_unknown_writer_look_the_same(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let Credentials { writer, secret } = credentials();
    ctldb.register_writer(&writer, &secret).await?;
    let wrong = Credentials { secret: Secret::from("another"), ..credentials() };
    let unknown = Credentials { writer: WriterName::parse("nobody")?, ..credentials() };
    // The hash itself is no secret that opens anything.
    let hash = place.text("SELECT secret FROM mutators").await?;
    let hash = Credentials { secret: Secret::from(hash), ..credentials() };
    let clock = place.lock_clock().await?;
    for credentials in [wrong, unknown, hash] {
        let error = ctldb.cookie(&credentials).await.unwrap_err();
        assert!(matches!(error, Error::WriterNotFound), "{error}");
        let error = ctldb.set_cookie(&credentials, b"x").await.unwrap_err();
        assert!(matches!(error, Error::WriterNotFound), "{error}");
    }
    assert_eq!(place.lock_clock().await?, clock, "strangers do not get to the ledger lock");
    Ok(())
}

async fn a_cookie_is_set_whatever_it_was(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let Credentials { writer, secret } = credentials();
    ctldb.register_writer(&writer, &secret).await?;
    for cookie in [&b""[..], b"\x00\xff\x27", &[b'x'; MAX_COOKIE_BYTES]] {
        ctldb.set_cookie(&credentials(), cookie).await?;
        ctldb.set_cookie(&credentials(), cookie).await?;
        assert_eq!(ctldb.cookie(&credentials()).await?, cookie);
    }
    let long = [b'x'; MAX_COOKIE_BYTES + 1];
    let error = ctldb.set_cookie(&credentials(), &long).await.unwrap_err();
    assert!(matches!(error, Error::CookieTooLong { bytes: 1025 }), "{error}");
    Ok(())
}

async fn names_that_a_collation_merges_are_two_writers(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    for name in ["fóo", "foo", "Foo", "foo "] {
        let writer = WriterName::parse(name)?;
        let secret = Secret::from(format!("secret of {name}"));
        assert_eq!(ctldb.register_writer(&writer, &secret).await?, Created::New, "{name:?}");
    }
    Ok(())
}
