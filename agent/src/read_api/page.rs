//! A part of a list of rows: as many as fit, of one state, and where the next part begins.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use reader::{Family, ResumeKey};

use crate::read_api::app::App;
use crate::read_api::error::Error;
use crate::read_api::json::Style;
use crate::read_api::key::{self, Part};

/// A view lives for 100 ms; a part ends well before.
const TIME: Duration = Duration::from_millis(60);
/// Rows between two looks at the clock.
const LOOK: u64 = 64;

/// Which rows.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) family: Family,
    pub(crate) table: String,
    pub(crate) prefix: Vec<Part>,
    pub(crate) style: Style,
    /// What stands between two rows.
    pub(crate) between: &'static [u8],
}

/// How much of them at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) rows: u64,
    pub(crate) bytes: usize,
}

/// Some of them.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) json: Vec<u8>,
    pub(crate) rows: u64,
    /// After which row the next page begins; none when this was the last.
    pub(crate) next: Option<ResumeKey>,
}

impl List {
    /// Reads the rows after one, or from the first on, away from the threads that answer.
    pub(crate) async fn page(
        &self,
        app: &App,
        after: Option<ResumeKey>,
        most: Most,
    ) -> Result<Page, Error> {
        let list = self.clone();
        app.read_long(move |_| list.read(after.as_ref(), most)).await
    }

    fn read(&self, after: Option<&ResumeKey>, most: Most) -> Result<Page, Error> {
        let Some(prefix) = key::values(&self.prefix) else { return Ok(Page::default()) };
        let (mut page, start) = (Page::default(), Instant::now());
        let mut last = None;
        let mut row = |row: reader::RowRef<'_>| -> Result<ControlFlow<()>, Error> {
            if last.is_some() {
                page.next = last.take();
                return Ok(ControlFlow::Break(()));
            }
            if page.rows > 0 {
                page.json.extend_from_slice(self.between);
            }
            self.style.write(&mut page.json, row)?;
            page.rows += 1;
            let late = page.rows.is_multiple_of(LOOK) && start.elapsed() > TIME;
            if page.rows >= most.rows || page.json.len() >= most.bytes || late {
                // Full; whether there is more, the next row tells.
                last = Some(row.resume_key()?);
            }
            Ok(ControlFlow::Continue(()))
        };
        let mut failed = None;
        self.family.view(|view| {
            view.each_after(&self.table, &prefix, after, |lent| match row(lent) {
                Ok(flow) => flow,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(page),
        }
    }
}

impl List {
    /// Are there more rows? Counted page by page, without their values.
    pub(crate) async fn has_more_than(&self, app: &App, rows: u64) -> Result<bool, Error> {
        let counted = Self { style: Style::NOTHING, between: b"", ..self.clone() };
        let (mut count, mut after) = (0, None);
        loop {
            let left = rows - count;
            let most = Most { rows: left.max(1), bytes: usize::MAX };
            let Page { rows: found, next, .. } = counted.page(app, after, most).await?;
            count += found;
            match next {
                None => return Ok(count > rows),
                Some(_) if count >= rows => return Ok(true),
                next => after = next,
            }
        }
    }
}
