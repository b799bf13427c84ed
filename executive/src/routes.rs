//! The router: every operation under its paths, with what stands around them.

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::app::App;
use crate::operation::{Access, Home, Operation};
use crate::{auth, observe, path, ticket};

/// Before the paths of ours. Errors under it are always JSON.
pub(crate) const V1: &str = "/v1";

/// All routes.
pub(crate) fn routes(app: &App, operations: Vec<Operation>) -> Router {
    let mut router = Router::new();
    for operation in operations {
        let Operation { path, home, .. } = operation;
        let handler = guarded(app, operation);
        if home == Home::Both {
            router = router.route(&format!("{V1}{path}"), handler.clone());
        }
        for path in written(path) {
            router = router.route(&path, handler.clone());
        }
    }
    router
        .method_not_allowed_fallback(path::method_not_allowed)
        .fallback(path::not_found)
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app.clone())
}

/// Who may not is told so before anything is read.
fn guarded(app: &App, operation: Operation) -> axum::routing::MethodRouter<App> {
    let Operation { handler, access, .. } = operation;
    let admit = || from_fn_with_state(app.clone(), ticket::admit);
    match access {
        // Health must answer also when too much is in hand.
        Access::Open => handler,
        Access::Writer => handler.route_layer(admit()),
        Access::Admin => handler
            .route_layer(from_fn_with_state(app.clone(), auth::admins_only))
            .route_layer(admit()),
    }
}

/// A path as the router takes it. A key is the rest of it, which may be empty, as a string may.
fn written(path: &str) -> Vec<String> {
    match path.strip_suffix("{key}") {
        None => vec![path.to_owned()],
        Some(before) => vec![before.to_owned(), format!("{before}{{*key}}")],
    }
}
