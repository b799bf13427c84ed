//! Single rows: `GET /v1/row/{family}/{table}/{key}`.
//!
//! Read on the thread that answers: a warm read takes about a microsecond, handing it to another thread and back takes ten
//! times that. The threads do nothing but serve reads, so one that waits for a disk holds up other reads only.

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use reader::Family;

use crate::read_api::app::App;
use crate::read_api::conditions::{Conditions, stamp};
use crate::read_api::error::{Code, Error};
use crate::read_api::json::{Form, Style};
use crate::read_api::key;
use crate::read_api::params::Params;
use crate::read_api::path::Target;

pub(crate) const JSON: &str = "application/json";

/// What all reads of rows take behind the question mark.
pub(crate) struct Demands {
    pub(crate) conditions: Conditions,
    pub(crate) style: Style,
}

impl Demands {
    pub(crate) fn take(params: &mut Params) -> Result<Self, Error> {
        let conditions = Conditions::take(params)?;
        let form = params.word("int64", &[("number", Form::Numbers), ("string", Form::Strings)])?;
        let columns = params.take("columns");
        let columns = columns.map(|list| list.split(',').map(str::to_owned).collect());
        Ok(Self { conditions, style: Style { form, columns } })
    }

    /// The family once the conditions hold, and what to stamp the answer with when that took a while.
    pub(crate) async fn family(&self, app: &App, name: &str) -> Result<(Family, HeaderMap), Error> {
        let waited = self.conditions.wait(app).await?;
        let stamp = if waited { stamp(&app.ldb) } else { HeaderMap::new() };
        Ok((self.conditions.fresh(app.family(name)?), stamp))
    }
}

/// `GET /v1/row/{family}/{table}/{key}`
pub(crate) async fn get(State(app): State<App>, uri: Uri) -> Result<Response, Error> {
    let target = Target::of(&uri)?;
    let mut params = Params::of(&uri)?;
    let demands = Demands::take(&mut params)?;
    params.end()?;
    let (family, stamp) = demands.family(&app, &target.family).await?;
    match read(&family, &target, &demands.style)? {
        Some(row) => Ok((stamp, [(header::CONTENT_TYPE, JSON)], row).into_response()),
        None => {
            let text = format!("no row of {}.{} has this key", target.family, target.table);
            let refused = Error::new(Code::RowNotFound, text).field("key");
            Ok((stamp, refused).into_response())
        }
    }
}

fn read(family: &Family, target: &Target, style: &Style) -> Result<Option<Vec<u8>>, Error> {
    let schema = family.shared_schema(&target.table)?;
    style.check(&schema)?;
    let key = key::typed(&schema, &target.key)?;
    one(family, &target.table, &key, style)
}

/// The row of a key, as JSON.
pub(crate) fn one(
    family: &Family,
    table: &str,
    key: &[key::Part],
    style: &Style,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(key) = key::values(key) else { return Ok(None) };
    let mut out = Vec::with_capacity(256);
    let found = family.with_row(table, &key, |row| {
        out.clear();
        style.write(&mut out, row)
    })?;
    found.transpose().map(|found| found.map(|()| out))
}
