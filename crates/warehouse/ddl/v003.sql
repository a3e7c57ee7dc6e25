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
