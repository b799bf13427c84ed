//! Logs go to stderr, as JSON lines or as plain text, filtered by directives such as
//! `info,kube=warn`. The filter may be changed while the process runs, by a file.

mod follow;

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::str::FromStr;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::log::follow::FilterFile;

/// Of these libraries, nothing finer than INFO is let through, whatever the filter says: they print requests with their
/// headers, in which session tokens stand.
const TALKATIVE: &str = "aws_";

/// Why [`init`] failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not a list of directives.
    #[error("cannot read log filter {filter:?}, write it like \"info\" or \"info,kube=warn\"")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody was faster.
    #[error("logging is already set up, call init once")]
    Already {
        /// Says who.
        source: TryInitError,
    },
    /// Not the name of a [`Format`].
    #[error("unknown log format {0:?}, choose one of auto, json, plain")]
    Format(String),
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Plain when stderr is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Plain,
}

impl FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "plain" => Ok(Self::Plain),
            other => Err(LogError::Format(other.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Plain => "plain",
        })
    }
}

/// Sends the logs of the whole process to stderr; called once, first thing in `main`. When there is a `file`, the filter in
/// it goes before `filter`, from its first look on; it is read again every second, and need not be there.
///
/// # Errors
/// The filter cannot be read, or logging is already set up. What is wrong with the file is a line of the log.
pub fn init(format: Format, filter: &str, file: Option<&Path>) -> Result<(), LogError> {
    let (subscriber, reload) = subscriber(format, filter, io::stderr)?;
    subscriber.try_init().map_err(|source| LogError::Already { source })?;
    if let Some(file) = file {
        // It fails for a subscriber that is gone, and ours stays.
        FilterFile::new(file, filter).follow(move |filter| drop(reload.reload(filter)));
    }
    Ok(())
}

type Reload = reload::Handle<EnvFilter, Registry>;

fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
) -> Result<(impl tracing::Subscriber + Send + Sync + 'static, Reload), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, reload) = reload::Layer::new(parse(filter)?);
    let terminal = io::stderr().is_terminal();
    let json = match format {
        Format::Auto => !terminal,
        Format::Json => true,
        Format::Plain => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.with_ansi(terminal).boxed()
    };
    let subscriber =
        tracing_subscriber::registry().with(filter).with(filter_fn(discreet)).with(lines);
    Ok((subscriber, reload))
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let failed = |source| LogError::Filter { filter: filter.to_owned(), source };
    EnvFilter::builder().parse(filter).map_err(failed)
}

fn discreet(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || !event.target().starts_with(TALKATIVE)
}

/// Prints an error with its causes: `outer: cause: cause`. For `anyhow`: `Chain(err.as_ref())`.
///
/// `%err` alone would print the outermost text only, for our errors do not repeat their causes.
/// Those of others often do; a cause that the text before it already ends with is left out.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            let tail = format!(": {text}");
            if last != text && !last.contains(&tail) {
                f.write_str(&tail)?;
                last = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Link {
        let (text, rest) = texts.split_first().unwrap();
        let source = (!rest.is_empty()).then(|| Box::new(chain(rest)));
        Link { text, source }
    }

    #[test]
    fn a_chain_prints_every_cause_once() {
        let check = |texts: &[&'static str], want| {
            assert_eq!(Chain(&chain(texts)).to_string(), want);
        };
        check(&["alone"], "alone");
        check(
            &["apply entry 7", "write page", "disk full"],
            "apply entry 7: write page: disk full",
        );
        check(&["read: ApiError: gone", "gone", "cause"], "read: ApiError: gone: cause");
        check(&["same", "same"], "same");
    }

    #[test]
    fn a_chain_takes_anyhow() {
        let error = anyhow::Error::new(chain(&["inner", "disk full"])).context("outer");
        assert_eq!(Chain(error.as_ref()).to_string(), "outer: inner: disk full");
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, filter: &str) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let (subscriber, _reload) = subscriber(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let error = chain(&["apply", "disk full"]);
            tracing::warn!(error = %Chain(&error), seq = 7, "replay failed");
            tracing::debug!("too fine");
            tracing::debug!(target: "aws_runtime::signing", "x-amz-security-token: hunter2");
            tracing::warn!(target: "aws_config::imds", "no metadata service");
        });
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_is_one_flat_object_a_line_with_the_whole_chain() {
        let text = written(Format::Json, "info");
        let first = text.lines().next().unwrap();
        let line: serde_json::Value = serde_json::from_str(first).unwrap();
        assert_eq!(line["message"], "replay failed");
        assert_eq!(line["error"], "apply: disk full");
        assert_eq!((&line["seq"], &line["level"]), (&7.into(), &"WARN".into()));
    }

    #[test]
    fn plain_text_obeys_the_filter() {
        let text = written(Format::Plain, "info");
        assert!(text.contains("replay failed") && !text.contains("too fine"), "{text}");
        assert!(!text.contains('{'), "{text}");
        assert!(written(Format::Plain, "debug").contains("too fine"));
        assert_eq!(written(Format::Plain, "error"), "");
    }

    #[test]
    fn what_libraries_print_of_requests_is_not_let_through() {
        for filter in ["trace", "aws_runtime=trace,info"] {
            let text = written(Format::Json, filter);
            assert!(text.contains("no metadata service"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_wrong_filter_or_format_is_refused_with_the_cure() {
        let error = subscriber(Format::Json, "info,=", io::sink).err().unwrap();
        assert!(error.to_string().contains("info,kube=warn"), "{error}");
        let error = "yaml".parse::<Format>().unwrap_err();
        assert!(error.to_string().contains("auto, json, plain"), "{error}");
        for format in [Format::Auto, Format::Json, Format::Plain] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
    }
}
