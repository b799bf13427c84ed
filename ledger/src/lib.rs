//! The contract between whoever writes control data and whoever replays it.
