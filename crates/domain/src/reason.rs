//! Every reason code, in one table: what it is about, the limit, and how the input ends.
//!
//! The table's order is the order in which the checks run: when several hold, the first is given.

use std::borrow::Cow;
use std::fmt;

/// How an input offset ends (invariant 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    Debit = 0,
    Unrated = 1,
    Duplicate = 2,
    Quarantined = 3,
    DeadLetter = 4,
    Forwarded = 5,
    Applied = 6,
    Refused = 7,
    Repeated = 8,
    /// An offset that holds no record for us: a control record, or one that was compacted away.
    Empty = 9,
    /// An offset that was lost upstream, and whose loss a person acknowledged.
    Gap = 10,
}

impl Outcome {
    pub const ALL: [Self; 11] = [
        Self::Debit,
        Self::Unrated,
        Self::Duplicate,
        Self::Quarantined,
        Self::DeadLetter,
        Self::Forwarded,
        Self::Applied,
        Self::Refused,
        Self::Repeated,
        Self::Empty,
        Self::Gap,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Unrated => "unrated",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::DeadLetter => "dead_letter",
            Self::Forwarded => "forwarded",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Repeated => "repeated",
            Self::Empty => "empty",
            Self::Gap => "gap",
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonRow {
    pub reason: Reason,
    /// The stable code that people and programs see.
    pub code: &'static str,
    /// How the input ends; the API refuses what would be a dead letter.
    pub outcome: Outcome,
    /// What it means, and the limit where there is one.
    pub about: &'static str,
}

macro_rules! reasons {
    ($($variant:ident $code:literal $outcome:ident $about:literal;)*) => {
        /// Why an input did not become a plain debit (or a command was refused).
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Reason { $($variant),* }

        /// The table, in the order of the checks.
        pub const REASONS: &[ReasonRow] = &[
            $(ReasonRow {
                reason: Reason::$variant,
                code: $code,
                outcome: Outcome::$outcome,
                about: $about,
            }),*
        ];
    };
}

reasons! {
    RecordTooLarge "record_too_large" DeadLetter "the record is larger than 262,144 bytes (a command: 1 MiB)";
    UnsupportedFraming "unsupported_framing" DeadLetter "the first bytes are neither JSON ({) nor Avro single-object encoding (C3 01)";
    UnknownSchema "unknown_schema" DeadLetter "the Avro fingerprint is none that tally knows";
    InvalidAvro "invalid_avro" DeadLetter "the Avro body is cut short or malformed";
    InvalidUtf8 "invalid_utf8" DeadLetter "a text is not UTF-8";
    InvalidJson "invalid_json" DeadLetter "not one JSON object";
    WrongType "wrong_type" DeadLetter "the field has another JSON type than the format says (numbers for money and quantities are strings)";
    MissingField "missing_field" DeadLetter "a required field is absent";
    RepeatedField "repeated_field" DeadLetter "a field or an attribute stands twice";
    UnsupportedType "unsupported_type" DeadLetter "specversion is not 1.0, or type is not tally.usage.v1";
    EmptyText "empty_text" DeadLetter "a text that must say something is empty";
    TextTooLong "text_too_long" DeadLetter "a text is longer than 256 bytes";
    BadText "bad_text" DeadLetter "a text has a control character";
    BadTime "bad_time" DeadLetter "not an RFC 3339 time with an offset";
    BadValue "bad_value" DeadLetter "not one of the words that the field takes";
    NoItems "no_items" DeadLetter "an event has at least one item, unless it takes another back";
    TooManyItems "too_many_items" DeadLetter "an event has at most 256 items";
    TooManyAttributes "too_many_attributes" DeadLetter "at most 32 attributes on an event, and on an item";
    BadItem "bad_item" DeadLetter "an item is either tokens of a model, or a quantity of a meter";
    UnknownPool "unknown_pool" DeadLetter "not a token pool";
    BadTokenCount "bad_token_count" DeadLetter "token counts are whole numbers from 0 to 10^12";
    CountingRequired "counting_required" DeadLetter "a side that has parts needs its counting said: inclusive or exclusive";
    TokenPoolsInconsistent "token_pools_inconsistent" DeadLetter "inclusive parts exceed their whole";
    BadQuantity "bad_quantity" DeadLetter "quantities are decimal strings from 0 to 10^15 with at most 12 decimals";
    BadAmount "bad_amount" DeadLetter "amounts are decimal strings up to 10^15 with at most 12 decimals";
    BadCurrency "bad_currency" DeadLetter "a currency is three capital letters, and the deployment's own";
    BadCommand "bad_command" DeadLetter "not a command that tally knows";
    MisroutedTwice "misrouted_twice" DeadLetter "a forwarded event is still not in its account's partition";

    IdentityConflict "identity_conflict" Quarantined "the same source and id were seen with another meaning";
    TooEarly "too_early" Quarantined "the event is dated more than five minutes ahead of ledger time";
    TooLate "too_late" Quarantined "the event is older than 35 days and does not say backfill";
    NothingToCorrect "nothing_to_correct" Quarantined "the event corrects one that stands for no charge: it never came, or it was taken back";
    CorrectionUnrated "correction_unrated" Quarantined "the event corrects another, and no price covers it: accept it once one does";

    NoRateCard "no_rate_card" Unrated "no rate card is in force at the event's time";
    NoRule "no_rule" Unrated "no rule of the rate card matches the item";
    ChargeDoesNotFit "charge_does_not_fit" Unrated "the rule's charge cannot price this kind of item";
    NoVendorPrice "no_vendor_price" Unrated "no price book in force has a price for the item";
    AmbiguousProvider "ambiguous_provider" Unrated "several providers price the model and the item names none";
    NoPriceForServiceTier "no_price_for_service_tier" Unrated "the price has no condition for the item's service tier";
    NoPriceForPool "no_price_for_pool" Unrated "the price has no rate for a pool of the item, nor for its fallbacks";
    AmountOutOfRange "amount_out_of_range" Unrated "the price comes to more than 10^15";

    BadTerms "bad_terms" Refused "an amount is not above zero, larger than what is left, or an expiry is not ahead";
    TooManyLots "too_many_lots" Refused "an account has at most 1,000 open lots";
    UnknownLot "unknown_lot" Refused "the account has no such lot";
    LotClosed "lot_closed" Refused "nothing is left in the lot";
    UnknownEntry "unknown_entry" Refused "the account has no such entry";
    IdempotencyConflict "idempotency_conflict" Refused "the same id was used for another command";
    Deadline "deadline" Refused "the command's deadline passed before it was decided";
    InsufficientCredits "insufficient_credits" Refused "the hold is larger than what the balance or a budget leaves";
    UnknownHold "unknown_hold" Refused "no such hold is open: it never was, or it has ended";
    TooManyHolds "too_many_holds" Refused "an account has at most 10,000 open holds";
    LotHeld "lot_held" Refused "the lot's credits are held: release the holds first";
    LotPending "lot_pending" Refused "the lot is not effective yet: void it, or refund it once it is";
    TooManyCaptures "too_many_captures" Refused "a hold has at most 1,000 captures that wait for an event";
    UnknownPlan "unknown_plan" Refused "no plan of this id is in force";
    PlanUnchanged "plan_unchanged" Refused "the account has this plan already";
    UnknownBudget "unknown_budget" Refused "the account has no such budget";
    TooManyBudgets "too_many_budgets" Refused "an account has at most 100 budgets";
    NotACharge "not_a_charge" Refused "the entry is not a charge of this account, or was taken back";
    AlreadyCorrected "already_corrected" Refused "another entry corrects this one already: correct that one";
    NotQuarantined "not_quarantined" Refused "the entry holds no record back, or its fate was decided";
    NotAllowed "not_allowed" Refused "the API key may not send for this account, source or class of traffic";
    NotSupported "not_supported" Refused "this deployment does not do that";
}

impl Reason {
    pub fn row(self) -> &'static ReasonRow {
        // The macro makes both from one list, so the place in it is the number.
        &REASONS[self as usize]
    }

    pub fn code(self) -> &'static str {
        self.row().code
    }

    pub fn outcome(self) -> Outcome {
        self.row().outcome
    }

    pub fn from_code(code: &str) -> Option<Self> {
        REASONS.iter().find(|row| row.code == code).map(|row| row.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// A fault in an input: the code, the field's path (`data.items[2].tokens.input`), and the value
/// as it was sent, shortened to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {field}: {value} ({})", reason.row().about)]
pub struct Fault {
    pub reason: Reason,
    pub field: Cow<'static, str>,
    pub value: String,
}

impl Fault {
    pub fn new(reason: Reason, field: impl Into<Cow<'static, str>>, value: &str) -> Self {
        const VALUE_CHARACTERS_MAX: usize = 64;
        let mut shown: String = value.chars().take(VALUE_CHARACTERS_MAX).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { reason, field: field.into(), value: shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_stable_snake_case_and_found_again() {
        for row in REASONS {
            assert!(
                row.code
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
            );
            assert_eq!(Reason::from_code(row.code), Some(row.reason));
            assert_eq!(row.reason.row(), row);
        }
    }
}
