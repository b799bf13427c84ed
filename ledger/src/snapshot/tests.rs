use std::collections::BTreeSet;
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::testing::table;
use crate::{Chain, Digest, History, LeaderTs, Position, Seq};

const HOUR: i64 = 3_600_000_000;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn part(bytes: u64, content: u8) -> Part {
    Part { digest: PartDigest::of(&[content]), bytes, stored_bytes: bytes.min(7) }
}

fn manifest(seq: u64) -> Manifest {
    let table = TableContent {
        schema: table("id:Integer name:String key(id)").unwrap(),
        rows: 3,
        digest: TableDigest::default(),
    };
    Manifest {
        format: FORMAT,
        min_compatible: 1,
        least_reader: 1,
        position: Position {
            history: History::Legacy,
            seq: Seq::new(seq).unwrap(),
            digest: digest(1),
            chain: Chain::GENESIS,
        },
        taken_at: LeaderTs::from_micros(1),
        method: Method::Copy,
        files: vec![SnapshotFile::new(Scope::All, 10, vec![part(10, 1), part(10, 2), part(3, 3)])],
        tables: vec![table],
        signature: None,
    }
}

/// The manifest after a change of its JSON.
fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<Manifest, ManifestError> {
    let mut json: serde_json::Value = serde_json::from_slice(&manifest(7).to_json()).unwrap();
    json.as_object_mut().unwrap().remove("seal").unwrap();
    change(&mut json);
    Manifest::read(json.to_string().as_bytes(), History::Legacy)
}

#[test]
fn a_manifest_reads_back_and_stays_readable() {
    let text = manifest(7).to_json();
    assert_eq!(Manifest::read(&text, History::Legacy).unwrap(), manifest(7));
    // A public format: what is written once is read for ever.
    expect![[r#"
        {
          "format": 1,
          "min_compatible": 1,
          "least_reader": 1,
          "history": "legacy",
          "seq": 7,
          "digest": "0101010101010101010101010101010101010101010101010101010101010101",
          "chain": "0000000000000000000000000000000000000000000000000000000000000000",
          "taken_at": "1970-01-01 00:00:00.000001",
          "method": "copy",
          "files": [
            {
              "scope": "all",
              "bytes": 23,
              "digest": "186bc39283bb5e684fadde68251512e4741c370fe011dcece8a26da8831937e7",
              "piece_bytes": 10,
              "parts": [
                {
                  "digest": "48fc721fbbc172e0925fa27af1671de225ba927134802998b10a1568a188652b",
                  "bytes": 10,
                  "stored_bytes": 7
                },
                {
                  "digest": "ab13bedf42e84bae0f7c62c7dd6a8ada571e8829bed6ea558217f0361b5e25d0",
                  "bytes": 10,
                  "stored_bytes": 7
                },
                {
                  "digest": "e1e0e81d6ea39b0cf8b86ffd440921011f57400cbc3f76a8a171906a9b8d7505",
                  "bytes": 3,
                  "stored_bytes": 3
                }
              ]
            }
          ],
          "tables": [
            {
              "schema": {
                "table": "fam___tbl",
                "columns": [
                  {
                    "name": "id",
                    "type": "Integer"
                  },
                  {
                    "name": "name",
                    "type": "String"
                  }
                ],
                "key": [
                  "id"
                ]
              },
              "rows": 3,
              "digest": "00000000000000000000000000000000"
            }
          ],
          "seal": "9a9d214e077fde76dbb632d30146a8cbb469452008d6b23c2f419142017d1f7e"
        }"#]]
    .assert_eq(&String::from_utf8(text).unwrap());
}

#[test]
fn what_was_added_since_is_ignored_and_a_future_format_refused_by_name() {
    assert!(read(|json| json["added"] = 1.into()).is_ok());
    assert!(read(|json| json["format"] = 9.into()).is_ok());
    let error = read(|json| {
        *json = serde_json::json!({ "min_compatible": 2, "all": "new" });
    });
    let error = error.unwrap_err();
    assert!(error.is_future());
    expect![
        "the snapshot's manifest has the future format 2, this version knows up to 1: upgrade it"
    ]
    .assert_eq(&error.to_string());
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let check = |want: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let error = read(change).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(!error.is_future());
    };
    check("damaged", &|json| json["seq"] = "x".into());
    check("damaged", &|json| json["method"] = "magic".into());
    check("another size", &|json| {
        json["files"][0]["parts"].as_array_mut().unwrap().swap(0, 2);
    });
    // Equal sizes: only the digest over all shows it.
    check("the digest of the file", &|json| {
        json["files"][0]["parts"].as_array_mut().unwrap().swap(0, 1);
    });
    check("number of its parts", &|json| json["files"][0]["bytes"] = 40.into());
    check("another size", &|json| json["files"][0]["bytes"] = 24.into());
    check("the size of its pieces", &|json| json["files"][0]["piece_bytes"] = 0.into());
    check("the size of its pieces", &|json| json["files"][0]["piece_bytes"] = (1_u64 << 40).into());
    check("larger in the store", &|json| {
        json["files"][0]["parts"][0]["stored_bytes"] = 9_999_999.into();
    });
    let text = manifest(7).to_json();
    for end in 0..text.len() {
        assert!(Manifest::read(&text[..end], History::Legacy).is_err(), "cut at {end}");
    }
}

#[test]
fn a_bit_that_flips_in_a_manifest_is_found() {
    let text = manifest(7).to_json();
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut flipped = text.clone();
            flipped[place] ^= 1 << bit;
            // Without its seal, as an older version wrote it, all else is still as it was.
            if let Ok(read) = Manifest::read(&flipped, History::Legacy) {
                assert_eq!(read, manifest(7), "bit {bit} of byte {place}");
            }
        }
    }
}

