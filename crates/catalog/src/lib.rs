//! the rate service over rates.catalog.
