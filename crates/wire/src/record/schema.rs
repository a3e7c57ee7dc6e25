//! The schemas of what stands on tally's own topics, with the fingerprints that name them.
//!
//! A fingerprint is pinned here and computed from the file by a test: a schema that was ever
//! written under cannot be changed, only followed by its next version.

/// One version of one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSchema {
    /// The folder's name under `schemas/`.
    pub subject: &'static str,
    pub version: u32,
    /// CRC-64-AVRO of the parsing canonical form.
    pub fingerprint: u64,
    /// The schema in Avro's JSON.
    pub text: &'static str,
}

macro_rules! schemas {
    ($($constant:ident $subject:literal $version:literal $fingerprint:literal;)*) => {
        $(pub(super) const $constant: u64 = $fingerprint;)*

        /// Every version of every schema that can be read.
        pub const RECORD_SCHEMAS: &[RecordSchema] = &[$(RecordSchema {
            subject: $subject,
            version: $version,
            fingerprint: $constant,
            text: include_str!(concat!(
                "../../../../schemas/", $subject, "/v", $version, ".avsc"
            )),
        }),*];
    };
}

schemas! {
    LEDGER_ENTRY_V1_FINGERPRINT "ledger-entry" 1 0xd3e5_4292_082a_0773;
    LEDGER_ENTRY_V2_FINGERPRINT "ledger-entry" 2 0xc9aa_d813_8ae9_8259;
    LEDGER_ENTRY_V3_FINGERPRINT "ledger-entry" 3 0x0c1f_5ad9_7224_2920;
    SEAL_V1_FINGERPRINT "seal" 1 0x6800_ab4e_d649_48c0;
    CATALOGUE_ADOPTED_V1_FINGERPRINT "catalogue-adopted" 1 0x8e94_c784_bbe2_4697;
    COMMAND_V1_FINGERPRINT "command" 1 0x5dfc_f1e7_af63_35ee;
    COMMAND_V2_FINGERPRINT "command" 2 0x9372_39b0_04e0_3825;
    COMMAND_V3_FINGERPRINT "command" 3 0x49c7_fcaf_c33e_0aec;
    REPLY_V2_FINGERPRINT "reply" 2 0x985c_5b39_f9b8_b2fc;
    CATALOGUE_VERSION_V1_FINGERPRINT "catalogue-version" 1 0x3db4_45f9_5a53_dc51;
    DEAD_LETTER_V1_FINGERPRINT "dead-letter" 1 0xee6d_48af_fd8f_0fc7;
    DEAD_LETTER_RETRY_V1_FINGERPRINT "dead-letter-retry" 1 0xec21_f08a_0754_aacc;
    ACCOUNT_EVENT_V1_FINGERPRINT "account-event" 1 0xe351_4aac_c7fc_b24d;
    ACCESS_V1_FINGERPRINT "access" 1 0x9584_4fa6_660a_c2ac;
    WEBHOOK_DELIVERY_V1_FINGERPRINT "webhook-delivery" 1 0x011b_6f98_2c00_7e33;
}

/// The versions of `ledger-entry`: the ledger is kept forever, so each is read forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EntryVersion {
    /// Nine bodies; a debit knows no hold and no budget.
    V1,
    /// Holds, plans, budgets, refunds and reversals.
    V2,
    /// Corrections, and decisions about what was held back.
    V3,
}
