ALTER TABLE usage_lines
    COMMENT COLUMN `hold` 'Hold that the event names; empty for none.',
    ADD COLUMN IF NOT EXISTS `hold_matched` Bool COMMENT 'True when that hold was found and the charge came out of it; false for an event that names none, or one that does not exist or ended before with nothing waiting for the event (it is charged all the same).' AFTER `hold`,
    ADD COLUMN IF NOT EXISTS `above_hold` Decimal(38, 12) COMMENT 'The part of credits above what the hold had reserved: lines are walked in order, so it lies on the last ones. Signed as credits.' AFTER `hold_matched`;

ALTER TABLE account_balances
    COMMENT COLUMN `overage` 'Outstanding overage or overdraft, as a positive amount; a grant or a renewal repays it, as the plan says.',
    DROP COLUMN IF EXISTS `plan`;

ALTER TABLE lot_grants
    COMMENT COLUMN `paid` 'Total paid for the lot, in currency; for a rolled-over lot what moved with its credits; 0 for credits that were given.';

ALTER TABLE lot_movements
    COMMENT COLUMN `kind` 'What happened: granted, drawn, expired, voided, returned (by a reversal, or by a hold that had captured too much), refunded, rolled_out (into another lot, by rollover) or rolled_in.',
    COMMENT COLUMN `credits` 'Change of the lot\'s remaining credits: positive for granted, returned and rolled_in, negative for the others.',
    COMMENT COLUMN `revenue` 'Revenue recognised by the movement, in currency: positive for drawn, expired, voided and refunded, negative for returned, 0 for the others.',
    ADD COLUMN IF NOT EXISTS `paid` Decimal(38, 12) COMMENT 'Money that leaves the lot without being earned, in currency: negative for rolled_out (it moves to the other lot) and refunded (it goes back), otherwise 0.' AFTER `revenue`,
    COMMENT COLUMN `dated_at` 'The time that the movement counts for, UTC: the expiry for expired credits (breakage), the period\'s start for what a plan grants or rolls over, otherwise recorded_at. See at_expiry.',
    ADD COLUMN IF NOT EXISTS `at_expiry` Bool COMMENT 'True when the movement counts for the lot\'s expiry (lot_grants.expires_at) in place of dated_at: credits that a hold or a reversal gave back after it, and what is forfeited of them.' AFTER `dated_at`;

ALTER TABLE hold_steps
    COMMENT COLUMN `hold` 'Hold, named as events name it: hold_3-8812 was reserved by entry 3-8812.',
    ADD COLUMN IF NOT EXISTS `step` LowCardinality(String) COMMENT 'What happened: reserved, captured (by a call), extended, charged (by a usage event), settled, released or expired.' AFTER `sequence`,
    COMMENT COLUMN `state` 'State that the step leads to: open, settled, released or expired. The first that is not open is the hold\'s end; an event that comes later changes amounts, not how it ended.',
    ADD COLUMN IF NOT EXISTS `asked` Decimal(38, 12) COMMENT 'Credits that were asked for; 0 on steps after the first.' AFTER `state`,
    COMMENT COLUMN `amount` 'Credits reserved; less than asked when the hold was shrunk.',
    COMMENT COLUMN `captured` 'Credits charged on the hold so far: by its events, or captured ahead of them.',
    COMMENT COLUMN `held` 'Credits still reserved after the step; 0 once the hold has ended.',
    ADD COLUMN IF NOT EXISTS `above` Decimal(38, 12) COMMENT 'Credits that the step charged above what was reserved; positive or 0. Adds up.' AFTER `held`,
    ADD COLUMN IF NOT EXISTS `advanced` Decimal(38, 12) COMMENT 'Change of the credits captured ahead of the events that they are for: positive for a capture or a settlement by call, negative when an event uses them or they go back. Adds up to what is outstanding.' AFTER `above`,
    ADD COLUMN IF NOT EXISTS `freed` Decimal(38, 12) COMMENT 'Credits that were reserved and not drawn, given up by the step.' AFTER `advanced`,
    ADD COLUMN IF NOT EXISTS `traffic` LowCardinality(String) COMMENT 'Traffic class that the hold is for; empty on steps after the first.' AFTER `feature`,
    ADD COLUMN IF NOT EXISTS `actor` String COMMENT 'Who made the step by a call; empty for a usage event or an expiry.' AFTER `traffic`,
    ADD COLUMN IF NOT EXISTS `reason` String COMMENT 'Reason that came with the call; empty for none.' AFTER `actor`,
    ADD COLUMN IF NOT EXISTS `source` LowCardinality(String) COMMENT 'Producer of the usage event that made the step; empty for none.' AFTER `reason`,
    ADD COLUMN IF NOT EXISTS `event_id` String COMMENT 'Id of that usage event, or of the command; empty for an expiry.' AFTER `source`,
    DROP COLUMN IF EXISTS `exceeded`,
    DROP COLUMN IF EXISTS `opened_at`;

