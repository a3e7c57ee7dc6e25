//! The classes of faults, as a table: what happens, to what, and which mistake in the code it must catch.

mod load;
pub(super) mod on_call;
mod processes;
mod servers;
mod state;

use std::time::Duration;

use sabotage::Break;

use super::ground::Disk;
use super::scene::Scene;

/// How often the clocks of the class `clocks` are set.
pub const CLOCK_STEP_MS: u64 = 600;

/// How the services reach the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    KafkaProxy,
    ClickHouseProxy,
    BothProxies,
}

/// A class of faults.
#[derive(Debug)]
pub struct Class {
    pub name: &'static str,
    /// What happens, for the table.
    pub about: &'static str,
    /// Injects one fault, and lifts it. Classes with several kinds go through them by `scene.faults`.
    pub inject: fn(&mut Scene<'_>) -> anyhow::Result<()>,
    /// Faults in the short form: enough for every kind.
    pub faults: u64,
    /// A mistake that it must catch.
    pub proof: Break,
    /// The simulator catches the same mistake, in seconds; otherwise it is shown here, in every run.
    pub proof_simulated: bool,
    pub way: Way,
    pub disk: Disk,
    pub chargers: usize,
    /// A charger that is fenced ends, and is started again.
    pub services_may_end: bool,
    /// Every service has static membership: it is back at once.
    pub keeps_places: bool,
    pub steps_clocks: bool,
    /// Half of the load comes over HTTP.
    pub has_gateway: bool,
    /// A retroactive version is published, and what it changes priced anew.
    pub rerates: bool,
    /// Tables are made anew.
    pub rebuilds: bool,
    /// Snapshots after every few inputs.
    pub many_snapshots: bool,
    /// A hung transaction is given up by the broker after this.
    pub transaction_timeout: Duration,
}

impl Class {
    const fn new(
        name: &'static str,
        about: &'static str,
        inject: fn(&mut Scene<'_>) -> anyhow::Result<()>,
        faults: u64,
        proof: Break,
    ) -> Self {
        Self {
            name,
            about,
            inject,
            faults,
            proof,
            proof_simulated: false,
            way: Way::Direct,
            disk: Disk::None,
            chargers: 1,
            services_may_end: false,
            keeps_places: false,
            steps_clocks: false,
            has_gateway: false,
            rerates: false,
            rebuilds: false,
            many_snapshots: false,
            transaction_timeout: Duration::from_secs(3),
        }
    }

    pub fn of_name(name: &str) -> Option<&'static Self> {
        CLASSES.iter().find(|class| class.name == name)
    }

    /// Whether it publishes versions of the rate card while the load runs.
    pub fn is_of_cards(&self) -> bool {
        self.name == "rate-card"
    }

