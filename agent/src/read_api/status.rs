//! `GET /v1/status`: how the node is. A sidecar says what it sees itself, and what the agent says through its socket.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::read_api::app::{App, Node};
use crate::read_api::error::Error;
use crate::read_api::shape;

/// `GET /v1/status`
pub(crate) async fn get(State(app): State<App>) -> Result<Response, Error> {
    Ok(match &app.node {
        Node::Agent(status) => {
            Json(shape::status(&status.report(), app.ldb.generation())).into_response()
        }
        Node::Sidecar => {
            let agent = app.feed.agent_status().await;
            Json(of_sidecar(&app, agent.as_ref())?).into_response()
        }
    })
}

fn of_sidecar(app: &App, agent: Option<&Value>) -> Result<Value, Error> {
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    Ok(json!({
        "state": "sidecar",
        "position": app.ldb.position()?,
        "seq": app.ldb.committed()?,
        "lag_seconds": seconds(app.ldb.latency()?),
        "generation": app.ldb.generation(),
        "agent_seen_seconds": seconds(app.ldb.agent_seen()),
        "agent": agent,
    }))
}
