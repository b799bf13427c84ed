//! Readers beside a real agent, as on a node: the agent as its own user, the readers as another one, in other processes,
//! behind a read-only mount. Needs root, as making mounts and changing the user does.

mod built;
mod feed;
mod languages;
mod node;
mod soak;
mod watch;
