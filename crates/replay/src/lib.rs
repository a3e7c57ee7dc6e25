//! verify, and later plan, diff, apply.
