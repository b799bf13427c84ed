//! The product in a real cluster, installed by its chart, in good and bad weather. `./justw e2e` makes the cluster and runs
//! these one after the other; `cargo test` alone passes them over, for it must never touch a developer's cluster.

mod install;
