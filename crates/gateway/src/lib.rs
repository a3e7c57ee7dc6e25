//! the HTTP API.
