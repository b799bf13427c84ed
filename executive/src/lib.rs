//! The HTTP API that writes rows.
