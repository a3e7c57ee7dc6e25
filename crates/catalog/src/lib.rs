//! Prices: whoever needs them follows `rates.catalog` and prices in its own process with the same
//! pure code; one (fenced) writer checks and publishes versions.

mod follower;

pub use follower::{CatalogueError, Follower, Prices};
