//! What each route does, takes and answers.

/// A request's body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    None,
    /// JSON of a schema.
    Of(&'static str),
    /// CloudEvents, one or several.
    Events,
    /// Lines of JSON.
    Lines,
}

/// One route.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    /// Name and meaning.
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) request: Body,
    pub(super) idempotent: bool,
    /// Status, schema, meaning.
    pub(super) answers: &'static [(u16, &'static str, &'static str)],
    /// Status and meaning of problems beside 401, 403 and 422.
    pub(super) refusals: &'static [(u16, &'static str)],
}

const fn get(
    path: &'static str,
    summary: &'static str,
    schema: &'static [(u16, &'static str, &'static str)],
) -> Operation {
    Operation {
        method: "GET",
        path,
        summary,
        about: "",
        query: &[],
        request: Body::None,
        idempotent: false,
        answers: schema,
        refusals: &[],
    }
}

const fn write(
    path: &'static str,
    summary: &'static str,
    request: Body,
    answers: &'static [(u16, &'static str, &'static str)],
) -> Operation {
    Operation {
        method: "POST",
        path,
        summary,
        about: "",
        query: &[],
        request,
        idempotent: true,
        answers,
        refusals: COMMAND_REFUSALS,
    }
}

const COMMAND_REFUSALS: &[(u16, &str)] = &[
    (409, "The key was used for another request."),
    (503, "The deadline passed before it was decided: nothing was changed."),
    (504, "Not decided in time: the same request with the same key tells what became of it."),
];
const REPLAY_REFUSALS: &[(u16, &str)] = &[
    (404, "No such rebuild."),
    (409, "Not now, or not as it stands: `type` says why. `replay_busy` may be asked again."),
];
const NO_HOLD: &[(u16, &str)] = &[
    (404, "No such hold is open: it never was, or it has ended."),
    (409, "The key was used for another request."),
    (504, "Not decided in time: the same request with the same key tells what became of it."),
];
const APPLIED: &[(u16, &str, &str)] =
    &[(201, "Applied", "Carried out. A repeated request gets the same answer.")];
const PERIOD: &[(&str, &str)] = &[
    ("by", "Dimensions, separated by commas: feature, model, user, team, day, traffic and more."),
    ("from", "From this time on (RFC 3339)."),
    ("to", "Before this time."),
    ("top", "Only the largest so many."),
];

