//! Limits over HTTP: `/limits/tables` and `/limits/writers`. A limit that an object
//! set, a `CtlTable` or a `CtlFamily`, is changed there.

pub(crate) mod decode;
mod json;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use ctldb::{Error as DbError, Fence, OwnerId, SizeLimit};
use ledger::{LdbTable, WriterName};

use crate::app::App;
use crate::audit;
use crate::body;
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::ticket::Ticket;
use decode::{rate_limit, sanitized, size_limit};
pub(crate) use json::{TableLimits, WriterLimits};

/// The limits of tables.
pub(crate) async fn tables(
    State(app): State<App>,
    ticket: Ticket,
) -> Result<Json<TableLimits>, Error> {
    let limits = app.ask(&ticket, app.db.table_limits()).await?;
    Ok(Json(TableLimits::new(app.limits.size, &limits)))
}

/// Sets the limit of a table.
pub(crate) async fn set_table(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let table = sanitized(&family, &table)?;
    let limit = size_limit(&body::read(body, &ticket).await?)?;
    change_table(&app, &ticket, (&table, Some(limit)), caller).await.map_err(
        |error| match error.code() {
            Code::TableNotFound => {
                Error::new(Code::TableNotFound, format!("table '{table}' not found"))
            }
            _ => error,
        },
    )?;
    Ok(StatusCode::OK)
}

/// Removes the limit of a table.
pub(crate) async fn delete_table(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, Error> {
    let table = sanitized(&family, &table)?;
    let missing = || {
        let text = format!("could not find table limit for {table}");
        Error::new(Code::LimitNotFound, text)
    };
    match change_table(&app, &ticket, (&table, None), caller).await {
        Ok(true) => Ok(StatusCode::OK),
        Ok(false) => Err(missing()),
        Err(error) if error.code() == Code::TableNotFound => Err(missing()),
        Err(error) => Err(error),
    }
}

/// Says whether there was a limit before.
async fn change_table(
    app: &App,
    ticket: &Ticket,
    (table, limit): (&LdbTable, Option<SizeLimit>),
    caller: Caller,
) -> Result<bool, Error> {
    let (db, of) = (app.db.clone(), table.clone());
    let change =
        async move { db.set_table_limit(&of, limit, &OwnerId::Executive, Fence::Open).await };
    let had = app.carry_out(ticket, change).await??;
    if had || limit.is_some() {
        let action = if limit.is_some() { "set table limit" } else { "delete table limit" };
        audit::set(&caller.admin(), action, table);
    }
    Ok(had)
}

/// The limits of writers.
pub(crate) async fn writers(
    State(app): State<App>,
    ticket: Ticket,
) -> Result<Json<WriterLimits>, Error> {
    let limits = app.ask(&ticket, app.db.writer_limits()).await?;
    Ok(Json(WriterLimits::new(app.limits.rate, &limits)))
}

/// Sets the limit of a writer.
pub(crate) async fn set_writer(
    State(app): State<App>,
    ticket: Ticket,
    Segments(writer): Segments<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let writer = WriterName::parse(&writer)?;
    let limit = rate_limit(&body::read(body, &ticket).await?)?;
    let (db, of) = (app.db.clone(), writer.clone());
    let set = async move {
        db.set_writer_limit(&of, Some(limit), &OwnerId::Executive, Fence::Open).await
    };
    app.carry_out(&ticket, set).await?.map_err(|error| match error {
        DbError::WriterUnknown(_) => {
            let text = format!("no writer with the name '{writer}' exists");
            Error::new(Code::WriterNotFound, text)
        }
        other => other.into(),
    })?;
    audit::set(&caller.admin(), "set writer limit", &writer);
    Ok(StatusCode::OK)
}

/// Removes the limit of a writer.
pub(crate) async fn delete_writer(
    State(app): State<App>,
    ticket: Ticket,
    Segments(writer): Segments<String>,
    caller: Caller,
) -> Result<StatusCode, Error> {
    let writer = WriterName::parse(&writer)?;
    let (db, of) = (app.db.clone(), writer.clone());
    let delete =
        async move { db.set_writer_limit(&of, None, &OwnerId::Executive, Fence::Open).await };
    match app.carry_out(&ticket, delete).await? {
        Ok(true) => {
            audit::set(&caller.admin(), "delete writer limit", &writer);
            Ok(StatusCode::OK)
        }
        Ok(false) | Err(DbError::WriterUnknown(_)) => {
            let text = format!("no writer limit for the writer '{writer}' was found");
            Err(Error::new(Code::LimitNotFound, text))
        }
        Err(error) => Err(error.into()),
    }
}
