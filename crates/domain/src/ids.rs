//! Identifiers and positions: small types that cannot be mixed up.

use std::fmt;
use std::str::FromStr;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
                 serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number!(
    /// A partition's number; inputs and ledger share it.
    Partition(u32)
);
number!(
    /// A record's position in its partition. Half-open ranges everywhere: `[from, to)`.
    Offset(i64)
);
number!(
    /// An entry's number within its account, from 1, without gaps.
    Sequence(u64)
);
number!(
    /// An entry's number within its ledger partition, from 1, without gaps. With the partition it
    /// names an entry to people: `3-8812`.
    EntryNumber(u64)
);
number!(
    /// A lot, named by the sequence number of the entry that granted it; unique per account.
    LotId(u64)
);
number!(
    /// A catalogue version (price book, rate card, plan), named by its offset in `rates.catalog`.
    CatalogueId(u32)
);
number!(
    /// A rule of a rate card, by its place in it, from 0.
    RuleId(u16)
);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Sequence {
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl EntryNumber {
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The topics of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Topic {
    UsageRaw = 0,
    UsageForwarded = 1,
    LedgerCommands = 2,
    LedgerEntries = 3,
    DeadLetters = 4,
    Replies = 5,
    RatesCatalog = 6,
    /// API keys and webhook endpoints.
    Access = 7,
    /// What an account's owner is told: alerts.
    AccountEvents = 8,
    /// What became of each attempt to deliver an alert.
    WebhookDeliveries = 9,
}

impl Topic {
    pub const ALL: [Self; 10] = [
        Self::UsageRaw,
        Self::UsageForwarded,
        Self::LedgerCommands,
        Self::LedgerEntries,
        Self::DeadLetters,
        Self::Replies,
        Self::RatesCatalog,
        Self::Access,
        Self::AccountEvents,
        Self::WebhookDeliveries,
    ];

    /// The topics that a record may name. The schemas of entries, seals and dead letters list these,
    /// and what they list cannot grow; causes and seals name inputs only.
    pub const IN_RECORDS: [Self; 7] = [
        Self::UsageRaw,
        Self::UsageForwarded,
        Self::LedgerCommands,
        Self::LedgerEntries,
        Self::DeadLetters,
        Self::Replies,
        Self::RatesCatalog,
    ];

    /// The charger's inputs, in the order that seals list them.
    pub const INPUTS: [Self; 3] = [Self::UsageRaw, Self::UsageForwarded, Self::LedgerCommands];

    pub const fn name(self) -> &'static str {
        match self {
            Self::UsageRaw => "usage.raw",
            Self::UsageForwarded => "usage.forwarded",
            Self::LedgerCommands => "ledger.commands",
            Self::LedgerEntries => "ledger.entries",
            Self::DeadLetters => "usage.dead-letters",
            Self::Replies => "ledger.replies",
            Self::RatesCatalog => "rates.catalog",
            Self::Access => "access",
            Self::AccountEvents => "account.events",
            Self::WebhookDeliveries => "webhook.deliveries",
        }
    }

    /// How many partitions the topic has in a deployment with so many for its accounts. What is not
    /// about one account has one partition, and so one order.
    pub const fn partitions(self, of_accounts: u32) -> u32 {
        match self {
            Self::UsageRaw
            | Self::UsageForwarded
            | Self::LedgerCommands
            | Self::LedgerEntries
            | Self::DeadLetters
            | Self::AccountEvents => of_accounts,
            Self::Replies | Self::RatesCatalog | Self::Access | Self::WebhookDeliveries => 1,
        }
    }

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Topic,
    pub partition: Partition,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.topic, self.partition)
    }
}

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    pub const USD: Self = Self(*b"USD");

    pub fn as_str(&self) -> &str {
        // Only `from_str` makes one, and it takes ASCII capitals alone.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|byte| byte.is_ascii_uppercase()) => {
                Ok(Self([*a, *b, *c]))
            }
            _ => Err(NotACurrency),
        }
    }
}

/// A text that is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency code of three capital letters")]
pub struct NotACurrency;

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
