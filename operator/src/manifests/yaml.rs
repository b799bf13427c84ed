//! Reads YAML as kubectl does, and remembers lines. Pure.
//!
//! kubectl reads YAML 1.1: a plain `n` or `on` is false or true, so a column of that name arrives at the API server as a
//! boolean and is refused. Libraries that read into values follow YAML 1.2, and they do not say whether a text was quoted,
//! nor in which line a value stood. So this reads the events of a parser (the one that the Kubernetes client links anyway).

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// More values than this in one file are an attack or a mistake; aliases can multiply.
const MAX_NODES: usize = 200_000;

/// Deeper than this nobody nests by hand.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The value.
    pub(crate) content: Content,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Text that was quoted, or can be nothing else.
    Text(String),
    /// A plain word that means something else than its letters, and the word.
    Plain(Value, String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<(String, Node)>),
}

/// Text that is not YAML, or uses what no manifest needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct YamlError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) message: String,
}

/// The documents of a text; empty ones are left out. What stands before an error is returned with it.
pub(crate) fn documents(text: &str) -> (Vec<Node>, Option<YamlError>) {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), line: 1, nodes: 0, anchors: HashMap::new() };
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(document)) if !document.is_null() => documents.push(document),
            Ok(Some(_)) => {}
            Ok(None) => return (documents, None),
            Err(error) => return (documents, Some(error)),
        }
    }
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.content, Content::Plain(Value::Null, _))
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Plain(..) | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The field of a mapping.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(fields) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, node)| node)
            }
            Content::Text(_) | Content::Plain(..) | Content::List(_) => None,
        }
    }

    /// The line of what `path` names, such as `spec.columns[2].name`, or of the nearest thing around it.
    pub(crate) fn line_of(&self, path: &str) -> usize {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&node.content, step.strip_suffix(']')) {
                (Content::List(items), Some(index)) => {
                    index.parse::<usize>().ok().and_then(|index| items.get(index))
                }
                _ => node.field(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.line
    }

    /// As JSON, without lines.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Text(text) => Value::String(text.clone()),
            Content::Plain(value, _) => value.clone(),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(fields) => {
                let fields = fields.iter().map(|(name, node)| (name.clone(), node.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    line: usize,
    nodes: usize,
    anchors: HashMap<usize, Node>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(None),
                Event::DocumentStart(..) => {
                    self.anchors.clear();
                    let first = self.next()?;
                    return self.node(first, 0).map(Some);
                }
                _ => return Err(self.error("a document was expected")),
            }
        }
    }

    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        loop {
            match self.parser.next() {
                None => return Ok(Event::StreamEnd),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    self.line = span.start.line();
                    return Ok(event);
                }
                Some(Err(error)) => {
                    let line = error.marker().line();
                    return Err(YamlError { line, message: format!("this is not YAML: {error}") });
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(self.error("this is too large or too deep, split the file"));
        }
        let line = self.line;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag {
                    return Err(self.error(&format!(
                        "the tag {} is not supported, leave it out",
                        tag.original()
                    )));
                }
                let plain = if style == ScalarStyle::Plain { meaning(&text) } else { None };
                let content = match plain {
                    Some(value) => Content::Plain(value, text.into_owned()),
                    None => Content::Text(text.into_owned()),
                };
                (content, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(id) => return self.aliased(id),
            _ => return Err(self.error("a value was expected")),
        };
        let node = Node { line, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Content, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Content::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, YamlError> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        loop {
            let name = match self.next()? {
                Event::MappingEnd => return Ok(Content::Map(fields)),
                Event::Scalar(name, ..) => name.into_owned(),
                _ => return Err(self.error("a field's name must be a word")),
            };
            if fields.iter().any(|(field, _)| *field == name) {
                return Err(self.error(&format!("field {name:?} is there twice, remove one")));
            }
            let event = self.next()?;
            fields.push((name, self.node(event, depth + 1)?));
        }
    }

    fn aliased(&mut self, id: usize) -> Result<Node, YamlError> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err(self.error("an alias inside of its own anchor means nothing"));
        };
        self.nodes += size(&node);
        if self.nodes > MAX_NODES {
            return Err(self.error("aliases make this too large, write it out"));
        }
        Ok(node)
    }

    fn error(&self, message: &str) -> YamlError {
        YamlError { line: self.line, message: message.to_owned() }
    }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::Text(_) | Content::Plain(..) => 1,
        Content::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Content::Map(fields) => 1 + fields.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}

/// What a plain word means in YAML 1.1, if it is not just text.
fn meaning(word: &str) -> Option<Value> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        _ => {}
    }
    number(word)
}

fn number(word: &str) -> Option<Value> {
    let digits = word.replace('_', "");
    let (negative, bare) = match digits.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if !bare.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let radix = |prefix: &str, radix| {
        bare.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok())
    };
    let octal = || {
        let digits = bare.strip_prefix('0').filter(|rest| !rest.is_empty())?;
        i64::from_str_radix(digits, 8).ok()
    };
    let based =
        radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).or_else(octal);
    if let Some(number) = based {
        return Some(Value::from(if negative { -number } else { number }));
    }
    if let Ok(number) = digits.trim_start_matches('+').parse::<i64>() {
        return Some(Value::from(number));
    }
    // Rust also reads words such as "inf" and "nan", which do not begin with a digit.
    let number = digits.parse::<f64>().ok()?;
    Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests;
