//! `POST /families/{f}`

use axum::extract::State;
use axum::http::StatusCode;
use ctldb::{Created, Fence};
use ledger::FamilyName;

use crate::app::App;
use crate::audit;
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::ticket::Ticket;

/// Creates a family. Families are not in the ledger, so the answer has no position.
pub(crate) async fn create(
    State(app): State<App>,
    ticket: Ticket,
    Segments(family): Segments<String>,
    caller: Caller,
) -> Result<StatusCode, Error> {
    let family = FamilyName::parse_folded(&family)?;
    let (db, of) = (app.db.clone(), family.clone());
    let create = async move { db.create_family(&of, Fence::Open).await };
    match app.carry_out(&ticket, create).await?? {
        Created::New => {
            audit::set(&caller.admin(), "create family", &family);
            Ok(StatusCode::OK)
        }
        Created::AlreadyThere => Err(Error::new(Code::FamilyExists, "Family already exists")),
    }
}
