//! The OpenAPI document against what the executive does: every answer of the stories is one that the document promises, and
//! the stories leave out no operation.

use serde_json::Value;

use crate::client::Answer;
use crate::server::{Backend, Server};

/// The document that an executive serves.
pub(crate) struct Spec(Value);

impl Spec {
    pub(crate) async fn of(server: &Server) -> Self {
        let answer = server.send("GET /openapi.json", &[], "").await.ok();
        Self(serde_json::from_slice(&answer.body).unwrap())
    }

    /// Each operation: its method, the template of its path, and what it says of itself.
    fn operations(&self) -> Vec<(String, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().iter();
            operations
                .map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
        });
        operations.collect()
    }

    /// A request for each operation that needs this kind of proof.
    pub(crate) fn routes_that_need(&self, scheme: &str) -> Vec<String> {
        let operations = self.operations().into_iter();
        let needs = |operation: &Value| {
            let all = operation["security"].as_array();
            all.is_some_and(|all| all.iter().any(|one| one.get(scheme).is_some()))
        };
        let filled = |path: &str| {
            path.replace("{family}", "fam").replace("{table}", "kv_").replace("{writer}", "writer1")
        };
        operations
            .filter(|(_, _, operation)| needs(operation))
            .map(|(method, path, _)| format!("{method} {}", filled(path).replace("{key}", "1")))
            .collect()
    }

    fn find(&self, request: &str) -> Option<&Value> {
        let (method, target) = request.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        let found = self
            .operations()
            .into_iter()
            .filter(|(of, template, _)| of == method && matches(template, path));
        // The exact path rather than one with parameters.
        found.min_by_key(|(_, template, _)| template.matches('{').count()).map(|found| found.2)
    }

    /// Is the answer one that the document promises?
    pub(crate) fn check(&self, request: &str, answer: &Answer) {
        let Some(operation) = self.find(request) else {
            let outside = matches!(answer.status, 301 | 404 | 405 | 400);
            let head = request.starts_with("HEAD ");
            assert!(outside || head, "{request} is not in the document: {answer:?}");
            return;
        };
        let promised = &operation["responses"][answer.status.to_string()];
        assert!(promised.is_object(), "{request}: {} is not promised", answer.status);
        let given = answer.header("content-type").unwrap_or_default();
        let kind = given.split(';').next().unwrap_or_default();
        match promised.get("content") {
            None => assert!(answer.body.is_empty(), "{request}: {}", answer.text()),
            Some(content) => {
                assert!(content.get(kind).is_some(), "{request}: {kind:?} is not promised");
            }
        }
        if kind == "application/json" {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            let error = body["error"].is_object();
            assert_eq!(error, answer.status != 200 && !request.contains("/openapi"), "{request}");
        }
        if request.contains(" /v1/") && answer.status != 200 {
            assert_eq!(kind, "application/json", "{request}");
        }
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some("{key}"), Some(_)) => return true,
            (Some(want), Some(have)) if want == have || want.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[tokio::test]
async fn the_document_is_whole_and_every_operation_is_driven() {
    let server = Server::start(Backend::Sqlite).await;
    let spec = Spec::of(&server).await;
    assert_eq!(spec.0["openapi"], "3.1.0");
    let mut ids = std::collections::BTreeSet::new();
    let lines: Vec<_> = crate::routes::STORIES
        .iter()
        .flat_map(|story| story.lines())
        .filter(|line| !line.starts_with('#'))
        .collect();
    let not_in_a_story = ["getOpenApi", "getStatus", "getLedger", "getRowHistory"];
    for (method, path, operation) in spec.operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(!id.is_empty() && ids.insert(id), "{method} {path}: {id:?}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{id}");
        let driven = lines.iter().any(|line| {
            let mut parts = line.split(' ').skip(1);
            let at = parts.next().zip(parts.next());
            at.is_some_and(|(of, at)| of == method && matches(path, at.split('?').next().unwrap()))
        });
        assert!(driven || not_in_a_story.contains(&id), "no story drives {method} {path}");
    }
    // What every schema refers to is there.
    let text = spec.0.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(spec.0["components"]["schemas"][name].is_object(), "{name}");
    }
    server.end().await;
}
