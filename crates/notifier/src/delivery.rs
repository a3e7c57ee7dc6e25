//! One delivery: an event and an endpoint, as the fold of its records.

use std::sync::Arc;

use domain::Timestamp;
use wire::{AttemptOutcome, DeliveryChange, DeliveryRecord};

/// An event on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub account: Arc<str>,
    /// The event's number within its account.
    pub number: u64,
    /// When the log took the event.
    pub appended_at: Timestamp,
    /// The event's record.
    pub event: Arc<[u8]>,
    /// Tries since the event, or since it was last asked to be sent again.
    pub attempts: u32,
    /// Since when it waits to be delivered.
    pub since: Timestamp,
    /// What came back last, and when.
    pub last: Option<(Timestamp, AttemptOutcome)>,
    pub state: DeliveryState,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Pending {
        next_at: Timestamp,
    },
    Delivered,
    /// Given up; somebody may ask for it again.
    Failed,
}

impl DeliveryState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub const fn next_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending { next_at } => Some(next_at),
            Self::Delivered | Self::Failed => None,
        }
    }
}

impl Delivery {
    /// The delivery after a record; `before` is what the records before it made of it.
    pub fn after(before: Option<Self>, record: &DeliveryRecord) -> Self {
        let mut delivery = before.unwrap_or_else(|| Self {
            account: record.account.as_str().into(),
            number: record.number,
            appended_at: record.appended_at,
            event: record.event.as_slice().into(),
            attempts: 0,
            since: record.appended_at,
            last: None,
            state: DeliveryState::Pending { next_at: record.appended_at },
        });
        match &record.change {
            DeliveryChange::ReplayAsked { .. } => {
                delivery.attempts = 0;
                delivery.since = record.at;
                delivery.state = DeliveryState::Pending { next_at: record.at };
            }
            DeliveryChange::Attempted(attempt) => {
                delivery.attempts = attempt.attempt;
                delivery.last = Some((record.at, attempt.outcome.clone()));
                delivery.state = match (delivery.state, attempt.next_at) {
                    _ if attempt.outcome.is_delivered() => DeliveryState::Delivered,
                    // The word of one who had lost the partition comes late: it was delivered.
                    (DeliveryState::Delivered, _) => DeliveryState::Delivered,
                    (DeliveryState::Pending { .. } | DeliveryState::Failed, Some(next_at)) => {
                        DeliveryState::Pending { next_at }
                    }
                    (DeliveryState::Pending { .. } | DeliveryState::Failed, None) => {
                        DeliveryState::Failed
                    }
                };
            }
        }
        delivery
    }
}
