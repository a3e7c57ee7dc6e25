//! The usage event, after decoding: defaults filled in, token pools disjoint, every limit checked.
//!
//! A decoder (crate `wire`) is the only maker. Texts borrow from the record where they can.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Currency, Money, Pools, Quantity, Timestamp};

/// A text of an event, borrowed from its record unless an escape had to be undone.
pub type Text<'a> = Cow<'a, str>;

/// Names and values, sorted by name, each name once.
pub type Attributes<'a> = Vec<(Text<'a>, Text<'a>)>;

/// An enum of words; the first is the default.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $first:ident = $first_word:literal $(, $variant:ident = $word:literal)* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "lowercase")]
        #[repr(u8)]
        pub enum $name { #[default] $first, $($variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant),*];

            /// The word in events, tables and commands.
            pub const fn word(self) -> &'static str {
                match self { Self::$first => $first_word, $(Self::$variant => $word),* }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $first_word => Some(Self::$first),
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The number that stands for it on the wire.
            pub const fn code(self) -> u8 {
                self as u8
            }

            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

words! {
    /// Who caused the usage: always costed, charged as the rate card says.
    Traffic {
        Customer = "customer",
        Internal = "internal",
        Test = "test",
        Demo = "demo",
        Evaluation = "evaluation",
    }
}

words! {
    /// How the work ended.
    Status { Ok = "ok", Error = "error", Cancelled = "cancelled", Aborted = "aborted" }
}

words! {
    /// What a usage event that names a hold does to it.
    HoldAction { Settle = "settle", Capture = "capture" }
}

/// One usage event. Identity is account + `source` + `id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent<'a> {
    /// The CloudEvents `subject`.
    pub account: Text<'a>,
    pub source: Text<'a>,
    pub id: Text<'a>,
    pub time: Timestamp,
    pub feature: Text<'a>,
    pub traffic: Traffic,
    pub status: Status,
    pub hold_action: HoldAction,
    /// Exempt from the lateness bound.
    pub backfill: bool,
    pub user: Option<Text<'a>>,
    pub team: Option<Text<'a>>,
    pub hold: Option<Text<'a>>,
    pub run: Option<Text<'a>>,
    pub step: Option<Text<'a>>,
    pub trace: Option<Text<'a>>,
    pub environment: Option<Text<'a>>,
    pub conversation: Option<Text<'a>>,
    pub requested_model: Option<Text<'a>>,
    pub vendor_request_id: Option<Text<'a>>,
    /// The id of an event of the same source that this one stands for instead; without items it takes
    /// that one back.
    pub corrects: Option<Text<'a>>,
    pub attributes: Attributes<'a>,
    /// At least one, unless the event takes another back; at most [`crate::limits::ITEMS_MAX`], in the
    /// producer's order.
    pub items: Vec<Item<'a>>,
}

/// One part of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item<'a> {
    pub model: Option<Text<'a>>,
    pub provider: Option<Text<'a>>,
    /// `None` is the standard tier.
    pub service_tier: Option<Text<'a>>,
    pub measure: Measure<'a>,
    /// What the producer was really billed.
    pub vendor_cost: Option<ReportedCost>,
    pub attributes: Attributes<'a>,
    /// Counts that no vendor confirmed.
    pub estimated: bool,
}

/// What an item counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure<'a> {
    /// Token pools of one model call, disjoint.
    Tokens(Pools),
    /// A quantity of a meter; never negative.
    Meter { meter: Text<'a>, quantity: Quantity },
}

/// A vendor cost as the producer reported it; never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedCost {
    pub amount: Money,
    pub currency: Currency,
}

impl Item<'_> {
    pub fn meter(&self) -> Option<&str> {
        match &self.measure {
            Measure::Tokens(_) => None,
            Measure::Meter { meter, .. } => Some(meter),
        }
    }
}

impl UsageEvent<'_> {
    /// The value of an attribute for one item: the item's own come before the event's.
    pub fn attribute<'e>(&'e self, item: &'e Item<'_>, name: &str) -> Option<&'e str> {
        find(&item.attributes, name).or_else(|| find(&self.attributes, name))
    }
}

impl UsageEvent<'_> {
    /// Lets go of the record that the texts borrow from.
    pub fn into_owned(self) -> UsageEvent<'static> {
        UsageEvent {
            account: owned(self.account),
            source: owned(self.source),
            id: owned(self.id),
            time: self.time,
            feature: owned(self.feature),
            traffic: self.traffic,
            status: self.status,
            hold_action: self.hold_action,
            backfill: self.backfill,
            user: self.user.map(owned),
            team: self.team.map(owned),
            hold: self.hold.map(owned),
            run: self.run.map(owned),
            step: self.step.map(owned),
            trace: self.trace.map(owned),
            environment: self.environment.map(owned),
            conversation: self.conversation.map(owned),
            requested_model: self.requested_model.map(owned),
            vendor_request_id: self.vendor_request_id.map(owned),
            corrects: self.corrects.map(owned),
            attributes: owned_pairs(self.attributes),
            items: self.items.into_iter().map(Item::into_owned).collect(),
        }
    }
}

impl Item<'_> {
    fn into_owned(self) -> Item<'static> {
        Item {
            model: self.model.map(owned),
            provider: self.provider.map(owned),
            service_tier: self.service_tier.map(owned),
            measure: match self.measure {
                Measure::Tokens(pools) => Measure::Tokens(pools),
                Measure::Meter { meter, quantity } => {
                    Measure::Meter { meter: owned(meter), quantity }
                }
            },
            vendor_cost: self.vendor_cost,
            attributes: owned_pairs(self.attributes),
            estimated: self.estimated,
        }
    }
}

fn owned(text: Text<'_>) -> Text<'static> {
    Cow::Owned(text.into_owned())
}

fn owned_pairs(attributes: Attributes<'_>) -> Attributes<'static> {
    attributes.into_iter().map(|(name, value)| (owned(name), owned(value))).collect()
}

fn find<'e>(attributes: &'e Attributes<'_>, name: &str) -> Option<&'e str> {
    let index = attributes.binary_search_by(|(key, _)| key.as_ref().cmp(name)).ok()?;
    Some(&attributes[index].1)
}
