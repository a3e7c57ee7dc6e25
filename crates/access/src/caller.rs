//! What a key may do.

use std::sync::Arc;

use domain::Traffic;
use wire::{KeyBounds, KeyId, Role};

/// What a request asks to do. A route names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Send usage events.
    SendUsage,
    /// Ask what became of an event.
    Explain,
    /// Ask what usage would cost.
    Quote,
    /// Reserve, capture, settle and release credits.
    Hold,
    /// Balances, entries, lots, budgets and usage of an account.
    ReadAccount,
    /// Usage summed over accounts.
    ReadUsage,
    /// Price lists, rate cards, plans.
    ReadPrices,
    /// Grants, adjustments, voids, refunds, plans and budgets of an account.
    ChangeCredits,
    /// Publish price books, rate cards and plans.
    PublishRates,
    /// SQL, and what the columns mean.
    Query,
    /// Usage lines in bulk.
    Export,
    /// How far ClickHouse has come.
    ReadFreshness,
    /// How everything is: lags, counts, what waits.
    ReadStatus,
    /// Prove the ledger.
    Verify,
    /// Replays, dead letters, quarantine.
    Operate,
    /// API keys.
    ManageKeys,
    /// Webhook endpoints.
    ManageWebhooks,
    /// Which webhook endpoints there are, and what became of deliveries.
    ReadWebhooks,
}

impl Action {
    pub const ALL: [Self; 18] = [
        Self::SendUsage,
        Self::Explain,
        Self::Quote,
        Self::Hold,
        Self::ReadAccount,
        Self::ReadUsage,
        Self::ReadPrices,
        Self::ChangeCredits,
        Self::PublishRates,
        Self::Query,
        Self::Export,
        Self::ReadFreshness,
        Self::ReadStatus,
        Self::Verify,
        Self::Operate,
        Self::ManageKeys,
        Self::ManageWebhooks,
        Self::ReadWebhooks,
    ];

    /// Which roles may.
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Analyst, App, Finance, Operator, Producer};
        match self {
            Self::SendUsage => &[Producer, App, Operator],
            Self::Explain | Self::ReadFreshness => &[Producer, App, Finance, Operator, Analyst],
            Self::Quote | Self::ReadAccount | Self::ReadUsage | Self::ReadPrices => {
                &[App, Finance, Operator, Analyst]
            }
            Self::Hold => &[App, Operator],
            Self::ChangeCredits | Self::ReadWebhooks => &[Finance, Operator],
            Self::Export => &[Finance, Operator, Analyst],
            Self::Query | Self::ReadStatus => &[Operator, Analyst],
            Self::PublishRates
            | Self::Verify
            | Self::Operate
            | Self::ManageKeys
            | Self::ManageWebhooks => &[Operator],
        }
    }
}

/// Who asks: a key that was recognised, and what it may do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    key: KeyId,
    name: Arc<str>,
    role: Role,
    bounds: Arc<KeyBounds>,
}

impl Caller {
    pub(crate) fn new(key: KeyId, name: &str, role: Role, bounds: KeyBounds) -> Self {
        Self { key, name: name.into(), role, bounds: Arc::new(bounds) }
    }

    pub fn key(&self) -> KeyId {
        self.key
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn bounds(&self) -> &KeyBounds {
        &self.bounds
    }

    /// Who did it, for the record: names repeat, ids do not.
    pub fn actor(&self) -> String {
        format!("{} (key:{})", self.name, self.key)
    }

    /// Whether the role may do it at all, to something.
    pub fn may(&self, action: Action) -> bool {
        action.roles().contains(&self.role)
    }

    /// Whether it may touch every account.
    pub fn may_span_accounts(&self) -> bool {
        self.bounds.accounts.is_none()
    }

    /// Whether it may see or touch this account.
    pub fn may_reach(&self, account: &str) -> bool {
        has(self.bounds.accounts.as_deref(), account)
    }

    /// Whether it may send or see events of this source.
    pub fn may_reach_source(&self, source: &str) -> bool {
        has(self.bounds.sources.as_deref(), source)
    }

    /// Whether it may say of usage that it is of this class. A key that sends for others may only
    /// say `customer`, unless it was told otherwise.
    pub fn may_send_traffic(&self, traffic: Traffic) -> bool {
        match (&self.bounds.traffic, self.role) {
            (Some(listed), _) => listed.contains(&traffic),
            (None, Role::Operator) => true,
            (None, Role::Producer | Role::App | Role::Finance | Role::Analyst) => {
                traffic == Traffic::Customer
            }
        }
    }

    /// Whether it sends whatever it likes, so that what it sends need not be looked at.
    pub fn sends_freely(&self) -> bool {
        self.may_span_accounts()
            && self.bounds.sources.is_none()
            && Traffic::ALL.iter().all(|traffic| self.may_send_traffic(*traffic))
    }

    /// Whether it may send this usage; otherwise the event's field that forbids it.
    ///
    /// # Errors
    /// The path of the field.
    pub fn may_send(
        &self,
        source: &str,
        traffic: Traffic,
        account: &str,
    ) -> Result<(), &'static str> {
        if !self.may_reach(account) {
            return Err("subject");
        }
        if !self.may_reach_source(source) {
            return Err("source");
        }
        if !self.may_send_traffic(traffic) {
            return Err("data.traffic");
        }
        Ok(())
    }
}

fn has(bound: Option<&[String]>, name: &str) -> bool {
    bound.is_none_or(|names| names.iter().any(|listed| listed == name))
}
