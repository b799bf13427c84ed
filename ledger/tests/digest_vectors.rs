//! The digest of an entry and the chain never change: every LDB and every batch row holds them.
//!
//! The file was made by another program, from the definition alone: `digest` is BLAKE3 of `seq` (8 bytes,
//! little-endian), `leader_ts_micros` (8 bytes, signed, little-endian) and the statement's UTF-8 bytes; `chain` is
//! BLAKE3 of the chain before (32 zero bytes before the first) and the digest.

use ledger::{Chain, Entry, LeaderTs, Seq};

#[derive(serde::Deserialize)]
struct Vector {
    seq: Seq,
    leader_ts_micros: i64,
    statement: String,
    digest: String,
    chain: String,
}

#[test]
fn digests_and_chain_are_those_of_the_vectors() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/digest.json")).unwrap();
    assert_eq!(vectors.len(), 12);
    let mut chain = Chain::GENESIS;
    for Vector { seq, leader_ts_micros, statement, digest, chain: linked } in vectors {
        let leader_ts = LeaderTs::from_micros(leader_ts_micros);
        let entry = Entry { seq, leader_ts, statement };
        assert_eq!(entry.digest().to_string(), digest, "{entry:?}");
        chain = chain.link(entry.digest());
        assert_eq!(chain.to_string(), linked, "{entry:?}");
    }
}
