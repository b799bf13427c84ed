//! `POST /families/{f}`

use axum::extract::State;
use axum::http::StatusCode;
use ctldb::{Created, Fence};
use ledger::FamilyName;

use crate::app::App;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::ticket::Ticket;

/// Creates a family. Families are not in the ledger, so the answer has no position.
pub(crate) async fn create(
    State(app): State<App>,
    ticket: Ticket,
    Segments(family): Segments<String>,
) -> Result<StatusCode, Error> {
    let family = FamilyName::parse_folded(&family)?;
    let db = app.db.clone();
    match app
        .carry_out(&ticket, async move { db.create_family(&family, Fence::Open).await })
        .await??
    {
        Created::New => Ok(StatusCode::OK),
        Created::AlreadyThere => Err(Error::new(Code::FamilyExists, "Family already exists")),
    }
}