CREATE TABLE IF NOT EXISTS hold_refusals
(
    `account` String COMMENT 'Account that owns the credits.',
    `sequence` UInt64 COMMENT 'Number of the account\'s entry that says so.',
    `asked` Decimal(38, 12) COMMENT 'Credits that were asked for.',
    `limit` String COMMENT 'What stood in the way: balance, or budget:<id>.',
    `shortfall` Decimal(38, 12) COMMENT 'Credits that were missing under the limit; positive.',
    `available` Decimal(38, 12) COMMENT 'Credits that there were under the limit; may be negative.',
    `resets_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the limit opens by itself (the renewal, the budget\'s next window), UTC; NULL for never.',
    `user` String COMMENT 'User that the hold is for; empty for none.',
    `team` LowCardinality(String) COMMENT 'Team that the hold is for; empty for none.',
    `feature` LowCardinality(String) COMMENT 'Feature that the hold is for; empty for none.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class that the hold was for.',
    `actor` String COMMENT 'Who asked for the hold.',
    `reason` String COMMENT 'Reason that came with the call; empty for none.',
    `command_id` String COMMENT 'Idempotency id of the call.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the refusal, UTC.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, sequence)
ORDER BY (account, sequence)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row per hold that was refused: what was asked, which limit stood in the way, and how much was missing.';

CREATE TABLE IF NOT EXISTS plan_changes
(
    `account` String COMMENT 'Account that owns the credits.',
    `sequence` UInt64 COMMENT 'Number of the account\'s entry that made the change.',
    `kind` LowCardinality(String) COMMENT 'What happened: assigned, scheduled or renewed.',
    `plan` LowCardinality(String) COMMENT 'Plan from then on; for scheduled the plan of the next renewal, empty when an earlier wish was taken back.',
    `plan_version` UInt32 COMMENT 'Version of the plan: its ordinal within the plan\'s id, from 1; 0 for scheduled.',
    `replaces` LowCardinality(String) COMMENT 'Plan that it replaces; empty when it replaces none.',
    `from_at` DateTime64(6, 'UTC') COMMENT 'From when it holds, UTC: usage from then on is priced under it (a renewal: the period\'s start).',
    `period_start` Nullable(DateTime64(6, 'UTC')) COMMENT 'Start of the period that begins or goes on, UTC; NULL when nothing renews.',
    `period_end` Nullable(DateTime64(6, 'UTC')) COMMENT 'End of that period and the next renewal, UTC; NULL when nothing renews.',
    `trial` Bool COMMENT 'True when that period is a trial.',
    `granted` Decimal(38, 12) COMMENT 'Credits of the lot that the change opened (allowance, trial, or an upgrade\'s prorated difference); 0 for none. The lot is named by sequence.',
    `paid` Decimal(38, 12) COMMENT 'Cost basis of those credits, in currency; 0 for a trial.',
    `billed_credits` Decimal(38, 12) COMMENT 'Overage of the ended period that is invoiced and no longer outstanding; positive or 0.',
    `billed` Decimal(38, 12) COMMENT 'Price of that overage, in currency; positive or 0.',
    `currency` LowCardinality(String) COMMENT 'Currency of paid and billed (ISO 4217); empty for none.',
    `repaid` Decimal(38, 12) COMMENT 'Outstanding overage that the new lot repaid at once; positive or 0.',
    `low_balance` Nullable(Decimal(38, 12)) COMMENT 'Available credits below which the plan gives notice; NULL for never.',
    `actor` String COMMENT 'Who changed the plan; empty for a renewal and the default plan.',
    `reason` String COMMENT 'Reason that was given; empty for none.',
    `command_id` String COMMENT 'Idempotency id of the command; empty for none.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the entry, UTC.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, sequence)
ORDER BY (account, sequence)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row per entry about an account\'s plan: assigned, scheduled for the renewal, renewed. Read the view subscriptions for the plan now.';

CREATE TABLE IF NOT EXISTS budget_steps
(
    `account` String COMMENT 'Account that owns the credits.',
    `budget` String COMMENT 'Budget within the account.',
    `sequence` UInt64 COMMENT 'Number of the account\'s entry that made the step; the largest is current.',
    `step` LowCardinality(String) COMMENT 'What happened: set, used or removed.',
    `used` Decimal(38, 12) COMMENT 'Credits used in the window, after the step; a reversal makes it smaller.',
    `window_start` Nullable(DateTime64(6, 'UTC')) COMMENT 'Start of the window that used counts, UTC; NULL for a budget for ever, and on removed.',
    `window_end` Nullable(DateTime64(6, 'UTC')) COMMENT 'End of that window, UTC; NULL as window_start.',
    `limit` Decimal(38, 12) COMMENT 'Credits that may be spent in a window; 0 on rows that do not set.',
    `period` LowCardinality(String) COMMENT 'Length of a window: day, week, month or year; empty for ever, and on rows that do not set.',
    `timezone` LowCardinality(String) COMMENT 'Time zone whose midnights begin the windows; empty on rows that do not set.',
    `user` String COMMENT 'User that the budget watches; empty for all.',
    `team` LowCardinality(String) COMMENT 'Team that the budget watches; empty for all.',
    `feature` LowCardinality(String) COMMENT 'Feature that the budget watches; empty for all.',
    `traffic` LowCardinality(String) COMMENT 'Traffic class that the budget watches; empty for all.',
    `hard` Bool COMMENT 'True when holds past the limit are refused; usage never is.',
    `thresholds` String COMMENT 'Whole percents of the limit at which notice is given, rising, as 50,80,100; empty for none.',
    `actor` String COMMENT 'Who set or removed it; empty on used.',
    `reason` String COMMENT 'Reason that was given; empty for none.',
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'Ledger time of the step, UTC.',
    `entry_id` String COMMENT 'Ledger entry that the row comes from: partition-number, as 3-8812.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries that holds the entry.',
    `ledger_offset` Int64 COMMENT 'Offset of the entry in its ledger partition.'
)
ENGINE = MergeTree
PRIMARY KEY (account, budget)
ORDER BY (account, budget, sequence)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'A budget after each entry that changed it: set, used or removed. Its terms stand on the rows that set it. Read the view budgets for its current state.';

ALTER TABLE ledger_entries
    COMMENT COLUMN `kind` 'What the entry is: debit, unrated, grant, lot_expired, hold_reserved, plan_renewed, reversed and so on.',
    COMMENT COLUMN `event_id` 'Id of the usage event, or of the command; empty when there is none. A reversal has those of the event that it takes back.',
    COMMENT COLUMN `hold` 'Hold that the entry opens, changes or names; empty for none.';
