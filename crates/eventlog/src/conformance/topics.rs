//! Topics and bounds.

use domain::{Offset, Topic};

use super::Stage;
use super::stage::at;
use crate::{Bounds, LogError, TopicSpec};

/// `create_topics` creates what is missing, says nothing of what is there, and a new topic is
/// empty from offset 0.
pub fn topics_are_created_once(stage: &Stage) {
    let log = &stage.log;
    assert_eq!(log.partitions(Topic::UsageRaw).unwrap(), None);
    stage.create(&[(Topic::UsageRaw, 3)]);
    assert_eq!(log.partitions(Topic::UsageRaw).unwrap(), Some(3));
    assert_eq!(log.partitions(Topic::LedgerEntries).unwrap(), None);
    for partition in 0..3 {
        assert_eq!(
            log.bounds(at(Topic::UsageRaw, partition)).unwrap(),
            Bounds { start: Offset(0), end: Offset(0), stable_end: Offset(0) }
        );
    }
    stage.fill(at(Topic::UsageRaw, 1), &["kept"]);
    stage.create(&[(Topic::UsageRaw, 3), (Topic::RatesCatalog, 1)]);
    assert_eq!(log.partitions(Topic::UsageRaw).unwrap(), Some(3));
    assert_eq!(log.partitions(Topic::RatesCatalog).unwrap(), Some(1));
    assert_eq!(log.bounds(at(Topic::UsageRaw, 1)).unwrap().end, Offset(1));
    log.contract_findings().unwrap();
}

/// Another partition count is for a person to look at, and changes nothing.
pub fn an_existing_topic_keeps_its_partitions(stage: &Stage) {
    stage.create(&[(Topic::LedgerCommands, 2)]);
    let refused =
        stage.log.create_topics(&[TopicSpec { topic: Topic::LedgerCommands, partitions: 4 }]);
    assert!(matches!(refused, Err(LogError::Halt(_))), "{refused:?}");
    assert_eq!(stage.log.partitions(Topic::LedgerCommands).unwrap(), Some(2));
}
