//! Answers of any size: rows go out as they are read, page by page, and wait for the client. `GET /v1/stream/…` has a row a
//! line (NDJSON).
//!
//! Each page is one state, the answer as a whole is not: a row that was there all the time is there once, one that was written
//! meanwhile may be there, old or new. A view over all of it would keep the agent from emptying the WAL for as long as the
//! client likes. An answer that fails on the way is cut, so that its end is missing.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use daemon::log::Chain;
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;

use crate::read_api::app::{App, Size};
use crate::read_api::error::Error;
use crate::read_api::key;
use crate::read_api::page::{List, Most, Page};
use crate::read_api::params::Params;
use crate::read_api::path::Target;
use crate::read_api::row::Demands;

/// The kind of `GET /v1/stream/…`.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// What is read at once.
const PAGE: Most = Most { rows: 4_096, bytes: 256 << 10 };

/// `GET /v1/stream/{family}/{table}[/{prefix}]`
pub(crate) async fn get(State(app): State<App>, uri: Uri) -> Result<Response, Error> {
    let target = Target::of(&uri)?;
    let mut params = Params::of(&uri)?;
    let demands = Demands::take(&mut params)?;
    params.end()?;
    let (family, stamp) = demands.family(&app, &target.family).await?;
    let place = app.place(Size::Parts).await?;
    let schema = family.shared_schema(&target.table)?;
    demands.style.check(&schema)?;
    let prefix = key::typed(&schema, &target.key)?;
    let (table, style) = (target.table, demands.style);
    let list = List { family, table, prefix, style, between: b"\n" };
    let first = list.page(&app, None, PAGE).await?;
    let frame = Frame { open: b"", close: b"", last: b"\n" };
    let rows = body(app, list, first, frame, place);
    Ok((stamp, [(header::CONTENT_TYPE, NDJSON)], rows).into_response())
}

/// What stands around the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) open: &'static [u8],
    pub(crate) close: &'static [u8],
    /// After the last row, if there is one.
    pub(crate) last: &'static [u8],
}

/// An answer that is whole, and keeps its place until it is sent.
pub(crate) fn held(whole: Vec<u8>, place: OwnedSemaphorePermit) -> Body {
    struct Held {
        bytes: Vec<u8>,
        _place: OwnedSemaphorePermit,
    }
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    Body::from(Bytes::from_owner(Held { bytes: whole, _place: place }))
}

/// The first page and those after it.
pub(crate) fn body(
    app: App,
    list: List,
    first: Page,
    frame: Frame,
    place: OwnedSemaphorePermit,
) -> Body {
    let state = (app, list, Some(first), frame.open, place);
    let pages = stream::try_unfold(state, move |(app, list, page, before, place)| async move {
        let Some(Page { mut json, next, rows }) = page else { return Ok(None) };
        json.splice(0..0, before.iter().copied());
        let after = match next {
            Some(next) => {
                json.extend_from_slice(list.between);
                Some(list.page(&app, Some(next), PAGE).await.map_err(cut)?)
            }
            None => {
                json.extend_from_slice(if rows > 0 { frame.last } else { b"" });
                json.extend_from_slice(frame.close);
                None
            }
        };
        Ok::<_, Error>(Some((Bytes::from(json), (app, list, after, b"".as_slice(), place))))
    });
    Body::from_stream(pages)
}

fn cut(error: Error) -> Error {
    tracing::warn!(error = %Chain(&error), "a list is cut, for the LDB cannot be read on");
    error
}
