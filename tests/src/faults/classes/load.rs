//! What producers do, and finance.

use crate::faults::scene::Scene;
use crate::load::Meaning;

const BURST_LINES: u64 = 1_500;
/// A partition brakes at a thousand dead letters in a row, or half of ten thousand inputs.
const POISON_LINES: u64 = 400;

/// Everything that was sent, again and again.
pub(super) fn flood(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    burst(scene, BURST_LINES, |meaning| {
        matches!(meaning, Meaning::Event(_) | Meaning::Grant(_) | Meaning::Conflict)
    })
}

pub(super) fn conflicts(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    burst(scene, BURST_LINES / 3, |meaning| matches!(meaning, Meaning::Conflict))?;
    burst(scene, BURST_LINES / 10, |meaning| matches!(meaning, Meaning::TooLate))
}

pub(super) fn poison(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    burst(scene, POISON_LINES, |meaning| matches!(meaning, Meaning::Broken))
}

/// Sends lines of a kind once more: of those that were sent.
fn burst(
    scene: &mut Scene<'_>,
    count: u64,
    is_wanted: impl Fn(Meaning) -> bool,
) -> anyhow::Result<()> {
    scene.pause(300, 900)?;
    let sent = scene.feeder()?.sent();
    let lines = scene.load.lines.iter().enumerate().take(sent);
    let wanted: Vec<usize> =
        lines.filter(|(_, line)| is_wanted(line.meaning)).map(|(number, _)| number).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let burst = (0..count).map(|_| scene.random.of(&wanted)).collect();
    scene.feeder()?.again(burst)
}

/// The load brings them; here is only waited until the next is adopted.
pub(super) fn rate_card(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let nth = scene.faults as usize + 1;
    let versions = |line: &crate::load::Line| line.meaning == Meaning::Catalogue;
    let later = scene.load.lines.iter().enumerate().skip(scene.load.opening);
    let place = later.filter(|(_, line)| versions(line)).nth(nth).map(|(place, _)| place);
    let Some(place) = place else { return Ok(()) };
    scene.wait("the version is not adopted", |scene| Ok(scene.feeder()?.sent() > place))
}
