//! One suite, both back ends.

/// Makes two tests of each function: one on a fresh SQLite file, one on a fresh database of the server.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(&$crate::place::Place::sqlite()?).await
            })+
        }
        mod on_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(&$crate::place::Place::server()?).await
            })+
        }
    };
}
