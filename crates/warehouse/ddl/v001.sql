CREATE TABLE IF NOT EXISTS usage_lines
(
    `event_time` DateTime64(6, 'UTC') COMMENT 'When the usage happened, as the producer says, UTC. Prices are chosen by it.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the entry, UTC: when it was charged.',
    `account` String COMMENT 'Account that was charged (the event\'s subject).',
    `plan` LowCardinality(String) COMMENT 'Plan that the account had at the event time; empty for none.',
    `team` LowCardinality(String) COMMENT 'Team within the account; empty when the event names none.',
    `user` String COMMENT 'User within the account; empty when the event names none.',
    `feature` LowCardinality(String) COMMENT 'Product feature that used the model or meter.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class: customer, internal, test, demo or evaluation.',
    `source` LowCardinality(String) COMMENT 'Producer of the event (CloudEvents source).',
    `event_id` String COMMENT 'The event\'s id; account, source and event_id identify an event.',
    `run` String COMMENT 'Run (agent task) that the event belongs to; empty for none.',
    `step` LowCardinality(String) COMMENT 'Step of the run; empty for none.',
    `environment` LowCardinality(String) COMMENT 'Environment that the producer names; empty for none.',
    `conversation` String COMMENT 'Conversation that the event belongs to; empty for none.',
    `hold` String COMMENT 'Hold that the event settled or captured from; empty for none.',
    `status` LowCardinality(String) COMMENT 'How the work ended: ok, error, cancelled or aborted.',
    `estimated` Bool COMMENT 'True when no vendor confirmed the counts.',
    `item` UInt16 COMMENT 'The item\'s place in the event, from 0.',
    `line` UInt16 COMMENT 'The line\'s place in the ledger entry, from 0.',
    `provider` LowCardinality(String) COMMENT 'Vendor of the model as the event names it; empty for none.',
    `model` LowCardinality(String) COMMENT 'Model as the event names it; empty for a meter without a model.',
    `service_tier` LowCardinality(String) COMMENT 'Service tier of the model call: standard, batch and so on.',
    `meter` LowCardinality(String) COMMENT 'Meter of a quantity; empty for token lines.',
    `events` Int64 COMMENT 'Usage events: 1 on the first line of an event\'s debit, -1 on its reversal\'s, otherwise 0. Adds up over anything.',
    `model_events` Int64 COMMENT 'Usage events that used this provider and model: 1 on the first such line of a debit, -1 on its reversal\'s, otherwise 0. Adds up over everything but provider and model.',
    `lines` Int64 COMMENT 'Rate lines: 1 for a debit\'s line, -1 for a reversal\'s, 0 for an adjustment\'s.',
    `input` Int64 COMMENT 'Input tokens that are in none of the other input-side pools. Pools are disjoint; reversals are negative, a change of price alone is 0.',
    `cache_read` Int64 COMMENT 'Tokens read from the prompt cache (text), disjoint, signed.',
    `cache_write` Int64 COMMENT 'Tokens written to the short-lived prompt cache (text), disjoint, signed.',
    `cache_write_1h` Int64 COMMENT 'Tokens written to the one-hour prompt cache, disjoint, signed.',
    `audio_input` Int64 COMMENT 'Audio input tokens, disjoint, signed.',
    `image_input` Int64 COMMENT 'Image input tokens, disjoint, signed.',
    `video_input` Int64 COMMENT 'Video input tokens, disjoint, signed.',
    `document_input` Int64 COMMENT 'Document input tokens, disjoint, signed.',
    `cache_read_audio` Int64 COMMENT 'Audio tokens read from the prompt cache, disjoint, signed.',
    `cache_read_image` Int64 COMMENT 'Image tokens read from the prompt cache, disjoint, signed.',
    `cache_write_audio` Int64 COMMENT 'Audio tokens written to the prompt cache, disjoint, signed.',
    `output` Int64 COMMENT 'Output tokens that are in none of the other output-side pools, disjoint, signed.',
    `reasoning` Int64 COMMENT 'Reasoning tokens, disjoint, signed.',
    `audio_output` Int64 COMMENT 'Audio output tokens, disjoint, signed.',
    `image_output` Int64 COMMENT 'Image output tokens, disjoint, signed.',
    `quantity` Decimal(38, 12) COMMENT 'Units of the meter (pages, seconds, images); 0 for token lines. Signed.',
    `credits` Decimal(38, 12) COMMENT 'Credits charged: the sum of the four columns after this one. Positive for a charge, negative for what is given back.',
    `credits_included` Decimal(38, 12) COMMENT 'Credits drawn from included lots (a plan\'s allowance). Signed as credits.',
    `credits_promotional` Decimal(38, 12) COMMENT 'Credits drawn from promotional lots. Signed as credits.',
    `credits_purchased` Decimal(38, 12) COMMENT 'Credits drawn from purchased lots. Signed as credits.',
    `credits_overage` Decimal(38, 12) COMMENT 'Credits charged past the lots (overage or overdraft). Signed as credits.',
    `vendor_cost` Nullable(Decimal(38, 12)) COMMENT 'What the vendor charges for the line, in currency: reported by the producer, else computed from the price book. NULL when not known (see cost_status), never 0 for that. Signed.',
    `uncosted_lines` Int64 COMMENT 'Rate lines whose vendor cost is not known: what vendor_cost leaves out. Signed as lines.',
    `revenue` Decimal(38, 12) COMMENT 'Revenue recognised by the draw, in currency: what was paid for the credits drawn. Promotional credits bring none. Signed as credits.',
    `revenue_uncosted` Decimal(38, 12) COMMENT 'The part of revenue on lines whose vendor cost is not known: margin is revenue - revenue_uncosted - vendor_cost.',
    `vendor_cost_computed` Nullable(Decimal(38, 12)) COMMENT 'Vendor cost computed from the price book, in currency, also when the producer reported one; NULL when no price covers the line. Signed.',
    `cost_status` LowCardinality(String) COMMENT 'Where vendor_cost comes from: computed, reported or missing.',
    `cost_missing_reason` LowCardinality(String) COMMENT 'Reason code when cost_status is missing; empty otherwise.',
    `currency` LowCardinality(String) COMMENT 'Currency of vendor_cost and revenue (ISO 4217).',
    `rate_card` LowCardinality(String) COMMENT 'Rate card that priced the line.',
    `rate_card_version` UInt32 COMMENT 'Version of the rate card: its ordinal within the card\'s id, from 1.',
    `rule` LowCardinality(String) COMMENT 'Name of the rate card\'s rule that decided the line.',
    `price_book` LowCardinality(String) COMMENT 'Price book that vendor_cost_computed comes from; empty when there is none.',
    `price_book_version` UInt32 COMMENT 'Version of the price book: its ordinal within the book\'s id, from 1; 0 when there is none.',
    `entry_kind` LowCardinality(String) COMMENT 'Kind of the ledger entry: debit, adjustment or reversal.',
    `corrects` String COMMENT 'entry_id of the entry that this one corrects; empty for a debit.',
    `entry_id` String COMMENT 'Ledger entry that the line belongs to: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, event_time)
ORDER BY (account, event_time, ledger_partition, ledger_offset, line)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row per rate line of every debit, adjustment and reversal: what was used, what it cost and what was charged. Corrections are further rows with the opposite sign. Key: ledger_partition, ledger_offset, line.';

CREATE TABLE IF NOT EXISTS usage_hourly
(
    `hour` DateTime64(6, 'UTC') COMMENT 'The start of the hour of the event time, UTC. Corrections stand in the original\'s hour.',
    `account` String COMMENT 'Account that was charged (the event\'s subject).',
    `plan` LowCardinality(String) COMMENT 'Plan that the account had at the event time; empty for none.',
    `team` LowCardinality(String) COMMENT 'Team within the account; empty when the event names none.',
    `feature` LowCardinality(String) COMMENT 'Product feature that used the model or meter.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class: customer, internal, test, demo or evaluation.',
    `provider` LowCardinality(String) COMMENT 'Vendor of the model as the event names it; empty for none.',
    `model` LowCardinality(String) COMMENT 'Model as the event names it; empty for a meter without a model.',
    `meter` LowCardinality(String) COMMENT 'Meter of a quantity; empty for token lines.',
    `events` Int64 COMMENT 'Usage events: 1 on the first line of an event\'s debit, -1 on its reversal\'s, otherwise 0. Adds up over anything.',
    `model_events` Int64 COMMENT 'Usage events that used this provider and model: 1 on the first such line of a debit, -1 on its reversal\'s, otherwise 0. Adds up over everything but provider and model.',
    `lines` Int64 COMMENT 'Rate lines: 1 for a debit\'s line, -1 for a reversal\'s, 0 for an adjustment\'s.',
    `input` Int64 COMMENT 'Input tokens that are in none of the other input-side pools. Pools are disjoint; reversals are negative, a change of price alone is 0.',
    `cache_read` Int64 COMMENT 'Tokens read from the prompt cache (text), disjoint, signed.',
    `cache_write` Int64 COMMENT 'Tokens written to the short-lived prompt cache (text), disjoint, signed.',
    `cache_write_1h` Int64 COMMENT 'Tokens written to the one-hour prompt cache, disjoint, signed.',
    `audio_input` Int64 COMMENT 'Audio input tokens, disjoint, signed.',
    `image_input` Int64 COMMENT 'Image input tokens, disjoint, signed.',
    `video_input` Int64 COMMENT 'Video input tokens, disjoint, signed.',
    `document_input` Int64 COMMENT 'Document input tokens, disjoint, signed.',
    `cache_read_audio` Int64 COMMENT 'Audio tokens read from the prompt cache, disjoint, signed.',
    `cache_read_image` Int64 COMMENT 'Image tokens read from the prompt cache, disjoint, signed.',
    `cache_write_audio` Int64 COMMENT 'Audio tokens written to the prompt cache, disjoint, signed.',
    `output` Int64 COMMENT 'Output tokens that are in none of the other output-side pools, disjoint, signed.',
    `reasoning` Int64 COMMENT 'Reasoning tokens, disjoint, signed.',
    `audio_output` Int64 COMMENT 'Audio output tokens, disjoint, signed.',
    `image_output` Int64 COMMENT 'Image output tokens, disjoint, signed.',
    `quantity` Decimal(38, 12) COMMENT 'Units of the meter (pages, seconds, images); 0 for token lines. Signed.',
    `credits` Decimal(38, 12) COMMENT 'Credits charged: the sum of the four columns after this one. Positive for a charge, negative for what is given back.',
    `credits_included` Decimal(38, 12) COMMENT 'Credits drawn from included lots (a plan\'s allowance). Signed as credits.',
    `credits_promotional` Decimal(38, 12) COMMENT 'Credits drawn from promotional lots. Signed as credits.',
    `credits_purchased` Decimal(38, 12) COMMENT 'Credits drawn from purchased lots. Signed as credits.',
    `credits_overage` Decimal(38, 12) COMMENT 'Credits charged past the lots (overage or overdraft). Signed as credits.',
    `vendor_cost` Decimal(38, 12) COMMENT 'What vendors charge, in currency, over the lines whose cost is known; uncosted_lines counts the others. Signed.',
    `uncosted_lines` Int64 COMMENT 'Rate lines whose vendor cost is not known: what vendor_cost leaves out. Signed as lines.',
    `revenue` Decimal(38, 12) COMMENT 'Revenue recognised by the draw, in currency: what was paid for the credits drawn. Promotional credits bring none. Signed as credits.',
    `revenue_uncosted` Decimal(38, 12) COMMENT 'The part of revenue on lines whose vendor cost is not known: margin is revenue - revenue_uncosted - vendor_cost.',
    `deltas` UInt64 COMMENT 'Deltas that the row is the sum of: 1 per batch of the projector; never 0.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the account\'s entries.',
    `ledger_offset` SimpleAggregateFunction(max, Int64) COMMENT 'Largest offset of the ledger partition that the batches added up in the row had reached.'
)
ENGINE = SummingMergeTree((`events`, `model_events`, `lines`, `input`, `cache_read`, `cache_write`, `cache_write_1h`, `audio_input`, `image_input`, `video_input`, `document_input`, `cache_read_audio`, `cache_read_image`, `cache_write_audio`, `output`, `reasoning`, `audio_output`, `image_output`, `quantity`, `credits`, `credits_included`, `credits_promotional`, `credits_purchased`, `credits_overage`, `vendor_cost`, `uncosted_lines`, `revenue`, `revenue_uncosted`, `deltas`, `ledger_offset`))
PRIMARY KEY (account, hour, plan)
ORDER BY (account, hour, plan, team, feature, traffic, provider, model, meter, ledger_partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Usage summed by hour of the event time. Rows are signed deltas, several per key are normal: always sum().';

CREATE TABLE IF NOT EXISTS usage_daily
(
    `day` Date COMMENT 'The day of the event time, UTC. Corrections stand on the original\'s day.',
    `account` String COMMENT 'Account that was charged (the event\'s subject).',
    `plan` LowCardinality(String) COMMENT 'Plan that the account had at the event time; empty for none.',
    `team` LowCardinality(String) COMMENT 'Team within the account; empty when the event names none.',
    `feature` LowCardinality(String) COMMENT 'Product feature that used the model or meter.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class: customer, internal, test, demo or evaluation.',
    `provider` LowCardinality(String) COMMENT 'Vendor of the model as the event names it; empty for none.',
    `model` LowCardinality(String) COMMENT 'Model as the event names it; empty for a meter without a model.',
    `meter` LowCardinality(String) COMMENT 'Meter of a quantity; empty for token lines.',
    `events` Int64 COMMENT 'Usage events: 1 on the first line of an event\'s debit, -1 on its reversal\'s, otherwise 0. Adds up over anything.',
    `model_events` Int64 COMMENT 'Usage events that used this provider and model: 1 on the first such line of a debit, -1 on its reversal\'s, otherwise 0. Adds up over everything but provider and model.',
    `lines` Int64 COMMENT 'Rate lines: 1 for a debit\'s line, -1 for a reversal\'s, 0 for an adjustment\'s.',
    `input` Int64 COMMENT 'Input tokens that are in none of the other input-side pools. Pools are disjoint; reversals are negative, a change of price alone is 0.',
    `cache_read` Int64 COMMENT 'Tokens read from the prompt cache (text), disjoint, signed.',
    `cache_write` Int64 COMMENT 'Tokens written to the short-lived prompt cache (text), disjoint, signed.',
    `cache_write_1h` Int64 COMMENT 'Tokens written to the one-hour prompt cache, disjoint, signed.',
    `audio_input` Int64 COMMENT 'Audio input tokens, disjoint, signed.',
    `image_input` Int64 COMMENT 'Image input tokens, disjoint, signed.',
    `video_input` Int64 COMMENT 'Video input tokens, disjoint, signed.',
    `document_input` Int64 COMMENT 'Document input tokens, disjoint, signed.',
    `cache_read_audio` Int64 COMMENT 'Audio tokens read from the prompt cache, disjoint, signed.',
    `cache_read_image` Int64 COMMENT 'Image tokens read from the prompt cache, disjoint, signed.',
    `cache_write_audio` Int64 COMMENT 'Audio tokens written to the prompt cache, disjoint, signed.',
    `output` Int64 COMMENT 'Output tokens that are in none of the other output-side pools, disjoint, signed.',
    `reasoning` Int64 COMMENT 'Reasoning tokens, disjoint, signed.',
    `audio_output` Int64 COMMENT 'Audio output tokens, disjoint, signed.',
    `image_output` Int64 COMMENT 'Image output tokens, disjoint, signed.',
    `quantity` Decimal(38, 12) COMMENT 'Units of the meter (pages, seconds, images); 0 for token lines. Signed.',
    `credits` Decimal(38, 12) COMMENT 'Credits charged: the sum of the four columns after this one. Positive for a charge, negative for what is given back.',
    `credits_included` Decimal(38, 12) COMMENT 'Credits drawn from included lots (a plan\'s allowance). Signed as credits.',
    `credits_promotional` Decimal(38, 12) COMMENT 'Credits drawn from promotional lots. Signed as credits.',
    `credits_purchased` Decimal(38, 12) COMMENT 'Credits drawn from purchased lots. Signed as credits.',
    `credits_overage` Decimal(38, 12) COMMENT 'Credits charged past the lots (overage or overdraft). Signed as credits.',
    `vendor_cost` Decimal(38, 12) COMMENT 'What vendors charge, in currency, over the lines whose cost is known; uncosted_lines counts the others. Signed.',
    `uncosted_lines` Int64 COMMENT 'Rate lines whose vendor cost is not known: what vendor_cost leaves out. Signed as lines.',
    `revenue` Decimal(38, 12) COMMENT 'Revenue recognised by the draw, in currency: what was paid for the credits drawn. Promotional credits bring none. Signed as credits.',
    `revenue_uncosted` Decimal(38, 12) COMMENT 'The part of revenue on lines whose vendor cost is not known: margin is revenue - revenue_uncosted - vendor_cost.',
    `deltas` UInt64 COMMENT 'Deltas that the row is the sum of: 1 per batch of the projector; never 0.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the account\'s entries.',
    `ledger_offset` SimpleAggregateFunction(max, Int64) COMMENT 'Largest offset of the ledger partition that the batches added up in the row had reached.'
)
ENGINE = SummingMergeTree((`events`, `model_events`, `lines`, `input`, `cache_read`, `cache_write`, `cache_write_1h`, `audio_input`, `image_input`, `video_input`, `document_input`, `cache_read_audio`, `cache_read_image`, `cache_write_audio`, `output`, `reasoning`, `audio_output`, `image_output`, `quantity`, `credits`, `credits_included`, `credits_promotional`, `credits_purchased`, `credits_overage`, `vendor_cost`, `uncosted_lines`, `revenue`, `revenue_uncosted`, `deltas`, `ledger_offset`))
PRIMARY KEY (account, day, plan)
ORDER BY (account, day, plan, team, feature, traffic, provider, model, meter, ledger_partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Usage summed by day of the event time. Rows are signed deltas, several per key are normal: always sum().';

CREATE TABLE IF NOT EXISTS usage_daily_by_user
(
    `day` Date COMMENT 'The day of the event time, UTC. Corrections stand on the original\'s day.',
    `account` String COMMENT 'Account that was charged (the event\'s subject).',
    `user` String COMMENT 'User within the account; empty when the event names none.',
    `team` LowCardinality(String) COMMENT 'Team within the account; empty when the event names none.',
    `feature` LowCardinality(String) COMMENT 'Product feature that used the model or meter.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class: customer, internal, test, demo or evaluation.',
    `provider` LowCardinality(String) COMMENT 'Vendor of the model as the event names it; empty for none.',
    `model` LowCardinality(String) COMMENT 'Model as the event names it; empty for a meter without a model.',
    `meter` LowCardinality(String) COMMENT 'Meter of a quantity; empty for token lines.',
    `events` Int64 COMMENT 'Usage events: 1 on the first line of an event\'s debit, -1 on its reversal\'s, otherwise 0. Adds up over anything.',
    `model_events` Int64 COMMENT 'Usage events that used this provider and model: 1 on the first such line of a debit, -1 on its reversal\'s, otherwise 0. Adds up over everything but provider and model.',
    `lines` Int64 COMMENT 'Rate lines: 1 for a debit\'s line, -1 for a reversal\'s, 0 for an adjustment\'s.',
    `input` Int64 COMMENT 'Input tokens that are in none of the other input-side pools. Pools are disjoint; reversals are negative, a change of price alone is 0.',
    `cache_read` Int64 COMMENT 'Tokens read from the prompt cache (text), disjoint, signed.',
    `cache_write` Int64 COMMENT 'Tokens written to the short-lived prompt cache (text), disjoint, signed.',
    `cache_write_1h` Int64 COMMENT 'Tokens written to the one-hour prompt cache, disjoint, signed.',
    `audio_input` Int64 COMMENT 'Audio input tokens, disjoint, signed.',
    `image_input` Int64 COMMENT 'Image input tokens, disjoint, signed.',
    `video_input` Int64 COMMENT 'Video input tokens, disjoint, signed.',
    `document_input` Int64 COMMENT 'Document input tokens, disjoint, signed.',
    `cache_read_audio` Int64 COMMENT 'Audio tokens read from the prompt cache, disjoint, signed.',
    `cache_read_image` Int64 COMMENT 'Image tokens read from the prompt cache, disjoint, signed.',
    `cache_write_audio` Int64 COMMENT 'Audio tokens written to the prompt cache, disjoint, signed.',
    `output` Int64 COMMENT 'Output tokens that are in none of the other output-side pools, disjoint, signed.',
    `reasoning` Int64 COMMENT 'Reasoning tokens, disjoint, signed.',
    `audio_output` Int64 COMMENT 'Audio output tokens, disjoint, signed.',
    `image_output` Int64 COMMENT 'Image output tokens, disjoint, signed.',
    `quantity` Decimal(38, 12) COMMENT 'Units of the meter (pages, seconds, images); 0 for token lines. Signed.',
    `credits` Decimal(38, 12) COMMENT 'Credits charged: the sum of the four columns after this one. Positive for a charge, negative for what is given back.',
    `credits_included` Decimal(38, 12) COMMENT 'Credits drawn from included lots (a plan\'s allowance). Signed as credits.',
    `credits_promotional` Decimal(38, 12) COMMENT 'Credits drawn from promotional lots. Signed as credits.',
    `credits_purchased` Decimal(38, 12) COMMENT 'Credits drawn from purchased lots. Signed as credits.',
    `credits_overage` Decimal(38, 12) COMMENT 'Credits charged past the lots (overage or overdraft). Signed as credits.',
    `vendor_cost` Decimal(38, 12) COMMENT 'What vendors charge, in currency, over the lines whose cost is known; uncosted_lines counts the others. Signed.',
    `uncosted_lines` Int64 COMMENT 'Rate lines whose vendor cost is not known: what vendor_cost leaves out. Signed as lines.',
    `revenue` Decimal(38, 12) COMMENT 'Revenue recognised by the draw, in currency: what was paid for the credits drawn. Promotional credits bring none. Signed as credits.',
    `revenue_uncosted` Decimal(38, 12) COMMENT 'The part of revenue on lines whose vendor cost is not known: margin is revenue - revenue_uncosted - vendor_cost.',
    `deltas` UInt64 COMMENT 'Deltas that the row is the sum of: 1 per batch of the projector; never 0.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the account\'s entries.',
    `ledger_offset` SimpleAggregateFunction(max, Int64) COMMENT 'Largest offset of the ledger partition that the batches added up in the row had reached.'
)
ENGINE = SummingMergeTree((`events`, `model_events`, `lines`, `input`, `cache_read`, `cache_write`, `cache_write_1h`, `audio_input`, `image_input`, `video_input`, `document_input`, `cache_read_audio`, `cache_read_image`, `cache_write_audio`, `output`, `reasoning`, `audio_output`, `image_output`, `quantity`, `credits`, `credits_included`, `credits_promotional`, `credits_purchased`, `credits_overage`, `vendor_cost`, `uncosted_lines`, `revenue`, `revenue_uncosted`, `deltas`, `ledger_offset`))
PRIMARY KEY (account, day, user)
ORDER BY (account, day, user, team, feature, traffic, provider, model, meter, ledger_partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Usage summed by day of the event time and user. Rows are signed deltas, several per key are normal: always sum().';

CREATE TABLE IF NOT EXISTS account_balances
(
    `account` String COMMENT 'Account that owns the credits.',
    `sequence` UInt64 COMMENT 'Number of the account\'s entry that the balance follows; the largest is current.',
    `as_of` DateTime64(6, 'UTC') COMMENT 'Ledger time of that entry, UTC.',
    `plan` LowCardinality(String) COMMENT 'Plan that the account has; empty for none.',
    `settled` Decimal(38, 12) COMMENT 'Credits in the lots minus outstanding overage; negative when overage is larger.',
    `held` Decimal(38, 12) COMMENT 'Credits reserved by open holds; not negative.',
    `in_grace` Decimal(38, 12) COMMENT 'Credits in lots past their expiry and within grace; only late usage draws them.',
    `available` Decimal(38, 12) COMMENT 'Credits that can be spent now: settled - in_grace - held.',
    `overage` Decimal(38, 12) COMMENT 'Outstanding overage or overdraft, as a positive amount; the next grant repays it.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = ReplacingMergeTree(sequence)
PRIMARY KEY (account)
ORDER BY (account)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'An account\'s balance after its last entry of a batch; several rows per account are normal. Read the view balances.';

CREATE TABLE IF NOT EXISTS lot_grants
(
    `account` String COMMENT 'Account that owns the credits.',
    `lot` UInt64 COMMENT 'Lot within the account: the sequence of the entry that granted it.',
    `category` LowCardinality(String) COMMENT 'Category of the lot: included, promotional or purchased.',
    `priority` UInt32 COMMENT 'Draw-down priority: smaller is drawn first, 50 by default.',
    `granted` Decimal(38, 12) COMMENT 'Credits granted; positive.',
    `effective_at` DateTime64(6, 'UTC') COMMENT 'From when the credits can be drawn, UTC.',
    `expires_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the credits expire, UTC (grace follows); NULL for never.',
    `paid` Decimal(38, 12) COMMENT 'Total paid for the lot, in currency; 0 for credits that were given.',
    `currency` LowCardinality(String) COMMENT 'Currency of paid (ISO 4217).',
    `reason` String COMMENT 'Reason of the grant; empty for none.',
    `actor` String COMMENT 'Who granted it; empty for a plan\'s own grants.',
    `command_id` String COMMENT 'Idempotency id of the grant; empty for a plan\'s own grants.',
    `granted_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the grant, UTC.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, lot)
ORDER BY (account, lot)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row per lot as it was granted; nothing in it changes. Read the view lots for what remains.';

CREATE TABLE IF NOT EXISTS lot_movements
(
    `account` String COMMENT 'Account that owns the credits.',
    `lot` UInt64 COMMENT 'Lot within the account: the sequence of the entry that granted it.',
    `category` LowCardinality(String) COMMENT 'Category of the lot: included, promotional or purchased.',
    `movement` UInt16 COMMENT 'The movement\'s place in its ledger entry, from 0.',
    `kind` LowCardinality(String) COMMENT 'What happened: granted, drawn, expired, voided, or returned (by a correction).',
    `credits` Decimal(38, 12) COMMENT 'Change of the lot\'s remaining credits: positive for granted and returned, negative for drawn, expired and voided.',
    `revenue` Decimal(38, 12) COMMENT 'Revenue recognised by the movement, in currency: positive for drawn and expired, negative for returned.',
    `dated_at` DateTime64(6, 'UTC') COMMENT 'The time that the movement counts for, UTC: the expiry for expired credits (breakage), otherwise recorded_at.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the entry, UTC.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, lot)
ORDER BY (account, lot, ledger_offset, movement)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Every change of every lot, signed: what remains of a lot is the sum of its movements. Key: ledger_partition, ledger_offset, movement.';

CREATE TABLE IF NOT EXISTS hold_steps
(
    `account` String COMMENT 'Account that owns the credits.',
    `hold` String COMMENT 'Hold within the account.',
    `sequence` UInt64 COMMENT 'Number of the account\'s entry that made the step; the largest is current.',
    `state` LowCardinality(String) COMMENT 'State after the step: open, settled, released or expired.',
    `amount` Decimal(38, 12) COMMENT 'Credits reserved when the hold was opened, or after its last change.',
    `captured` Decimal(38, 12) COMMENT 'Credits charged through the hold so far.',
    `held` Decimal(38, 12) COMMENT 'Credits still reserved after the step; 0 once the hold is closed.',
    `exceeded` Bool COMMENT 'True when more was charged than was reserved.',
    `opened_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the reserve, UTC.',
    `expires_at` DateTime64(6, 'UTC') COMMENT 'When the hold expires unless it is extended, UTC.',
    `user` String COMMENT 'User that the hold is for; empty for none.',
    `team` LowCardinality(String) COMMENT 'Team that the hold is for; empty for none.',
    `feature` LowCardinality(String) COMMENT 'Feature that the hold is for; empty for none.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the step, UTC.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, hold)
ORDER BY (account, hold, sequence)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'A hold after each entry that changed it. Read the view holds for its current state.';

CREATE TABLE IF NOT EXISTS unrated_steps
(
    `account` String COMMENT 'Account of the event.',
    `source` LowCardinality(String) COMMENT 'Producer of the event (CloudEvents source).',
    `event_id` String COMMENT 'The event\'s id; account, source and event_id identify an event.',
    `sequence` UInt64 COMMENT 'Number of the account\'s entry that made the step; the largest is current.',
    `state` LowCardinality(String) COMMENT 'State after the step: unrated, charged or dropped. Rows that are not unrated may leave the event\'s columns empty.',
    `reason` LowCardinality(String) COMMENT 'Reason code: what is missing (no_rule, no_vendor_price and so on).',
    `item` UInt16 COMMENT 'The first item that could not be priced: its place in the event, from 0.',
    `event_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the usage happened, UTC; NULL on rows that only close.',
    `user` String COMMENT 'User within the account; empty when the event names none.',
    `team` LowCardinality(String) COMMENT 'Team within the account; empty when the event names none.',
    `feature` LowCardinality(String) COMMENT 'Product feature of the event.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class: customer, internal, test, demo or evaluation.',
    `provider` LowCardinality(String) COMMENT 'Vendor of that item\'s model; empty for none.',
    `model` LowCardinality(String) COMMENT 'That item\'s model; empty for none.',
    `meter` LowCardinality(String) COMMENT 'That item\'s meter; empty for token items.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the step, UTC.',
    `entry_id` String COMMENT 'Ledger entry that made the step: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, source, event_id)
ORDER BY (account, source, event_id, sequence)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row when an event is kept because no price covers it, another when it is charged or dropped. Read the view unrated_usage for what is still unrated.';

CREATE TABLE IF NOT EXISTS dead_letters
(
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time when the record was put aside, UTC.',
    `received_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the record arrived in its input (log append time), UTC; NULL when not known.',
    `reason` LowCardinality(String) COMMENT 'Reason code (see the table of reason codes).',
    `field` String COMMENT 'Path of the offending field; empty when the fault is in the whole record.',
    `value` String COMMENT 'The offending value as it was sent, shortened to 64 characters.',
    `account` String COMMENT 'Account, where it could be read; empty otherwise.',
    `source` String COMMENT 'Producer, where it could be read; empty otherwise.',
    `event_id` String COMMENT 'Id of the event, where it could be read; empty otherwise.',
    `cause_topic` LowCardinality(String) COMMENT 'Input topic that the record came from.',
    `cause_partition` UInt32 COMMENT 'Partition of the record in its input topic.',
    `cause_offset` Int64 COMMENT 'Offset of the record in its input partition.',
    `key` String COMMENT 'Key of the record, bytes as they came.',
    `bytes` String COMMENT 'Value of the record, bytes as they came.',
    `byte_count` UInt64 COMMENT 'Length of bytes.',
    `letter_partition` UInt32 COMMENT 'Partition of usage.dead-letters that holds the letter.',
    `letter_offset` Int64 COMMENT 'Offset of the letter in its partition.'
)
ENGINE = MergeTree
PRIMARY KEY (recorded_at)
ORDER BY (recorded_at, letter_partition, letter_offset)
TTL toDateTime(recorded_at) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Records that could not be processed, with their bytes and the reason; kept 30 days. One row per record. Key: letter_partition, letter_offset.';

CREATE TABLE IF NOT EXISTS quarantine_steps
(
    `cause_topic` LowCardinality(String) COMMENT 'Input topic that the record came from.',
    `cause_partition` UInt32 COMMENT 'Partition of the record in its input topic.',
    `cause_offset` Int64 COMMENT 'Offset of the record in its input partition.',
    `step` UInt32 COMMENT '0 when it was put aside, then one more for each decision; the largest is current.',
    `state` LowCardinality(String) COMMENT 'State after the step: held, accepted or rejected. Rows that are not held may leave the event\'s columns empty.',
    `reason` LowCardinality(String) COMMENT 'Reason code: identity_conflict, too_early or too_late.',
    `field` String COMMENT 'Path of the offending field.',
    `value` String COMMENT 'The offending value as it was sent, shortened to 64 characters.',
    `account` String COMMENT 'Account of the event.',
    `source` LowCardinality(String) COMMENT 'Producer of the event (CloudEvents source).',
    `event_id` String COMMENT 'The event\'s id; account, source and event_id identify an event.',
    `event_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the usage happened, as the event says, UTC; NULL on rows that only decide.',
    `conflicts_with` String COMMENT 'entry_id of the entry with the same identity and another meaning; empty for other reasons.',
    `bytes` String COMMENT 'Value of the record, bytes as they came.',
    `actor` String COMMENT 'Who decided; empty while it is held.',
    `note` String COMMENT 'Reason that the person gave; empty while it is held.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the step, UTC.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (cause_topic, cause_partition, cause_offset)
ORDER BY (cause_topic, cause_partition, cause_offset, step)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row when a suspicious event is put aside, another when a person accepts or rejects it. Read the view quarantine for its current state.';

CREATE TABLE IF NOT EXISTS seals
(
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that the seal closes.',
    `ledger_offset` Int64 COMMENT 'Offset of the seal in its ledger partition.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the seal, UTC.',
    `catalogue_offset` Int64 COMMENT 'Offset of rates.catalog in use; -1 when none was.',
    `entries` UInt64 COMMENT 'Entries since the seal before.',
    `usage_raw_from` Int64 COMMENT 'First offset of usage.raw that the transaction consumed.',
    `usage_raw_to` Int64 COMMENT 'Offset of usage.raw after the last consumed; equal to usage_raw_from when none was.',
    `usage_forwarded_from` Int64 COMMENT 'First offset of usage.forwarded that the transaction consumed.',
    `usage_forwarded_to` Int64 COMMENT 'Offset of usage.forwarded after the last consumed.',
    `ledger_commands_from` Int64 COMMENT 'First offset of ledger.commands that the transaction consumed.',
    `ledger_commands_to` Int64 COMMENT 'Offset of ledger.commands after the last consumed.',
    `debits` UInt64 COMMENT 'Inputs that ended as a debit.',
    `unrated` UInt64 COMMENT 'Inputs that ended as unrated usage.',
    `duplicates` UInt64 COMMENT 'Inputs that repeated an event with the same meaning.',
    `quarantined` UInt64 COMMENT 'Inputs that ended in quarantine.',
    `dead_letters` UInt64 COMMENT 'Inputs that ended as a dead letter.',
    `forwarded` UInt64 COMMENT 'Inputs that were forwarded to their account\'s partition.',
    `applied` UInt64 COMMENT 'Commands that were applied.',
    `refused` UInt64 COMMENT 'Commands that were refused.',
    `repeated` UInt64 COMMENT 'Commands that repeated one already decided.',
    `empty` UInt64 COMMENT 'Offsets that hold no record (control records).',
    `gaps` UInt64 COMMENT 'Offsets whose record was lost upstream, as a person acknowledged.',
    `credits` Decimal(38, 12) COMMENT 'Sum of the entries\' changes of settled credits. Signed.',
    `exceptions` String COMMENT 'Offsets of duplicates (with the entry they repeat), quarantined, forwarded and dead letters, as JSON.',
    `chain_hash` String COMMENT 'Hash chained over the entries\' bytes since the seal before, in hexadecimal.'
)
ENGINE = MergeTree
PRIMARY KEY (ledger_partition, ledger_offset)
ORDER BY (ledger_partition, ledger_offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row per seal: what one transaction consumed from each input (half-open offset ranges), how each input ended, and the hash chained over the entries\' bytes.';

CREATE TABLE IF NOT EXISTS ledger_entries
(
    `account` String COMMENT 'Account that the entry belongs to; empty for entries of a whole partition.',
    `sequence` UInt64 COMMENT 'The entry\'s number within its account, from 1, without gaps; 0 for entries of a whole partition.',
    `entry_id` String COMMENT 'The entry\'s name: partition-number, as 3-8812.',
    `kind` LowCardinality(String) COMMENT 'What the entry is: grant, debit, unrated, adjustment, reversal, void, expiry and so on.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the entry, UTC.',
    `event_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the usage happened, UTC; NULL for entries that no usage event caused.',
    `cause_kind` LowCardinality(String) COMMENT 'What caused the entry: input, timer, catalogue or operator.',
    `cause_topic` LowCardinality(String) COMMENT 'Input topic of the cause; empty when it is no input.',
    `cause_partition` UInt32 COMMENT 'Partition of the cause in its topic; 0 when it is no input.',
    `cause_offset` Int64 COMMENT 'Offset of the cause in its partition; -1 when it is no input.',
    `source` LowCardinality(String) COMMENT 'Producer of the usage event; empty when there is none.',
    `event_id` String COMMENT 'Id of the usage event, or of the command; empty when there is none.',
    `content_hash` String COMMENT 'Hash of the event\'s meaning, 16 hexadecimal digits; empty when there is no event.',
    `hold` String COMMENT 'Hold that the entry opens or changes; empty for none.',
    `corrects` String COMMENT 'entry_id of the entry that this one corrects; empty for none.',
    `credits` Decimal(38, 12) COMMENT 'Change of the account\'s settled credits: positive adds, negative takes. Summed over an account\'s entries it is settled_after of the last.',
    `residual` Decimal(38, 12) COMMENT 'Credits that rounding left: exact charge minus charged. Signed.',
    `settled_after` Decimal(38, 12) COMMENT 'Settled credits after the entry: what remains in the lots minus outstanding overage.',
    `held_after` Decimal(38, 12) COMMENT 'Credits held after the entry.',
    `in_grace_after` Decimal(38, 12) COMMENT 'Credits in lots that are past their expiry and within grace, after the entry.',
    `available_after` Decimal(38, 12) COMMENT 'Credits that can be spent after the entry: settled - in grace - held.',
    `overage_after` Decimal(38, 12) COMMENT 'Outstanding overage after the entry, as a positive amount.',
    `catalogue_offset` Int64 COMMENT 'Offset of rates.catalog that was in use; -1 when none was.',
    `reason` String COMMENT 'Reason that a person gave, or a reason code; empty for none.',
    `actor` String COMMENT 'Who did it, for changes by hand; empty for none.',
    `postings` String COMMENT 'The double entry as JSON: [{"account", "unit", "amount"}], amounts signed, positive into the account. Sums to zero per unit.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, sequence)
ORDER BY (account, sequence)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row per ledger entry, in the order of the account\'s life: account, sequence. Inserted last of a batch, so its largest offset says what is complete.';

CREATE TABLE IF NOT EXISTS freshness_marks
(
    `table` LowCardinality(String) COMMENT 'Table that the mark is about, or * for all tables of the projector.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that the mark is about.',
    `marked_at` DateTime64(6, 'UTC') COMMENT 'When the mark was written, UTC.',
    `ledger_offset` Int64 COMMENT 'Offset after the last ledger record that is in the table.',
    `as_of` DateTime64(6, 'UTC') COMMENT 'Everything that the ledger recorded before this time is in the table, UTC.',
    `lag_records` Int64 COMMENT 'Ledger records that were waiting when the mark was written.'
)
ENGINE = MergeTree
PRIMARY KEY (table, ledger_partition, marked_at)
ORDER BY (table, ledger_partition, marked_at)
TTL toDateTime(marked_at) + INTERVAL 2 DAY GROUP BY table, ledger_partition SET marked_at = max(marked_at), ledger_offset = max(ledger_offset), as_of = max(as_of), lag_records = argMax(lag_records, marked_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Progress marks of the projector, one per batch and ledger partition, kept two days (then the newest of each key). Read the view freshness.';

CREATE TABLE IF NOT EXISTS input_marks
(
    `topic` LowCardinality(String) COMMENT 'Input topic: usage.raw, usage.forwarded or ledger.commands.',
    `input_partition` UInt32 COMMENT 'Partition of the input topic.',
    `marked_at` DateTime64(6, 'UTC') COMMENT 'When the mark was written, UTC.',
    `consumed_to` Int64 COMMENT 'Offset after the last input that a seal in the ledger covers.',
    `as_of` DateTime64(6, 'UTC') COMMENT 'Everything that arrived in the input before this time is in the ledger, UTC.',
    `lag_records` Int64 COMMENT 'Input records that were waiting when the mark was written.'
)
ENGINE = MergeTree
PRIMARY KEY (topic, input_partition, marked_at)
ORDER BY (topic, input_partition, marked_at)
TTL toDateTime(marked_at) + INTERVAL 2 DAY GROUP BY topic, input_partition SET marked_at = max(marked_at), consumed_to = max(consumed_to), as_of = max(as_of), lag_records = argMax(lag_records, marked_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Progress marks of the charger in its inputs, one per batch, topic and partition, kept two days (then the newest of each key).';
