//! An operation of the API: its route, who may use it, and what it takes and gives. The router and the OpenAPI document are
//! made from the same operations, so neither knows one that the other does not.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
pub(crate) use daemon::openapi::{Content, of};

use crate::app::App;
use crate::error::Code;

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone.
    Open,
    /// Whoever shows a writer's secret; the handler looks at it.
    Writer,
    /// Admins.
    Admin,
}

/// Under which paths an operation is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// The original's path, and the same under `/v1`.
    Both,
    /// The path as it stands, and no other.
    Alone,
}

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) about: &'static str,
    pub(crate) access: Access,
    pub(crate) home: Home,
    pub(crate) takes: Content,
    pub(crate) gives: Content,
    /// Does it write to the ledger, and say where?
    pub(crate) writes: bool,
    /// Parameters behind the question mark: name, schema, what it is for.
    pub(crate) query: &'static [(&'static str, u64, &'static str)],
    /// Headers of the request that it looks at, besides those of everyone.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// What it may be refused for, besides what everything is.
    pub(crate) refusals: &'static [Code],
    pub(crate) handler: MethodRouter<App>,
}

impl Operation {
    /// An admin's operation, under both paths, that takes and gives nothing.
    pub(crate) fn new<H, T>(
        (filter, method): (MethodFilter, Method),
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self {
            method,
            path,
            id: "",
            about: "",
            access: Access::Admin,
            home: Home::Both,
            takes: Content::Nothing,
            gives: Content::Nothing,
            writes: false,
            query: &[],
            headers: &[],
            refusals: &[],
            handler: on(filter, handler),
        }
    }

    /// Its name for programs, and what it does.
    pub(crate) fn called(mut self, id: &'static str, about: &'static str) -> Self {
        (self.id, self.about) = (id, about);
        self
    }

    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Only under the path as it stands.
    pub(crate) fn alone(mut self) -> Self {
        self.home = Home::Alone;
        self
    }

    pub(crate) fn takes(mut self, content: Content) -> Self {
        self.takes = content;
        self
    }

    pub(crate) fn gives(mut self, content: Content) -> Self {
        self.gives = content;
        self
    }

    pub(crate) fn writes(mut self) -> Self {
        self.writes = true;
        self
    }

    pub(crate) fn query(mut self, query: &'static [(&'static str, u64, &'static str)]) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    pub(crate) fn refuses(mut self, refusals: &'static [Code]) -> Self {
        self.refusals = refusals;
        self
    }
}

pub(crate) const GET: (MethodFilter, Method) = (MethodFilter::GET, Method::GET);
pub(crate) const POST: (MethodFilter, Method) = (MethodFilter::POST, Method::POST);
pub(crate) const PUT: (MethodFilter, Method) = (MethodFilter::PUT, Method::PUT);
pub(crate) const DELETE: (MethodFilter, Method) = (MethodFilter::DELETE, Method::DELETE);
