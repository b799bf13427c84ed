//! Real servers for tests, each private to one test process: a free port, a private folder, gone at the end.
//!
//! * [`mariadb::MariaDb`]: a MariaDB server from the distribution's packages, and databases in it.
//! * [`mysql::External`]: a MySQL server that somebody else runs, named by `CTLSTORE_TEST_MYSQL_URL`.
//! * `apiserver::ApiServer` (feature `apiserver`): etcd and kube-apiserver, built by `hack/apiserver.sh`.
//! * [`s3::S3Server`]: an S3 server on a private folder, built by `hack/versitygw.sh`, and [`s3::Proxy`], which stands before
//!   it and breaks what a test wants broken.
//! * [`program::Program`]: the product's own binary, and [`http::Request`], a client for what it serves.
//! * [`plain::Plain`]: a plain SQLite client in a process of its own.
//! * [`eventually`]: waits for a promise to come true; the only sleep a test may have.
//!
//! Servers end with the test process, however it ends: on drop, on panic, and by the kernel when it is killed.
//! Never a dependency of the product, only of its tests.

#[cfg(feature = "apiserver")]
pub mod apiserver;
mod cache;
mod eventually;
pub mod http;
pub mod mariadb;
pub mod mysql;
pub mod plain;
mod port;
mod process;
pub mod program;
pub mod s3;

pub use eventually::eventually;
pub use port::free_port;

/// A random lower-case word for names of databases, namespaces and families: `t` and eleven hexadecimal digits.
#[must_use]
pub fn random_name() -> String {
    format!("t{:011x}", rand::random::<u64>() >> 20)
}
