//! What happens to the charger's own files, and to its clock.

use anyhow::{Context, ensure};

use crate::faults::ground;
use crate::faults::scene::Scene;

const FILES_DAMAGED: u64 = 6;

/// A snapshot is a cache: the charger goes on without.
pub(super) fn disk_full(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(300, 900)?;
    scene.full_disk()?.fill()?;
    let refused = |scene: &Scene<'_>| scene.chargers[0].logged("snapshot not written");
    let before = refused(scene)?;
    scene.wait("no snapshot was tried", |scene| Ok(refused(scene)? > before))?;
    scene.wait_for_work()?;
    scene.full_disk()?.free().context("freeing the disk")
}

/// The clock is set by itself; this waits for the next time.
pub(super) fn clock_steps(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(super::CLOCK_STEP_MS, super::CLOCK_STEP_MS + 50)
}

/// Files of a charger that is down.
pub(super) fn damage(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(400, 1_200)?;
    let index = scene.random.below(scene.chargers.len() as u64) as usize;
    let slot = slot(scene, index)?;
    if !scene.chargers[index].has_ended()? {
        scene.chargers[index].kill()?;
    }
    let files = scene.state_files(slot)?;
    for _ in 0..FILES_DAMAGED.min(files.len() as u64) {
        let file = &files[scene.random.below(files.len() as u64) as usize];
        if file.is_file() {
            ground::damage(file, scene.random.number())?;
        }
    }
    scene.chargers[index].restart()
}

/// All of it.
pub(super) fn delete(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(400, 1_200)?;
    let index = scene.random.below(scene.chargers.len() as u64) as usize;
    let slot = slot(scene, index)?;
    if !scene.chargers[index].has_ended()? {
        scene.chargers[index].kill()?;
    }
    let folder = scene.folder().join(slot.to_string());
    if folder.is_dir() {
        std::fs::remove_dir_all(folder)?;
    }
    scene.chargers[index].restart()
}

fn slot(scene: &Scene<'_>, index: usize) -> anyhow::Result<usize> {
    let name = scene.chargers[index].name();
    let number = name.rsplit_once('-').context("a charger without a number")?.1;
    let slot = number.parse()?;
    ensure!(slot < 3, "no such slot");
    Ok(slot)
}
