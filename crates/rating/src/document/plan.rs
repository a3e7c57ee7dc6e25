//! Plans: read and checked here; what they do is the ledger's.

use calendar::{Period, Zone};
use domain::{Credits, Currency, Money};

use super::error::{DocumentError, DocumentFault};
use super::fields::{AttributeKeys, Fields, Place};

pub(super) const KEYS: &[&str] = &[
    "id",
    "effective_from",
    "effective_to",
    "version",
    "description",
    "rate_card",
    "price",
    "allowance",
    "rollover",
    "on_exhausted",
    "overage",
    "overdraft",
    "trial",
    "shortfall_repaid_by_grants",
    "low_balance",
];

/// What an account has: a rate card, an allowance, and what happens at zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The id of the card that prices the account's usage.
    pub rate_card: Box<str>,
    /// What a period costs: the cost basis of the included credits.
    pub price: Option<PlanPrice>,
    pub allowance: Option<Allowance>,
    pub rollover: Option<Rollover>,
    pub on_exhausted: OnExhausted,
    /// Only with [`OnExhausted::Overage`].
    pub overage: Option<Overage>,
    /// The most that an overdraft may reach, in credits; with [`OnExhausted::Overdraft`] always,
    /// and only then.
    pub overdraft_max: Option<Credits>,
    pub trial: Option<Trial>,
    /// Whether the next grant repays what was spent past the lots; it does unless said otherwise.
    pub shortfall_repaid_by_grants: bool,
    /// Whoever asked to know is told when less than this is available.
    pub low_balance: Option<Credits>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanPrice {
    pub amount: Money,
    pub currency: Currency,
}

/// Credits granted each period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub credits: Credits,
    pub period: Period,
    pub anchor: Anchor,
    /// Periods begin at its midnights.
    pub timezone: Zone,
}

/// Where periods begin: at the calendar's, or on the day the plan was assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Anniversary,
    Calendar,
}

/// What of an allowance outlives its period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollover {
    pub max_credits: Option<Credits>,
    pub expires_after_periods: u32,
}

/// What happens at zero. Facts are booked whatever it says (invariant 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExhausted {
    #[default]
    Refuse,
    Overage,
    Overdraft,
}

/// Billable spending past the lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overage {
    /// `None` is without limit.
    pub max_credits: Option<Credits>,
    /// In the plan price's currency, or else the deployment's.
    pub price_per_1000_credits: Option<Money>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    pub credits: Credits,
    pub days: u32,
}

impl Anchor {
    pub const ALL: [Self; 2] = [Self::Anniversary, Self::Calendar];

    /// The word in plans.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Anniversary => "anniversary",
            Self::Calendar => "calendar",
        }
    }
}

impl OnExhausted {
    pub const ALL: [Self; 3] = [Self::Refuse, Self::Overage, Self::Overdraft];

    /// The word in plans.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Overage => "overage",
            Self::Overdraft => "overdraft",
        }
    }
}

type Read<T> = Result<T, DocumentError>;

/// Reads the table under a key with its own known keys.
fn within<T>(
    fields: &Fields<'_>,
    key: &str,
    known: &[&str],
    read: impl FnOnce(&Fields<'_>) -> Read<T>,
) -> Read<Option<T>> {
    let Some(table) = fields.table(key)? else {
        return Ok(None);
    };
    let path = format!("{key}.");
    let at = Place { path: &path, ..*fields.at() };
    read(&Fields::new(table, at, known, AttributeKeys::Refused)?).map(Some)
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Plan {
    pub(super) fn read(fields: &Fields<'_>) -> Read<Self> {
        let on_exhausted = OnExhausted::ALL.map(|policy| (policy.word(), policy));
        let plan = Self {
            rate_card: fields.required("rate_card", Fields::text)?.into(),
            price: within(fields, "price", &["amount", "currency"], |price| {
                Ok(PlanPrice {
                    amount: price.required("amount", Fields::money)?,
                    currency: price.required("currency", Fields::currency)?,
                })
            })?,
            allowance: within(
                fields,
                "allowance",
                &["credits", "period", "anchor", "timezone"],
                read_allowance,
            )?,
            rollover: within(
                fields,
                "rollover",
                &["max_credits", "expires_after_periods"],
                |rollover| {
                    let periods = rollover.count("expires_after_periods", 1..=1_200)?;
                    Ok(Rollover {
                        max_credits: rollover.credits("max_credits")?,
                        expires_after_periods: periods.map_or(1, small),
                    })
                },
            )?,
            on_exhausted: fields.word("on_exhausted", &on_exhausted)?.unwrap_or_default(),
            overage: within(
                fields,
                "overage",
                &["max_credits", "price_per_1000_credits"],
                |overage| {
                    Ok(Overage {
                        max_credits: overage.credits("max_credits")?,
                        price_per_1000_credits: overage.money("price_per_1000_credits")?,
                    })
                },
            )?,
            overdraft_max: within(fields, "overdraft", &["max_credits"], |overdraft| {
                overdraft.required("max_credits", Fields::credits)
            })?,
            trial: within(fields, "trial", &["credits", "days"], |trial| {
                Ok(Trial {
                    credits: trial.required("credits", Fields::positive_credits)?,
                    days: small(trial.required("days", |at, key| at.count(key, 1..=36_500))?),
                })
            })?,
            shortfall_repaid_by_grants: fields.truth("shortfall_repaid_by_grants")?.unwrap_or(true),
            low_balance: fields.credits("low_balance")?,
        };
        plan.check_keys_go_together(fields)?;
        Ok(plan)
    }

    fn check_keys_go_together(&self, fields: &Fields<'_>) -> Read<()> {
        let conflict =
            |key, message: &str| Err(fields.error(DocumentFault::KeysConflict, key, message));
        if self.rollover.is_some() && self.allowance.is_none() {
            return conflict("rollover", "needs an `allowance` to roll over");
        }
        match self.on_exhausted {
            OnExhausted::Refuse | OnExhausted::Overdraft if self.overage.is_some() => {
                conflict("overage", "goes with on_exhausted = \"overage\" only")
            }
            OnExhausted::Refuse | OnExhausted::Overage if self.overdraft_max.is_some() => {
                conflict("overdraft", "goes with on_exhausted = \"overdraft\" only")
            }
            // Without a limit it would be credit for whoever asks.
            OnExhausted::Overdraft if self.overdraft_max.is_none() => {
                let message = "is required with on_exhausted = \"overdraft\": its max_credits is \
                               how far below zero an account may go";
                Err(fields.error(DocumentFault::MissingKey, "overdraft", message))
            }
            OnExhausted::Refuse | OnExhausted::Overage | OnExhausted::Overdraft => Ok(()),
        }
    }
}

fn read_allowance(allowance: &Fields<'_>) -> Read<Allowance> {
    let periods = Period::ALL.map(|period| (period.word(), period));
    let anchors = Anchor::ALL.map(|anchor| (anchor.word(), anchor));
    let timezone = match allowance.text("timezone")? {
        None => Zone::utc(),
        Some(name) => name.parse().map_err(|error: calendar::UnknownZone| {
            allowance.error(DocumentFault::UnknownTimezone, "timezone", error.to_string())
        })?,
    };
    Ok(Allowance {
        credits: allowance.required("credits", Fields::positive_credits)?,
        period: allowance.word("period", &periods)?.unwrap_or(Period::Month),
        anchor: allowance.word("anchor", &anchors)?.unwrap_or(Anchor::Anniversary),
        timezone,
    })
}
