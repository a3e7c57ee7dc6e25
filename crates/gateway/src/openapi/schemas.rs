//! The bodies.

/// One field of a body.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    /// A decimal string.
    Amount,
    Time,
    Count,
    Flag,
    Words(&'static [&'static str]),
    Of(&'static str),
    Many(&'static str),
    Texts,
    Counts,
    Any,
    Anys,
    OrNull(&'static Shape),
}

use Shape::{Amount, Any, Anys, Count, Counts, Flag, Many, Of, OrNull, Text, Texts, Time, Words};

const fn must(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, required: true, about }
}

const fn may(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, required: false, about }
}

const TRAFFIC: Shape = Words(&["customer", "internal", "test", "demo", "evaluation"]);
const CATEGORY: Shape = Words(&["promotional", "included", "purchased"]);

pub(super) const SCHEMAS: &[(&str, &[Field])] = &[
    (
        "ReplayWish",
        &[
            may("tables", Texts, "Tables that the ledger makes; all of them when absent."),
            may("partition", Count, "Only this partition of the ledger."),
            may("from_offset", Count, "From this offset on; with partition."),
            may("to_offset", Count, "Before this offset; with partition."),
            may("from", Time, "From what the ledger took at this time on."),
            may("to", Time, "Before what the ledger took at this time."),
            may("reason", Text, "Why; stands in the plan."),
            may("actor", Text, "On whose behalf."),
        ],
    ),
    (
        "ReplayBegin",
        &[must("plan", Text, "The plan's file, as it is."), may("actor", Text, "On whose behalf.")],
    ),
    (
        "ReplaySwap",
        &[
            may("back", Flag, "The original tables again."),
            may("accept_differences", Text, "The digest of the differences that were looked at."),
        ],
    ),
    (
        "Replay",
        &[
            must("replay", Text, "Its name: the hash of its plan."),
            must("state", Words(&["planned", "building", "exchanging", "swapped", "dropped"]), ""),
            must("live", Words(&["original", "rebuilt"]), "What analysts read."),
            must("tables", Texts, "Those that are made again."),
            must("range", Flag, "Only a part of the ledger: can be compared, not exchanged."),
            must("reached", Anys, "By partition: from where, and up to where."),
            must(
                "paused",
                OrNull(&Any),
                "For how many seconds the projector is asked to stand still.",
            ),
            must("digest", OrNull(&Text), "Names the differences that were found last."),
            must("accepted", Texts, "Digests of differences that were accepted."),
        ],
    ),
    (
        "Money",
        &[
            must("amount", Amount, "In whole currency units, as a decimal string."),
            must("currency", Text, "Three capital letters: the deployment's own."),
        ],
    ),
    (
        "Item",
        &[
            may("model", Text, "The model, as the vendor names it."),
            may("provider", Text, "The vendor."),
            may("service_tier", Text, "standard unless said."),
            may(
                "counting",
                Any,
                "inclusive, exclusive, or per side: whether parts lie inside their wholes.",
            ),
            may("tokens", Any, "Counts by token pool: input, output and their parts."),
            may("meter", Text, "What is counted, when it is not tokens."),
            may("quantity", Amount, "How much of it."),
            may("vendor_cost", Of("Money"), "What the vendor really billed."),
            may("attributes", Any, "Names and values; before the event's of the same name."),
            may("estimated", Flag, "Counts that no vendor confirmed."),
            may("input_characters", Count, "Quotes and holds: four characters count as a token."),
            may("input_tokens", Count, "Quotes and holds: the prompt's tokens, when known."),
            may("max_output_tokens", Count, "Quotes and holds: the most that the answer may have."),
        ],
    ),
    (
        "UsageData",
        &[
            must("feature", Text, "What used it."),
            must("items", Many("Item"), "At least one."),
            may("user", Text, ""),
            may("team", Text, ""),
            may("traffic", TRAFFIC, "customer unless said."),
            may("status", Words(&["ok", "error", "cancelled", "aborted"]), "ok unless said."),
            may("hold", Text, "The hold that it settles."),
            may(
                "hold_action",
                Words(&["settle", "capture"]),
                "settle ends the hold; capture leaves it open.",
            ),
            may("run", Text, ""),
            may("step", Text, ""),
            may("trace", Text, ""),
            may("environment", Text, ""),
            may("conversation", Text, ""),
            may("requested_model", Text, ""),
            may("vendor_request_id", Text, ""),
            may("backfill", Flag, "Exempt from the lateness bound."),
            may("attributes", Any, "Names and values."),
        ],
    ),
    (
        "UsageEvent",
        &[
            must("specversion", Words(&["1.0"]), "CloudEvents."),
            must("type", Words(&["tally.usage.v1"]), ""),
            must("source", Text, "With `id`, the event's identity within its account."),
            must("id", Text, ""),
            must("time", Time, "When it happened."),
            must("subject", Text, "The account."),
            must("data", Of("UsageData"), ""),
        ],
    ),
    (
        "Judged",
        &[
            must("accepted", Count, ""),
            must("refused", Count, ""),
            must(
                "events",
                Anys,
                "By index: id, outcome, and code, field and value of a refusal, or entry and credits of a charge that was waited for.",
            ),
        ],
    ),
    ("Ingested", &[must("lines", Count, "How many were taken.")]),
    ("Explained", &[must("state", Text, "pending, or how it ended.")]),
    (
        "QuoteRequest",
        &[
            may("account", Text, "Whose plan, balance and budgets; nobody's when absent."),
            may("plan", Text, "Another plan than the account's."),
            may("feature", Text, "Needed with items."),
            may(
                "items",
                Many("Item"),
                "Exact tokens, or a prompt's length and the most that the answer may have.",
            ),
            may("event", Of("UsageEvent"), "A whole event instead of items."),
            may("time", Time, "Now, unless said."),
            may("user", Text, ""),
            may("team", Text, ""),
            may("traffic", TRAFFIC, ""),
            may("status", Text, ""),
            may("attributes", Any, ""),
        ],
    ),
    (
        "Quote",
        &[
            must("credits", Amount, "The expected."),
            must("least", Any, "Credits, lines and available_after when the answer is empty."),
            must("expected", Any, "The same for half of the most output."),
            must("most", Any, "The same for the whole output: what a hold of it takes."),
            must("plan", OrNull(&Text), ""),
            must("rate_card", Text, ""),
            must("rate_card_version", Count, ""),
            must("lines", Anys, "Line by line, with the arithmetic."),
            may("available", Amount, "What the account can spend now."),
            may("on_exhausted", Words(&["refuse", "overage", "overdraft"]), ""),
            may("at_zero", Text, "What happens at zero, in words."),
            may(
                "hold_of_most",
                Any,
                "Whether a hold of the most would be granted now, and what stands in its way.",
            ),
            may("freshness", Any, "How fresh the balance is."),
        ],
    ),
    (
        "HoldRequest",
        &[
            must("account", Text, ""),
            may("amount", Amount, "How much; or `items`."),
            may(
                "items",
                Many("Item"),
                "What the call may use at most; priced under the account's plan.",
            ),
            may("expires_in_s", Count, "60 unless said; at most seven days."),
            may(
                "deadline_s",
                Count,
                "How long you wait: refused rather than granted to nobody after it.",
            ),
            may("on_insufficient", Words(&["refuse", "shrink"]), "shrink grants what there is."),
            may("user", Text, "For budgets."),
            may("team", Text, "For budgets."),
            may("feature", Text, "For budgets; needed with items."),
            may("traffic", TRAFFIC, "customer unless said."),
            may("reason", Text, ""),
        ],
    ),
    (
        "Hold",
        &[
            must("hold", Text, "Its name, such as hold_3-8812: for the usage event's `hold`."),
            must("account", Text, ""),
            must("amount", Amount, "What was reserved."),
            must("captured", Amount, "What has been charged on it."),
            must("state", Words(&["open", "settled", "released", "expired"]), ""),
            must("expires_at", Time, ""),
            must("available", Amount, "The account's available balance after it."),
        ],
    ),
    (
        "HoldRow",
        &[
            must("hold", Text, ""),
            must("account", Text, ""),
            must("amount", Amount, ""),
            must("captured", Amount, ""),
            must("held", Amount, "What it still holds."),
            must("above", Amount, "What was charged above it: booked, and flagged."),
            must("state", Words(&["open", "settled", "released", "expired"]), ""),
            must("expires_at", Time, ""),
            must("available", OrNull(&Amount), ""),
            must("freshness", Any, ""),
        ],
    ),
    ("ExtendRequest", &[must("expires_in_s", Count, "From now.")]),
    ("CaptureRequest", &[must("amount", Amount, "")]),
    ("SettleRequest", &[may("amount", Amount, "The total; what was captured when absent.")]),
    (
        "GrantRequest",
        &[
            must("amount", Amount, ""),
            must("category", CATEGORY, ""),
            may("paid", Of("Money"), "The total paid: the credits' cost basis."),
            may("effective", Time, "At once unless said."),
            may("expires", Time, "Never unless said."),
            may("priority", Count, "Smaller is drawn first; 50 unless said."),
            may("reason", Text, ""),
            may("id", Text, "The same as the Idempotency-Key."),
        ],
    ),
    (
        "AdjustmentRequest",
        &[
            must("amount", Amount, "Positive adds, negative takes."),
            must("reason", Text, ""),
            may("id", Text, "The same as the Idempotency-Key."),
        ],
    ),
    (
        "VoidRequest",
        &[
            may("amount", Amount, "All that is left and not held, unless said."),
            must("reason", Text, ""),
        ],
    ),
    (
        "RefundRequest",
        &[
            must("amount", Amount, "Credits: unused and not held."),
            must("money", Of("Money"), "What is paid back: at most what no credit has earned yet."),
            must("reason", Text, ""),
        ],
    ),
    ("ReasonRequest", &[must("reason", Text, "")]),
    (
        "RerateFilter",
        &[
            may("accounts", Texts, ""),
            may("features", Texts, ""),
            may("models", Texts, "Charges with an item of one of them."),
            may("sources", Texts, ""),
            may("from", Time, "Event times from here on."),
            may("to", Time, "Event times before this."),
        ],
    ),
    (
        "ReratePlanRequest",
        &[
            may("filter", Of("RerateFilter"), "What is looked at; everything unless said."),
            may(
                "catalogue",
                Count,
                "The catalogue when its next offset was this; the newest unless said.",
            ),
        ],
    ),
    (
        "ReratePlan",
        &[
            must("catalogue", Count, "Its next offset."),
            must("looked_at", Count, "Charges that the filter takes."),
            must("whole", Flag, "Whether there are no more than are listed."),
            must("unpriced", Count, "Charges that this catalogue has no price for: they stay."),
            must("unpriced_examples", Anys, ""),
            must("charges", Anys, "With the entry that stands for each, and both prices."),
        ],
    ),
    (
        "RerateCharge",
        &[
            must("entry", Text, "The entry that stands for the charge."),
            must("offset", Count, "Where it stands in the ledger."),
            must("credits", Amount, "What it is to come to."),
        ],
    ),
    (
        "RerateRequest",
        &[
            must("plan", Text, "Names the plan: the same again changes nothing."),
            must("catalogue", Count, "The catalogue of the plan."),
            must("charges", Many("RerateCharge"), "500 at most."),
            must("reason", Text, ""),
            may("actor", Text, "On whose behalf; the key speaks for itself otherwise."),
        ],
    ),
    (
        "RerateResults",
        &[must("results", Anys, "Per charge: applied, repeated, refused or undecided.")],
    ),
    (
        "MeteredCost",
        &[
            must("currency", OrNull(&Text), "Of the costs."),
            must("timezone", Text, ""),
            must("from", Text, ""),
            must("to", Text, ""),
            must("rows", Many("MeteredRow"), ""),
            must("unrated_events", Count, "Events behind unrated_tokens."),
            must("unrated_events_left_out", Flag, "There are more than one answer reads."),
            must("freshness", Any, "How far ClickHouse has come."),
        ],
    ),
    (
        "MeteredRow",
        &[
            must("day", Text, ""),
            must("provider", Text, "As the events name it; may be empty."),
            must("model", Text, ""),
            must("pool", Text, "A token pool."),
            must("costed_tokens", Count, "Charged, with a vendor cost."),
            must("uncosted_tokens", Count, "Charged, without a vendor cost."),
            must("unrated_tokens", Count, "Kept without a charge until a price covers them."),
            must("cost", Amount, "Of the costed tokens."),
            must("lines", Count, "Rate lines, each rounded once."),
            must("is_estimated", Flag, "The cost was divided over pools by their prices."),
        ],
    ),
    ("Quarantine", &[must("quarantine", Anys, "")]),
    (
        "PlanRequest",
        &[
            must("plan", Text, "A plan of the catalogue."),
            may(
                "when",
                Words(&["fitting", "now", "renewal"]),
                "fitting: an upgrade now, a downgrade with the renewal.",
            ),
        ],
    ),
    (
        "AccountPlan",
        &[
            must("account", Text, ""),
            must("plan", OrNull(&Text), ""),
            must("period", OrNull(&Any), "start and end."),
            must("allowance", Amount, "Granted for this period."),
            must("trial", Flag, ""),
            must("scheduled", OrNull(&Any), "plan and at."),
            must("renews_at", OrNull(&Time), ""),
        ],
    ),
    (
        "BudgetRequest",
        &[
            must("limit", Amount, "Credits."),
            must("period", Words(&["day", "week", "month", "year", "ever"]), ""),
            may("id", Text, "Setting the same again changes it."),
            may("timezone", Text, "An IANA name; UTC unless said."),
            may(
                "thresholds",
                Counts,
                "Percents at which somebody is told; 50, 80 and 100 unless said.",
            ),
            may("hard", Flag, "Whether holds past the limit are refused."),
            may("user", Text, "What it watches: all that is not said."),
            may("team", Text, ""),
            may("feature", Text, ""),
            may("traffic", TRAFFIC, ""),
        ],
    ),
    (
        "Budgets",
        &[
            must("account", Text, ""),
            must("budgets", Anys, "With used, remaining and window."),
            must("freshness", Any, ""),
        ],
    ),
    (
        "NoticesRequest",
        &[
            may(
                "low_balance",
                Amount,
                "Say so below this available balance; the plan's mark when absent.",
            ),
            may("top_up", Any, "below and amount: say that a top-up is wanted."),
        ],
    ),
    (
        "Notices",
        &[
            must("account", Text, ""),
            must("low_balance", OrNull(&Amount), "null leaves it to the plan."),
            must("top_up", OrNull(&Any), "below and amount."),
        ],
    ),
    (
        "Applied",
        &[
            must("account", Text, ""),
            must("id", Text, "The command's id: its idempotency key."),
            must("entry", Text, "The ledger entry that it made, such as 3-8812."),
            must("balance", Any, "settled, held, available, overage and in_grace after it."),
        ],
    ),
    (
        "Balance",
        &[
            must("account", Text, ""),
            must("settled", Amount, "What remains of effective lots, less outstanding overage."),
            must("held", Amount, ""),
            must("available", Amount, "settled − in_grace − held."),
            must("in_grace", Amount, "Past its expiry: for late usage only."),
            must("overage", Amount, "Outstanding."),
            must("by_category", Any, "included, promotional, purchased."),
            must("plan", OrNull(&Text), ""),
            must("period", OrNull(&Any), ""),
            must("allowance", Amount, "Of this period."),
            must("used", Amount, "Of the allowance."),
            must("remaining", Amount, "Of the allowance."),
            must("next_expiry", OrNull(&Any), "amount and at."),
            must("on_exhausted", Words(&["refuse", "overage", "overdraft"]), ""),
            must("renews_at", OrNull(&Time), ""),
            must(
                "freshness",
                Any,
                "ledger_partition, ledger_offset, as_of, lag_records, lag_s, open_holds, unrated_events.",
            ),
        ],
    ),
    (
        "PriceList",
        &[
            must("plan", OrNull(&Any), "Its terms, and in words."),
            must("rate_card", OrNull(&Any), ""),
            must("rules", Anys, "In order: what each matches, how it charges, and in words."),
            must("notes", Texts, ""),
        ],
    ),
    (
        "PublishRequest",
        &[
            must("toml", Text, "The document."),
            may("reason", Text, ""),
            may(
                "retroactive",
                Flag,
                "Needed when usage that was charged would be priced differently.",
            ),
            may("dry_run", Flag, ""),
        ],
    ),
    ("Published", &[must("id", Text, "")]),
    (
        "ImportRequest",
        &[
            must("json", Text, "The price map."),
            may("id", Text, ""),
            may("effective_from", Time, ""),
            may("currency", Text, ""),
        ],
    ),
    ("Imported", &[must("toml", Text, "")]),
    ("SqlRequest", &[must("query", Text, "One SELECT."), may("format", Text, "")]),
    (
        "Status",
        &[
            must(
                "services",
                Anys,
                "name, lag_records, lag_s, oldest_waiting, throughput_per_s, halted, standing.",
            ),
            must("clickhouse", Any, "Whether it answers; what it counts is null when it does not."),
            must("open_holds", OrNull(&Count), ""),
            must("unrated_waiting", OrNull(&Count), ""),
            must("dead_letters", OrNull(&Count), "Those that were not sent again."),
            must("dead_letters_retried", OrNull(&Count), ""),
            must("quarantined", OrNull(&Count), ""),
            must("catalogue", Any, ""),
        ],
    ),
    (
        "LetterGroups",
        &[
            must("open", Count, ""),
            must("retried", Count, ""),
            must(
                "groups",
                Anys,
                "code, source, schema, open, retried, first_at, last_at, example, next.",
            ),
            must("letters_of_other_groups", Count, "Past 1,000 groups."),
            must("complete", Flag, "Whether every letter that is kept was looked at."),
        ],
    ),
    (
        "RetryRequest",
        &[
            may("letter", Text, "One letter, also one that was sent again before."),
            may("code", Text, "Those of this reason."),
            may("source", Text, "Those of this producer."),
            may("schema", Text, "Those that are written so."),
            may("since", Time, "Those put aside at or after this."),
            may("again", Flag, "Also those that were sent again before."),
            may("dry_run", Flag, "Send nothing: true unless said."),
            may("limit", Count, "How many at once; 500 at most."),
            may("from", Text, "From this letter on: the `next` of the answer before."),
            may("wait_s", Count, "Wait so long for what becomes of them; 10 unless said."),
            may("actor", Text, "Who has them sent, when an operator does it for somebody."),
        ],
    ),
    (
        "Retried",
        &[
            must("dry_run", Flag, ""),
            must("letters", Anys, "Each with `would`, or with how it `ended`."),
            must("outcomes", Any, "How many ended, or would end, how."),
            must("next", OrNull(&Text), "Where the next request goes on."),
        ],
    ),
    (
        "Diagnosis",
        &[
            must("healthy", Flag, "Nothing is wrong; there may be warnings."),
            must("worst", OrNull(&Text), "ok, note, warning or wrong."),
            must("findings", Anys, "check, severity, found, what_to_do."),
            must("version", Text, ""),
            must("now", Time, ""),
        ],
    ),
    (
        "KeyRequest",
        &[
            must("name", Text, ""),
            must("role", Words(&["producer", "app", "finance", "operator", "analyst"]), ""),
            may("accounts", Texts, "Only these; all when absent."),
            may("sources", Texts, "Only these; all when absent."),
            may("traffic", Texts, "Only these; customer alone for producers and apps when absent."),
            may("expires", Time, ""),
        ],
    ),
    ("NewKey", &[must("id", Text, ""), must("key", Text, "Shown once.")]),
    (
        "RotateRequest",
        &[may("overlap_s", Count, "How long the old one stays valid; a day unless said.")],
    ),
    (
        "WebhookRequest",
        &[
            must("url", Text, ""),
            may("events", Texts, "Kinds; all when absent."),
            may("accounts", Texts, "All when absent."),
            may("description", Text, ""),
        ],
    ),
    ("Row", &[]),
    ("Rows", &[]),
    (
        "Problem",
        &[
            must("type", Text, "Stable: a reason code, or the API's own."),
            must("title", Text, ""),
            must("status", Count, ""),
            must("detail", Text, ""),
            may("field", Text, "What it is about."),
            may("value", Text, "What was sent there."),
            may("limit", Text, "402: balance, or budget:<id>."),
            may("shortfall", Amount, "402: by how much."),
            may("available", Amount, "402."),
            may("resets_at", OrNull(&Time), "402: when the limit opens by itself."),
        ],
    ),
];