const LETTERS: &[(&str, &str)] = &[
    ("code", "A reason code."),
    ("source", "Of this producer."),
    ("schema", "json, or avro: and a fingerprint, as the groups show it."),
    ("since", "Put aside at or after this time."),
    ("state", "open, retried or all."),
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        about: "Events are judged one by one; good ones land beside bad ones. Accepted means durable in the \
            log. One event, a JSON array, NDJSON, or CloudEvents binary mode (`ce-` headers); gzip and zstd.",
        idempotent: false,
        refusals: &[(413, "Too large, or more than 1,000 events.")],
        ..write(
            "/v1/events",
            "Send usage events",
            Body::Events,
            &[(202, "Judged", "What became of each.")],
        )
    },
    Operation {
        about: "*pending* while it is on its way.",
        query: &[
            ("source", "The event's source."),
            ("id", "The event's id."),
            ("account", "Its account, where several used the same identity."),
        ],
        refusals: &[(404, "No such event was accepted.")],
        ..get(
            "/v1/events",
            "Explain an event's charge",
            &[(200, "Explained", "Where it is, and how its charge comes about.")],
        )
    },
    Operation {
        about: "Byte for byte, as a producer on Kafka would: a bad line becomes a dead letter.",
        query: &[("wait_s", "Wait so many seconds until all of it is decided.")],
        idempotent: false,
        refusals: &[(413, "Too large, or more than 5,000 lines.")],
        ..write(
            "/v1/ingest",
            "Send raw lines",
            Body::Lines,
            &[(202, "Ingested", "How many were taken, and how they ended.")],
        )
    },
    Operation {
        idempotent: false,
        refusals: &[],
        about: "By the code that charges it: the quote of an event's real tokens equals its charge.",
        ..write(
            "/v1/quote",
            "What would it cost",
            Body::Of("QuoteRequest"),
            &[(200, "Quote", "The least, the expected and the most.")],
        )
    },
    Operation {
        about: "Sets credits aside before a call, so that parallel requests cannot overspend.",
        refusals: &[
            (
                402,
                "Not enough: `limit` says which (balance or budget:<id>), with shortfall, available and resets_at.",
            ),
            (409, "The key was used for another request."),
            (503, "The deadline passed before it was decided: nothing is held."),
            (
                504,
                "Not decided in time: the same request with the same key tells what became of it.",
            ),
        ],
        ..write("/v1/holds", "Reserve", Body::Of("HoldRequest"), &[(201, "Hold", "Held.")])
    },
    Operation {
        query: &[(
            "wait",
            "Seconds to wait until everything decided so far can be seen; 5 by default.",
        )],
        refusals: &[(404, "No such hold."), (504, "Not yet.")],
        ..get("/v1/holds/{hold}", "Look at a hold", &[(200, "HoldRow", "As it is now.")])
    },
    Operation {
        refusals: NO_HOLD,
        ..write(
            "/v1/holds/{hold}/extend",
            "Extend a hold",
            Body::Of("ExtendRequest"),
            &[(200, "Hold", "It expires later.")],
        )
    },
    Operation {
        about: "An advance: the hold's events are settled against it, and what was too much goes back.",
        refusals: NO_HOLD,
        ..write(
            "/v1/holds/{hold}/capture",
            "Charge a part of a hold",
            Body::Of("CaptureRequest"),
            &[(200, "Hold", "Charged.")],
        )
    },
    Operation {
        about: "With an amount, without (what was captured), or with the usage event itself.",
        refusals: NO_HOLD,
        ..write(
            "/v1/holds/{hold}/settle",
            "Settle a hold",
            Body::Of("SettleRequest"),
            &[(200, "Hold", "Ended; the rest is free again.")],
        )
    },
    Operation {
        method: "DELETE",
        about: "What was captured stays charged.",
        refusals: NO_HOLD,
        ..write(
            "/v1/holds/{hold}",
            "Release a hold",
            Body::None,
            &[(200, "Hold", "Ended; the rest is free again.")],
        )
    },
    write("/v1/accounts/{id}/grants", "Grant credits", Body::Of("GrantRequest"), APPLIED),
    write(
        "/v1/accounts/{id}/adjustments",
        "Adjust the balance",
        Body::Of("AdjustmentRequest"),
        APPLIED,
    ),
    write(
        "/v1/accounts/{id}/lots/{lot}/void",
        "Remove credits from a lot",
        Body::Of("VoidRequest"),
        APPLIED,
    ),
    Operation {
        about: "Money and credits are apart.",
        ..write(
            "/v1/accounts/{id}/lots/{lot}/refund",
            "Refund unused credits",
            Body::Of("RefundRequest"),
            APPLIED,
        )
    },
    Operation {
        about: "The credits go back into their lots, also into ones that have expired (where they are forfeited).",
        refusals: &[(404, "The account has no such charge.")],
        ..write(
            "/v1/accounts/{id}/entries/{entry}/reverse",
            "Reverse a charge",
            Body::Of("ReasonRequest"),
            APPLIED,
        )
    },
    Operation {
        about: "An upgrade begins at once with the prorated difference, a downgrade with the renewal.",
        ..write(
            "/v1/accounts/{id}/plan",
            "Give the account a plan",
            Body::Of("PlanRequest"),
            APPLIED,
        )
    },
    get("/v1/accounts/{id}/plan", "The account's plan", &[(200, "AccountPlan", "As it is now.")]),
    write("/v1/accounts/{id}/budgets", "Set a budget", Body::Of("BudgetRequest"), APPLIED),
    get(
        "/v1/accounts/{id}/budgets",
        "The account's budgets",
        &[(200, "Budgets", "With what is used.")],
    ),
    Operation {
        method: "DELETE",
        ..write("/v1/accounts/{id}/budgets/{budget}", "Remove a budget", Body::None, APPLIED)
    },
    write(
        "/v1/accounts/{id}/notices",
        "Say when to be told about the balance",
        Body::Of("NoticesRequest"),
        APPLIED,
    ),
    get(
        "/v1/accounts/{id}/notices",
        "When the owner is told about the balance",
        &[(200, "Notices", "As last set.")],
    ),
    Operation {
        query: &[
            ("state", "open, settled, released or expired."),
            ("limit", "How many; 100 by default."),
        ],
        ..get("/v1/accounts/{id}/holds", "The account's holds", &[(200, "Rows", "Newest first.")])
    },
    Operation {
        query: &[
            ("all", "true: also those that are used up."),
            ("limit", "How many; 100 by default."),
        ],
        ..get(
            "/v1/accounts/{id}/lots",
            "The account's lots",
            &[(200, "Rows", "In draw-down order.")],
        )
    },
    Operation {
        query: &[
            ("consistency", "strict: everything that was accepted before is in it."),
            ("wait", "How long to wait for that, in seconds; 5 by default."),
            ("at", "The balance at this ledger time, with the entries that made it."),
            ("from", "With `at`: its movements since this time; since the first entry otherwise."),
        ],
        refusals: &[(504, "Not yet (strict).")],
        ..get(
            "/v1/accounts/{id}/balance",
            "The account's balance",
            &[(200, "Balance", "With its freshness.")],
        )
    },
    Operation {
        query: &[
            ("limit", "How many; 100 by default."),
            ("before", "Only entries before the one of this sequence number."),
            ("from", "Recorded at or after this ledger time."),
            ("to", "Recorded before this time."),
            ("kind", "Of this kind: debit, grant, hold_reserved and so on."),
        ],
        ..get(
            "/v1/accounts/{id}/entries",
            "The account's ledger entries",
            &[(200, "Rows", "Newest first.")],
        )
    },
    Operation {
        query: &[("limit", "How many; 100 by default.")],
        ..get(
            "/v1/accounts/{id}/events",
            "What the account was told",
            &[(200, "Rows", "Alerts, newest first.")],
        )
    },
    Operation {
        query: PERIOD,
        ..get(
            "/v1/accounts/{id}/usage",
            "The account's usage",
            &[(200, "Rows", "Sums equal to the ledger's.")],
        )
    },
    Operation {
        query: PERIOD,
        ..get("/v1/usage", "Usage over accounts", &[(200, "Rows", "Sums equal to the ledger's.")])
    },
    Operation {
        query: &[
            ("plan", "The plan; the default one when absent."),
            ("account", "The plan of this account."),
        ],
        refusals: &[(404, "No such plan.")],
        ..get(
            "/v1/price-list",
            "What a customer is charged",
            &[(200, "PriceList", "The plan's terms and every rule.")],
        )
    },
    get("/v1/rates", "The catalogue", &[(200, "Rows", "Every version.")]),
    Operation {
        about: "Answers once every partition has taken the version into use.",
        idempotent: false,
        ..write(
            "/v1/rates/versions",
            "Publish a price book, rate card, plan or defaults",
            Body::Of("PublishRequest"),
            &[(201, "Published", "In use."), (200, "Published", "A dry run, or published before.")],
        )
    },
    Operation {
        idempotent: false,
        ..write(
            "/v1/rates/import/litellm",
            "Read LiteLLM's price map",
            Body::Of("ImportRequest"),
            &[(200, "Imported", "A price book to publish, and what it cannot say.")],
        )
    },
    Operation {
        refusals: &[(404, "No such document.")],
        ..get(
            "/v1/rates/{kind}/{id}",
            "A document of the catalogue",
            &[(200, "Published", "Its text and versions.")],
        )
    },
    Operation {
        idempotent: false,
        refusals: &[],
        ..write(
            "/v1/sql",
            "Ask ClickHouse, read-only",
            Body::Of("SqlRequest"),
            &[(200, "Rows", "The rows.")],
        )
    },
    Operation {
        query: &[("table", "One table or view.")],
        ..get(
            "/v1/schema",
            "What every column means",
            &[(200, "Rows", "Tables with their columns.")],
        )
    },
    Operation {
        query: &[
            ("format", "csv or parquet."),
            ("account", "One account."),
            ("from", "From this time on."),
            ("to", "Before this time."),
        ],
        ..get("/v1/export", "Export usage", &[(200, "text", "A file.")])
    },
    get(
        "/v1/status",
        "Every service",
        &[(200, "Status", "Lag, watermarks, throughput, holds, unrated.")],
    ),
    Operation {
        about: "From the topic itself: it answers while ClickHouse is away.",
        query: LETTERS,
        ..get(
            "/v1/dead-letters",
            "Dead letters by code, source and schema",
            &[(200, "LetterGroups", "The largest first, each with what to type next.")],
        )
    },
    Operation {
        about: "Page by page, in the order of their names.",
        query: &[
            ("code", "A reason code."),
            ("source", "Of this producer."),
            ("schema", "json, or avro: and a fingerprint, as the groups show it."),
            ("since", "Put aside at or after this time."),
            ("state", "open, retried or all."),
            ("from", "From this letter on: the `next` of the page before."),
            ("limit", "How many; 100 by default."),
        ],
        ..get(
            "/v1/dead-letters/records",
            "Dead letters with their bytes",
            &[(200, "Rows", "Letters; `next` names where the next page begins.")],
        )
    },
    Operation {
        about: "The bytes go to usage.raw as they were, so the event keeps its identity: one that was charged \
            meanwhile is a duplicate. What today's code still cannot read is not sent and stays open.",
        idempotent: false,
        refusals: &[(404, "There is no such letter.")],
        ..write(
            "/v1/dead-letters/retry",
            "Send dead letters again, or see what would become of them",
            Body::Of("RetryRequest"),
            &[(200, "Retried", "What would become of each, or what did.")],
        )
    },
    Operation {
        about: "Named by its place, 3-17, or by the input that it was, usage.raw[3]@17.",
        refusals: &[(404, "There is no such letter; they are kept for some days.")],
        ..get(
            "/v1/dead-letters/{letter}",
            "One dead letter",
            &[(200, "Row", "Its bytes, and what today's code says of them.")],
        )
    },
    Operation {
        query: &[
            ("code", "One reason."),
            ("limit", "How many groups; 100 by default, 200 at most."),
        ],
        ..get(
            "/v1/unrated",
            "What waits for a price",
            &[(200, "Rows", "By what is missing, with what would cover it as TOML to fill in.")],
        )
    },
    Operation {
        query: &[
            ("since", "Since this ledger time; seven days ago unless said."),
            ("source", "One producer."),
            ("limit", "How many; 100 by default."),
        ],
        ..get(
            "/v1/sources",
            "How each producer behaves",
            &[(
                200,
                "Rows",
                "Duplicates, conflicts, misroutes, dead letters, clocks; the busiest first.",
            )],
        )
    },
    get(
        "/v1/doctor",
        "What is wrong, and what to do",
        &[(200, "Diagnosis", "Every check, with what it saw.")],
    ),
    Operation {
        refusals: &[(404, "The ledger has no such entry, or it is not the key's to see.")],
        ..get(
            "/v1/entries/{entry}",
            "Explain an entry of the ledger",
            &[(200, "Explained", "With its postings, its seal, and what corrects it.")],
        )
    },
    get("/v1/freshness", "How fresh ClickHouse is", &[(200, "Rows", "By table.")]),
    Operation {
        about: "Without deep, the ledger's own proofs and ClickHouse's sums. With deep, all twelve \
            invariants, from the ledger, the catalogue, the inputs and ClickHouse: the answer is NDJSON, \
            lines of {\"progress\"} and at last one of {\"report\"} or {\"problem\"}.",
        query: &[
            ("deep", "true for everything."),
            (
                "from",
                "Deep: prices and inputs from this ledger time on, or from partition:offset pairs.",
            ),
            ("rate", "Deep: records per second, 20000 by default; 0 is no bound."),
            ("every", "Deep: one charge of so many is reckoned independently, each by default."),
        ],
        refusals: &[(409, "Another long proof is running.")],
        ..get(
            "/v1/verify",
            "Check the invariants",
            &[(200, "Rows", "What was checked, and the first counterexamples.")],
        )
    },
    Operation {
        about: "Decides the inputs again with today's code and compares with the ledger, entry by \
            entry. Nothing is written. The answer is NDJSON: lines of {\"progress\"} and at last one of \
            {\"report\"} or {\"problem\"}.",
        query: &[
            ("partition", "One partition; all by default."),
            ("from_seal", "The first seal whose inputs are decided again, 1 by default."),
            ("catalogue", "newest: what would the newest catalogue have charged?"),
            ("rate", "Records per second, 20000 by default; 0 is no bound."),
        ],
        refusals: &[(409, "Another long proof is running.")],
        ..get(
            "/v1/replay/raw",
            "Replay the inputs and compare",
            &[(200, "Rows", "What was decided again, and the first differences.")],
        )
    },
    Operation {
        about: "Nothing changes. Reads the ledger, and follows each charge to the entry that stands for it.",
        idempotent: false,
        ..write(
            "/v1/rerates/plan",
            "What another catalogue would have charged",
            Body::Of("ReratePlanRequest"),
            &[(200, "ReratePlan", "The charges that would differ, 250,000 at most.")],
        )
    },
    Operation {
        about: "At most 500 charges of a plan. The same plan again changes nothing.",
        idempotent: false,
        ..write(
            "/v1/rerates",
            "Price charges anew",
            Body::Of("RerateRequest"),
            &[(200, "RerateResults", "What became of each charge.")],
        )
    },
    Operation {
        about: "By day, provider, model and token pool, net of corrections, with tokens that have no cost yet.",
        query: &[
            ("from", "The first day, such as 2026-11-01; required."),
            ("to", "The day after the last, 400 days on at most; required."),
            ("timezone", "Whose midnights begin the days; UTC by default."),
        ],
        ..get(
            "/v1/metered-cost",
            "Vendor cost as metered",
            &[(200, "MeteredCost", "What a vendor's bill is compared with.")],
        )
    },
    Operation {
        query: &[
            ("state", "held (the default), accepted, rejected, or all"),
            ("account", "Of one account."),
            ("source", "Of one source."),
            ("reason", "Of one reason code."),
        ],
        ..get(
            "/v1/quarantine",
            "Records that were held back",
            &[(200, "Quarantine", "The oldest first, 1,000 at most.")],
        )
    },
    Operation {
        about: "The record is charged as if it came now; one that conflicts with another takes its place.",
        refusals: &[(404, "There is no such entry."), (409, "It is not held, or not any more.")],
        ..write(
            "/v1/quarantine/{entry}/accept",
            "Let a held-back record in",
            Body::Of("ReasonRequest"),
            APPLIED,
        )
    },
    Operation {
        refusals: &[(404, "There is no such entry."), (409, "It is not held, or not any more.")],
        ..write(
            "/v1/quarantine/{entry}/reject",
            "Leave a held-back record out",
            Body::Of("ReasonRequest"),
            APPLIED,
        )
    },
    Operation {
        about: "Changes nothing.",
        idempotent: false,
        refusals: &[],
        ..write(
            "/v1/replays/plan",
            "Plan to make tables again from the ledger",
            Body::Of("ReplayWish"),
            &[(200, "Row", "The plan as TOML: a file to review and to apply.")],
        )
    },
    Operation {
        about: "There is one rebuild at a time. The same plan again answers how it stands.",
        idempotent: false,
        refusals: REPLAY_REFUSALS,
        ..write(
            "/v1/replays",
            "Begin what a plan says",
            Body::Of("ReplayBegin"),
            &[(200, "Replay", "Begun.")],
        )
    },
    Operation {
        refusals: &[(404, "There is none.")],
        ..get(
            "/v1/replays",
            "The rebuild that is not through",
            &[(200, "Replay", "How it stands.")],
        )
    },
    Operation {
        refusals: &[(404, "There is none of that name.")],
        ..get("/v1/replays/{id}", "A rebuild", &[(200, "Replay", "How it stands.")])
    },
    Operation {
        about: "Works for about two seconds. Ask again until `caught_up`: the tables beside then have all \
            that the live ones have.",
        idempotent: false,
        refusals: REPLAY_REFUSALS,
        ..write(
            "/v1/replays/{id}/advance",
            "Fill the tables beside, a step",
            Body::None,
            &[(200, "Row", "How far they have come.")],
        )
    },
    Operation {
        about: "The projector pauses for it at a batch boundary. Ask again until `state` is done.",
        idempotent: false,
        refusals: REPLAY_REFUSALS,
        ..write(
            "/v1/replays/{id}/diff",
            "Compare with the live tables, a step",
            Body::None,
            &[(200, "Row", "By table, day, account, feature and model; a digest names it.")],
        )
    },
    Operation {
        about: "At a batch boundary of the projector, all pairs or none. Ask again until `state` is done. \
            One that was interrupted is finished.",
        idempotent: false,
        refusals: REPLAY_REFUSALS,
        ..write(
            "/v1/replays/{id}/swap",
            "Exchange the tables, a step",
            Body::Of("ReplaySwap"),
            &[(200, "Row", "What is live now.")],
        )
    },
    Operation {
        about: "Pairs that were exchanged are exchanged back, and the projector goes on. Ask again until \
            `state` is done.",
        idempotent: false,
        refusals: REPLAY_REFUSALS,
        ..write(
            "/v1/replays/{id}/abort",
            "Undo an exchange that was interrupted, a step",
            Body::None,
            &[(200, "Row", "What is live now.")],
        )
    },
    Operation {
        method: "DELETE",
        idempotent: false,
        refusals: REPLAY_REFUSALS,
        ..write(
            "/v1/replays/{id}",
            "Drop the tables beside the live ones",
            Body::None,
            &[(200, "Row", "What is live, and stays.")],
        )
    },
    Operation {
        about: "The key is shown once.",
        refusals: &[(
            409,
            "The Idempotency-Key made a key before; its secret cannot be shown again.",
        )],
        ..write(
            "/v1/keys",
            "Make an API key",
            Body::Of("KeyRequest"),
            &[(201, "NewKey", "Shown once.")],
        )
    },
    get(
        "/v1/keys",
        "All API keys",
        &[(200, "Rows", "Without their secrets; with when each was last used.")],
    ),
    Operation {
        about: "The old key stays valid for the overlap, 24 h by default.",
        ..write(
            "/v1/keys/{id}/rotate",
            "Replace a key",
            Body::Of("RotateRequest"),
            &[(201, "NewKey", "Shown once.")],
        )
    },
    Operation {
        method: "DELETE",
        idempotent: false,
        ..write("/v1/keys/{id}", "Revoke a key", Body::None, &[(200, "Row", "Revoked.")])
    },
    Operation {
        idempotent: false,
        about: "Signed after the Standard Webhooks convention. The secret is shown once.",
        ..write(
            "/v1/webhooks",
            "Add a webhook",
            Body::Of("WebhookRequest"),
            &[(201, "Row", "Added.")],
        )
    },
    get("/v1/webhooks", "All webhooks", &[(200, "Rows", "Without their secrets.")]),
    Operation {
        method: "DELETE",
        idempotent: false,
        ..write("/v1/webhooks/{id}", "Remove a webhook", Body::None, &[(200, "Row", "Removed.")])
    },
    write(
        "/v1/webhooks/{id}/rotate",
        "Replace a webhook's secret",
        Body::Of("RotateRequest"),
        &[(201, "Row", "Shown once.")],
    ),
    Operation {
        idempotent: false,
        ..write(
            "/v1/webhooks/{id}/test",
            "Send a ping now",
            Body::None,
            &[(200, "Row", "What came back.")],
        )
    },
    Operation {
        query: &[
            ("limit", "How many; 100 by default."),
            ("state", "pending, delivered or failed."),
        ],
        ..get("/v1/webhooks/{id}/deliveries", "The delivery log", &[(200, "Rows", "Newest first.")])
    },
    Operation {
        idempotent: false,
        ..write(
            "/v1/webhooks/{id}/deliveries/{delivery}/replay",
            "Deliver again",
            Body::None,
            &[(202, "Row", "Asked for.")],
        )
    },
    get("/openapi.json", "This description", &[(200, "", "OpenAPI 3.1.")]),
    get("/healthz", "Whether the process lives", &[(200, "", "It does.")]),
    Operation {
        refusals: &[(503, "Not now.")],
        ..get("/readyz", "Whether it can serve", &[(200, "", "It can.")])
    },
    get("/metrics", "Prometheus metrics", &[(200, "text", "In the text format.")]),
];
