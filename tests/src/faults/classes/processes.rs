//! What happens to our own processes.

use std::time::{Duration, Instant};

use anyhow::Context;
use domain::Partition;
use sabotage::{Deed, Point, armed};

use crate::faults::scene::{PARTITIONS, Scene};
use crate::service::Role;
use crate::supervisor::Service;

const CHARGER_POINTS: [Point; 7] = [
    Point::Decided,
    Point::BeforeCommit,
    Point::PositionsSent,
    Point::AfterCommit,
    Point::Folded,
    Point::RunsWritten,
    Point::SnapshotUnnamed,
];
const PROJECTOR_POINTS: [Point; 3] = [Point::Planned, Point::LastTableLeft, Point::Stored];
/// A service comes to a point of its work within this, unless there is none of that work.
const POINT_PATIENCE: Duration = Duration::from_secs(8);
/// A member that is silent loses its place after 1.5 s.
const PAST_SESSION_MS: (u64, u64) = (1_700, 2_600);

/// Seven points of the charger's code, and every fourth time at no point in particular.
pub(super) fn kill_charger(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let index = scene.random.below(scene.chargers.len() as u64) as usize;
    let nth = scene.faults as usize;
    if nth % 4 == 3 {
        scene.pause(100, 1_200)?;
        return kill(&mut scene.chargers[index]);
    }
    let point = CHARGER_POINTS[(nth - nth / 4) % CHARGER_POINTS.len()];
    let count = match point {
        Point::Folded => scene.random.between(1, PARTITIONS.into()),
        Point::RunsWritten | Point::SnapshotUnnamed => 1,
        _ => scene.random.between(1, 12),
    };
    kill_at(scene, Victim::Charger(index), (point, count))
}

pub(super) fn kill_projector(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let nth = scene.faults as usize;
    if nth % 4 == 3 {
        scene.pause(100, 1_200)?;
        return kill(scene.projectors.first_mut().context("no projector")?);
    }
    let point = PROJECTOR_POINTS[(nth - nth / 4) % PROJECTOR_POINTS.len()];
    let count = scene.random.between(1, 5);
    kill_at(scene, Victim::Projector, (point, count))
}

pub(super) fn kill_gateway(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(500, 1_200)?;
    kill(scene.gateway.as_mut().context("no gateway")?)
}

/// At a moment that nobody chose.
pub(super) fn kill_anyone(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(50, 1_500)?;
    if scene.random.per_mille(500) {
        kill(scene.any_charger()?)
    } else {
        kill(scene.projectors.first_mut().context("no projector")?)
    }
}

fn kill(service: &mut Service) -> anyhow::Result<()> {
    // One that ended by itself a moment ago is as dead.
    if service.restart_if_ended()? {
        return Ok(());
    }
    service.kill_and_restart()
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    /// By its index.
    Charger(usize),
    Projector,
}

impl Victim {
    fn of<'s>(self, scene: &'s mut Scene<'_>) -> anyhow::Result<&'s mut Service> {
        match self {
            Self::Charger(index) => scene.chargers.get_mut(index),
            Self::Projector => scene.projectors.first_mut(),
        }
        .context("no such service")
    }
}

/// Starts a service so that it dies at a point of its code, and starts it again when it has.
fn kill_at(
    scene: &mut Scene<'_>,
    victim: Victim,
    (point, count): (Point, u64),
) -> anyhow::Result<()> {
    let service = victim.of(scene)?;
    service.restart_if_ended()?;
    service.kill_and_restart_armed(&armed(point, u32::try_from(count)?, Deed::Kill))?;
    let deadline = Instant::now() + POINT_PATIENCE;
    while !victim.of(scene)?.has_ended()? {
        if Instant::now() > deadline {
            // It has no such work: a kill all the same.
            return kill(victim.of(scene)?);
        }
        scene.feeder()?.must_run()?;
        std::thread::sleep(Duration::from_millis(10));
    }
    let service = victim.of(scene)?;
    service.kills += 1;
    service.restart()
}

/// A member more or a member less, in order or not.
pub(super) fn rebalance(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(100, 900)?;
    match (scene.random.below(3), scene.chargers.len(), scene.projectors.len()) {
        (0, _, 1) => scene.add_projector(),
        (0, _, _) => {
            let mut leaving = scene.projectors.remove(0);
            scene.settle_ended(&mut leaving)?;
            leaving.stop()
        }
        (_, 1, _) => scene.add_charger(),
        (1, 2, _) => scene.add_charger(),
        (_, _, _) => {
            let index = scene.random.below(scene.chargers.len() as u64) as usize;
            let mut leaving = scene.chargers.remove(index);
            scene.settle_ended(&mut leaving)?;
            if scene.random.per_mille(500) { leaving.stop() } else { leaving.kill() }
        }
    }
}

/// A service that stands still for longer than its session, and goes on.
pub(super) fn suspend(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let index = scene.random.below(scene.chargers.len() as u64) as usize;
    scene.chargers[index].restart_if_ended()?;
    scene.chargers[index].pause()?;
    let waited = scene.pause(PAST_SESSION_MS.0, PAST_SESSION_MS.1);
    scene.chargers[index].resume()?;
    waited
}

/// A charger that stops with decisions made and nothing written, and goes on to write them when another
/// one has its partitions; or anywhere.
pub(super) fn zombie(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let index = scene.random.below(scene.chargers.len() as u64) as usize;
    let zombie = &mut scene.chargers[index];
    zombie.restart_if_ended()?;
    if scene.faults.is_multiple_of(2) {
        if let Role::Charger { kafka, .. } = &mut zombie.settings.role {
            kafka.static_membership = false;
        }
        let count = u32::try_from(scene.random.between(10, 30))?;
        let zombie = &mut scene.chargers[index];
        zombie.kill_and_restart_armed(&armed(Point::Decided, count, Deed::Stop))?;
        scene.wait("the charger does not come to the point", |scene| {
            Ok(scene.chargers[index].is_paused())
        })?;
    } else {
        scene.wait_for_work()?;
        scene.chargers[index].pause()?;
        // It may have had no partition: then the other has them all along.
        scene.pause(PAST_SESSION_MS.0, PAST_SESSION_MS.1)?;
    }
    // The other takes over every partition, also those that stood still.
    let other = (index + 1) % scene.chargers.len();
    let waited = scene.wait("nobody takes over", |scene| owns_all(&scene.chargers[other]));
    scene.chargers[index].resume()?;
    waited?;
    // The one that is back has its share again, or has ended and begun anew.
    scene.wait_for_work()
}

/// Whether a charger was given every partition last, and has taken each over.
fn owns_all(charger: &Service) -> anyhow::Result<bool> {
    let log = charger.log()?;
    let Some((_, since)) = log.rsplit_once("partitions gained partitions=[") else {
        return Ok(false);
    };
    let is_taken = |number| {
        let at = Partition(number);
        since.contains(&format!("partition taken over partition={at} "))
    };
    let gave_up = since.contains("partitions revoked") || since.contains("partitions lost");
    Ok((0..PARTITIONS).all(is_taken) && !gave_up)
}

impl Scene<'_> {
    /// One that was fenced has ended by itself: it is started again before it is told to leave.
    fn settle_ended(&mut self, service: &mut Service) -> anyhow::Result<()> {
        self.restarts += u32::from(service.restart_if_ended()?);
        Ok(())
    }
}
