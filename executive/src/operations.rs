//! The operations of the API, all of them.

use crate::error::Code;
use crate::limits::{TableLimits, WriterLimits};
use crate::openapi::schemas;
use crate::operation::{Access, Content, DELETE, GET, Operation, POST, PUT, of};
use crate::schema::TableJson;
use crate::view::bindings::Binding;
use crate::view::history::Versions;
use crate::view::ledger::Page;
use crate::view::status::Status;
use crate::{cookie, destroy, families, health, limits, mutations, openapi, schema, tables};
use crate::{view, writers};

/// All operations.
pub(crate) fn operations() -> Vec<Operation> {
    [open(), writing(), declaring(), destroying(), limiting(), viewing()].concat()
}

fn open() -> Vec<Operation> {
    let text = Content::Raw("text/plain");
    vec![
        Operation::new(GET, "/status", health::status)
            .called("getProcessStatus", "Answers as long as the process does.")
            .access(Access::Open)
            .alone(),
        Operation::new(GET, "/healthcheck", health::healthcheck)
            .called("getHealth", "Says whether requests can be served, or why not.")
            .access(Access::Open)
            .alone()
            .gives(text),
        Operation::new(GET, "/openapi.json", openapi::get)
            .called("getOpenApi", "This document.")
            .access(Access::Open)
            .alone()
            .gives(Content::Json(schemas::anything)),
    ]
}

fn writing() -> Vec<Operation> {
    const COOKIE: Content = Content::Raw("application/octet-stream");
    vec![
        Operation::new(POST, "/families/{family}/mutations", mutations::mutate)
            .called("mutate", "Writes and deletes rows of a family's tables: all of them or none.")
            .access(Access::Writer)
            .takes(Content::Json(schemas::mutations))
            .writes()
            .headers(&[
                ("ctlstore-strict", "true: refuse values whose column does not exist"),
                ("ctlstore-reason", "why; kept with the change"),
            ])
            .refuses(&[
                Code::CookieConflict,
                Code::HistoryBehindFleet,
                Code::RateLimited,
                Code::StatementTooLarge,
                Code::TableFull,
                Code::TableNotFound,
                Code::WriterBound,
            ]),
        Operation::new(GET, "/cookie", cookie::get)
            .called("getCookie", "The bytes that the writer keeps here.")
            .access(Access::Writer)
            .gives(COOKIE)
            .refuses(&[Code::WriterNotFound]),
        Operation::new(POST, "/cookie", cookie::set)
            .called("setCookie", "Replaces the writer's cookie, whatever it was.")
            .access(Access::Writer)
            .takes(COOKIE)
            .refuses(&[Code::CookieTooLong, Code::WriterNotFound]),
    ]
}

fn declaring() -> Vec<Operation> {
    const TABLE: &str = "/families/{family}/tables/{table}";
    vec![
        Operation::new(POST, "/families/{family}", families::create)
            .called("createFamily", "Creates a family.")
            .refuses(&[Code::FamilyExists]),
        Operation::new(POST, TABLE, tables::create)
            .called("createTable", "Creates a table.")
            .takes(Content::Json(schemas::table))
            .writes()
            .refuses(&[Code::FamilyNotFound, Code::TableExists]),
        Operation::new(PUT, TABLE, tables::add_fields)
            .called("addFields", "Adds columns to a table: all of them or none.")
            .takes(Content::Json(schemas::fields))
            .writes()
            .refuses(&[Code::ColumnExists, Code::TableNotFound]),
        Operation::new(POST, "/tables", tables::create_all)
            .called("createTables", "Creates tables, one after the other, until one cannot be.")
            .takes(Content::Json(schemas::tables))
            .writes()
            .refuses(&[Code::FamilyNotFound, Code::TableExists]),
        Operation::new(GET, "/schema/table/{family}/{table}", schema::table)
            .called("getTableSchema", "The columns and the key of a table.")
            .gives(Content::Json(of::<TableJson>))
            .refuses(&[Code::TableNotFound]),
        Operation::new(GET, "/schema/family/{family}", schema::family)
            .called("getFamilySchema", "The tables of a family; null when there are none.")
            .gives(Content::Json(of::<Option<Vec<TableJson>>>)),
        Operation::new(POST, "/writers/{writer}", writers::register)
            .called("registerWriter", "Registers a writer; the body is its secret.")
            .takes(Content::Raw("text/plain"))
            .refuses(&[Code::WriterExists]),
    ]
}

