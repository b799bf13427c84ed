use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "s3cr3t";

fn mysql(text: &str) -> MySqlUrl {
    match CtlDbUrl::parse(text) {
        Ok(CtlDbUrl::MySql(url)) => url,
        other => panic!("{other:?}"),
    }
}

/// A text that is refused; what is said never repeats the password.
fn refuse(text: &str, expected: &Expect) {
    let error = CtlDbUrl::parse(text).unwrap_err();
    assert!(!format!("{error:?} {error}").contains(SECRET), "{error:?}");
    expected.assert_eq(&error.to_string());
}

#[test]
fn a_url_has_user_password_host_port_and_database() {
    let url = mysql("mysql://ctlstore:pw@db.example:3307/ctldb");
    let MySqlUrl { host, port, user, password, database, tls, ca_file } = url;
    assert_eq!((host.as_str(), port), ("db.example", 3307));
    assert_eq!((user.as_str(), password.as_str(), database.as_str()), ("ctlstore", "pw", "ctldb"));
    assert_eq!((tls, ca_file), (Tls::Preferred, None));
}

#[test]
fn port_and_password_may_be_left_out_and_white_space_around_is_ignored() {
    let url = mysql(" mysql://root@127.0.0.1/ctldb\n");
    assert_eq!((url.port, url.password.as_str()), (3306, ""));
    assert_eq!(mysql("mysql://root:@[::1]:3307/ctldb").host, "::1");
}

#[test]
fn users_and_databases_keep_their_case_digits_and_underscores() {
    let url = mysql("mysql://1_User:pw@h/My_DB-1");
    assert_eq!((url.user.as_str(), url.database.as_str()), ("1_User", "My_DB-1"));
}

#[test]
fn parameters_say_how_the_connection_is_secured() {
    let tls = |query: &str| mysql(&format!("mysql://u:p@h/d?{query}")).tls;
    assert_eq!(tls("ssl-mode=disabled"), Tls::Disabled);
    assert_eq!(tls("ssl-mode=preferred"), Tls::Preferred);
    assert_eq!(tls("ssl-mode=REQUIRED"), Tls::Required);
    assert_eq!(tls("ssl-mode=VERIFY_CA"), Tls::VerifyCa);
    assert_eq!(tls("ssl-mode=verify-identity"), Tls::VerifyIdentity);
    assert_eq!(tls("ssl-ca=/ca.pem"), Tls::VerifyCa);
    assert_eq!(tls("ssl-ca=/ca.pem&ssl-mode=required"), Tls::Required);
    let url = mysql("mysql://u:p@h/d?ssl-mode=verify-ca&ssl-ca=/etc/my%20ca+1.pem");
    assert_eq!(url.ca_file, Some(PathBuf::from("/etc/my ca+1.pem")));
}

#[test]
fn a_file_is_a_path() {
    let path = |text: &str| match CtlDbUrl::parse(text) {
        Ok(CtlDbUrl::Sqlite(path)) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path("sqlite:ctldb.db"), PathBuf::from("ctldb.db"));
    assert_eq!(path("sqlite:/var/lib/a b?.db\n"), PathBuf::from("/var/lib/a b?.db"));
    assert_eq!(path("sqlite:///var/lib/c.db"), PathBuf::from("/var/lib/c.db"));
    assert_eq!(CtlDbUrl::parse("sqlite:/a.db").unwrap().to_string(), "sqlite:/a.db");
    assert_eq!(CtlDbUrl::parse("sqlite:"), Err(CtlDbUrlError::Missing("path")));
}

