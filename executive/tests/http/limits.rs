//! Limits that several executives share, and tables that are full.

use std::time::Duration;

use ctldb::{Fence, OwnerId, RateLimit};
use ledger::WriterName;

use crate::server::{AS_WRITER, Backend, Server, kv};

fn hourly(rows: u64) -> impl Fn(&mut executive::Config) {
    move |config| config.limits.rate = RateLimit { rows, period: Duration::from_secs(3600) }
}

#[tokio::test]
async fn executives_share_what_a_writer_may_write() {
    for backend in Backend::ALL {
        let one = Server::start_with(backend, hourly(5)).await.with_kv().await;
        let two = one.beside(hourly(5)).await;
        one.mutate("fam", kv(&[(1, "a"), (2, "b"), (3, "c")], None, None)).await.ok();
        let before = one.texts().await;
        let refused = two.mutate("fam", kv(&[(4, "d"), (5, "e"), (6, "f")], None, None)).await;
        assert_eq!((refused.status, refused.text().as_str()), (429, "rate limit exceeded"));
        let pause: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3600).contains(&pause), "{pause}");
        assert_eq!(one.texts().await, before);
        // A refused batch uses nothing up.
        two.mutate("fam", kv(&[(4, "d"), (5, "e")], None, None)).await.ok();
        assert_eq!(one.mutate("fam", kv(&[(6, "f")], None, None)).await.status, 429);
        // Its own limit counts at once, at both, and is scaled to the hour: 10 in all.
        let more = r#"{"amount":10,"period":"1h"}"#;
        one.send("POST /limits/writers/writer1", &[], more).await.ok();
        // Limits are kept by the minute, where 10 an hour is none at all.
        assert_eq!(two.mutate("fam", kv(&[(6, "f")], None, None)).await.status, 429);
        let more = r#"{"amount":1,"period":"1m"}"#;
        one.send("POST /limits/writers/writer1", &[], more).await.ok();
        two.mutate("fam", kv(&[(6, "f")], None, None)).await.ok();
        two.end().await;
        one.end().await;
    }
}

#[tokio::test]
async fn a_table_that_is_too_large_takes_no_more() {
    for backend in Backend::ALL {
        let server = Server::start(backend).await.with_kv().await;
        let limit = r#"{"max-size":1,"warn-size":1}"#;
        server.send("POST /limits/tables/fam/kv_", &[], limit).await.ok();
        server.mutate("fam", kv(&[(1, "a")], None, None)).await.ok();
        server.db.measure_table_sizes(Fence::Open).await.unwrap();
        let before = server.texts().await;
        let refused = server.mutate("fam", kv(&[(2, "b")], None, None)).await;
        let text = "table 'fam___kv_' has exceeded the max size of 1";
        assert_eq!((refused.status, refused.text().as_str()), (507, text));
        // In another case, too, which the original lets pass.
        let upper = kv(&[(2, "b")], None, None).replace("kv_", "KV_");
        let refused = server.send("POST /families/FAM/mutations", &AS_WRITER, upper).await;
        assert_eq!(refused.status, 507);
        assert_eq!(server.texts().await, before);
        server.send("DELETE /limits/tables/fam/kv_", &[], "").await.ok();
        server.mutate("fam", kv(&[(2, "b")], None, None)).await.ok();
        server.end().await;
    }
}

#[tokio::test]
async fn a_limit_that_an_object_set_is_changed_there() {
    for backend in Backend::ALL {
        let server = Server::start(backend).await.with_kv().await;
        let family = OwnerId::Family { cluster: "home".to_owned(), name: "billing".to_owned() };
        let (writer, minute) = (WriterName::parse("writer1").unwrap(), Duration::from_secs(60));
        let limit = Some(RateLimit { rows: 7, period: minute });
        server.db.set_writer_limit(&writer, limit, &family, Fence::Open).await.unwrap();
        let listed = server.send("GET /limits/writers", &[], "").await.ok().text();
        assert!(listed.contains(r#"{"writer":"writer1","rate-limit":{"amount":7,"#), "{listed}");
        let more = r#"{"amount":9,"period":"1m"}"#;
        let text = "the limit of writer \"writer1\" is set by CtlFamily billing of cluster home: change that object instead";
        for (call, body) in [("POST", more), ("DELETE", "")] {
            let call = format!("{call} /limits/writers/writer1");
            let refused = server.send(&call, &[], body).await;
            assert_eq!((refused.status, refused.text().as_str()), (409, text));
            let refused = server.send(&call, &[("accept", "application/json")], body).await;
            assert!(refused.text().contains(r#""code":"limit_owned""#), "{}", refused.text());
        }
        assert_eq!(server.send("GET /limits/writers", &[], "").await.ok().text(), listed);
        server.db.set_writer_limit(&writer, None, &family, Fence::Open).await.unwrap();
        server.send("POST /limits/writers/writer1", &[], more).await.ok();
        server.end().await;
    }
}
