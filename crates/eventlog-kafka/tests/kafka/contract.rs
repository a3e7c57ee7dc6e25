//! Topics as tally creates them, and as it finds them.

use domain::Topic;
use eventlog::{EventLog, LogError, TopicSpec};
use eventlog_kafka::{KafkaLog, KafkaSettings};

use crate::stage::{log, settings};

#[test]
fn created_topics_keep_the_contract_and_missing_ones_are_named() {
    let but_one: Vec<Topic> =
        Topic::ALL.into_iter().filter(|topic| *topic != Topic::RatesCatalog).collect();
    let log = log(settings("contract"), &but_one, 2);
    let findings = log.contract_findings().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("contract.rates.catalog"), "{findings:?}");
    log.create_topics(&[TopicSpec { topic: Topic::RatesCatalog, partitions: 1 }]).unwrap();
    assert_eq!(log.contract_findings().unwrap(), Vec::<String>::new());
}

#[test]
fn uneven_partition_counts_are_found() {
    let log = log(settings("uneven"), &Topic::ALL, 2);
    let other = crate::stage::log(settings("uneven-3"), &[Topic::UsageRaw], 3);
    drop(other);
    assert_eq!(log.contract_findings().unwrap(), Vec::<String>::new());
    let log = KafkaLog::connect(settings("uneven-3")).unwrap();
    let missing: Vec<_> =
        Topic::ALL[1..].iter().map(|&topic| TopicSpec { topic, partitions: 2 }).collect();
    log.create_topics(&missing).unwrap();
    let findings = log.contract_findings().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("usage.raw 3, usage.forwarded 2"), "{findings:?}");
}

/// What the deployment asks for now is what counts, not what the topics were created with.
#[test]
fn a_stricter_deployment_finds_its_topics_wanting() {
    drop(log(settings("stricter"), &Topic::ALL, 1));
    let mut stricter = settings("stricter");
    (stricter.replication_factor, stricter.min_insync_replicas) = (3, 2);
    let findings = KafkaLog::connect(stricter).unwrap().contract_findings().unwrap();
    assert_eq!(findings.len(), Topic::ALL.len());
    assert!(
        findings.iter().all(|finding| finding.contains("min.insync.replicas=2")),
        "{findings:?}"
    );
}

#[test]
fn a_cluster_that_is_not_there_is_unavailable_and_a_wrong_setting_is_for_a_person() {
    let nowhere = KafkaLog::connect(KafkaSettings::single_broker("127.0.0.1:1")).unwrap();
    assert!(matches!(nowhere.partitions(Topic::UsageRaw), Err(LogError::Unavailable(_))));
    let mut wrong = KafkaSettings::single_broker("127.0.0.1:1");
    wrong.extra = vec![("sasl.mechanismus".to_owned(), "geheim".to_owned())];
    match KafkaLog::connect(wrong).map(|_| ()) {
        Err(LogError::Halt(why)) => {
            assert!(why.contains("sasl.mechanismus") && !why.contains("geheim"), "{why}")
        }
        other => panic!("{other:?}"),
    }
}
