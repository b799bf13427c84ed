//! The router: every operation under its path, with what stands around them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use daemon::tokens::Tokens;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

use crate::read_api::app::App;
use crate::read_api::observe;
use crate::read_api::operations::{Access, Operation};
use crate::read_api::path;
use crate::read_api::watch::EVENTS;

/// A smaller answer fits into one packet either way.
const COMPRESSED_ABOVE: u64 = 1024;

/// All routes, for those who bear a token where there are tokens.
pub(crate) fn routes(app: &App, operations: &[Operation], tokens: Option<&Arc<Tokens>>) -> Router {
    let mut router = Router::new();
    for operation in operations {
        let handler = guarded(app, operation, tokens);
        for path in written(operation.path) {
            router = router.route(&path, handler.clone());
        }
    }
    // Events must go out one by one.
    let worthwhile = SizeAbove::new(COMPRESSED_ABOVE).and(NotForContentType::const_new(EVENTS));
    router
        .method_not_allowed_fallback(path::method_not_allowed)
        .fallback(path::not_found)
        .layer(CompressionLayer::new().compress_when(worthwhile))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app.clone())
}

/// Health must answer also when too much is in hand.
fn guarded(
    app: &App,
    operation: &Operation,
    tokens: Option<&Arc<Tokens>>,
) -> axum::routing::MethodRouter<App> {
    let handler = operation.handler.clone();
    if operation.access == Access::Open {
        return handler;
    }
    let admitted = handler.route_layer(from_fn_with_state(app.clone(), observe::admit));
    match tokens {
        None => admitted,
        Some(tokens) => {
            admitted.route_layer(from_fn_with_state(Arc::clone(tokens), observe::bearers_only))
        }
    }
}

/// A path as the router takes it. A key is the rest of it, which may be empty, as a string may.
fn written(path: &str) -> Vec<String> {
    match path.strip_suffix("{key}") {
        None => vec![path.to_owned()],
        Some(before) => vec![before.to_owned(), format!("{before}{{*key}}")],
    }
}