#[test]
fn a_manifest_of_another_history_or_name_is_refused() {
    let other = History::Id(Uuid::from_u128(5));
    let error = Manifest::read(&manifest(7).to_json(), other).unwrap_err();
    expect![
        "the snapshot is of the foreign history legacy, not of 00000000-0000-0000-0000-000000000005"
    ]
    .assert_eq(&error.to_string());
    let named = |seq, byte| manifest(7).is_named(Seq::new(seq).unwrap(), digest(byte));
    assert!(named(7, 1).is_ok());
    assert!(named(8, 1).unwrap_err().to_string().contains("swapped"));
    assert!(named(7, 2).unwrap_err().to_string().contains("swapped"));
    let mut split = manifest(7);
    split.files[0].scope = Scope::Family(crate::FamilyName::parse("billing").unwrap());
    assert!(split.whole_file().is_err());
    assert!(manifest(7).whole_file().is_ok());
}

#[test]
fn the_pointer_only_goes_forward() {
    let check = |current: Option<u64>, next, want| {
        let current = current.map(|seq| manifest(seq).position);
        assert_eq!(may_move(current, manifest(next).position), want);
    };
    let seq = |number| Seq::new(number).unwrap();
    check(None, 1, Ok(()));
    check(Some(1), 2, Ok(()));
    check(Some(2), 2, Err(Refused::Same { seq: seq(2) }));
    check(Some(3), 2, Err(Refused::Behind { from: seq(2), to: seq(3) }));
    let (own, mut other) = (manifest(2).position, manifest(2).position);
    other.digest = digest(9);
    assert_eq!(may_move(Some(own), other), Err(Refused::Forked { seq: seq(2) }));
    other.history = History::Id(Uuid::from_u128(5));
    assert!(matches!(may_move(Some(own), other), Err(Refused::ForeignHistory { .. })));
}

#[test]
fn snapshots_go_when_they_are_many_old_and_long_superseded() {
    let now = LeaderTs::from_micros(1000 * HOUR);
    // Hours ago that each was written, oldest first; which ones go.
    let check = |hours: &[i64], pointer: u64, want: &[u64]| {
        let stored = hours.iter().zip(1..).map(|(hours, seq)| StoredManifest {
            seq: Seq::new(seq).unwrap(),
            digest: digest(1),
            modified: LeaderTs::from_micros(now.as_micros() - hours * HOUR),
        });
        let stored = stored.collect::<Vec<_>>();
        let retention = Retention { count: 2, age: Duration::from_secs(48 * 3600) };
        let pointer = (Seq::new(pointer).unwrap(), digest(1));
        let mut gone: Vec<_> = expired(&stored, pointer, retention, now)
            .into_iter()
            .map(|object| match object {
                Object::Manifest(seq, _) => seq.get(),
                Object::Part(_) | Object::Pointer => panic!("only manifests expire: {object:?}"),
            })
            .collect();
        gone.sort_unstable();
        assert_eq!(gone, want, "{hours:?}");
    };
    check(&[], 1, &[]);
    check(&[900], 1, &[]);
    check(&[900, 800], 2, &[]);
    check(&[900, 800, 1], 3, &[1]);
    // Old enough and many, but superseded only just now: an upload may rely on its parts.
    check(&[900, 2, 1], 3, &[]);
    check(&[900, 47, 30, 1], 4, &[1]);
    check(&[900, 850, 800, 750], 2, &[1]);
    check(&[900, 850, 800, 750], 1, &[]);
}

#[test]
fn parts_go_when_no_manifest_names_them_and_no_upload_may_need_them() {
    let now = LeaderTs::from_micros(1000 * HOUR);
    let stored = |content: u8, hours: i64| StoredPart {
        digest: PartDigest::of(&[content]),
        modified: LeaderTs::from_micros(now.as_micros() - hours * HOUR),
    };
    let named = BTreeSet::from([PartDigest::of(&[1])]);
    let parts = [stored(1, 900), stored(2, 23), stored(3, 25), stored(4, -5)];
    assert_eq!(unnamed(&parts, &named, now), [PartDigest::of(&[3])]);
    assert!(fresh(&stored(1, 11), now) && !fresh(&stored(1, 13), now));
}

