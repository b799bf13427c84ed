//! The table of routes: which are open, which need a writer's secret, which need an admin.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::app::App;
use crate::{auth, body, cookie, families, health, mutations, observe, path, schema, tables};
use crate::{ticket, writers};

/// All routes.
pub(crate) fn routes(app: &App) -> Router {
    Router::new()
        .merge(admin().route_layer(from_fn_with_state(app.clone(), auth::admins_only)))
        .merge(writer())
        .layer(from_fn_with_state(app.clone(), ticket::admit))
        .merge(open())
        .method_not_allowed_fallback(path::method_not_allowed)
        .fallback(path::not_found)
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .layer(from_fn(body::finish))
        .with_state(app.clone())
}

/// For anyone.
fn open() -> Router<App> {
    Router::new()
        .route("/status", get(health::status))
        .route("/healthcheck", get(health::healthcheck))
}

/// For whoever shows a writer's secret; the handlers look at it.
fn writer() -> Router<App> {
    Router::new()
        .route("/families/{family}/mutations", post(mutations::mutate))
        .route("/cookie", get(cookie::get).post(cookie::set))
}

/// For admins.
fn admin() -> Router<App> {
    Router::new()
        .route("/families/{family}", post(families::create))
        .route("/families/{family}/tables/{table}", post(tables::create).put(tables::add_fields))
        .route("/tables", post(tables::create_all))
        .route("/writers/{writer}", post(writers::register))
        .route("/schema/table/{family}/{table}", get(schema::table))
        .route("/schema/family/{family}", get(schema::family))
}