    /// Inputs between snapshots, per partition.
    pub fn snapshot_every(&self, events: usize) -> u64 {
        let events = events as u64;
        if self.many_snapshots { (events / 60).clamp(100, 4_000) } else { (events / 8).max(500) }
    }
}

/// All of them. The last takes from the others.
pub static CLASSES: &[Class] = &[
    Class {
        proof_simulated: true,
        keeps_places: true,
        many_snapshots: true,
        ..Class::new(
            "charger-killed",
            "kill -9 of the charger at each point of its code, and at random",
            processes::kill_charger,
            10,
            Break::FoldSkipped,
        )
    },
    Class {
        keeps_places: true,
        ..Class::new(
            "projector-killed",
            "kill -9 of the projector at each point of its code, and at random",
            processes::kill_projector,
            8,
            Break::PlannedEndForgotten,
        )
    },
    Class {
        has_gateway: true,
        ..Class::new(
            "gateway-killed",
            "kill -9 of the API at random, while half of the load comes through it",
            processes::kill_gateway,
            6,
            Break::AnsweredEarly,
        )
    },
    Class {
        proof_simulated: true,
        // A broker that stood still may have given a static member's place to the same member, asking again.
        services_may_end: true,
        ..Class::new(
            "broker",
            "SIGTERM, SIGKILL and SIGSTOP of the broker",
            servers::broker,
            3,
            Break::UnknownTaken,
        )
    },
    Class {
        way: Way::KafkaProxy,
        transaction_timeout: Duration::from_millis(1_500),
        ..Class::new(
            "kafka-requests",
            "commits' requests delayed, lost, and their answers lost",
            servers::kafka_request,
            12,
            Break::UnknownTaken,
        )
    },
    Class {
        way: Way::ClickHouseProxy,
        ..Class::new(
            "clickhouse-answers",
            "ClickHouse's answers lost",
            servers::clickhouse_answers,
            4,
            Break::RetryRenamed,
        )
    },
    Class {
        way: Way::ClickHouseProxy,
        ..Class::new(
            "clickhouse-killed",
            "an insert cut in its middle and ClickHouse killed, killed again, stopped in its tracks",
            servers::clickhouse_killed,
            3,
            Break::InsertErrorTaken,
        )
    },
    Class {
        proof_simulated: true,
        services_may_end: true,
        ..Class::new(
            "rebalances",
            "chargers and projectors come and go",
            processes::rebalance,
            8,
            Break::FoldSkipped,
        )
    },
    Class {
        chargers: 2,
        services_may_end: true,
        ..Class::new(
            "zombie",
            "a charger stopped past its session, and continued when another has its partitions",
            processes::zombie,
            2,
            Break::PositionsLeftOut,
        )
    },
    Class {
        disk: Disk::Log,
        proof_simulated: true,
        // A broker that could not write may take a static member for the one that it knew before.
        services_may_end: true,
        ..Class::new(
            "log-disk-full",
            "the broker's disk is full",
            servers::log_disk_full,
            2,
            Break::UnknownTaken,
        )
    },
    Class {
        disk: Disk::ClickHouse,
        has_gateway: true,
        // What cannot be read is for a person, and the projector ends; see the class.
        services_may_end: true,
        ..Class::new(
            "clickhouse-disk-full",
            "ClickHouse's disk is full",
            servers::clickhouse_disk_full,
            2,
            Break::InsertErrorTaken,
        )
    },
    Class {
        disk: Disk::State,
        many_snapshots: true,
        ..Class::new(
            "state-disk-full",
            "the disk of the charger's state is full: it goes on without",
            state::disk_full,
            2,
            Break::SnapshotErrorEnds,
        )
    },
    Class {
        steps_clocks: true,
        proof_simulated: true,
        ..Class::new(
            "clocks",
            "the charger's clock is set up to two hours forward and back",
            state::clock_steps,
            8,
            Break::TimeByClock,
        )
    },
    Class {
        proof_simulated: true,
        ..Class::new(
            "floods",
            "thousands of duplicates and of known identities with another meaning",
            load::flood,
            3,
            Break::DuplicatesUnseen,
        )
    },
    Class {
        proof_simulated: true,
        ..Class::new(
            "conflicts",
            "the same identities with another meaning, over and over",
            load::conflicts,
            3,
            Break::ConflictsUnseen,
        )
    },
    Class {
        proof_simulated: true,
        ..Class::new(
            "poison",
            "runs of records that cannot be read",
            load::poison,
            3,
            Break::DeadLetterDropped,
        )
    },
    Class::new(
        "rate-card",
        "new versions of the rate card while the load runs",
        load::rate_card,
        3,
        Break::PricedByArrival,
    ),
    Class {
        has_gateway: true,
        rerates: true,
        keeps_places: true,
        proof_simulated: true,
        ..Class::new(
            "rerates",
            "charges priced anew under a retroactive version, in part twice, with kills in between",
            on_call::rerate_under_load,
            4,
            Break::RepeatsUnseen,
        )
    },
    Class {
        has_gateway: true,
        keeps_places: true,
        rebuilds: true,
        ..Class::new(
            "rebuilds",
            "tables made anew beside the live ones and exchanged, with kills of the projector in between",
            on_call::rebuild_under_load,
            2,
            Break::PlannedEndForgotten,
        )
    },
    Class {
        proof_simulated: true,
        keeps_places: true,
        many_snapshots: true,
        ..Class::new(
            "state-damaged",
            "bits of snapshots and identity runs flipped, files cut and removed",
            state::damage,
            5,
            Break::ChecksumsIgnored,
        )
    },
    Class {
        proof_simulated: true,
        keeps_places: true,
        many_snapshots: true,
        ..Class::new(
            "state-deleted",
            "the whole state removed: the charger folds its ledger anew",
            state::delete,
            3,
            Break::IdentityForgotten,
        )
    },
    Class {
        way: Way::ClickHouseProxy,
        ..Class::new(
            "window-exhausted",
            "answers lost, and ClickHouse has forgotten which inserts it knows",
            servers::window_exhausted,
            4,
            Break::LookupSkipped,
        )
    },
    Class {
        way: Way::BothProxies,
        chargers: 2,
        services_may_end: true,
        many_snapshots: true,
        proof_simulated: true,
        ..Class::new(
            "mixed",
            "all that can happen on whole disks, in an order that the seed decides",
            mixed,
            8,
            Break::FoldSkipped,
        )
    },
];

/// What a mixed run takes from.
const MIXED: &[fn(&mut Scene<'_>) -> anyhow::Result<()>] = &[
    processes::kill_charger,
    processes::kill_projector,
    processes::kill_anyone,
    processes::rebalance,
    processes::suspend,
    servers::broker,
    servers::kafka_request,
    servers::clickhouse_answers,
    servers::clickhouse_killed,
    load::flood,
    load::conflicts,
    load::poison,
    state::damage,
    state::delete,
];

fn mixed(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let inject = scene.random.of(MIXED);
    inject(scene)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_every_break_is_some_class_s() {
        for class in CLASSES {
            assert!(std::ptr::eq(Class::of_name(class.name).unwrap(), class), "{}", class.name);
        }
        for one in Break::ALL {
            assert!(CLASSES.iter().any(|class| class.proof == *one), "{}", one.word());
        }
    }
}