fn destroying() -> Vec<Operation> {
    vec![
        Operation::new(DELETE, "/families/{family}/tables/{table}", destroy::drop_table)
            .called("dropTable", "Drops a table; needs --allow-destructive.")
            .writes()
            .refuses(&[Code::TableNotFound, Code::TableOwned]),
        Operation::new(DELETE, "/clear-rows/families/{family}", destroy::clear_family)
            .called("clearFamily", "Deletes the rows of a family; needs --allow-destructive.")
            .writes()
            .refuses(&[Code::TableRetained]),
        Operation::new(
            DELETE,
            "/clear-rows/families/{family}/tables/{table}",
            destroy::clear_table,
        )
        .called("clearTable", "Deletes the rows of a table; needs --allow-destructive.")
        .writes()
        .refuses(&[Code::TableNotFound, Code::TableRetained]),
    ]
}

fn limiting() -> Vec<Operation> {
    const TABLE: &str = "/limits/tables/{family}/{table}";
    const WRITER: &str = "/limits/writers/{writer}";
    vec![
        Operation::new(GET, "/limits/tables", limits::tables)
            .called("getTableLimits", "How large tables may become.")
            .gives(Content::Json(of::<TableLimits>)),
        Operation::new(POST, TABLE, limits::set_table)
            .called("setTableLimit", "Sets how large a table may become.")
            .takes(Content::Json(schemas::size_limit))
            .refuses(&[Code::TableNotFound, Code::TableOwned]),
        Operation::new(DELETE, TABLE, limits::delete_table)
            .called("deleteTableLimit", "Takes away the limit that a table has of its own.")
            .refuses(&[Code::LimitNotFound, Code::TableOwned]),
        Operation::new(GET, "/limits/writers", limits::writers)
            .called("getWriterLimits", "How many rows writers may write in a while.")
            .gives(Content::Json(of::<WriterLimits>)),
        Operation::new(POST, WRITER, limits::set_writer)
            .called("setWriterLimit", "Sets how many rows a writer may write in a while.")
            .takes(Content::Json(schemas::rate_limit))
            .refuses(&[Code::WriterNotFound, Code::LimitOwned]),
        Operation::new(DELETE, WRITER, limits::delete_writer)
            .called("deleteWriterLimit", "Takes away the limit that a writer has of its own.")
            .refuses(&[Code::LimitNotFound, Code::LimitOwned]),
    ]
}

fn viewing() -> Vec<Operation> {
    const FAMILIES: &str = "/v1/writers/{writer}/families";
    const LIMIT: (&str, u64, &str) = ("limit", 1000, "at most so many; 100 when it is absent");
    const AFTER: (&str, u64, &str) =
        ("after", i64::MAX.unsigned_abs(), "the sequence before the first; 0 when it is absent");
    vec![
        Operation::new(GET, "/v1/status", view::status::status)
            .called("getStatus", "Where the ledger stands, and how large it is.")
            .alone()
            .gives(Content::Json(of::<Status>)),
        Operation::new(GET, "/v1/ledger", view::ledger::entries)
            .called("getLedger", "Entries in order, each with who wrote it.")
            .alone()
            .query(&[AFTER, LIMIT])
            .gives(Content::Json(of::<Page>)),
        Operation::new(GET, "/v1/history/{family}/{table}/{key}", view::history::versions)
            .called("getRowHistory", "The versions of a row that are still in the ledger.")
            .alone()
            .query(&[LIMIT])
            .gives(Content::Json(of::<Versions>))
            .refuses(&[Code::TableNotFound]),
        Operation::new(GET, FAMILIES, view::bindings::get)
            .called("getWriterFamilies", "The only families that a writer may write.")
            .alone()
            .gives(Content::Json(of::<Binding>))
            .refuses(&[Code::WriterNotFound]),
        Operation::new(PUT, FAMILIES, view::bindings::set)
            .called("bindWriter", "Binds a writer to families, or frees it with null.")
            .alone()
            .takes(Content::Json(schemas::binding))
            .refuses(&[Code::WriterNotFound]),
    ]
}
