//! Committed positions, and the position of delivery.

use domain::{Offset, Partition, Topic};

use super::Stage;
use super::stage::{WAIT, at, must_commit, plain, position, values};
use crate::{CommittedPosition, Lane, LogError, Member};

const USAGE: Topic = Topic::UsageRaw;
const COMMANDS: Topic = Topic::LedgerCommands;
const INPUTS: [(Topic, Lane); 2] = [(USAGE, Lane::Bulk), (COMMANDS, Lane::Priority)];

/// The committed positions of a partition, sorted by topic.
fn committed(member: &mut dyn Member, partition: u32) -> Vec<CommittedPosition> {
    let mut all = member.committed(Partition(partition)).unwrap();
    all.sort_by_key(|position| position.at);
    all
}

fn expected(
    partition: u32,
    usage: (Option<i64>, &str),
    commands: (Option<i64>, &str),
) -> Vec<CommittedPosition> {
    [(USAGE, usage), (COMMANDS, commands)]
        .map(|(topic, (next, metadata))| CommittedPosition {
            at: at(topic, partition),
            next: next.map(Offset),
            metadata: metadata.to_owned(),
        })
        .to_vec()
}

/// One per topic, each without an offset and without metadata.
pub fn positions_are_none_before_the_first_commit(stage: &Stage) {
    stage.create(&[(USAGE, 2), (COMMANDS, 2)]);
    let mut member = stage.join_writing("charger", &INPUTS, "charger-0");
    stage.gain(&mut *member, 2);
    for partition in 0..2 {
        assert_eq!(committed(&mut *member, partition), expected(partition, (None, ""), (None, "")));
    }
}

/// Offsets and metadata come back, to this member and the next; a commit changes only the
/// positions that it names.
pub fn committed_positions_round_trip(stage: &Stage) {
    stage.create(&[(USAGE, 2), (COMMANDS, 2)]);
    stage.fill_numbered(at(USAGE, 1), "usage", 9);
    stage.fill_numbered(at(COMMANDS, 1), "command", 9);
    let mut member = stage.join_writing("charger", &INPUTS, "charger-0");
    stage.gain(&mut *member, 2);
    must_commit(
        &mut *member,
        &[
            position(at(USAGE, 1), Offset(7), "seal 41, größer"),
            position(at(COMMANDS, 1), Offset(0), ""),
        ],
    );
    assert_eq!(
        committed(&mut *member, 1),
        expected(1, (Some(7), "seal 41, größer"), (Some(0), ""))
    );
    must_commit(&mut *member, &[position(at(COMMANDS, 1), Offset(9), "seal 42")]);
    let latest = expected(1, (Some(7), "seal 41, größer"), (Some(9), "seal 42"));
    assert_eq!(committed(&mut *member, 1), latest);
    assert_eq!(committed(&mut *member, 0), expected(0, (None, ""), (None, "")));
    drop(member);

    let mut next = stage.join_writing("charger", &INPUTS, "charger-0");
    stage.gain(&mut *next, 2);
    assert_eq!(committed(&mut *next, 1), latest);
    // Going back is allowed: the ledger's tail decides, not the log.
    must_commit(&mut *next, &[position(at(USAGE, 1), Offset(2), "again")]);
    assert_eq!(committed(&mut *next, 1), expected(1, (Some(2), "again"), (Some(9), "seal 42")));
}

/// Two groups read the same topic without knowing of each other.
pub fn groups_have_their_own_positions(stage: &Stage) {
    let inputs = [(USAGE, Lane::Bulk)];
    stage.create(&[(USAGE, 1)]);
    stage.fill(at(USAGE, 0), &["a", "b"]);
    let mut first = stage.join("first", &inputs);
    let mut second = stage.join("second", &inputs);
    stage.gain_and_start(&mut *first, &inputs, 1);
    stage.gain_and_start(&mut *second, &inputs, 1);
    assert_eq!(values(&stage.take(&mut *first, Lane::Bulk, 2)), ["a", "b"]);
    must_commit(&mut *first, &[position(at(USAGE, 0), Offset(2), "first")]);
    assert_eq!(second.committed(Partition(0)).unwrap()[0].next, None);
    assert_eq!(values(&stage.take(&mut *second, Lane::Bulk, 2)), ["a", "b"]);
    assert_eq!(first.committed(Partition(0)).unwrap()[0].next, Some(Offset(2)));
}

/// A member without a writer's name commits positions and may not append.
pub fn a_member_without_a_writer_commits_positions(stage: &Stage) {
    let inputs = [(USAGE, Lane::Bulk)];
    stage.create(&[(USAGE, 1), (Topic::LedgerEntries, 1)]);
    stage.fill(at(USAGE, 0), &["a", "b", "c"]);
    let mut member = stage.join("projector", &inputs);
    stage.gain_and_start(&mut *member, &inputs, 1);
    stage.take(&mut *member, Lane::Bulk, 2);
    must_commit(&mut *member, &[position(at(USAGE, 0), Offset(2), "planned end 3")]);
    let refused = member.append(plain(at(Topic::LedgerEntries, 0), "not allowed"));
    assert!(matches!(refused, Err(LogError::Halt(_))), "{refused:?}");
    drop(member);

    let mut next = stage.join("projector", &inputs);
    stage.gain(&mut *next, 1);
    let position = next.committed(Partition(0)).unwrap().remove(0);
    assert_eq!((position.next, &position.metadata[..]), (Some(Offset(2)), "planned end 3"));
    assert_eq!(stage.all(&[at(Topic::LedgerEntries, 0)]), []);
}

/// The position follows delivery, and says that all is delivered only when it is, also past
/// control records and aborted ones.
pub fn a_member_says_when_it_has_caught_up(stage: &Stage) {
    let inputs = [(USAGE, Lane::Bulk)];
    let place = at(USAGE, 0);
    stage.create(&[(USAGE, 1)]);
    stage.fill_numbered(place, "usage", 5);
    let mut member = stage.join("charger", &inputs);
    stage.gain_and_start(&mut *member, &inputs, 1);
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 2)), ["usage-0", "usage-1"]);
    assert_eq!(member.position(place), (Offset(2), false));
    assert_eq!(stage.take(&mut *member, Lane::Bulk, 3).len(), 3);
    let caught_up = |member: &mut dyn Member| {
        stage.until("the member to have caught up", || {
            member.poll(Lane::Bulk, 10, WAIT, &mut |record| panic!("{record:?}")).unwrap();
            let bounds = stage.log.bounds(place).unwrap();
            let (next, all_delivered) = member.position(place);
            bounds.end == bounds.stable_end && all_delivered && next >= bounds.stable_end
        });
    };
    caught_up(&mut *member);

    let mut writer = stage.join_writing("forwarder", &[], "forwarder-0");
    writer.append(plain(place, "forwarded")).unwrap();
    must_commit(&mut *writer, &[]);
    writer.append(plain(place, "given up")).unwrap();
    writer.abort().unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 1)), ["forwarded"]);
    caught_up(&mut *member);
}
