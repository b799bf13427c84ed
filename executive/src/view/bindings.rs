//! `GET` and `PUT /v1/writers/{w}/families`: the only families that a writer may write. Unbound, it may write all, as in
//! the original.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use ledger::{FamilyName, WriterName};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::audit;
use crate::body;
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::json::Object;
use crate::path::Segments;
use crate::ticket::Ticket;

/// What a writer may write.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WriterFamilies")]
pub(crate) struct Binding {
    writer: String,
    /// The only families that it may write; `null`: all.
    families: Option<Vec<String>>,
}

/// What the writer may write.
pub(crate) async fn get(
    State(app): State<App>,
    ticket: Ticket,
    Segments(writer): Segments<String>,
) -> Result<Json<Binding>, Error> {
    let writer = WriterName::parse(&writer)?;
    let families = app.ask(&ticket, app.db.writer_families(&writer)).await?;
    let families =
        families.map(|families| families.iter().map(ToString::to_string).collect::<Vec<_>>());
    Ok(Json(Binding { writer: writer.into(), families }))
}

/// Binds the writer to families, or frees it.
pub(crate) async fn set(
    State(app): State<App>,
    ticket: Ticket,
    Segments(writer): Segments<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let writer = WriterName::parse(&writer)?;
    let families = parse(&body::read(body, &ticket).await?)?;
    let (db, of) = (app.db.clone(), writer.clone());
    app.carry_out(&ticket, async move { db.bind_writer(&of, families).await }).await??;
    audit::set(&caller.admin(), "bind writer", &writer);
    Ok(StatusCode::OK)
}

/// Reads `{"families":["a",…]}`; `null` frees the writer. That it is absent is a mistake: it must not free anybody.
fn parse(body: &[u8]) -> Result<Option<Vec<FamilyName>>, Error> {
    let wrong = |error: &serde_json::Error| {
        Error::new(Code::JsonInvalid, format!("JSON Error: {error}")).field("families")
    };
    let object = Object::parse(body).map_err(|error| wrong(&error))?;
    if !object.members().any(|(name, _)| name.eq_ignore_ascii_case("families")) {
        let text = "no families, send a list of names, or null for all families";
        return Err(Error::new(Code::JsonInvalid, text).field("families"));
    }
    let names: Option<Vec<String>> = object.read("families").map_err(|error| wrong(&error))?;
    let Some(names) = names else { return Ok(None) };
    let families = names.iter().map(|name| FamilyName::parse_folded(name));
    Ok(Some(families.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_null_frees_a_writer() {
        let read = |body: &str| {
            let families = parse(body.as_bytes()).map_err(|error| error.code())?;
            Ok::<_, Code>(
                families.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()),
            )
        };
        let names = |names: &[&str]| Ok(Some(names.iter().map(|n| (*n).to_owned()).collect()));
        assert_eq!(read(r#"{"families":["Billing","shop"]}"#), names(&["billing", "shop"]));
        assert_eq!(read(r#"{"families":[]}"#), names(&[]));
        assert_eq!(read(r#"{"families":null}"#), Ok(None));
        for body in ["{}", "null", "[]", r#"{"families":"billing"}"#, r#"{"family":["a"]}"#] {
            assert_eq!(read(body), Err(Code::JsonInvalid), "{body}");
        }
        assert_eq!(read(r#"{"families":["no"]}"#), Err(Code::NameInvalid));
    }
}
