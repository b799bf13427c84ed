//! The cookie of `ctlstore mutate`: how many lines of which input are written.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// Bytes behind the writer's name in the cookie that a registration leaves, before base64.
const INITIAL_TAIL: usize = 32;

/// A place in an input: so many lines, and a digest over all of them, so that another input is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) lines: u64,
    pub(super) digest: String,
}

/// What a writer's cookie tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nobody has written a batch with a cookie yet.
    Fresh,
    /// We have come to this place.
    Place {
        place: Place,
        /// It was the end of the input.
        done: bool,
    },
    /// It is another program's.
    Foreign,
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(rename = "ctlstore-mutate")]
    version: u32,
    #[serde(flatten)]
    place: Place,
    done: bool,
}

/// The only form there is.
const VERSION: u32 = 1;

/// The cookie that says that this place is reached.
pub(super) fn render(place: &Place, done: bool) -> Vec<u8> {
    let text = Text { version: VERSION, place: place.clone(), done };
    serde_json::to_vec(&text).expect("BUG: a place is plain data")
}

impl Stored {
    pub(super) fn read(writer: &str, cookie: &[u8]) -> Self {
        match serde_json::from_slice::<Text>(cookie) {
            Ok(Text { version: VERSION, place, done }) => Self::Place { place, done },
            _ if cookie.is_empty() || is_initial(writer, cookie) => Self::Fresh,
            Ok(_) | Err(_) => Self::Foreign,
        }
    }
}

/// A registration leaves the writer's name and 32 bytes more, as base64.
fn is_initial(writer: &str, cookie: &[u8]) -> bool {
    let decoded = BASE64_STANDARD.decode(cookie).unwrap_or_default();
    decoded.len() == writer.len() + INITIAL_TAIL && decoded.starts_with(writer.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_ours_fresh_or_foreign() {
        let place = Place { lines: 7, digest: "ab".repeat(16) };
        let ours = render(&place, true);
        assert!(ours.len() < 128);
        assert_eq!(Stored::read("w", &ours), Stored::Place { place, done: true });
        assert_eq!(Stored::read("writer1", b""), Stored::Fresh);
        let initial = b"d3JpdGVyMWvvyLhIjKvjOx0M5y3UgjITxDifKeSscYpRbLUKk7iS";
        assert_eq!(Stored::read("writer1", initial), Stored::Fresh);
        assert_eq!(Stored::read("writer2", initial), Stored::Foreign);
        let newer = br#"{"ctlstore-mutate":2,"lines":7,"digest":"ab","done":true}"#;
        for foreign in [newer.as_slice(), b"{}", b"\x00\x00\x00\x07", b"7"] {
            assert_eq!(Stored::read("w", foreign), Stored::Foreign);
        }
    }
}
