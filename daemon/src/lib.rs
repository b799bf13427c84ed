//! How a long-running process lives and dies; it knows nothing of what the process is for.
//!
//! * [`signal`]: SIGTERM cancels one token, [`tasks`] ends everything by it.
//! * [`tasks`]: named tasks; the first that ends early ends the process.
//! * [`ready`] and [`live`]: what `/readyz` and `/livez` say; [`admin`] serves them with `/metrics`.
//! * [`serve`]: HTTP for clients that are not to be trusted, also through a [`socket`]; [`tokens`]: who of them may do what;
//!   [`openapi`]: the document that says what can be asked.
//! * [`metrics`]: what the numbers of `/metrics` mean, and when they should wake somebody.
//! * [`log`], [`backoff`], [`net`], [`duration`]: logs, pauses between attempts, listening, flags.
//! * `lease` (feature `lease`): one leader among several processes.

pub mod admin;
pub mod backoff;
pub mod duration;
#[cfg(feature = "lease")]
pub mod lease;
pub mod live;
pub mod log;
pub mod metrics;
pub mod net;
pub mod openapi;
pub mod ready;
pub mod serve;
pub mod signal;
pub mod size;
pub mod socket;
pub mod tasks;
pub mod tokens;
