//! Our side: what was metered, by day, provider, model and token pool.

use calendar::Date;
use domain::{Money, Pool};
use serde::{Deserialize, Serialize};

/// What was metered of one day, provider, model and pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeteredRow {
    pub day: Date,
    /// As the events name it; empty when they do not.
    pub provider: String,
    pub model: String,
    #[serde(with = "pool_name")]
    pub pool: Pool,
    #[serde(flatten)]
    pub usage: Usage,
}

/// Counts and cost. Everything is net of corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Charged tokens whose vendor cost is known.
    pub costed_tokens: i64,
    /// Charged tokens without a vendor cost: no price book covers them.
    pub uncosted_tokens: i64,
    /// Tokens of usage that is kept without a charge until a price covers it.
    pub unrated_tokens: i64,
    /// Vendor cost of the costed tokens.
    pub cost: Money,
    /// Rate lines behind the cost: each was rounded once.
    pub lines: i64,
    /// The cost of several pools is known as one sum, and was divided by their prices.
    pub is_estimated: bool,
}

impl Usage {
    /// All that was seen.
    pub fn tokens(&self) -> i128 {
        i128::from(self.costed_tokens)
            + i128::from(self.uncosted_tokens)
            + i128::from(self.unrated_tokens)
    }

    pub fn add(&mut self, other: &Self) {
        self.costed_tokens = self.costed_tokens.saturating_add(other.costed_tokens);
        self.uncosted_tokens = self.uncosted_tokens.saturating_add(other.uncosted_tokens);
        self.unrated_tokens = self.unrated_tokens.saturating_add(other.unrated_tokens);
        self.cost += other.cost;
        self.lines = self.lines.saturating_add(other.lines);
        self.is_estimated |= other.is_estimated;
    }
}

/// Everything that was metered in some days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metered {
    /// The currency of the costs; `None` when nothing was ever priced.
    pub currency: Option<String>,
    pub rows: Vec<MeteredRow>,
}

mod pool_name {
    use domain::Pool;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(pool: &Pool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(pool.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Pool, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Pool::from_name(&name).ok_or_else(|| D::Error::custom(format!("{name:?} is no token pool")))
    }
}
