CREATE TABLE IF NOT EXISTS replay_steps
(
    `replay` String COMMENT 'Rebuild, named by the hash of its plan; empty for a lease.',
    `step` LowCardinality(String) COMMENT 'What happened: plan, created, planned (a batch), reached, diffed, pause, paused, resume, exchange, exchanged, swapped, undone, dropped; or lease (who may work on rebuilds).',
    `epoch` UInt64 COMMENT 'Number of the lease under which it was written; the tables beside carry it in their names.',
    `number` UInt64 COMMENT 'Number of the step within its rebuild; 0 where none is given.',
    `ledger_partition` UInt32 COMMENT 'Partition of ledger.entries; 0 where it is about none.',
    `from_offset` Int64 COMMENT 'First offset of a planned batch; otherwise 0.',
    `to_offset` Int64 COMMENT 'Offset after the last of a planned batch, or up to which a partition is complete; otherwise 0.',
    `at` DateTime64(6, 'UTC') COMMENT 'When it was written, UTC, by the server\'s clock.',
    `who` String COMMENT 'Who asked for it, or the process that did it.',
    `detail` String COMMENT 'The plan, or what the step found or did, as TOML or JSON.'
)
ENGINE = MergeTree
PRIMARY KEY (replay, step)
ORDER BY (replay, step, epoch, number)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'The journal of rebuilds (tally replay): one row per step, and nothing in it changes. Who rebuilds, and the projector, find here what was done and what is to be done. Not derived from the ledger.';
CREATE TABLE IF NOT EXISTS dead_letter_retries
(
    `letter_partition` UInt32 COMMENT 'Partition of usage.dead-letters that holds the letter, and the record of its retry.',
    `letter_offset` Int64 COMMENT 'Offset of the letter in that partition.',
    `retry_offset` Int64 COMMENT 'Offset of the record that says so, in that partition.',
    `raw_partition` UInt32 COMMENT 'Partition of usage.raw that the bytes were sent to.',
    `raw_offset` Int64 COMMENT 'Offset of the bytes in that partition.',
    `actor` String COMMENT 'Who had them sent.',
    `retried_at` DateTime64(6, 'UTC') COMMENT 'When they were sent, UTC.'
)
ENGINE = MergeTree
PRIMARY KEY (letter_partition, letter_offset)
ORDER BY (letter_partition, letter_offset, retry_offset)
TTL toDateTime(retried_at) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row each time a dead letter\'s bytes were sent to usage.raw again; what became of them stands in ledger_entries under that input, or among its seal\'s exceptions. Kept as long as the letters.';
