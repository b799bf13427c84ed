//! Reads the manifests of a folder, or of one file. Only reads; what is wrong comes back with its place.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crds::{CtlFamily, CtlTable, definition};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use serde::de::DeserializeOwned;

use crate::manifests::schema::{Fault, check};
use crate::manifests::yaml::{Node, documents};
use crate::objects::Kind;
use crate::spec::{self, Violation};

/// The namespace of tables that name none, as kubectl has it.
const NAMESPACE: &str = "default";

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file.display(), self.line)
    }
}

/// Something wrong with a manifest. Its objects stay as they were.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, with the cure.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}

/// An object of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Object {
    Family(CtlFamily),
    Table(CtlTable),
}

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Contents {
    /// The objects that are sound, in the order of files and lines.
    pub(crate) objects: Vec<(Place, Object)>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
}

impl Object {
    /// Kind, namespace and name: no two objects may share them.
    pub(crate) fn key(&self) -> (Kind, Option<String>, String) {
        match self {
            Object::Family(family) => (Kind::Family, None, family.name_any()),
            Object::Table(table) => (Kind::Table, table.namespace(), table.name_any()),
        }
    }
}

/// The text of each manifest file, by name: `*.yaml`, `*.yml` and `*.json`, not in folders below.
pub(crate) fn read(path: &Path) -> Result<Vec<(PathBuf, String)>, Problem> {
    let problem = |file: &Path, error: &std::io::Error| Problem {
        place: Place { file: file.to_owned(), line: 1 },
        message: format!("cannot be read: {error}"),
    };
    let mut files = Vec::new();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| problem(path, &error))?;
        for entry in entries {
            files.push(entry.map_err(|error| problem(path, &error))?.path());
        }
        let manifest = |file: &Path| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let known = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
            known && !name.starts_with('.') && file.is_file()
        };
        files.retain(|file| manifest(file));
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let read = |file: PathBuf| match std::fs::read_to_string(&file) {
        Ok(text) => Ok((file, text)),
        Err(error) => Err(problem(&file, &error)),
    };
    files.into_iter().map(read).collect()
}

/// Takes the files apart. Pure.
pub(crate) fn parse(files: &[(PathBuf, String)]) -> Contents {
    let mut contents = Contents::default();
    let mut places = HashMap::new();
    for (file, text) in files {
        let place = |line| Place { file: file.clone(), line };
        let (nodes, error) = documents(text);
        for node in nodes {
            match object(&node) {
                Ok(object) => match places.get(&object.key()) {
                    None => {
                        places.insert(object.key(), place(node.line));
                        contents.objects.push((place(node.line), object));
                    }
                    Some(first) => {
                        let (kind, _, name) = object.key();
                        let message = format!(
                            "{} {name:?} is declared at {first} already, remove one",
                            kind.name()
                        );
                        contents.problems.push(Problem { place: place(node.line), message });
                    }
                },
                Err(faults) => contents.problems.extend(
                    faults
                        .into_iter()
                        .map(|fault| Problem { place: place(fault.line), message: fault.message }),
                ),
            }
        }
        contents.problems.extend(
            error.map(|error| Problem { place: place(error.line), message: error.message }),
        );
    }
    contents
}

fn object(node: &Node) -> Result<Object, Vec<Fault>> {
    let fault = |field: &str, message: String| vec![Fault { line: node.line_of(field), message }];
    let text = |field: &str| node.field(field).and_then(Node::text);
    let ours = format!("{}/{}", crds::GROUP, crds::VERSION);
    let known = format!("only CtlFamily and CtlTable of {ours} are known here");
    match (text("apiVersion"), text("kind")) {
        (None, _) => Err(fault("apiVersion", format!("apiVersion: Required value; {known}"))),
        (_, None) => Err(fault("kind", format!("kind: Required value; {known}"))),
        (Some(version), Some(kind)) if version != ours => {
            Err(fault("apiVersion", format!("{kind} of {version} is not ours, {known}")))
        }
        (_, Some("CtlFamily")) => {
            let family: CtlFamily = decode(&definition::family(), node)?;
            sound(node, &spec::family(&family)).map(|()| Object::Family(family))
        }
        (_, Some("CtlTable")) => {
            let mut table: CtlTable = decode(&definition::table(), node)?;
            table.metadata.namespace.get_or_insert_with(|| NAMESPACE.to_owned());
            sound(node, &spec::table(&table)).map(|()| Object::Table(table))
        }
        (_, Some(kind)) => Err(fault("kind", format!("{kind} is not ours, {known}"))),
    }
}

fn decode<K: DeserializeOwned>(
    definition: &CustomResourceDefinition,
    node: &Node,
) -> Result<K, Vec<Fault>> {
    let faults = check(definition, node);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut value = node.to_json();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        if let Some(metadata) =
            object.get_mut("metadata").and_then(serde_json::Value::as_object_mut)
        {
            metadata.retain(|name, _| {
                matches!(name.as_str(), "name" | "namespace" | "labels" | "annotations")
            });
        }
    }
    // The schema lets nothing through that does not fit, as a property of the CRDs' own tests.
    serde_json::from_value(value)
        .map_err(|error| vec![Fault { line: node.line, message: error.to_string() }])
}

fn sound(node: &Node, broken: &[Violation]) -> Result<(), Vec<Fault>> {
    let fault = |violation: &Violation| {
        let path = if violation.path.is_empty() { "metadata.name" } else { &violation.path };
        Fault { line: node.line_of(path), message: format!("{path}: {}", violation.message) }
    };
    let faults: Vec<_> = broken.iter().map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

#[cfg(test)]
mod tests;