#[test]
fn a_special_character_that_is_not_encoded_is_named() {
    for special in ["#", "?", "/", "@", "%", "%4", "%zz", " ", "\t", "\n", "\0"] {
        for password in [
            format!("{SECRET}{special}x"),
            format!("12{special}{SECRET}"),
            format!("{special}{SECRET}{special}"),
        ] {
            let text = format!("mysql://user:{password}@host/db");
            let error = CtlDbUrl::parse(&text).unwrap_err();
            assert!(matches!(error, CtlDbUrlError::Syntax(_)), "{text} {error:?}");
            assert!(!format!("{error:?} {error}").contains(SECRET), "{text} {error:?}");
        }
    }
    refuse(
        "mysql://user:s3cr3t#@host/db",
        &expect![
            "the ctldb URL cannot be read (it has a '#'): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
    refuse(
        "mysql://user:12?s3cr3t@host/db",
        &expect![
            "the ctldb URL cannot be read (it has a '/' or '?' before the '@'): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
    refuse(
        "mysql://user:12/s3cr3t@host/db",
        &expect![
            "the ctldb URL cannot be read (it has a '/' or '?' before the '@'): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
    refuse(
        "mysql://user:12@s3cr3t@host/db",
        &expect![
            "the ctldb URL cannot be read (it has more than one '@'): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
    refuse(
        "mysql://user:100%s3cr3t@host/db",
        &expect![
            "the ctldb URL cannot be read (it has a '%' that two hexadecimal digits do not follow): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
    refuse(
        "mysql://u@ser:12/ab?s3cr3t@host/db",
        &expect![
            "the ctldb URL cannot be read (it has more than one '@'): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
}

#[test]
fn a_url_that_lacks_a_part_is_refused() {
    refuse(
        "",
        &expect![
            "the ctldb URL begins with neither mysql:// nor sqlite:, write mysql://USER:PASSWORD@HOST:3306/DATABASE or sqlite:PATH"
        ],
    );
    refuse(
        "postgres://u:s3cr3t@h/d",
        &expect![
            "the ctldb URL begins with neither mysql:// nor sqlite:, write mysql://USER:PASSWORD@HOST:3306/DATABASE or sqlite:PATH"
        ],
    );
    refuse(
        "u:s3cr3t@tcp(h:3306)/d",
        &expect![
            "the ctldb URL begins with neither mysql:// nor sqlite:, write mysql://USER:PASSWORD@HOST:3306/DATABASE or sqlite:PATH"
        ],
    );
    refuse(
        "mysql://h/d",
        &expect!["the ctldb URL has no user, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://u:s3cr3t",
        &expect!["the ctldb URL has no user, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://:s3cr3t@h/d",
        &expect!["the ctldb URL has no user, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://u:s3cr3t@/d",
        &expect!["the ctldb URL has no host, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://u:s3cr3t@:3306/d",
        &expect!["the ctldb URL has no host, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://u:s3cr3t@h",
        &expect!["the ctldb URL has no database, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://u:s3cr3t@h/",
        &expect!["the ctldb URL has no database, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
    refuse(
        "mysql://u:s3cr3t@h/d/e",
        &expect!["the ctldb URL has no database, write mysql://USER:PASSWORD@HOST:3306/DATABASE"],
    );
}

#[test]
fn a_url_with_a_bad_port_or_parameter_is_refused() {
    refuse(
        "mysql://u:s3cr3t@h:0/d",
        &expect!["the ctldb URL has a bad port, use a number from 1 to 65535"],
    );
    refuse(
        "mysql://u:s3cr3t@h:65536/d",
        &expect!["the ctldb URL has a bad port, use a number from 1 to 65535"],
    );
    refuse(
        "mysql://u:s3cr3t@h:x/d",
        &expect!["the ctldb URL has a bad port, use a number from 1 to 65535"],
    );
    refuse(
        "mysql://u:s3cr3t@h/d?tls=true",
        &expect![[
            r#"the ctldb URL has the unknown parameter "tls", known are ssl-mode and ssl-ca"#
        ]],
    );
    refuse(
        "mysql://u:s3cr3t@h/d?ssl-mode=on",
        &expect![
            "the ctldb URL has an unknown ssl-mode, use disabled, preferred, required, verify-ca or verify-identity"
        ],
    );
    refuse(
        "mysql://u:%ffs3cr3t@h/d",
        &expect![
            "the ctldb URL cannot be read (not UTF-8): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
        ],
    );
}

#[test]
fn a_url_never_shows_its_password() {
    let url = CtlDbUrl::parse("mysql://user:s3cr3t@[::1]:3307/db?ssl-ca=/ca").unwrap();
    assert_eq!(url.to_string(), "mysql://user:***@[::1]:3307/db");
    assert_eq!(format!("{url:?}"), url.to_string());
    let CtlDbUrl::MySql(inner) = &url else { panic!("{url:?}") };
    assert_eq!(format!("{inner:#?}"), url.to_string());
    // Shown all alike, so a log line cannot be forged and an absent password is no news.
    let url = CtlDbUrl::parse("mysql://a%0ab@h/d").unwrap();
    assert_eq!(url.to_string(), r"mysql://a\nb:***@h:3306/d");
}

proptest! {
    #[test]
    fn every_password_survives_percent_encoding(user in ".+", password in any::<String>(), database in "db[^/]*") {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let text = format!("mysql://{}:{}@host/{}", encode(&user), encode(&password), encode(&database));
        let url = mysql(&text);
        prop_assert_eq!((url.user, url.password, url.database), (user, password, database));
    }

    #[test]
    fn no_text_makes_a_url_panic_or_repeats_its_password(before in "[ -~]{0,8}", after in "[ -~]{0,8}") {
        let text = format!("mysql://user:{before}{SECRET}{after}@host/db");
        let shown = match CtlDbUrl::parse(&text) {
            Ok(url) => format!("{url:?}"),
            Err(error) => format!("{error:?} {error}"),
        };
        prop_assert!(!shown.contains(SECRET), "{}", shown);
    }
}
