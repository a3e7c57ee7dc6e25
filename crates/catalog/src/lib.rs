//! Prices: whoever needs them follows `rates.catalog` and prices in its own process with the same
//! pure code; one (fenced) writer checks and publishes versions.

mod follower;
mod history;
mod impact;
mod service;

pub use follower::{CatalogueError, Follower, Prices};
pub use history::History;
pub use impact::Impact;
pub use service::{Publication, PublishError, Published, PublishedVersion, RateService, published};
