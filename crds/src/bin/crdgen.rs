//! Prints the definitions of our resources as YAML, ready for `kubectl apply`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let text = crds::definition::yaml().map_err(io::Error::other)?;
    io::stdout().write_all(text.as_bytes())
}
