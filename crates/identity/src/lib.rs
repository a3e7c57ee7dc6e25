//! the identity index: in memory and in sorted runs.
