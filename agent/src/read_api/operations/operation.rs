//! An operation of the read API: its route, who may use it, and what it takes, gives and refuses.

use std::collections::BTreeMap;

use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, MethodRouter, on};
use daemon::openapi::{Answered, Content, Described, in_path, optional, refusals};
use serde_json::{Value, json};

use crate::read_api::app::App;
use crate::read_api::error::Code;
use crate::read_api::operations::schemas::{rows_query, segment, stamps};
use crate::read_api::rows::{LIMIT, MAX_LIMIT};

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone: health and the description.
    Open,
    /// Over TCP, whoever bears a token, where tokens are asked for.
    Guarded,
}

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) access: Access,
    /// As the document writes it.
    pub(crate) path: &'static str,
    pub(crate) handler: MethodRouter<App>,
    pub(super) described: Described,
}

const TEXT: Content = Content::Raw("text/plain");

/// What every guarded operation of ours may be refused for.
const EVERYWHERE: &[Code] = &[
    Code::Internal,
    Code::NameInvalid,
    Code::Overloaded,
    Code::PathInvalid,
    Code::QueryInvalid,
    Code::RouteNotFound,
    Code::Unauthorized,
    Code::Unavailable,
];
/// What reads of rows may be refused for.
const ROWS: &[Code] = &[
    Code::ColumnUnknown,
    Code::FamilyNotFound,
    Code::KeyInvalid,
    Code::NotReached,
    Code::OtherHistory,
    Code::TableNotFound,
    Code::TooFarBehind,
];

impl Operation {
    pub(super) fn new<H, T>(
        (filter, method): (MethodFilter, Method),
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let described = Described {
            method,
            path: path.to_owned(),
            id: String::new(),
            about: "",
            tag: "ours",
            security: Some(json!([{ "token": [] }, {}])),
            parameters: in_path(path, segment).collect(),
            takes: Content::Nothing,
            answers: BTreeMap::new(),
        };
        let new = Self { access: Access::Guarded, path, handler: on(filter, handler), described };
        new.refuses(EVERYWHERE)
    }

    /// One that reads rows, on conditions.
    pub(super) fn of_rows<H, T>(
        method: (MethodFilter, Method),
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(method, path, handler).refuses(ROWS).query(rows_query())
    }

    /// One of the original's, whose refusals are text.
    pub(super) fn original<H, T>(
        method: (MethodFilter, Method),
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let mut new = Self::new(method, path, handler);
        new.described.tag = "original";
        new.described.answers.clear();
        new.else_answers(500, "Whatever is wrong, as text.", TEXT)
            .else_answers(401, "A token is asked for, and none was shown.", TEXT)
            .else_answers(503, "Too many requests in hand.", TEXT)
    }

    pub(super) fn called(mut self, id: &'static str, about: &'static str) -> Self {
        (self.described.id, self.described.about) = (id.to_owned(), about);
        self
    }

    pub(super) fn open(mut self) -> Self {
        self.access = Access::Open;
        self.described.security = None;
        self
    }

    pub(super) fn takes(mut self, content: Content) -> Self {
        self.described.takes = content;
        self
    }

    pub(super) fn gives(mut self, content: Content) -> Self {
        let done = Answered { headers: stamps(), ..Answered::done(content) };
        self.described.answers.insert(StatusCode::OK, done);
        self
    }

    pub(super) fn else_answers(mut self, status: u16, about: &str, content: Content) -> Self {
        let status = StatusCode::from_u16(status).expect("BUG: a status of HTTP");
        self.described.answers.insert(status, Answered::other(about, content));
        self
    }

    pub(super) fn query(mut self, parameters: Vec<Value>) -> Self {
        self.described.parameters.extend(parameters);
        self
    }

    /// With a limit, and a way to go on.
    pub(super) fn page(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT });
        let about = format!("at most so many rows; {LIMIT} when it is absent");
        let token = "where to go on: `continue` of the answer before";
        self.refuses(&[Code::ContinueInvalid]).query(vec![
            optional("query", "limit", &about, &limit),
            optional("query", "continue", token, &json!({ "type": "string" })),
        ])
    }

    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        for (status, refused) in refusals(codes.iter().map(|c| (c.status(), c.as_str())), false) {
            let answers = &mut self.described.answers;
            match answers.get_mut(&status) {
                // Both name codes; of one status there may be several.
                Some(known) => {
                    let more = refused.about.trim_start_matches("Refused: ");
                    known.about = format!("{}, {more}", known.about.trim_end_matches('.'));
                }
                None => drop(answers.insert(status, refused)),
            }
        }
        self
    }
}
