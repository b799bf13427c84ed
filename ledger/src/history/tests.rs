use proptest::prelude::*;

use super::*;

const ID: &str = "0b2f9f3e-3c1a-4f3c-9d5a-0123456789ab";

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

#[test]
fn a_history_is_an_id_or_legacy() {
    for text in ["legacy", ID] {
        assert_eq!(text.parse::<History>().unwrap().to_string(), text);
        let json = format!("\"{text}\"");
        let history: History = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&history).unwrap(), json);
    }
    let upper = ID.to_uppercase();
    let bare = ID.replace('-', "");
    let braces = format!("{{{ID}}}");
    let urn = format!("urn:uuid:{ID}");
    for text in ["", "Legacy", " legacy", "x", &ID[1..], &upper, &bare, &braces, &urn] {
        assert_eq!(text.parse::<History>(), Err(MarkError), "{text}");
        assert!(serde_json::from_str::<History>(&format!("\"{text}\"")).is_err());
    }
}

#[test]
fn a_digest_is_64_hexadecimal_digits() {
    let text = "ab".repeat(32);
    assert_eq!(text.parse(), Ok(digest(0xab)));
    assert_eq!(digest(0xab).to_string(), text);
    assert_eq!(format!("{:?}", digest(0xab)), format!("Digest({text})"));
    assert_eq!(Digest::from_slice(&[0xab; 32]), Some(digest(0xab)));
    assert_eq!(Digest::from_slice(&[0xab; 31]), None);
    for refused in ["", "ab", &text[1..], &format!("{text}0"), &"zz".repeat(32), &"é".repeat(32)] {
        assert_eq!(refused.parse::<Digest>(), Err(HexError), "{refused}");
    }
}

#[test]
fn the_chain_folds_the_chain_before_and_the_digest() {
    let mut bytes = [0; 64];
    bytes[32..].copy_from_slice(&[7; 32]);
    assert_eq!(Chain::GENESIS.link(digest(7)).as_bytes(), blake3::hash(&bytes).as_bytes());
}

#[test]
fn the_chain_shows_order_and_loss() {
    let chain = |digests: &[u8]| {
        digests.iter().fold(Chain::GENESIS, |chain, byte| chain.link(digest(*byte)))
    };
    assert_eq!(chain(&[1, 2, 3]), chain(&[1, 2, 3]));
    for other in [&[1, 3, 2][..], &[2, 3], &[1, 2], &[1, 2, 3, 3], &[]] {
        assert_ne!(chain(&[1, 2, 3]), chain(other));
    }
}

fn mark() -> Mark {
    Mark { history: ID.parse().unwrap(), seq: Seq::new(42).unwrap(), digest: digest(1) }
}

#[test]
fn a_mark_has_one_text() {
    let digest = "01".repeat(32);
    let text = format!("{ID}.42.{digest}");
    assert_eq!(mark().to_string(), text);
    assert_eq!(text.parse(), Ok(mark()));
    assert_eq!(serde_json::to_string(&mark()).unwrap(), format!("\"{text}\""));
    for refused in [
        String::new(),
        format!("{ID}.42"),
        format!("{ID}.42."),
        format!("{ID}..{digest}"),
        format!("{ID}.042.{digest}"),
        format!("{ID}.+42.{digest}"),
        format!("{ID}.-1.{digest}"),
        format!("{ID}.9223372036854775808.{digest}"),
        format!("{ID}.42.{digest}0"),
        format!("{ID}.42.{digest}.1"),
        format!("{ID}.42.{}", "AB".repeat(32)),
        format!(" {text}"),
        format!("{text}\n"),
        format!("x.42.{digest}"),
    ] {
        assert_eq!(refused.parse::<Mark>(), Err(MarkError), "{refused}");
    }
}

#[test]
fn a_position_in_json_keeps_all_four_parts() {
    let position = Position {
        history: History::Legacy,
        seq: Seq::MAX,
        digest: digest(2),
        chain: Chain::from_bytes([3; 32]),
    };
    let json = serde_json::to_string(&position).unwrap();
    assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
    assert!(json.contains("9223372036854775807") && json.contains("legacy"), "{json}");
    let mark = position.mark();
    assert_eq!((mark.history, mark.seq, mark.digest), (History::Legacy, Seq::MAX, digest(2)));
}

proptest! {
    #[test]
    fn marks_survive_their_text(
        id in any::<Option<u128>>(), seq in 0..=Seq::MAX.get(), bytes: [u8; 32]
    ) {
        let history = id.map_or(History::Legacy, |id| History::Id(Uuid::from_u128(id)));
        let seq = Seq::new(seq).unwrap();
        let mark = Mark { history, seq, digest: Digest::from_bytes(bytes) };
        prop_assert_eq!(mark.to_string().parse(), Ok(mark));
    }

    #[test]
    fn no_text_makes_a_mark_panic(text: String) {
        if let Ok(mark) = text.parse::<Mark>() {
            prop_assert_eq!(mark.to_string(), text);
        }
    }
}