#[test]
fn a_table_digest_knows_rows_by_their_values_alone() {
    let of = |rows: &[&[Cell<'_>]]| {
        let mut content = Content::default();
        rows.iter().for_each(|row| content.add(row.iter().copied()));
        (content.rows(), content.digest())
    };
    use Cell::{Blob, Integer, Null, Real, Text};
    let (one, two): (&[_], &[_]) = (&[Integer(1), Text(b"a")], &[Integer(2), Null]);
    assert_eq!(of(&[one, two]), of(&[two, one]));
    assert_eq!(of(&[two]), of(&[&[Integer(2)]]), "a column was added");
    for other in [
        &[Integer(1), Text(b"b")] as &[_],
        &[Integer(1), Blob(b"a")],
        &[Integer(1), Null, Text(b"a")],
        &[Real(1.0), Text(b"a")],
        &[Text(b"a"), Integer(1)],
        &[Integer(1), Text(b"a"), Text(b"")],
    ] {
        assert_ne!(of(&[one]).1, of(&[other]).1, "{other:?}");
    }
    // Added up, not crossed out: a row twice is not none.
    assert_ne!(of(&[one, one]).1, of(&[]).1);
    assert_eq!(of(&[]).1, TableDigest::default());
    expect!["bbf45a84"].assert_eq(&of(&[one, two]).1.to_string()[..8]);
}

#[test]
fn chosen_keys_are_safe_paths() {
    let check = |text, want: Option<&str>| {
        let key = ObjectKey::chosen(text).ok();
        assert_eq!(key.as_ref().map(ObjectKey::as_str), want, "{text:?}");
    };
    check("/prod/ldb.db.gz", Some("prod/ldb.db.gz"));
    check("a", Some("a"));
    for text in ["", "/", "a//b", "../a", "a/../b", "a/.", "a b", "a\0", "é", "a/"] {
        check(text, None);
    }
    check(&"a".repeat(901), None);
}

proptest! {
    #[test]
    fn keys_read_back(id in any::<Option<u128>>(), seq in 0..=Seq::MAX.get(), bytes: [u8; 32]) {
        let history = id.map_or(History::Legacy, |id| History::Id(Uuid::from_u128(id)));
        let seq = Seq::new(seq).unwrap();
        let objects = [
            Object::Part(PartDigest::from_bytes(bytes)),
            Object::Manifest(seq, Digest::from_bytes(bytes)),
            Object::Pointer,
        ];
        for object in objects {
            let key = object.key(history);
            prop_assert_eq!(Object::parse(history, key.as_str()), Some(object));
            prop_assert_eq!(ObjectKey::chosen(key.as_str()), Ok(key.clone()));
            prop_assert!(key.as_str().starts_with(&root(history)));
            prop_assert_eq!(Object::parse(history, &format!("x{key}")), None);
        }
    }

    #[test]
    fn no_key_and_no_manifest_panics(text: String, bytes: Vec<u8>) {
        let name = format!("{}{text}", root(History::Legacy));
        if let Some(object) = Object::parse(History::Legacy, &name) {
            let key = object.key(History::Legacy);
            prop_assert_eq!(key.as_str(), name);
        }
        prop_assert!(Manifest::read(&bytes, History::Legacy).is_err());
    }

    #[test]
    fn pieces_cover_a_file_once(bytes in 0..10_000_u64, piece in 1..500_u64) {
        let mut end = 0;
        for (offset, size) in pieces(bytes, piece) {
            prop_assert_eq!(offset, end);
            prop_assert!((1..=piece).contains(&size));
            end += size;
        }
        prop_assert_eq!(end, bytes);
    }

    #[test]
    fn a_cut_file_is_a_manifest_that_reads_back(bytes in 0..5_000_u64, piece in 1..500_u64) {
        let parts = pieces(bytes, piece).map(|(_, bytes)| part(bytes, 1)).collect();
        let mut manifest = manifest(3);
        manifest.files = vec![SnapshotFile::new(Scope::All, piece, parts)];
        prop_assert_eq!(Manifest::read(&manifest.to_json(), History::Legacy).unwrap(), manifest);
    }

    /// Whatever the times: the newest ones, the pointer's and all above it stay; so does what was superseded less than the
    /// grace ago.
    #[test]
    fn expiry_is_safe(
        hours in proptest::collection::vec(0..200_i64, 0..12),
        count in 0..5_usize,
        pointer in 1..12_u64,
    ) {
        let now = LeaderTs::from_micros(1000 * HOUR);
        let stored: Vec<_> = hours.iter().zip(1..).map(|(hours, seq)| StoredManifest {
            seq: Seq::new(seq).unwrap(),
            digest: digest(1),
            modified: LeaderTs::from_micros(now.as_micros() - hours * HOUR),
        }).collect();
        let retention = Retention { count, age: Duration::ZERO };
        let pointer = Seq::new(pointer).unwrap();
        for gone in expired(&stored, (pointer, digest(1)), retention, now) {
            let Object::Manifest(seq, _) = gone else { panic!("{gone:?}") };
            prop_assert!(seq < pointer);
            let above: Vec<_> = stored.iter().filter(|other| other.seq > seq).collect();
            prop_assert!(above.len() >= count.max(1));
            prop_assert!(above.iter().any(|other| now.as_micros() - other.modified.as_micros() > 24 * HOUR));
        }
    }
}
