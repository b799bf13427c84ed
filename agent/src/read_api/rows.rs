//! Many rows: `GET /v1/rows/{family}/{table}[/{prefix}]` with limit and continuation, `POST /v1/rows/{family}/{table}` for the
//! rows of many keys. Each answer is of one state.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::read_api::app::{App, Size};
use crate::read_api::error::{Code, Error};
use crate::read_api::key;
use crate::read_api::page::{List, Most, Page};
use crate::read_api::params::Params;
use crate::read_api::path::Target;
use crate::read_api::row::{Demands, JSON};
use crate::read_api::stream::held;
use crate::read_api::{body, token};

/// The most rows of an answer, and how many without `limit`.
pub(crate) const MAX_LIMIT: u64 = 10_000;
pub(crate) const LIMIT: u64 = 1_000;
/// The most keys of a request.
pub(crate) const MAX_KEYS: usize = 1_000;

/// `GET /v1/rows/{family}/{table}[/{prefix}]`
pub(crate) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Error> {
    let target = Target::of(&uri)?;
    let mut params = Params::of(&uri)?;
    let demands = Demands::take(&mut params)?;
    let limit = params.number("limit", 1..=MAX_LIMIT)?.unwrap_or(LIMIT);
    let continued = params.take("continue");
    params.end()?;
    let (family, stamp) = demands.family(&app, &target.family).await?;
    let place = app.place(Size::Whole).await?;
    let schema = family.shared_schema(&target.table)?;
    demands.style.check(&schema)?;
    let prefix = key::typed(&schema, &target.key)?;
    let table = schema.table();
    let after = continued.map(|text| token::read(table, &prefix, &text)).transpose()?;
    let (table_name, style) = (target.table, demands.style);
    let list = List { family, table: table_name, prefix, style, between: b"," };
    let most = Most { rows: limit, bytes: app.limits.max_bytes };
    let Page { json, next, .. } = list.page(&app, after, most).await?;
    let next = next.map(|next| token::write(table, &list.prefix, &next));
    let tail = match next {
        Some(next) => format!("],\"continue\":\"{next}\"}}"),
        None => "],\"continue\":null}".to_owned(),
    };
    let body = [b"{\"rows\":[".as_slice(), &json, tail.as_bytes()].concat();
    Ok((stamp, [(header::CONTENT_TYPE, JSON)], held(body, place)).into_response())
}

/// The body of `POST /v1/rows/{family}/{table}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<Vec<Value>>,
}

/// `POST /v1/rows/{family}/{table}`
pub(crate) async fn by_keys(
    State(app): State<App>,
    uri: Uri,
    body: Body,
) -> Result<Response, Error> {
    let target = Target::of(&uri)?;
    let mut params = Params::of(&uri)?;
    let demands = Demands::take(&mut params)?;
    params.end()?;
    let body = body::read(&app, body).await?;
    let Keys { keys } = serde_json::from_slice(&body).map_err(|error| {
        let text = format!("the body is not of the form {{\"keys\":[[VALUE,…],…]}}: {error}");
        Error::new(Code::JsonInvalid, text)
    })?;
    if keys.len() > MAX_KEYS {
        let text = format!("{} keys, send at most {MAX_KEYS} in one request", keys.len());
        return Err(Error::new(Code::TooManyKeys, text).field("keys"));
    }
    let (family, stamp) = demands.family(&app, &target.family).await?;
    let place = app.place(Size::Whole).await?;
    let read = move |app: &App| {
        let schema = family.shared_schema(&target.table)?;
        demands.style.check(&schema)?;
        let keys: Result<Vec<_>, _> = keys.iter().map(|key| key::json(&schema, key)).collect();
        let keys = keys?;
        let mut out = b"{\"rows\":[".to_vec();
        family.view(|view| {
            for (index, key) in keys.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let key = key::values(key).unwrap_or_default();
                let before = out.len();
                let found = view.with_row(&target.table, &key, |row| {
                    out.truncate(before);
                    demands.style.write(&mut out, row)
                })?;
                match found {
                    Some(written) => written?,
                    None => out.extend_from_slice(b"null"),
                }
                if out.len() > app.limits.max_bytes {
                    return Err(too_large(app.limits.max_bytes));
                }
            }
            Ok(())
        })?;
        out.extend_from_slice(b"]}");
        Ok(out)
    };
    let rows = app.read_long(read).await?;
    Ok((stamp, [(header::CONTENT_TYPE, JSON)], held(rows, place)).into_response())
}

fn too_large(most: usize) -> Error {
    let text = format!("the rows have more than {most} bytes (--read-max-bytes), send fewer keys");
    Error::new(Code::AnswerTooLarge, text).field("keys")
}
